"""HTTP/2 with clients, seen from outside: messages, streams, windows, priorities, ends, logs.

SPDX-License-Identifier: Apache-2.0
"""

import re
import signal
import socket
import ssl
import subprocess
import textwrap
import threading
import time

import h2.config
import h2.connection
import h2.events
import pytest
from conftest import (PATIENCE, lean_sanitizer_settings, resident_bytes, wait_until, watch_memory)
from http2_client import (ENABLE_PUSH, INITIAL_WINDOW_SIZE, INTERNAL_ERROR, MAX_CONCURRENT_STREAMS,
                          CANCEL, NO_ERROR, PREFACE, PROTOCOL_ERROR, REFUSED_STREAM, Http2,
                          raw_frame)
from hyperframe.frame import PingFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MIB = 1 << 20
HUGE = 100 * MIB
PIECE = bytes(range(256)) * 4096  # 1 MiB
LAST_ID = (1 << 31) - 1

CONFIG = textwrap.dedent('''
    certificates: [{name: web, chain: @chain@, key: @key@}]
    listeners:
      - {name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}
      - {name: web, address: "127.0.0.1:@web@", tls: {certificates: [web]},
         routes: [{backend: app}, {path: /dead, backend: dead}]}
    backends:
      app: {servers: ["http://127.0.0.1:@app@"]}
      dead: {servers: ["http://127.0.0.1:1"]}
''')


@pytest.fixture(scope="module")
def shared(standing, standing_backend):
    """One proxy for most tests; its backend does for each what that test says."""
    server = standing_backend()
    text = CONFIG.replace('@app@"]', '@app@"], keepalive: off')
    return standing(text, app=server.port), server


@pytest.fixture
def front(request, sallyport, backend):
    """front(answer, more_yaml) → (proxy, backend); a proxy of its own only if more_yaml says so."""
    def start(answer=OK, more="", **options):
        if not more and not options:
            proxy, server = request.getfixturevalue("shared")
            server.answer = answer
            server.received.clear()
            server.faults.clear()
            return proxy, server
        server = backend(answer)
        return sallyport(CONFIG + more, app=server.port, **options), server
    return start


@pytest.fixture
def connect():
    """connect(proxy, listener) → a client of HTTP/2"""
    clients = []

    def one(proxy, listener="web", **options):
        is_tls = listener != "plain"
        conn = proxy.tls(listener, alpn=["h2"]) if is_tls else proxy.tcp(listener)
        clients.append(Http2(conn, scheme="https" if is_tls else "http", **options))
        return clients[-1]
    yield one
    for client in clients:
        client.conn.close()


def length(body):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def echo(conn):
    """Answers with the request: its head, and its body without the framing."""
    for request in iter(conn.request, None):
        conn.send(length(request))


@pytest.fixture(scope="module")
def echoing(standing, standing_backend):
    return standing(CONFIG, app=standing_backend(echo).port)


# ---- messages ----------------------------------------------------------------------------------


@pytest.mark.parametrize("listener", ["web", "plain"])
def test_request_reaches_an_http1_backend_and_its_answer_the_client(echoing, connect, listener):
    client = connect(echoing, listener)
    reply = client.get("/a%2Fb;c?d=%20&e=[1]", [("x-b", "1"), ("user-agent", "test"), ("x-b", "2")],
                       authority="localhost:8443")
    assert reply.status == 200 and reply.ended
    received = bytes(reply.body)
    assert received.startswith(b"GET /a%2Fb;c?d=%20&e=[1] HTTP/1.1\r\nhost: localhost:8443\r\n")
    assert b"x-b: 1\r\nuser-agent: test\r\nx-b: 2\r\n" in received
    scheme = b"https" if listener == "web" else b"http"
    assert b"x-forwarded-proto: " + scheme + b"\r\n" in received


@pytest.mark.parametrize("size", [0, 1, 16384, 200000])
@pytest.mark.parametrize("told", [True, False], ids=["length", "no_length"])
def test_content_passes_both_ways(echoing, connect, size, told):
    body = (PIECE * 2)[:size]
    client = connect(echoing)
    stream = client.request("/", [("content-length", str(size))] if told else [], end=False,
                            method="POST")
    client.upload(stream, body)
    head, _, content = bytes(client.reply(stream).body).partition(b"\r\n\r\n")
    assert content == body
    framing = (b"content-length: %d" % size if told else b"transfer-encoding: chunked")
    assert framing in head.lower()


def test_padding_and_priority_of_frames_are_no_content(echoing, connect):
    client = connect(echoing)
    stream = client.request("/", end=False, method="POST")
    client.send(client.data(stream, b"hel", padding=200), client.data(stream, b"", padding=10),
                client.data(stream, b"lo", True, padding=0))
    assert bytes(client.reply(stream).body).endswith(b"\r\n\r\nhello")


def test_cookies_in_crumbs_are_joined(echoing, connect):
    reply = connect(echoing).get(fields=[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"),
                                         ("cookie", "c=3")])
    assert b"\r\ncookie: a=1; b=2; c=3\r\n" in reply.body
    assert reply.body.count(b"cookie:") == 1


@pytest.mark.parametrize("status", [204, 304])
def test_response_without_content_ends_with_its_head(front, connect, status):
    extra = b"Content-Length: 100\r\nETag: x\r\n" if status == 304 else b""
    proxy, _ = front(b"HTTP/1.1 %d X\r\n%s\r\n" % (status, extra))
    client = connect(proxy)
    for _ in range(3):
        reply = client.get()
        assert (reply.status, reply.received) == (status, 0)
        assert reply.field("content-length") == ("100" if status == 304 else None)


def test_head_tells_the_length_and_sends_none_of_it(front, connect):
    proxy, _ = front(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n")
    client = connect(proxy)
    for _ in range(3):
        reply = client.get(method="HEAD")
        assert (reply.status, reply.field("content-length"), reply.received) == (200, "1234", 0)


def test_options_about_the_server_passes(echoing, connect):
    reply = connect(echoing).get("*", method="OPTIONS")
    assert reply.body.startswith(b"OPTIONS * HTTP/1.1\r\n")


def test_fields_of_the_backends_hop_stay_there(front, connect):
    proxy, _ = front(b"HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 1\r\n"
                     b"X-Kept: a\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    reply = connect(proxy).get()
    names = [name for name, _ in reply.fields]
    assert not {"connection", "x-hop", "keep-alive", "transfer-encoding"} & set(names)
    assert all(name == name.lower() for name in names)
    assert reply.field("x-kept") == "a" and reply.field("set-cookie") == "a=1; Secure, b=2; Secure"
    assert reply.body == b"ok"


def test_trailers_pass_both_ways(front, connect):
    def answer(conn):
        conn.read_until(b"\r\n\r\n")
        conn.read_until(b"0\r\nx-sum: 1\r\n\r\n")
        conn.send(b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
                  b"3\r\nabc\r\n3\r\ndef\r\n0\r\nX-Sum: 2\r\nX-More: 3\r\n\r\n")
        conn.read_to_end()
    proxy, server = front(answer)
    client = connect(proxy)
    stream = client.request("/", [("te", "trailers"), ("trailer", "x-sum")], False, method="POST")
    client.send(client.data(stream, b"hello"), client.headers(stream, [("x-sum", "1")]))
    reply = client.reply(stream)
    assert reply.body == b"abcdef" and reply.ended
    assert reply.trailers == [("x-sum", "2"), ("x-more", "3")]
    assert b"\r\nte: trailers\r\n" in server.all_received() and not server.faults


def test_trailers_without_content_pass(front, connect):
    proxy, _ = front(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 2\r\n\r\n")
    reply = connect(proxy).get(fields=[("te", "trailers")])
    assert (reply.received, reply.trailers) == (0, [("x-sum", "2")])


# ---- 1xx ---------------------------------------------------------------------------------------


def test_continue_of_the_backend_reaches_the_client_before_the_content(front, connect):
    def careful(conn):
        assert b"\r\nexpect: 100-continue\r\n" in conn.read_until(b"\r\n\r\n")
        conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert conn.read_exactly(5) == b"hello"
        conn.send(OK)
        conn.read_to_end()
    proxy, server = front(careful)
    client = connect(proxy)
    stream = client.request("/", [("content-length", "5"), ("expect", "100-continue")], False,
                            method="POST")
    client.wait(lambda: client.replies[stream].interim)
    assert dict(client.replies[stream].interim[0])[":status"] == "100"
    assert b"hello" not in server.all_received()
    client.send(client.data(stream, b"hello", True))
    assert client.reply(stream).status == 200 and not server.faults


def test_refusal_instead_of_continue_reaches_the_client(front, connect):
    def strict(conn):
        conn.read_until(b"\r\n\r\n")
        conn.send(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nno!")
    proxy, _ = front(strict)
    client = connect(proxy)
    stream = client.request("/", [("content-length", "5000"), ("expect", "100-continue")], False,
                            method="POST")
    reply = client.reply(stream)
    assert (reply.status, reply.body, reply.interim) == (413, b"no!", [])


def test_unknown_expectation_is_refused_with_a_page(echoing, connect):
    client = connect(echoing)
    assert client.get(fields=[("expect", "wonders")]).status == 417
    assert client.get().status == 200


def test_early_hints_reach_the_client_once_each(front, connect):
    proxy, _ = front(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
                     b"HTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n" + OK)
    reply = connect(proxy).get()
    assert [dict(head)["link"] for head in reply.interim] == ["</a.css>", "</b.css>"]
    assert reply.body == b"ok"


# ---- which protocol ----------------------------------------------------------------------------


def test_both_versions_share_a_plaintext_listener_on_loopback(echoing, connect):
    assert connect(echoing, "plain").get("/two").body.startswith(b"GET /two HTTP/1.1\r\n")
    with echoing.tcp("plain") as conn:
        conn.send(b"GET /one HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert conn.response().body.startswith(b"GET /one HTTP/1.1\r\n")


def test_prior_knowledge_is_understood_in_single_bytes(echoing, connect):
    client = connect(echoing, "plain", greet=False)
    client.conn.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in PREFACE + SettingsFrame(0, {}).serialize():
        client.send(bytes([byte]))
    assert client.get().status == 200


@pytest.mark.parametrize("listener", ["web", "plain"])
def test_upgrade_to_h2c_is_not_honoured(echoing, listener):
    with (echoing.tcp if listener == "plain" else echoing.tls)(listener) as conn:
        conn.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                  b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
        response = conn.response(interim=True)
        assert response.status == 200 and response.version == "HTTP/1.1"
        assert b"upgrade" not in response.body.lower() and b"h2c" not in response.body
        assert b"http2-settings" not in response.body.lower()


def test_alpn_can_switch_it_off(sallyport, backend):
    text = CONFIG.replace("{certificates: [web]}", "{certificates: [web], alpn: [http/1.1]}")
    proxy = sallyport(text, app=backend(OK).port)
    with proxy.tls("web", alpn=["h2", "http/1.1"]) as conn:
        assert conn.sock.selected_alpn_protocol() == "http/1.1"
        conn.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert conn.response().status == 200
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        proxy.tls("web", alpn=["h2"])


def test_settings_say_what_is_allowed(echoing, connect):
    client = connect(echoing)
    client.ping()
    assert client.settings[MAX_CONCURRENT_STREAMS] == 100
    assert client.settings.get(ENABLE_PUSH, 0) == 0


def test_client_certificate_reaches_the_backend(sallyport, backend, authority):
    server = backend(echo)
    proxy = sallyport(CONFIG.replace("{certificates: [web]}",
                                     "{certificates: [web], client_ca: @ca@, "
                                     "client_auth: required}"), app=server.port)
    client = authority.issue("client", usage="client")
    with Http2(proxy.tls("web", alpn=["h2"], client=client)) as one:
        for _ in range(2):
            reply = one.get(fields=[("client-cert", ":Zm9yZ2Vk:")])
            assert reply.status == 200
            assert b"\r\nclient-cert: :MII" in reply.body and b"Zm9yZ2Vk" not in reply.body


# ---- independent clients -----------------------------------------------------------------------


def run(*argv, **options):
    return subprocess.run([str(word) for word in argv], capture_output=True, text=True,
                          timeout=60, **options)


def test_curl_agrees(echoing):
    url = f"https://localhost:{echoing.port('web')}"
    form = "%{http_version} %{response_code} %{num_connects}\n"
    done = run("curl", "-sS", "--http2", "--cacert", echoing.authority.path, "-o", "/dev/null",
               "-o", "/dev/null", "-w", form, f"{url}/a", f"{url}/b")
    assert done.stdout == "2 200 1\n2 200 0\n", done.stderr
    done = run("curl", "-sS", "--http2", "--cacert", echoing.authority.path, "-d", "x=1",
               f"{url}/post")
    assert done.stdout.startswith("POST /post HTTP/1.1") and done.stdout.endswith("\n\nx=1")
    done = run("curl", "-sSI", "--http2", "--cacert", echoing.authority.path, f"{url}/head")
    assert done.stdout.startswith("HTTP/2 200"), done.stderr
    done = run("curl", "-sS", "--http2-prior-knowledge", "-o", "/dev/null", "-w", form,
               f"http://127.0.0.1:{echoing.port('plain')}/")
    assert done.stdout == "2 200 1\n", done.stderr
    done = run("curl", "-sS", "--http2", "-o", "/dev/null", "-w", form,
               f"http://127.0.0.1:{echoing.port('plain')}/")
    assert done.stdout == "1.1 200 1\n", "an Upgrade to h2c was honoured"


@pytest.mark.parametrize("listener", ["web", "plain"])
def test_nghttp_agrees(echoing, listener):
    scheme = "https" if listener == "web" else "http"
    done = run("nghttp", "-v", "-m", "20", "--no-dep",
               f"{scheme}://localhost:{echoing.port(listener)}/")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(":status: 200") == 20, done.stdout
    assert "[ERROR]" not in done.stdout + done.stderr


def test_h2load_agrees(echoing):
    done = run("h2load", "-n", "400", "-c", "4", "-m", "25",
               f"https://localhost:{echoing.port('web')}/load")
    assert "400 succeeded, 0 failed, 0 errored" in done.stdout, done.stdout


def test_a_strict_library_agrees(echoing):
    """python3-h2 checks every frame that comes against the state of its stream."""
    library = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    library.initiate_connection()
    ended, bodies = set(), {}
    with echoing.tls("web", alpn=["h2"]) as conn:
        for number in range(30):
            stream = library.get_next_available_stream_id()
            library.send_headers(stream, [
                (":method", "POST" if number % 2 else "GET"), (":scheme", "https"),
                (":authority", "localhost"), (":path", f"/{number}")], end_stream=number % 2 == 0)
            if number % 2:
                library.send_data(stream, b"x" * number, end_stream=True)
        while len(ended) < 30:
            conn.send(library.data_to_send())
            data = conn.sock.recv(65536)
            assert data
            for event in library.receive_data(data):
                if isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] = bodies.get(event.stream_id, b"") + event.data
                    library.acknowledge_received_data(event.flow_controlled_length,
                                                      event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    ended.add(event.stream_id)
                assert not isinstance(event, (h2.events.StreamReset,
                                              h2.events.ConnectionTerminated))
    for number in range(30):
        assert b" /%d HTTP/1.1\r\n" % number in bodies[2 * number + 1]


# ---- streams and windows -----------------------------------------------------------------------


def test_as_many_streams_as_are_allowed_run_at_once(front, connect):
    """No answer comes before all hundred are with the backend."""
    all_here = threading.Barrier(100)

    def answer(conn):
        for request in iter(conn.request, None):
            all_here.wait(PATIENCE)
            conn.send(length(request.split(b" ")[1]))
    proxy, server = front(answer)
    client = connect(proxy)
    client.ping()
    streams = [client.request(f"/{number}") for number in range(100)]
    bodies = [bytes(client.reply(stream).body) for stream in streams]
    assert bodies == [b"/%d" % number for number in range(100)] and not server.faults


def test_stream_beyond_the_limit_is_refused_and_may_be_tried_again(front, connect):
    """A client that has not acknowledged the limit may not have heard of it."""
    go_on = threading.Event()

    def patient(conn):
        for _ in iter(conn.request, None):
            go_on.wait(PATIENCE)
            conn.send(OK)
    proxy, server = front(patient, "limits: {streams: 3}\n")
    client = connect(proxy, acknowledges=False)
    client.ping()
    assert client.settings[MAX_CONCURRENT_STREAMS] == 3
    streams = [client.request(f"/kept/{number}") for number in range(3)]
    excess = client.reply(client.request("/excess"))
    assert excess.reset == REFUSED_STREAM and excess.fields is None
    go_on.set()
    assert [client.reply(stream).status for stream in streams] == [200] * 3
    assert client.get("/again").status == 200
    assert b"/excess" not in server.all_received()


def test_client_that_goes_beyond_a_limit_it_has_acknowledged_is_sent_away(front, connect):
    proxy, server = front(lambda conn: (conn.request(), conn.read_to_end()),
                          "limits: {streams: 3}\n")
    client = connect(proxy)
    client.ping()
    for number in range(4):
        client.request(f"/{number}")
    assert client.take_until_closed() == PROTOCOL_ERROR
    assert b"/3" not in server.all_received()


def test_huge_download_streams_in_bounded_memory(front):
    def huge(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % HUGE)
        for _ in range(HUGE // len(PIECE)):
            conn.send(PIECE)
    proxy, _ = front(huge, _env=lean_sanitizer_settings())
    worker, = proxy.workers()
    before, peak = resident_bytes(worker), watch_memory(worker)
    done = run("curl", "-sS", "--http2", "--cacert", proxy.authority.path, "-o", "/dev/null", "-w",
               "%{http_version} %{http_code} %{size_download}",
               f"https://localhost:{proxy.port('web')}/")
    assert done.stdout == f"2 200 {HUGE}", done.stderr
    assert peak() - before < 32 * MIB


def take_all(conn, size):
    """Reads this much content and keeps none of it."""
    count = len(conn.pending)
    while count < size:
        conn.pending = b""
        conn._more()
        count += len(conn.pending)
        conn.record.clear()
    conn.pending = b""
    return count


def test_huge_upload_streams_in_bounded_memory(front, tmp_path):
    def sink(conn):
        conn.read_until(b"\r\n\r\n")
        conn.send(length(b"%d" % take_all(conn, HUGE)))
    proxy, _ = front(sink, _env=lean_sanitizer_settings())
    path = tmp_path / "huge"
    with open(path, "wb") as file:
        file.truncate(HUGE)
    worker, = proxy.workers()
    before, peak = resident_bytes(worker), watch_memory(worker)
    done = run("curl", "-sS", "--http2", "--cacert", proxy.authority.path, "-T", path, "-w",
               " %{http_version}", f"https://localhost:{proxy.port('web')}/")
    assert done.stdout == f"{HUGE} 2", done.stderr
    assert peak() - before < 32 * MIB


def rests(counter, seconds=0.3):
    before = counter()
    time.sleep(seconds)
    return counter() == before


def test_slow_backend_holds_the_client_back(front, connect):
    """Windows open as the backend takes the content, not as it comes."""
    size, go_on = 24 * MIB, threading.Event()

    def lazy(conn):
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        conn.read_until(b"\r\n\r\n")
        go_on.wait(PATIENCE)
        conn.send(length(b"%d" % take_all(conn, size)))
    proxy, _ = front(lazy)
    client = connect(proxy, "plain")
    stream = client.request("/", [("content-length", str(size))], False, method="POST")
    left = [size]

    def push():
        while left[0] > 0:
            client.upload(stream, bytes(min(65536, left[0])), left[0] <= 65536)
            left[0] -= min(65536, left[0])
    thread = threading.Thread(target=push, daemon=True)
    thread.start()
    wait_until(lambda: left[0] < size and rests(lambda: left[0]), "the client to be held back")
    assert size - left[0] < 12 * MIB
    go_on.set()
    thread.join(PATIENCE)
    assert client.reply(stream).body == b"%d" % size


def test_slow_client_holds_the_backend_back(front, connect):
    size, sent = 32 * MIB, [0]

    def eager(conn):
        conn.request()
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // 65536):
            conn.send(bytes(65536))
            sent[0] += 65536
    proxy, _ = front(eager)
    client = connect(proxy, "plain", opens_windows=False, keeps=False)
    stream = client.request("/")
    client.wait(lambda: client.replies[stream].received == 65535)
    wait_until(lambda: rests(lambda: sent[0]), "the backend to be held back")
    assert sent[0] < 12 * MIB
    client.opens_windows = True
    client.send(WindowUpdateFrame(0, 65535), WindowUpdateFrame(stream, 65535))
    reply = client.reply(stream)
    assert reply.received == size and reply.ended


def test_stalled_stream_stops_no_other(front, connect):
    """One upload that the backend does not take, one download whose window is closed."""
    go_on = threading.Event()

    def answer(conn):
        head = conn.read_until(b"\r\n\r\n")
        if b"POST" in head:
            go_on.wait(PATIENCE)
            conn.send(OK)
        elif b"/large" in head:
            conn.send(length(bytes(4 * MIB)))
        else:
            while head:
                conn.send(OK)
                head = conn.request()
    proxy, _ = front(answer)
    client = connect(proxy, settings={INITIAL_WINDOW_SIZE: 1000})
    client.ping()
    upload = client.request("/stuck", end=False, method="POST")
    for _ in range(client.replies[upload].window // 16000):
        client.send(client.data(upload, bytes(16000)))
    client.opens_windows = False
    large = client.request("/large")
    client.wait(lambda: client.replies[large].received == 1000)
    for _ in range(20):
        assert client.get("/small").body == b"ok"
    assert not client.replies[upload].over and not client.replies[large].over
    go_on.set()


def test_window_of_a_steady_upload_grows(front, connect):
    """From what a stream begins with to its share of the conn."""
    size = 8 * MIB

    def sink(conn):
        conn.read_until(b"\r\n\r\n")
        conn.send(length(b"%d" % take_all(conn, size)))
    proxy, _ = front(sink)
    client = connect(proxy)
    stream = client.request("/", [("content-length", str(size))], False, method="POST")
    widest, at, reply = 0, 0, client.replies[stream]
    while at < size:
        client.wait(lambda: min(client.window, reply.window) > 0)
        widest = max(widest, reply.window)
        room = min(reply.window, client.window, size - at)
        client.upload(stream, bytes(room), at + room == size)
        at += room
    assert client.reply(stream).body == b"%d" % size
    assert widest > 256 * 1024


def test_response_flows_while_the_request_still_does(front, connect):
    def echo_pieces(conn):
        conn.read_until(b"\r\n\r\n")
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while size := int(conn.read_until(b"\r\n"), 16):
            piece = conn.read_exactly(size)
            conn.read_exactly(2)
            conn.send(b"%x\r\n%s\r\n" % (size, piece))
        conn.read_until(b"\r\n")
        conn.send(b"0\r\n\r\n")
        conn.read_to_end()
    proxy, server = front(echo_pieces)
    client = connect(proxy)
    stream = client.request("/", end=False, method="POST")
    reply = client.replies[stream]
    for number in range(10):
        before = len(reply.body)
        client.send(client.data(stream, b"piece %d" % number))
        client.wait(lambda: len(reply.body) > before)
        assert reply.body.endswith(b"piece %d" % number)
    client.send(client.data(stream, b"", True))
    assert client.reply(stream).ended and not server.faults


def test_answer_before_the_upload_ends_stops_the_upload_alone(front, connect):
    """RFC 9113 §8.1: the whole answer, then RST_STREAM with NO_ERROR."""
    def hasty(conn):
        if b"POST" in conn.read_until(b"\r\n\r\n"):
            conn.send(b"HTTP/1.1 403 No\r\nConnection: close\r\nContent-Length: 3\r\n\r\nno!")
        else:
            conn.send(OK)
    proxy, _ = front(hasty)
    client = connect(proxy)
    stream = client.request("/", [("content-length", "1000000")], False, method="POST")
    client.send(client.data(stream, b"x" * 1000))
    reply = client.reply(stream)
    assert (reply.status, reply.body, reply.ended) == (403, b"no!", True)
    client.wait(lambda: reply.reset is not None)
    assert reply.reset == NO_ERROR
    client.send(client.data(stream, b"late"))
    assert client.get().status == 200


# ---- priorities --------------------------------------------------------------------------------


BULK = 200000


class Queue:
    """A client whose conn window is used up, so that what it asks for waits at the proxy."""

    def __init__(self, front, connect):
        self.sent = threading.Semaphore(0)

        def answer(conn):
            for _ in iter(conn.request, None):
                conn.send(length(bytes(BULK)))
                self.sent.release()
        proxy, _ = front(answer)
        self.client = connect(proxy, "plain", settings={INITIAL_WINDOW_SIZE: 1 << 20},
                              opens_windows=False, keeps=False)
        self.first = self.ask("u=4")
        self.client.wait(lambda: self.client.replies[self.first].received == 65535)

    def ask(self, priority):
        stream = self.client.request("/", [("priority", priority)] if priority else [])
        assert self.sent.acquire(timeout=PATIENCE)
        self.client.ping()
        return stream

    def order(self, *streams):
        """Opens the window frame by frame, as a slow path does; the streams of the DATA frames, in
        the order in which they come."""
        before = len(self.client.frames)
        while not all(self.client.replies[stream].over for stream in streams):
            self.client.send(WindowUpdateFrame(0, 16384)).ping()
        return [stream for kind, _, stream, size in self.client.frames[before:]
                if kind == 0 and stream in streams and size > 0]


def share(order, stream):
    """Of the frames up to this stream's last, how many are its own."""
    last = len(order) - order[::-1].index(stream)
    return order[:last].count(stream) / last


def ends(order):
    """The streams in the order in which they ended."""
    return sorted(set(order), key=lambda stream: order[::-1].index(stream), reverse=True)


def test_urgent_response_overtakes_those_that_wait(front, connect):
    queue = Queue(front, connect)
    usual, last, urgent = queue.ask(None), queue.ask("u=7"), queue.ask("u=0")
    order = queue.order(queue.first, usual, last, urgent)
    assert ends(order) == [urgent, usual, queue.first, last]
    assert order[0] == urgent and share(order, urgent) > 0.6, order


def test_incremental_responses_share_and_others_follow_each_other(front, connect):
    queue = Queue(front, connect)
    one, two = queue.ask("u=2, i"), queue.ask("u=2, i")
    assert 0.3 < share(queue.order(one, two), one) < 0.65
    queue = Queue(front, connect)
    one, two = queue.ask("u=2"), queue.ask("u=2")
    order = queue.order(one, two)
    assert ends(order) == [one, two] and share(order, one) > 0.65, order


def test_priority_update_changes_the_order(front, connect):
    """RFC 9218 §7.1"""
    queue = Queue(front, connect)
    one, two = queue.ask("u=3"), queue.ask("u=5")
    queue.client.send(raw_frame(0x10, 0, 0, two.to_bytes(4, "big") + b"u=1")).ping()
    order = queue.order(one, two)
    assert ends(order) == [two, one]


# ---- ends --------------------------------------------------------------------------------------


def slow_answer(seconds_or_event):
    def answer(conn):
        for request in iter(conn.request, None):
            if b"/slow" in request:
                if isinstance(seconds_or_event, threading.Event):
                    seconds_or_event.wait(PATIENCE)
                else:
                    time.sleep(seconds_or_event)
            conn.send(OK)
    return answer


def test_drain_says_goodbye_in_two_steps_and_lets_streams_end(front, connect):
    go_on = threading.Event()
    proxy, server = front(slow_answer(go_on), "timeouts: {drain: 20s}\n")
    client, quiet = connect(proxy, acknowledges=False), connect(proxy)
    assert quiet.get().status == 200
    slow = client.request("/slow")
    server.wait_received(b"/slow")
    proxy.process.signal(signal.SIGTERM)
    client.wait(lambda: client.goaways)
    assert client.goaways == [(LAST_ID, NO_ERROR)], "requests on the way would be lost"
    late = client.request("/late")
    client.wait(lambda: len(client.goaways) == 2)
    assert client.goaways[1] == (late, NO_ERROR)
    assert client.reply(late).status == 200
    assert quiet.take_until_closed() == NO_ERROR
    go_on.set()
    assert client.reply(slow).status == 200
    assert client.take_until_closed() == NO_ERROR
    assert proxy.process.wait() == 0


def test_drain_deadline_cuts_what_still_runs(front, connect):
    proxy, server = front(lambda conn: (conn.request(), conn.read_to_end()),
                          "timeouts: {drain: 500ms}\n")
    client = connect(proxy)
    client.request("/stuck")
    server.wait_received(b"/stuck")
    proxy.process.signal(signal.SIGTERM)
    client.take_until_closed()
    assert client.goaways
    assert proxy.process.wait() == 0
    line, = proxy.events("access")
    assert line["fault"] == "drain_deadline"


def test_quiet_conn_is_closed_with_goodbye_and_a_busy_one_is_not(front, connect):
    proxy, _ = front(slow_answer(2), "timeouts: {idle: 1s}\n")
    client = connect(proxy)
    assert client.get("/slow").status == 200, "a conn with a stream is not idle"
    began = time.monotonic()
    assert client.take_until_closed() == NO_ERROR
    assert 0.5 < time.monotonic() - began < 5


def test_conn_that_was_greeted_may_wait_for_its_first_request(front, connect):
    """Browsers open conns in advance: from the greeting on, idle is what counts."""
    proxy, _ = front(more="timeouts: {header: 500ms, idle: 20s}\n")
    client = connect(proxy)
    client.ping()
    time.sleep(1)
    assert client.get().status == 200


def test_ping_does_not_keep_a_conn_open(front, connect):
    proxy, _ = front(more="timeouts: {idle: 1s}\n")
    client = connect(proxy)
    assert client.get().status == 200
    began = time.monotonic()
    with pytest.raises((EOFError, OSError)):
        while time.monotonic() - began < 5:
            client.ping()
            time.sleep(0.05)
    assert time.monotonic() - began < 4


def test_last_request_of_a_conn_is_announced_and_the_client_goes_on_with_another(front, connect):
    proxy, _ = front(more="limits: {requests_per_connection: 3}\n")
    client = connect(proxy)
    assert [client.get(f"/{number}").status for number in range(3)] == [200] * 3
    assert client.take_until_closed() == NO_ERROR
    assert client.goaways[-1] == (5, NO_ERROR)
    url = f"https://localhost:{proxy.port('web')}/"
    form = "%{http_version} %{response_code}\n"
    done = run("curl", "-sS", "--http2", "--cacert", proxy.authority.path, "-w", form,
               *["-o", "/dev/null"] * 8, *[url] * 8)
    assert done.stdout == "2 200\n" * 8, done.stderr


@pytest.mark.parametrize("framing", [b"Content-Length: 1000\r\n\r\nhalf",
                                     b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"])
def test_response_cut_by_the_backend_is_reset_and_not_ended(front, connect, framing):
    def cut(conn):
        if b"/cut" in conn.request():
            conn.send(b"HTTP/1.1 200 OK\r\n" + framing)
        else:
            conn.send(OK)
    proxy, _ = front(cut)
    client = connect(proxy)
    reply = client.get("/cut")
    assert (reply.status, reply.body, reply.ended) == (200, b"half", False)
    assert reply.reset == INTERNAL_ERROR
    assert client.get("/whole").body == b"ok"
    proxy.wait_event("access", path="/cut", fault="backend_truncated", status=200)


def test_client_that_resets_a_stream_ends_the_backends_exchange(front, connect):
    gone = threading.Event()

    def endless(conn):
        if b"/endless" not in conn.request():
            conn.send(OK)
            return
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                conn.send(b"5\r\nhello\r\n")
                time.sleep(0.01)
        except OSError:
            gone.set()
    proxy, _ = front(endless)
    client = connect(proxy)
    stream = client.request("/endless")
    client.wait(lambda: client.replies[stream].received)
    client.send(RstStreamFrame(stream, CANCEL))
    assert gone.wait(PATIENCE)
    proxy.wait_event("access", path="/endless", fault="client_reset")
    assert client.get("/other").body == b"ok"


def test_client_that_goes_ends_all_its_exchanges(front, connect):
    proxy, server = front(lambda conn: (conn.request(), conn.read_to_end()))
    client = connect(proxy)
    for number in range(3):
        client.request(f"/left/{number}")
    wait_until(lambda: len(server.received) == 3, "three exchanges")
    client.conn.close()
    for number in range(3):
        line, = proxy.wait_event("access", path=f"/left/{number}")
        assert line["fault"] in ("client_gone", "client_reset")


# ---- faults and logs ---------------------------------------------------------------------------


PAGES = {
    "uri_too_long": ({"path": "/" + "a" * 1100}, 414, "limit_uri_bytes"),
    "field_too_large": ({"fields": [("x", "a" * 5000)]}, 431, "limit_header_bytes"),
    "field_larger_than_a_frame": ({"fields": [("x", "a" * 12000)]}, 431, "limit_header_bytes"),
    "too_many_fields": ({"fields": [(f"x-{n}", "a") for n in range(20)]}, 431,
                        "limit_header_count"),
    "content_too_long_by_length": ({"fields": [("content-length", "10001")], "method": "POST",
                                    "end": False}, 413, "limit_body_bytes"),
}


@pytest.fixture(scope="module")
def narrow(standing, standing_backend):
    return standing(CONFIG + "limits: {header_bytes: 4KiB, header_count: 20, uri_bytes: 1KiB, "
                    "body_bytes: 10000B}\n", app=standing_backend(echo).port)


def assert_page(proxy, reply, status, fault):
    assert reply.status == status and f"Fault: {fault}".encode() in reply.body
    assert reply.field("content-type").startswith("text/")
    identity = re.search(rb"Request id: (\w+)", reply.body).group(1).decode()
    line, = proxy.wait_event("access", id=identity)
    assert (line["status"], line["fault"], line["protocol"]) == (status, fault, "HTTP/2")


@pytest.mark.parametrize("name", PAGES)
def test_too_much_is_refused_with_a_page_and_the_conn_goes_on(narrow, connect, name):
    request, status, fault = PAGES[name]
    client = connect(narrow)
    stream = client.request(**request)
    assert_page(narrow, client.reply(stream), status, fault)
    assert client.get("/good").status == 200


def test_content_beyond_its_limit_is_refused_with_a_page(narrow, connect):
    client = connect(narrow)
    stream = client.request("/much", end=False, method="POST")
    client.upload(stream, bytes(30000), end=False)
    assert_page(narrow, client.reply(stream), 413, "limit_body_bytes")
    assert client.get("/good").status == 200


def test_dead_backend_has_a_page(echoing, connect):
    client = connect(echoing)
    assert_page(echoing, client.get("/dead"), 502, "backend_refused")
    assert client.get("/good").status == 200


def test_each_stream_leaves_one_line(echoing, connect):
    client = connect(echoing)
    streams = [client.request(f"/each/{number}") for number in range(20)]
    for stream in streams:
        client.reply(stream)
    def lines():
        found = [e for e in echoing.events("access") if e.get("path", "").startswith("/each/")]
        return found if len(found) >= 20 else None
    lines = wait_until(lines, "twenty lines")
    assert sorted(e["path"] for e in lines) == sorted(f"/each/{number}" for number in range(20))
    assert len({e["id"] for e in lines}) == 20
    assert sum("tls_us" in e for e in lines) == 1, "the handshake belongs to the first exchange"


def test_line_says_what_an_operator_needs(echoing, connect):
    client = connect(echoing)
    stream = client.request("/full?q=1", [("user-agent", "test")], False, method="POST")
    client.send(client.data(stream, b"hello", True))
    size = client.reply(stream).received
    line, = echoing.wait_event("access", path="/full")
    expected = {
        "client": "127.0.0.1", "listener": "web", "protocol": "HTTP/2", "method": "POST",
        "host": "localhost", "path": "/full", "query": True, "user_agent": "test", "tls": True,
        "tls_version": "TLSv1.3", "sni": "localhost", "status": 200, "bytes_in": 5,
        "bytes_out": size, "route": "/", "backend": "app"}
    assert {key: line.get(key) for key in expected} == expected
    assert line["total_us"] >= line["first_byte_us"] and "fault" not in line


def test_client_that_keeps_its_word_costs_nobody_patience(front, connect):
    """Many requests with their WINDOW_UPDATE, PING now and then: no flood."""
    proxy, _ = front()
    client = connect(proxy, "plain")
    client.ping()
    for number in range(30):
        streams = [client.request() for _ in range(50)]
        for stream in streams:
            assert client.reply(stream).status == 200
        client.send(PingFrame(0, b"12345678"))
    assert not client.goaways
