"""Backends that speak HTTP/2: nghttpd, and scripted servers that limit, leave, stall and lie.

SPDX-License-Identifier: Apache-2.0
"""

import concurrent.futures
import hashlib
import re
import shutil
import socket
import subprocess
import textwrap
import threading
import time

import pytest
from conftest import PATIENCE, Conn, free_port, listening_ports, server_settings, wait_until
from http2_server import Http2Server

MIB = 1 << 20
REFUSED_STREAM, INTERNAL_ERROR, CANCEL = 7, 2, 8

CONFIG = textwrap.dedent('''
    certificates: [{name: web, chain: @chain@, key: @key@}]
    listeners:
      - {name: web, address: "127.0.0.1:@web@", tls: {certificates: [web]}, routes: [{backend: app}]}
      - {name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}
    backends: {app: {servers: [@servers@]@more@}}
''')


@pytest.fixture
def front(sallyport):
    """front(server URLs..., more=keys of the backend, tail=further configuration) → proxy"""
    return fronter(sallyport)


def fronter(sallyport):
    def start(*servers, more="", tail="", **keywords):
        is_tls = any(re.match("(h2|https):", server) for server in servers)
        more = (", tls: {ca: @ca@}" if is_tls else "") + (f", {more}" if more else "")
        return sallyport(CONFIG.replace("@more@", more) + textwrap.dedent(tail),
                         servers=", ".join(f'"{server}"' for server in servers), **keywords)
    return start


def ask(proxy, path="/", method="GET", body=None, fields=""):
    """One request over HTTP/1.1."""
    with proxy.tcp("plain", patience=2 * PATIENCE) as conn:
        conn.send(head(path, method, body, fields) + (body or b""))
        return conn.response(method)


def head(path, method="GET", body=None, fields=""):
    length = f"Content-Length: {len(body)}\r\n" if body is not None else ""
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{length}{fields}\r\n".encode()


def assert_fault(proxy, status, fault, path="/fault", **keywords):
    response = ask(proxy, path, **keywords)
    assert response.status == status and f"Fault: {fault}".encode() in response.body, response.body
    line = proxy.wait_event("access", path=path, fault=fault)[0]
    assert line["status"] == status and line["backend"] == "app"


class Curled:
    """What curl made of one exchange."""

    def __init__(self, proxy, path, *words, version="2", listener="web"):
        scheme = "http" if listener == "plain" else "https"
        done = subprocess.run(
            ["curl", "-sS4", "--http" + version, "--cacert", str(proxy.authority.path),
             "-w", "\n%{http_version} %{http_code} %{errormsg}", *map(str, words),
             f"{scheme}://localhost:{proxy.port(listener)}{path}"],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=3 * PATIENCE)
        self.code = done.returncode
        self.error = done.stderr.decode()
        self.body, _, last = done.stdout.rpartition(b"\n")
        self.version, status, self.message = last.decode().split(" ", 2)
        self.status = int(status)


def answer_all(conn):
    for request in conn.requests():
        conn.respond(request.id, request.path.encode() + b" " + bytes(request.body))


def once_each(*scripts, then=answer_all):
    """The first conn is served by the first script, and so on; those after the last by `then`."""
    left = list(scripts)

    def serve(conn):
        (left.pop(0) if left else then)(conn)
    return serve


# ---- nghttpd ---------------------------------------------------------------------------------


def digest(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """(path, digest) of a file of 100 MB."""
    path = tmp_path_factory.mktemp("large") / "large.bin"
    path.write_bytes(bytes(range(251)) * (100_000_000 // 251))
    path.with_name("small.txt").write_text("hello")
    return path, digest(path.read_bytes())


@pytest.fixture(scope="module", params=["h2c", "h2"])
def nghttpd(request, standing, standing_start, authority, large):
    """A proxy before nghttpd, which serves files and sends back what is uploaded."""
    if not shutil.which("nghttpd") or not shutil.which("nghttp"):
        pytest.skip("nghttpd or nghttp is missing: packages nghttp2-server and nghttp2-client")
    port = free_port()
    chain, key = authority.local
    tls = ["--no-tls"] if request.param == "h2c" else []
    process = standing_start("nghttpd", [
        "nghttpd", "-a", "127.0.0.1", "-d", large[0].parent, "--echo-upload", "--trailer=x-end: yes",
        *tls, port, *([] if tls else [key, chain])])
    process.wait_for(lambda: port in listening_ports(), "listening")
    return fronter(standing)(f"{request.param}://127.0.0.1:{port}", tail="limits: {body_bytes: off}\n")


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_large_downloads_arrive_whole(nghttpd, large, version):
    seen = Curled(nghttpd, "/large.bin", version=version)
    assert (seen.code, seen.version, seen.status) == (0, version, 200), seen.error
    assert digest(seen.body) == large[1]


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_large_uploads_come_back_whole(nghttpd, large, version):
    seen = Curled(nghttpd, "/", "-T", large[0], "-X", "POST", version=version)
    assert (seen.code, seen.status) == (0, 200), seen.error
    assert digest(seen.body) == large[1]


def test_trailers_of_the_server_arrive(nghttpd):
    """nghttp tells of each frame; curl shows no trailers of HTTP/2."""
    done = subprocess.run(["nghttp", "-nv", "--no-verify-peer",
                           f"https://localhost:{nghttpd.port('web')}/small.txt"],
                          capture_output=True, text=True, timeout=PATIENCE)
    frames = done.stdout
    assert 0 < frames.find("recv DATA frame") < frames.find(") x-end: yes"), frames


# ---- which protocol --------------------------------------------------------------------------


@pytest.mark.parametrize("alpn, version", [(("h2", "http/1.1"), 2), (("h2",), 2),
                                           (("http/1.1",), 1), ((), 1)])
def test_https_speaks_what_the_server_takes(front, backend, authority, alpn, version):
    if version == 2:
        server = Http2Server(answer_all, tls=authority.local, alpn=alpn)
    else:
        settings = server_settings(*authority.local)
        if alpn:
            settings.set_alpn_protocols(list(alpn))
        server = backend(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n/a ", tls=settings)
    proxy = front(f"https://127.0.0.1:{server.port}")
    for _ in range(3):
        assert ask(proxy, "/a").body == b"/a "
    assert len(server.conns) == 1
    server.close()


def test_conns_to_a_server_that_turned_out_to_speak_http1_are_made_side_by_side(
        front, backend, authority):
    """All but the first wait in their handshakes for one another."""
    settings = server_settings(*authority.local)
    together = threading.Barrier(9)
    first = threading.Lock()

    def meet(*_):
        if not first.acquire(blocking=False):
            together.wait(PATIENCE)

    def answer(conn):
        while conn.request() is not None:
            everybody.wait(PATIENCE)
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    everybody = threading.Barrier(10)
    settings.sni_callback = meet
    server = backend(answer, tls=settings)
    proxy = front(f"https://127.0.0.1:{server.port}")
    assert ask_together(proxy, 10) == [200] * 10


@pytest.mark.parametrize("alpn", [("http/1.1",), ()])
def test_h2_asks_for_a_server_that_speaks_it(front, backend, authority, alpn):
    settings = server_settings(*authority.local)
    if alpn:
        settings.set_alpn_protocols(list(alpn))
    server = backend(tls=settings)
    assert_fault(front(f"h2://127.0.0.1:{server.port}"), 502, "backend_tls")
    assert server.all_received() == b""


def test_server_of_http1_at_an_h2c_address_is_502(front, backend):
    server = backend(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    assert_fault(front(f"h2c://127.0.0.1:{server.port}"), 502, "backend_response")


# ---- clients of HTTP/1.1 ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def mixed(standing):
    """(proxy, server): answers by path."""
    def serve(conn):
        for request in conn.requests(whole=False):
            answer_by_path(conn, request)
    with Http2Server(serve) as server:
        yield fronter(standing)(server.url), server


def answer_by_path(conn, request):
    if request.path == "/204":
        conn.respond(request.id, status=204)
    elif request.path == "/304":
        conn.respond(request.id, status=304, fields=[("etag", '"x"'), ("content-length", "50")])
    elif request.method == "HEAD":
        conn.respond(request.id, fields=[("content-length", "1234")])
    elif request.path == "/hints":
        conn.send_headers(request.id, [(":status", "103"), ("link", "</a>")])
        conn.respond(request.id, b"after")
    elif request.path == "/trailers":
        conn.respond(request.id, b"body", trailers=[("x-end", "here")])
    elif request.path == "/early":
        conn.respond(request.id, b"no need")
    else:
        if request.fields.get("expect") == "100-continue":
            conn.send_headers(request.id, [(":status", "100")])
        while not request.is_whole:
            next(conn.events())
        told = repr((request.trailers, sorted(request.fields)))
        conn.respond(request.id, bytes(request.body), fields=[("x-saw", told)])


def test_chunked_upload_with_trailers_reaches_the_server(mixed):
    with mixed[0].tcp("plain") as conn:
        conn.send(head("/echo", "POST", fields="Transfer-Encoding: chunked\r\n"))
        conn.send(b"5\r\nhello\r\n6\r\n world\r\n0\r\nx-sum: 7\r\n\r\n")
        response = conn.response()
    assert response.body == b"hello world"
    assert "('x-sum', '7')" in response.field("x-saw")
    assert "transfer-encoding" not in response.field("x-saw")


def test_interim_continue_comes_from_the_server(mixed):
    with mixed[0].tcp("plain") as conn:
        conn.send(head("/echo", "POST", b"hello", "Expect: 100-continue\r\n"))
        assert conn.response(interim=True).status == 100
        conn.send(b"hello")
        assert conn.response().body == b"hello"


def test_answer_to_head_tells_a_length_and_has_no_body(mixed):
    with mixed[0].tcp("plain") as conn:
        for _ in range(2):
            conn.send(head("/any", "HEAD"))
            response = conn.response("HEAD")
            assert response.status == 200 and response.field("content-length") == "1234"


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body_end_with_their_head(mixed, status):
    with mixed[0].tcp("plain") as conn:
        for _ in range(2):
            conn.send(head(f"/{status}"))
            response = conn.response()
            assert response.status == status and response.field("transfer-encoding") is None


def test_early_hints_pass(mixed):
    with mixed[0].tcp("plain") as conn:
        conn.send(head("/hints"))
        assert conn.response(interim=True).status == 103
        assert conn.response().body == b"after"


def test_trailers_pass_to_a_client_of_http1(mixed):
    with mixed[0].tcp("plain") as conn:
        conn.send(head("/trailers", fields="TE: trailers\r\nConnection: TE\r\n"))
        assert b"\r\nbody\r\n" in conn.read_until(b"\r\n0\r\n")
        assert conn.read_until(b"\r\n\r\n") == b"x-end: here\r\n\r\n"


def test_answer_before_the_upload_ends_is_passed_on(mixed, tmp_path):
    path = tmp_path / "upload"
    path.write_bytes(b"x" * 3 * MIB)
    seen = Curled(mixed[0], "/early", "-T", path)
    # Some versions of curl take RST_STREAM(NO_ERROR) after a whole response for an error.
    assert seen.code in (0, 92) and (seen.status, seen.body) == (200, b"no need"), seen.error


# ---- how many at once --------------------------------------------------------------------------


def ask_together(proxy, count, method="GET", paths="/many/{}"):
    def one(number):
        body = b"x" * 100 if method == "POST" else None
        return ask(proxy, paths.format(number), method, body).status
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


@pytest.mark.parametrize("limit", [1, 3])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_limit_of_streams_is_obeyed(front, limit, method):
    from h2.settings import SettingCodes
    with Http2Server(answer_all, settings={SettingCodes.MAX_CONCURRENT_STREAMS: limit}) as server:
        proxy = front(server.url)
        assert ask(proxy, "/first").status == 200
        assert ask_together(proxy, 50, method) == [200] * 50
        assert server.violations == []
        assert all(conn.most_at_once <= limit for conn in server.conns)
        assert len(server.requests) == 51


def test_limit_of_streams_may_change(front):
    """From 100 to 1, and to 20 again, while requests run."""
    def serve(conn):
        answered = 0
        for request in conn.requests():
            conn.respond(request.id, b"ok")
            answered += 1
            if answered in (5, 20):
                conn.settings(MAX_CONCURRENT_STREAMS=1 if answered == 5 else 20)
    with Http2Server(serve) as server:
        proxy = front(server.url)
        for _ in range(3):
            assert ask_together(proxy, 30) == [200] * 30
        assert server.violations == []


# ---- servers that leave --------------------------------------------------------------------------


def goaway(last, after=1, answers=True):
    """Says after so many requests that it has taken those up to `last`, and goes."""
    def serve(conn):
        requests = conn.requests()
        came = [next(requests) for _ in range(after)]
        conn.goaway(last)
        for request in came:
            if request.id <= last and answers:
                conn.respond(request.id, b"taken")
        for _ in requests:
            pass
    return serve


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_request_that_a_leaving_server_has_not_taken_goes_to_a_new_conn(front, method):
    with Http2Server(once_each(goaway(0))) as server:
        proxy = front(server.url)
        response = ask(proxy, "/again", method, b"" if method == "POST" else None)
        assert response.status == 200 and response.body == b"/again "
        line, = proxy.wait_event("access", path="/again")
        assert line["retries"] == 1
        assert len(server.conns) == 2


def test_upload_that_had_not_begun_goes_to_a_new_conn(front):
    def leave(conn):
        next(conn.requests(whole=False))
        conn.goaway(0)
        for _ in conn.events():
            pass
    with Http2Server(once_each(leave)) as server:
        proxy = front(server.url)
        with proxy.tcp("plain") as conn:
            conn.send(head("/later", "POST", b"hello"))
            wait_until(lambda: len(server.requests) == 2, "the second attempt")
            conn.send(b"hello")
            assert conn.response().body == b"/later hello"


def test_server_that_leaves_in_two_steps_answers_what_it_has(front):
    go_on = threading.Event()

    def leave(conn):
        requests = conn.requests()
        first = next(requests)
        conn.goaway((1 << 31) - 1)
        go_on.wait(PATIENCE)
        conn.goaway(first.id)
        conn.respond(first.id, b"taken")
        for _ in requests:
            pass
    with Http2Server(once_each(leave)) as server:
        proxy = front(server.url)
        with proxy.tcp("plain") as conn:
            conn.send(head("/first"))
            wait_until(lambda: server.requests, "the first request")
            wait_until(lambda: ask(proxy, "/other").body == b"/other " and len(server.conns) == 2,
                       "a new conn")
            go_on.set()
            assert conn.response().body == b"taken"


def goaway_at(count):
    """Leaves without having taken the request of which so many bytes have come."""
    def serve(conn):
        request = next(conn.requests(whole=False))
        while len(request.body) < count:
            next(conn.events())
        conn.goaway(0)
        for _ in conn.events():
            pass
    return serve


def digits(count):
    return b"".join(b"%08d" % number for number in range(count // 8))


@pytest.mark.parametrize("count", [1000, 64 * 1024])
def test_upload_that_a_leaving_server_has_not_taken_goes_to_a_new_conn(front, count):
    body = digits(count)
    with Http2Server(once_each(goaway_at(count), goaway_at(count))) as server:
        proxy = front(server.url)
        response = ask(proxy, "/upload", "POST", body)
        assert (response.status, response.body) == (200, b"/upload " + body)
        line, = proxy.wait_event("access", path="/upload")
        assert line["retries"] == 2 and line["bytes_in"] == count
        assert [len(conn.streams) for conn in server.conns] == [1, 1, 1]


def test_upload_that_is_refused_in_its_middle_goes_on_with_trailers(front):
    def refuse(conn):
        for number, request in enumerate(conn.requests(whole=False)):
            if number > 0:
                answer_by_path(conn, request)
                continue
            while bytes(request.body) != b"hello":
                next(conn.events())
            conn.reset(request.id, REFUSED_STREAM)
    with Http2Server(refuse) as server:
        proxy = front(server.url)
        with proxy.tcp("plain") as conn:
            conn.send(head("/echo", "POST", fields="Transfer-Encoding: chunked\r\n"))
            conn.send(b"5\r\nhello\r\n")
            wait_until(lambda: len(server.requests) == 2, "the second attempt")
            conn.send(b"6\r\n world\r\n0\r\nx-sum: 7\r\n\r\n")
            response = conn.response()
        assert response.body == b"hello world"
        assert "('x-sum', '7')" in response.field("x-saw")


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_long_upload_that_is_refused_early_goes_on_elsewhere(front, tmp_path, version):
    """What the client may send is bounded by what was sent on, also of what was sent twice."""
    from h2.settings import SettingCodes

    def refuse(conn):
        requests = conn.requests(whole=False)
        conn.respond(next(requests).id, b"ok")
        request = next(requests)
        while not request.body:
            next(conn.events())
        conn.reset(request.id, REFUSED_STREAM)
        for request in conn.requests():
            conn.respond(request.id, digest(bytes(request.body)).encode())
    path = tmp_path / "upload"
    path.write_bytes(digits(3 * MIB))
    # With a window as small as this, known from the first request on, little is sent until then.
    with Http2Server(refuse, settings={SettingCodes.INITIAL_WINDOW_SIZE: 16384}) as server:
        proxy = front(server.url)
        assert ask(proxy).status == 200
        seen = Curled(proxy, "/long", "-T", path, version=version)
        assert (seen.status, seen.body.decode()) == (200, digest(path.read_bytes())), seen.error
        assert proxy.wait_event("access", path="/long")[0]["retries"] == 1


def test_upload_that_is_too_large_to_be_kept_is_not_lost_in_silence(front):
    """It is answered with a fault and not half repeated."""
    count = 64 * 1024 + 8
    with Http2Server(once_each(goaway_at(count))) as server:
        proxy = front(server.url)
        assert_fault(proxy, 502, "backend_reset", path="/upload", method="POST", body=digits(count))
        assert [len(conn.streams) for conn in server.conns] == [1]


def test_requests_above_the_last_id_are_repeated_and_others_answered(front):
    with Http2Server(once_each(goaway(5, after=6))) as server:
        proxy = front(server.url)
        assert ask_together(proxy, 6) == [200] * 6
        assert sum(line.get("retries", 0) for line in proxy.wait_event("access", count=6)) == 3


def test_requests_that_waited_for_a_place_on_a_leaving_conn_are_repeated(front):
    from h2.settings import SettingCodes

    def serve(conn):
        requests = conn.requests()
        request = next(requests)
        conn.goaway(request.id)
        conn.respond(request.id, b"taken")
        for _ in requests:
            pass
    with Http2Server(once_each(serve, then=answer_all),
                     settings={SettingCodes.MAX_CONCURRENT_STREAMS: 1}) as server:
        proxy = front(server.url)
        assert ask_together(proxy, 8, "POST") == [200] * 8
        assert len(server.requests) == 8


def test_idle_conn_that_is_left_is_not_used_again(front):
    """It is closed instead."""
    left = []

    def serve(conn):
        for request in conn.requests():
            conn.respond(request.id, b"ok")
            conn.goaway(request.id)
        left.append(conn)
    with Http2Server(serve) as server:
        proxy = front(server.url)
        for count in range(1, 5):
            assert ask(proxy, "/left", "POST", b"body").status == 200
            wait_until(lambda: len(left) == count, "the conn to be closed")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_refused_stream_is_tried_again(front, method):
    def serve(conn):
        for number, request in enumerate(conn.requests(whole=False)):
            if number == 0:
                conn.reset(request.id, REFUSED_STREAM)
            else:
                conn.respond(request.id, b"at last")
    with Http2Server(serve) as server:
        proxy = front(server.url)
        with proxy.tcp("plain") as conn:
            conn.send(head("/refused", method, b"" if method == "POST" else None))
            assert conn.response().body == b"at last"
        assert proxy.wait_event("access", path="/refused")[0]["retries"] == 1


def test_server_that_refuses_for_ever_is_502(front):
    def serve(conn):
        for request in conn.requests():
            conn.reset(request.id, REFUSED_STREAM)
    with Http2Server(serve) as server:
        assert_fault(front(server.url), 502, "backend_reset")
        assert 2 <= len(server.requests) <= 5


def test_reset_stream_is_502_and_hurts_no_other(front):
    def serve(conn):
        for request in conn.requests():
            if request.path == "/fault":
                conn.reset(request.id, INTERNAL_ERROR)
            else:
                conn.respond(request.id, b"ok")
    with Http2Server(serve) as server:
        proxy = front(server.url)
        assert ask(proxy).status == 200
        assert_fault(proxy, 502, "backend_reset")
        assert ask(proxy).status == 200
        assert len(server.conns) == 1 and len(server.requests) == 3


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_conn_that_stalls_is_found_out_and_replaced(front, method):
    """What may be repeated is answered by the new one."""
    def stall(conn):
        requests = conn.requests()
        conn.respond(next(requests).id, b"ok")
        next(requests)
        conn.wait_closed()
    with Http2Server(once_each(stall)) as server:
        proxy = front(server.url, tail="timeouts: {ping: 1s, response: 60s}\n")
        assert ask(proxy).status == 200
        time.sleep(0.1)  # what came after the request would show that the server was there for it
        began = time.monotonic()
        if method == "GET":
            assert ask(proxy, "/again").status == 200
            assert proxy.wait_event("access", path="/again")[0]["retries"] == 1
        else:
            assert_fault(proxy, 504, "timeout_response", method="POST", body=b"x")
        assert time.monotonic() - began < 8
        assert ask(proxy).status == 200
        assert len(server.conns) == 2


def test_slow_server_whose_conn_lives_is_waited_for(front):
    def slow(conn):
        answers = []
        for event in conn.events():
            for stream, request in conn.streams.items():
                if request.is_whole and stream not in answers and conn.pings >= 2:
                    answers.append(stream)
                    conn.respond(stream, b"late")
    with Http2Server(slow) as server:
        proxy = front(server.url, tail="timeouts: {ping: 1s, response: 60s}\n")
        assert ask(proxy).body == b"late"


# ---- servers that break off or lie -----------------------------------------------------------


def half(end):
    def serve(conn):
        for request in conn.requests():
            conn.send_headers(request.id, [(":status", "200"), ("content-type", "text/plain")])
            conn.send_data(request.id, b"half")
            end(conn, request)
    return serve


ENDS = {"closes": lambda conn, request: conn.close(),
        "resets": lambda conn, request: conn.reset(request.id, CANCEL),
        "says_goodbye": lambda conn, request: (conn.goaway(0), conn.close())}


@pytest.mark.parametrize("end", ENDS)
def test_response_that_breaks_off_is_never_complete(front, end):
    with Http2Server(half(ENDS[end])) as server:
        proxy = front(server.url)
        assert Curled(proxy, "/cut").code == 92  # stream error
        seen = Curled(proxy, "/cut", version="1.1")
        assert seen.code in (18, 56) and seen.body in (b"half", b"")
        faults = [line["fault"] for line in proxy.wait_event("access", path="/cut", count=2)]
        assert faults == ["backend_cancelled" if end == "resets" else "backend_truncated"] * 2


@pytest.mark.parametrize("told, sent", [(10, 4), (2, 4), (4, 0)])
def test_length_that_lies_is_never_a_complete_response(front, told, sent):
    def serve(conn):
        for request in conn.requests():
            conn.respond(request.id, b"x" * sent, fields=[("content-length", str(told))])
    with Http2Server(serve) as server:
        proxy = front(server.url)
        for version in ("2", "1.1"):
            seen = Curled(proxy, "/lie", version=version)
            assert seen.code != 0 or seen.status == 502
        assert proxy.wait_event("access", path="/lie", count=2)[0]["fault"] == "backend_response"


MALFORMED = {
    "upper_case": [(":status", "200"), ("X-Upper", "1")],
    "connection": [(":status", "200"), ("connection", "close")],
    "transfer_encoding": [(":status", "200"), ("transfer-encoding", "chunked")],
    "no_status": [("content-type", "text/plain")],
    "two_statuses": [(":status", "200"), (":status", "404")],
    "status_of_two_digits": [(":status", "20")],
    "status_of_words": [(":status", "2OO")],
    "status_above_the_range": [(":status", "600")],
    "status_with_reason": [(":status", "200 OK")],
    "switching": [(":status", "101")],
    "path_in_a_response": [(":status", "200"), (":path", "/")],
    "status_after_a_field": [("x-a", "1"), (":status", "200")],
    "line_break": [(":status", "200"), ("x-a", "1\r\nx-b: 2")],
    "nul": [(":status", "200"), ("x-a", "1\x002")],
    "space_in_a_name": [(":status", "200"), ("x a", "1")],
    "colon_in_a_name": [(":status", "200"), ("x:a", "1")],
    "empty_name": [(":status", "200"), ("", "1")],
    "two_lengths": [(":status", "200"), ("content-length", "1"), ("content-length", "2")],
    "length_of_words": [(":status", "200"), ("content-length", "many")],
}


@pytest.fixture(scope="module")
def lying(standing):
    def serve(conn):
        for request in conn.requests():
            name = request.path[1:]
            block = conn.h2.encoder.encode(MALFORMED.get(name) or [(":status", "200")])
            conn.raw(bytes([0]) + len(block).to_bytes(2, "big") + b"\x01\x05" +
                     request.id.to_bytes(4, "big") + block)
    with Http2Server(serve) as server:
        yield fronter(standing)(server.url)


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_head_is_502(lying, name):
    assert_fault(lying, 502, "backend_response", path=f"/{name}")
    assert ask(lying, "/fine").status == 200


def test_huge_header_list_is_502(front):
    def serve(conn):
        for request in conn.requests():
            conn.h2.remote_settings.max_header_list_size = 1 << 24
            conn.respond(request.id, b"x", fields=[(f"x-{i}", "v" * 1000) for i in range(100)])
    with Http2Server(serve) as server:
        assert_fault(front(server.url), 502, "backend_header_bytes")


def test_pushed_responses_are_refused(front):
    """RFC 9113 §8.4: we said that we take none, so it is an error of the conn."""
    def serve(conn):
        request = next(conn.requests())
        block = conn.h2.encoder.encode([(":method", "GET"), (":scheme", "http"),
                                        (":authority", "localhost"), (":path", "/pushed")])
        conn.raw((len(block) + 4).to_bytes(3, "big") + b"\x05\x04" + request.id.to_bytes(4, "big") +
                 (2).to_bytes(4, "big") + block)
        for _ in conn.events():
            pass
    with Http2Server(once_each(serve)) as server:
        proxy = front(server.url)
        assert_fault(proxy, 502, "backend_response")
        wait_until(lambda: server.conns[0].terminated == 1, "GOAWAY with PROTOCOL_ERROR")
        assert ask(proxy).status == 200


# ---- clients that share a conn ---------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["h2c", "h2"])
def test_client_that_does_not_read_stops_no_other(front, authority, scheme):
    def serve(conn):
        for request in conn.requests():
            large = request.path == "/large"
            conn.respond(request.id, bytes(50 * MIB) if large else b"ok" * 1000)
    with Http2Server(serve, tls=authority.local if scheme == "h2" else None) as server:
        proxy = front(server.url)
        with proxy.tls("web", alpn=["http/1.1"]) as slow:
            slow.send(head("/large"))
            slow.read_until(b"\r\n\r\n")
            for _ in range(30):
                assert ask(proxy, "/small").body == b"ok" * 1000
            assert ask_together(proxy, 20) == [200] * 20
            assert len(server.conns) == 1
            rest = slow.read_exactly(5 * MIB)
            assert not rest.strip(b"\0\r\n0123456789abcdef")


def test_backend_that_is_told_of_its_client_gets_one_client_a_conn(front):
    """Many exchanges of one client may share it; there is one header for the whole conn."""
    headers = []

    def serve(sock):
        line = b""
        while not line.endswith(b"\r\n"):
            line += sock.recv(1)
        headers.append(line)
    with Http2Server(answer_all, before=serve) as server:
        proxy = front(server.url, more="proxy_protocol: v1")
        ports = set()
        for _ in range(3):
            with proxy.tcp("plain") as conn:
                ports.add(str(conn.sock.getsockname()[1]).encode())
                for _ in range(2):
                    conn.send(head("/told"))
                    assert conn.response().body == b"/told "
        assert {line.split()[4] for line in headers} == ports
        assert all(line.startswith(b"PROXY TCP4 127.0.0.1 127.0.0.1 ") for line in headers)
