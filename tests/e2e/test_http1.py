"""HTTP/1.1 through the proxy, both sides: persistence, framing, 1xx, streaming, back-pressure.

SPDX-License-Identifier: Apache-2.0
"""

import hashlib
import re
import socket
import subprocess
import textwrap
import threading
import time

import pytest
from conftest import (cpu_seconds, lean_sanitizer_settings, resident_bytes, wait_until,
                      watch_memory)

HOST = b"Host: localhost\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

CONFIG = textwrap.dedent('''
    certificates: [{name: web, chain: @chain@, key: @key@}]
    listeners:
      - {name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}
      - {name: web, address: "127.0.0.1:@web@", tls: {certificates: [web]},
         routes: [{backend: app}]}
    backends: {app: {servers: ["http://127.0.0.1:@app@"]}}
''')


@pytest.fixture
def front(sallyport, backend):
    """front(answer, more_yaml) → (proxy, backend)"""
    def start(answer=OK, more="", **options):
        server = backend(answer)
        return sallyport(CONFIG + more, app=server.port, **options), server
    return start


def get(path=b"/", fields=b"", version=b"1.1"):
    return b"GET " + path + b" HTTP/" + version + b"\r\n" + HOST + fields + b"\r\n"


def echo_path(conn):
    """Answers each request with its own path."""
    for head in iter(conn.request, None):
        path = head.split(b" ")[1]
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path))


# ---- persistence ---------------------------------------------------------------------------


@pytest.mark.parametrize("listener", ["plain", "web"])
def test_conn_carries_many_requests_and_so_does_the_backends(front, listener):
    proxy, server = front(echo_path)
    with (proxy.tls if listener == "web" else proxy.tcp)(listener) as conn:
        for number in range(50):
            conn.send(get(b"/%d" % number))
            assert conn.response().body == b"/%d" % number
    assert len(server.received) == 1, "the backend's conn was not kept"


@pytest.mark.parametrize("listener", ["plain", "web"])
def test_pipelined_requests_are_answered_in_order(front, listener):
    proxy, _ = front(echo_path)
    with (proxy.tls if listener == "web" else proxy.tcp)(listener) as conn:
        conn.send(b"".join(get(b"/%d" % number) for number in range(20)))
        assert [conn.response().body for _ in range(20)] == [b"/%d" % n for n in range(20)]


def test_pipelined_requests_arriving_in_single_bytes_are_answered_in_order(front):
    proxy, _ = front(echo_path)
    with proxy.tcp("plain") as conn:
        conn.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"".join(get(b"/%d" % number) for number in range(5)):
            conn.send(bytes([byte]))
        assert [conn.response().body for _ in range(5)] == [b"/%d" % n for n in range(5)]


def test_pipelined_bodies_are_kept_apart(front):
    def echo_body(conn):
        for request in iter(conn.request, None):
            body = request.partition(b"\r\n\r\n")[2]
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    proxy, _ = front(echo_body)
    bodies = [b"x" * size for size in (0, 1, 5, 4000, 70000)]
    with proxy.tcp("plain") as conn:
        conn.send(b"".join(
            b"POST / HTTP/1.1\r\n" + HOST + (b"Content-Length: %d\r\n\r\n%s" % (len(b), b)
                                             if at % 2 else
                                             b"Transfer-Encoding: chunked\r\n\r\n" +
                                             (b"%x\r\n%s\r\n" % (len(b), b) if b else b"") +
                                             b"0\r\n\r\n")
            for at, b in enumerate(bodies)))
        assert [len(conn.response().body) for _ in bodies] == [len(b) for b in bodies]


def test_connection_close_is_honoured_and_said(front):
    proxy, server = front()
    with proxy.tcp("plain") as conn:
        conn.send(get(fields=b"Connection: close\r\n"))
        response = conn.response()
        assert response.status == 200 and response.field("connection") == "close"
        assert conn.read_to_end() == b""
    assert b"close" not in server.all_received(), "the client's wish is about its own hop"


def test_last_request_of_a_conn_is_announced(front):
    proxy, _ = front(more="limits: {requests_per_connection: 3}\n")
    with proxy.tcp("plain") as conn:
        conn.send(get() * 5)
        assert [conn.response().field("connection") for _ in range(3)] == [None, None, "close"]
        assert conn.read_to_end() == b""


def test_backend_that_closes_after_each_response_is_not_used_twice(front):
    def close_after(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
    proxy, server = front(close_after)
    with proxy.tcp("plain") as conn:
        for _ in range(5):
            conn.send(get())
            response = conn.response()
            assert response.body == b"ok"
            assert response.field("connection") is None, "the backend's wish is not the client's"
    assert len(server.received) == 5


# ---- HTTP/1.0 ------------------------------------------------------------------------------


def test_http10_client_gets_a_body_it_can_understand(front):
    proxy, server = front(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
                          b"0\r\n\r\n")
    with proxy.tcp("plain") as conn:
        conn.send(b"GET / HTTP/1.0\r\n\r\n")
        response = conn.response()
        assert response.field("transfer-encoding") is None
        assert response.field("connection") == "close"
        assert response.body == b"hello"
    assert server.all_received().startswith(b"GET / HTTP/1.1\r\n")


def test_http10_client_keeps_its_conn_when_it_asks(front):
    proxy, _ = front()
    with proxy.tcp("plain") as conn:
        for _ in range(3):
            conn.send(get(fields=b"Connection: keep-alive\r\n", version=b"1.0"))
            response = conn.response()
            assert response.field("connection") == "keep-alive" and response.body == b"ok"


def test_http10_backend_is_understood(front):
    def old(conn):
        conn.request()
        conn.send(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end")
    proxy, server = front(old)
    with proxy.tcp("plain") as conn:
        for _ in range(3):
            conn.send(get())
            response = conn.response()
            assert response.version == "HTTP/1.1" and response.body == b"until the end"
            assert response.field("transfer-encoding") == "chunked"
    assert len(server.received) == 3


# ---- framing -------------------------------------------------------------------------------


def test_chunks_and_trailers_pass_both_ways(front):
    def answer(conn):
        request = conn.read_until(b"0\r\nx-sum: 1\r\n\r\n")
        assert b"\r\ntrailer: x-sum\r\n" in request.lower()
        conn.send(b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
                  b"3\r\nabc\r\n3\r\ndef\r\n0\r\nX-Sum: 2\r\n\r\n")
        conn.read_to_end()
    proxy, server = front(answer)
    with proxy.tcp("plain") as conn:
        conn.send(b"POST / HTTP/1.1\r\n" + HOST + b"TE: trailers\r\nConnection: TE\r\n"
                  b"Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
                  b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")
        head = conn.read_until(b"\r\n\r\n")
        body = conn.read_until(b"\r\n0\r\n") + conn.read_until(b"\r\n\r\n")
        assert b"\r\ntransfer-encoding: chunked\r\n" in head + b"\r\n"
        assert re.sub(rb"[0-9]+\r\n", b"", body[:-10]).replace(b"\r\n", b"").startswith(b"abc")
        assert body.endswith(b"0\r\nx-sum: 2\r\n\r\n")
    assert b"\r\nte: trailers\r\n" in server.all_received()
    assert not server.faults


@pytest.mark.parametrize("status", [204, 304])
def test_response_without_a_body_leaves_the_conn_in_step(front, status):
    extra = b"Content-Length: 100\r\nETag: x\r\n" if status == 304 else b""
    proxy, _ = front(b"HTTP/1.1 %d X\r\n%s\r\n" % (status, extra))
    with proxy.tcp("plain") as conn:
        for _ in range(3):
            conn.send(get())
            response = conn.response()
            assert response.status == status and response.body == b""
            assert response.field("transfer-encoding") is None
            assert response.field("content-length") == ("100" if status == 304 else None)


def test_head_tells_the_length_and_sends_none_of_it(front):
    proxy, _ = front(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n")
    with proxy.tcp("plain") as conn:
        for _ in range(3):
            conn.send(b"HEAD /sub/path HTTP/1.1\r\n" + HOST + b"\r\n")
            response = conn.response("HEAD")
            assert (response.status, response.field("content-length")) == (200, "1234")
        conn.sock.settimeout(0.2)
        with pytest.raises(socket.timeout):
            conn.sock.recv(1)


def test_head_answered_with_a_fault_has_no_body(front):
    proxy, server = front()
    server.close()
    with proxy.tcp("plain") as conn:
        for _ in range(2):
            conn.send(b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\n")
            response = conn.response("HEAD")
            assert response.status == 502 and int(response.field("content-length")) > 0


def test_body_that_ends_with_the_backends_conn_is_complete(front):
    def until_close(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100000)
    proxy, _ = front(until_close)
    with proxy.tcp("plain") as conn:
        conn.send(get())
        assert len(conn.response().body) == 100000
        conn.send(get())
        assert len(conn.response().body) == 100000


def test_unknown_methods_and_statuses_pass(front):
    proxy, server = front(b"HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n")
    with proxy.tcp("plain") as conn:
        conn.send(b"BREW /pot HTTP/1.1\r\n" + HOST + b"\r\n")
        assert conn.response().status == 418
    assert server.all_received().startswith(b"BREW /pot HTTP/1.1\r\n")


def test_options_about_the_server_passes(front):
    proxy, server = front()
    with proxy.tcp("plain") as conn:
        conn.send(b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n")
        assert conn.response().status == 200
    assert server.all_received().startswith(b"OPTIONS * HTTP/1.1\r\n")


def test_values_and_their_order_pass_unchanged(front):
    proxy, server = front(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nX-A: \xc3\xa4\r\nSet-Cookie: b=2"
                          b"\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n")
    with proxy.tcp("plain") as conn:
        conn.send(get(b"/a%2Fb;c?d=%20&e=[1]", b"Cookie: a=1\r\nX-B: 1\r\nX-B: 2\r\nCookie: b=2\r\n"))
        names = [(name, value) for name, value in conn.response().fields
                 if name in ("set-cookie", "x-a", "x-empty")]
    assert names == [("set-cookie", "a=1"), ("x-a", "\xc3\xa4"), ("set-cookie", "b=2"),
                     ("x-empty", "")]
    received = server.all_received()
    assert received.startswith(b"GET /a%2Fb;c?d=%20&e=[1] HTTP/1.1\r\n")
    assert b"cookie: a=1\r\nx-b: 1\r\nx-b: 2\r\ncookie: b=2\r\n" in received


def test_short_response_leaves_in_one_piece(front):
    """Head and body of a short response in one TLS record, so one packet."""
    proxy, _ = front()
    with proxy.tls("web") as conn:
        for _ in range(3):
            conn.send(get())
            data = conn.sock.recv(65536)  # never more than one record at a time
            assert data.startswith(b"HTTP/1.1 200") and data.endswith(b"\r\n\r\nok")


# ---- 1xx -----------------------------------------------------------------------------------


def test_continue_of_the_backend_reaches_the_client_before_the_body(front):
    def careful(conn):
        head = conn.read_until(b"\r\n\r\n")
        assert b"\r\nexpect: 100-continue\r\n" in head
        conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert conn.read_exactly(5) == b"hello"
        conn.send(OK)
        conn.read_to_end()
    proxy, server = front(careful)
    with proxy.tcp("plain") as conn:
        conn.send(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nExpect: 100-continue\r\n"
                  b"\r\n")
        assert conn.response(interim=True).status == 100
        assert b"hello" not in server.all_received()
        conn.send(b"hello")
        assert conn.response().status == 200
    assert not server.faults


def test_refusal_instead_of_continue_reaches_the_client(front):
    def strict(conn):
        conn.read_until(b"\r\n\r\n")
        conn.send(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nno!")
    proxy, _ = front(strict)
    with proxy.tcp("plain") as conn:
        conn.send(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5000\r\nExpect: 100-continue"
                  b"\r\n\r\n")
        response = conn.response(interim=True)
        assert (response.status, response.body) == (413, b"no!")


def test_early_hints_reach_the_client_once_each(front):
    proxy, _ = front(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
                     b"HTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n" + OK)
    with proxy.tcp("plain") as conn:
        conn.send(get())
        hints = [conn.response(interim=True) for _ in range(2)]
        assert [(h.status, h.field("link")) for h in hints] == [(103, "</a.css>"),
                                                                (103, "</b.css>")]
        assert conn.response(interim=True).status == 200


def test_http10_client_sees_no_early_hints(front):
    proxy, _ = front(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + OK)
    with proxy.tcp("plain") as conn:
        conn.send(get(version=b"1.0"))
        assert conn.response(interim=True).status == 200


# ---- streaming -----------------------------------------------------------------------------

HUGE = 256 << 20
PIECE = bytes(range(256)) * 4096  # 1 MiB


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_huge_download_streams_in_bounded_memory(front, framing):
    def huge(conn):
        conn.request()
        is_chunked = framing == "chunked"
        conn.send(b"HTTP/1.1 200 OK\r\n" + (b"Transfer-Encoding: chunked\r\n\r\n" if is_chunked
                                           else b"Content-Length: %d\r\n\r\n" % HUGE))
        for _ in range(HUGE // len(PIECE)):
            conn.send(b"%x\r\n%s\r\n" % (len(PIECE), PIECE) if is_chunked else PIECE)
        conn.send(b"0\r\n\r\n" if is_chunked else b"")
    proxy, _ = front(huge, _env=lean_sanitizer_settings())
    worker, = proxy.workers()
    before = resident_bytes(worker)
    peak = watch_memory(worker)
    done = subprocess.run(
        ["curl", "-sS", "--cacert", proxy.authority.path, "-o", "/dev/null", "-w",
         "%{http_code} %{size_download}", f"https://localhost:{proxy.port('web')}/"],
        capture_output=True, text=True, timeout=60)
    assert done.stdout == f"200 {HUGE}", done.stderr
    assert peak() - before < 32 << 20


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_huge_upload_streams_in_bounded_memory(front, framing, tmp_path):
    def sink(conn):
        head = conn.read_until(b"\r\n\r\n")
        digest, count = hashlib.sha256(), 0
        if b"chunked" in head:
            while size := int(conn.read_until(b"\r\n"), 16):
                digest.update(conn.read_exactly(size))
                count += size
                conn.read_exactly(2)
                conn.record.clear()
            conn.read_until(b"\r\n")
        else:
            while count < HUGE:
                conn._more()
                digest.update(conn.pending)
                count += len(conn.pending)
                conn.pending = b""
                conn.record.clear()
        text = f"{count} {digest.hexdigest()}".encode()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
    proxy, _ = front(sink, "limits: {body_bytes: 1GiB}\n",
                     _env=lean_sanitizer_settings())
    path = tmp_path / "huge"
    with open(path, "wb") as file:
        for _ in range(HUGE // len(PIECE)):
            file.write(PIECE)
    worker, = proxy.workers()
    before = resident_bytes(worker)
    peak = watch_memory(worker)
    fields = ["-H", "Transfer-Encoding: chunked"] if framing == "chunked" else []
    done = subprocess.run(
        ["curl", "-sS", "--cacert", proxy.authority.path, "-T", path, "-H", "Expect:", *fields,
         f"https://localhost:{proxy.port('web')}/"], capture_output=True, text=True, timeout=60)
    path.unlink()
    digest = hashlib.sha256()
    for _ in range(HUGE // len(PIECE)):
        digest.update(PIECE)
    assert done.stdout == f"{HUGE} {digest.hexdigest()}", done.stderr
    assert peak() - before < 32 << 20


def test_slow_client_holds_the_backend_back(front):
    sent = [0]

    def eager(conn):
        conn.request()
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % HUGE)
        for _ in range(HUGE // len(PIECE)):
            conn.send(PIECE)
            sent[0] += len(PIECE)
    proxy, _ = front(eager)
    worker, = proxy.workers()
    with proxy.tcp("plain") as conn:
        conn.send(get())
        conn.read_until(b"\r\n\r\n")
        at_rest = wait_until(lambda: rests(lambda: sent[0]), "the backend to be held back")
        assert at_rest and sent[0] < 64 << 20
        used = cpu_seconds(worker)
        time.sleep(0.5)
        assert cpu_seconds(worker) - used < 0.1, "waiting costs CPU time"
        count = len(conn.pending)
        while count < 80 << 20:
            count += len(conn.sock.recv(1 << 20))
        assert sent[0] >= 64 << 20, "it never went on"


def rests(counter, seconds=0.3):
    before = counter()
    time.sleep(seconds)
    return counter() == before and before > 0


def test_slow_backend_holds_the_client_back(front):
    go_on = threading.Event()

    def lazy(conn):
        head = conn.read_until(b"\r\n\r\n")
        go_on.wait(20)
        count = len(conn.pending)
        conn.pending = b""
        while count < 64 << 20:
            conn._more()
            count += len(conn.pending)
            conn.pending = b""
            conn.record.clear()
        conn.send(OK)
        assert head
    proxy, _ = front(lazy)
    sent = [0]
    with proxy.tcp("plain") as conn:
        conn.send(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % (64 << 20))

        def push():
            for _ in range(64):
                conn.send(PIECE)
                sent[0] += len(PIECE)
        thread = threading.Thread(target=push, daemon=True)
        thread.start()
        wait_until(lambda: rests(lambda: sent[0] + 1), "the client to be held back")
        assert sent[0] < 48 << 20
        go_on.set()
        thread.join(20)
        assert conn.response().status == 200


def test_answer_before_the_upload_ends_reaches_the_client(front):
    """An early final response: the rest of the body is not waited for."""
    def hasty(conn):
        conn.read_until(b"\r\n\r\n")
        conn.send(b"HTTP/1.1 403 No\r\nConnection: close\r\nContent-Length: 3\r\n\r\nno!")
        conn.send_end()
        time.sleep(0.2)
    proxy, _ = front(hasty)
    with proxy.tcp("plain") as conn:
        conn.send(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000\r\n\r\n" + b"x" * 1000)
        response = conn.response()
        assert (response.status, response.body) == (403, b"no!")
        assert response.field("connection") == "close"


def test_answer_during_a_large_upload_reaches_a_client_that_goes_on_sending(front):
    def hasty(conn):
        conn.read_until(b"\r\n\r\n")
        conn.read_exactly(100000)
        conn.send(b"HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 3\r\n\r\nno!")
    proxy, _ = front(hasty)
    path = "/dev/zero"
    done = subprocess.run(
        ["curl", "-sS", "-X", "POST", "--data-binary", "@-", "-H", "Expect:", "-o", "-", "-w",
         " %{http_code}", f"http://127.0.0.1:{proxy.port('plain')}/"],
        input=b"x" * (20 << 20), capture_output=True, timeout=30)
    assert done.stdout == b"no! 413", (done.stderr, path)


def test_response_flows_while_the_request_still_does(front):
    """Full duplex: each piece of the body is answered before the next is sent."""
    def echo(conn):
        conn.read_until(b"\r\n\r\n")
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while size := int(conn.read_until(b"\r\n"), 16):
            piece = conn.read_exactly(size)
            conn.read_exactly(2)
            conn.send(b"%x\r\n%s\r\n" % (size, piece))
        conn.read_until(b"\r\n")
        conn.send(b"0\r\n\r\n")
        conn.read_to_end()
    proxy, server = front(echo)
    with proxy.tls("web") as conn:
        conn.send(b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n")
        conn.read_until(b"\r\n\r\n")
        for number in range(10):
            piece = b"piece %d" % number
            conn.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            assert conn.read_until(b"\r\n") == b"%x\r\n" % len(piece)
            assert conn.read_exactly(len(piece) + 2) == piece + b"\r\n"
        conn.send(b"0\r\n\r\n")
        assert conn.read_until(b"0\r\n\r\n")
    assert not server.faults


def test_events_of_a_stream_arrive_as_they_are_sent(front):
    """Server-sent events: nothing is held until there is more."""
    go_on = threading.Semaphore(0)

    def events(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                  b"Transfer-Encoding: chunked\r\n\r\n")
        for number in range(5):
            go_on.acquire(timeout=20)
            conn.send(b"9\r\ndata: %d\n\n\r\n" % number)
        conn.send(b"0\r\n\r\n")
    proxy, _ = front(events)
    with proxy.tls("web") as conn:
        conn.send(get())
        conn.read_until(b"\r\n\r\n")
        for number in range(5):
            go_on.release()
            conn.read_until(b"data: %d\n\n\r\n" % number)


# ---- ends ----------------------------------------------------------------------------------


def test_client_that_ends_its_sending_side_still_gets_its_answer(front):
    def slow(conn):
        conn.request()
        time.sleep(0.3)
        conn.send(OK)
    proxy, _ = front(slow)
    with proxy.tcp("plain") as conn:
        conn.send(get())
        conn.send_end()
        response = conn.response()
        assert response.body == b"ok"
        assert conn.read_to_end() == b""


def test_pipelined_requests_before_a_half_close_are_all_answered(front):
    proxy, _ = front(echo_path)
    with proxy.tcp("plain") as conn:
        conn.send(get(b"/1") + get(b"/2") + get(b"/3"))
        conn.send_end()
        assert [conn.response().body for _ in range(3)] == [b"/1", b"/2", b"/3"]
        assert conn.read_to_end() == b""


def test_client_that_resets_ends_the_backends_exchange(front):
    gone = threading.Event()

    def endless(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                conn.send(b"5\r\nhello\r\n")
                time.sleep(0.01)
        except OSError:
            gone.set()
    proxy, _ = front(endless)
    conn = proxy.tcp("plain")
    conn.send(get(b"/endless"))
    conn.read_until(b"hello")
    conn.reset()
    assert gone.wait(10)
    line, = proxy.wait_event("access", path="/endless")
    assert line["fault"] in ("client_reset", "client_gone")


def test_backend_that_resets_during_the_body_cuts_the_response(front):
    def reset(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
        time.sleep(0.1)
        conn.reset()
    proxy, _ = front(reset)
    with proxy.tls("web") as conn:
        conn.send(get(b"/reset"))
        with pytest.raises((EOFError, ConnectionResetError)):
            conn.response()
    proxy.wait_event("access", path="/reset", fault="backend_truncated")


@pytest.mark.parametrize("listener", ["plain", "web"])
def test_cut_response_takes_no_earlier_one_with_it(front, listener):
    """The reset that tells of the cut comes when the client has what was complete before."""
    body = b"x" * 100_000

    def one_whole_one_cut(conn):
        if b"/whole" in conn.request():
            conn.send(b"HTTP/1.1 200 OK\r\n\r\n" + body)
        else:
            conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    proxy, _ = front(one_whole_one_cut)
    with getattr(proxy, "tcp" if listener == "plain" else "tls")(listener) as conn:
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 10)
        conn.send(get(b"/whole") + get(b"/cut"))
        proxy.wait_event("access", path="/cut", fault="backend_truncated")
        assert conn.response().body == body
        with pytest.raises((EOFError, ConnectionResetError)):
            conn.response()


def test_curl_agrees_about_all_of_it(front):
    """A well-known client over TLS: keep-alive, several requests, verified certificate."""
    proxy, _ = front(echo_path)
    url = f"https://localhost:{proxy.port('web')}"
    done = subprocess.run(["curl", "-sSv", "--cacert", proxy.authority.path, f"{url}/a", f"{url}/b"],
                          capture_output=True, text=True, timeout=20)
    assert done.stdout == "/a/b" and "Re-using existing connection" in done.stderr
    assert "TLSv1.3" in done.stderr and "AES_256_GCM" in done.stderr
