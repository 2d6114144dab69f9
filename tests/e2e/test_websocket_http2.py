"""WebSocket over HTTP/2 (RFC 8441) on either side of the proxy, and translated between versions.

python3-h2 and python3-wsproto are the clients and the servers of HTTP/2; the servers of HTTP/1.1 are
real ones (python websockets, Node's ws), or scripted where bytes matter.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import textwrap
import threading
import time

import h2.exceptions
import pytest
import websockets
import wsproto.events
from conftest import server_settings, wait_until
from h2.errors import ErrorCodes
from http2_websocket import ENABLE_CONNECT_PROTOCOL, Peer, Reset, Socket
from test_websocket import UPGRADE, Echo, upgrade
from wsproto.extensions import PerMessageDeflate

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
TOP = pathlib.Path(__file__).resolve().parents[2]


def accept_of(key):
    return base64.b64encode(hashlib.sha1(key.strip() + GUID).digest())


def switch(conn, accept=accept_of, more=b""):
    """Reads the request of an upgrade and answers it. Returns its head."""
    head = conn.request()
    key = re.search(rb"\r\nsec-websocket-key: ([^\r]*)\r\n", head, re.IGNORECASE).group(1)
    conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
              b"Sec-WebSocket-Accept: " + accept(key) + b"\r\n\r\n" + more)
    return head


# ---- servers ---------------------------------------------------------------------------------


class EchoOverHttp2:
    """Serves one conn after the other: WebSockets echo, /close/CODE closes, /refuse is refused, and
    what is no WebSocket gets a page. `heads` are the requests."""

    def __init__(self, takes_websockets=True, before=None, **settings):
        self.takes_websockets = takes_websockets
        self.before = before  # called with the peer before anything is read
        self.settings = settings
        self.heads = []
        self.closes = []
        self.endings = []  # (path, "ended" or the code of the reset)
        self.peers = []

    def __call__(self, conn):
        peer = Peer.server(conn, self.takes_websockets, **self.settings)
        self.peers.append(peer)
        sockets = {}
        if self.before is not None:
            self.before(peer)
        while not peer.ended:
            peer.step()
            while peer.opened:
                self.open(peer.opened.pop(0), sockets)
            for path, websocket in list(sockets.values()):
                self.serve(path, websocket, sockets)

    def open(self, stream, sockets):
        self.heads.append(dict(stream.fields))
        path = stream.field(":path")
        if stream.field(":protocol") is None or path == "/refuse":
            refused = path == "/refuse"
            stream.respond(403 if refused else 200, [("x-why", "origin")],
                           b"no ws" if refused else b"page")
            self.endings.append((path, stream))
            return
        more = []
        extension = None
        if "permessage-deflate" in (stream.field("sec-websocket-extensions") or ""):
            extension = PerMessageDeflate()
            agreed = extension.accept(stream.field("sec-websocket-extensions"))
            more.append(("sec-websocket-extensions", f"permessage-deflate; {agreed}"))
        if stream.field("sec-websocket-protocol"):
            more.append(("sec-websocket-protocol",
                         stream.field("sec-websocket-protocol").split(",")[-1].strip()))
        stream.respond(200, more)
        websocket = Socket(stream, False, extension)
        sockets[stream.id] = (path, websocket)
        if path.startswith("/close/"):
            websocket.put(wsproto.events.CloseConnection(code=int(path[7:]), reason="as asked"))
        elif path == "/reset":
            stream.reset(ErrorCodes.INTERNAL_ERROR)

    def serve(self, path, websocket, sockets):
        stream = websocket.stream
        if stream.data:
            websocket.pump()
        if websocket.close_event is not None and not stream.sent_end:
            stream.end()
        while websocket.events:
            websocket.send(websocket.events.pop(0))
        if not stream.is_over:
            return
        if stream.ended and not stream.sent_end:
            stream.end()
        if websocket.close_event is not None:
            self.closes.append((websocket.close_event.code, websocket.close_event.reason))
        self.endings.append((path, "ended" if stream.ended else stream.reset_code))
        del sockets[stream.id]


NODE_SERVER = r"""
const WebSocket = require('ws');
const server = new WebSocket.Server({port: 0, host: '127.0.0.1', perMessageDeflate: true,
  maxPayload: 64 << 20, handleProtocols: (offered) => [...offered][0]});
server.on('listening', () => console.log('port ' + server.address().port));
server.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, {binary: isBinary}));
  socket.on('error', () => {});
});
process.on('SIGTERM', () => process.exit(0));
"""


def node_server(start):
    modules = TOP / "tests" / "node_modules"
    if not (modules / "ws").is_dir() or not shutil.which("node"):
        pytest.skip("Node's ws is not there: npm ci --prefix tests")
    process = start("node", ["node", "-e", NODE_SERVER], env={"NODE_PATH": str(modules)})
    found = process.wait_for(lambda: re.search(r"port (\d+)", process.out), "its port")
    return int(found.group(1))


def tls_settings(authority, *protocols):
    settings = server_settings(*authority.local)
    if protocols:
        settings.set_alpn_protocols(list(protocols))
    return settings


LISTENERS = textwrap.dedent('''
    certificates: [{name: web, chain: @chain@, key: @key@}]
    listeners:
      - {name: web, address: "127.0.0.1:@web@", tls: {certificates: [web]},
         routes: [{backend: app}]}
      - {name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}
      - {name: redirect, address: "127.0.0.1:@redirect@", mode: redirect, redirect_port: 443}
''')
CONFIG = LISTENERS + 'backends: {app: {servers: ["@app@"], tls: {ca: @ca@}}}\n'
PLAIN_CONFIG = LISTENERS + 'backends: {app: {servers: ["@app@"]}}\n'


def open_client(proxy, name="web"):
    conn = proxy.tls(name, alpn=["h2"]) if name == "web" else proxy.tcp(name)
    return Peer.client(conn)


@pytest.fixture(scope="module")
def echo():
    server = Echo()
    yield server
    server.close()


@pytest.fixture(scope="module")
def http_proxy(standing, echo):
    return standing(PLAIN_CONFIG, app=f"http://127.0.0.1:{echo.port}")


@pytest.fixture(scope="module")
def tls_echo(authority):
    server = Echo(tls_settings(authority))
    yield server
    server.close()


@pytest.fixture(scope="module")
def https_proxy(standing, tls_echo):
    return standing(CONFIG, app=f"https://localhost:{tls_echo.port}")


@pytest.fixture(scope="module")
def http2_echo():
    return EchoOverHttp2()


@pytest.fixture(scope="module")
def h2c_proxy(standing, standing_backend, http2_echo):
    return standing(PLAIN_CONFIG, app=f"h2c://127.0.0.1:{standing_backend(http2_echo).port}")


@pytest.fixture(scope="module")
def h2_proxy(standing, standing_backend, authority):
    server = standing_backend(EchoOverHttp2(), tls=tls_settings(authority, "h2"))
    return standing(CONFIG, app=f"h2://localhost:{server.port}")


@pytest.fixture(scope="module", params=["http", "https", "h2c", "h2"])
def proxy(request):
    """Before servers of each kind in turn."""
    return request.getfixturevalue(f"{request.param}_proxy")


@pytest.fixture
def client(proxy):
    with open_client(proxy) as peer:
        yield peer


class Stage:
    """A proxy before a scripted server, whose script changes from test to test."""

    def __init__(self, standing, standing_backend, scheme):
        self.server = standing_backend(lambda conn: None)
        self.proxy = standing(PLAIN_CONFIG, app=f"{scheme}://127.0.0.1:{self.server.port}")

    def play(self, answer):
        self.server.answer = answer
        self.server.received.clear()
        self.server.faults.clear()
        return self.proxy, self.server

    def clear(self):
        """No conn of the last test is used by the next one."""
        for sock in self.server.conns:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self.server.conns.clear()


@pytest.fixture(scope="module")
def stage(standing, standing_backend):
    return Stage(standing, standing_backend, "http")


@pytest.fixture(scope="module")
def stage2(standing, standing_backend):
    return Stage(standing, standing_backend, "h2c")


@pytest.fixture
def front(stage):
    """front(answer) → (proxy, backend of HTTP/1.1)"""
    yield stage.play
    stage.clear()


@pytest.fixture
def front2(stage2):
    """front2(answer) → (proxy, backend of HTTP/2)"""
    yield stage2.play
    stage2.clear()


@pytest.fixture
def own(sallyport, backend):
    """own(answer, more_yaml, scheme) → (proxy of its own, backend)"""
    def start(answer, more, scheme="http"):
        server = backend(answer)
        return sallyport(PLAIN_CONFIG + more, app=f"{scheme}://127.0.0.1:{server.port}"), server
    return start


def tunnels_open(run_sallyport, proxy):
    done = run_sallyport("status", "--json", "-c", proxy.config_path)
    assert done.returncode == 0, done.stderr
    return int(re.search(r'"tunnels": *(\d+)', done.stdout).group(1))


# ---- who is offered it -----------------------------------------------------------------------


@pytest.mark.parametrize("name, offered", [("web", 1), ("plain", 1), ("redirect", 0)])
def test_it_is_offered_where_routes_can_take_it(http_proxy, name, offered):
    with open_client(http_proxy, name) as peer:
        assert peer.wait_settings().get(ENABLE_CONNECT_PROTOCOL, 0) == offered


def test_a_redirect_listener_takes_none(http_proxy):
    with open_client(http_proxy, "redirect") as peer:
        stream = peer.connect("/")
        assert stream.wait_reset() == ErrorCodes.PROTOCOL_ERROR
        assert peer.get("/").status in (301, 308)


@pytest.mark.parametrize("protocol", ["connect-udp", "webtransport", "h2c", ""])
def test_no_other_protocol_is_spoken(http_proxy, echo, protocol):
    before = len(echo.paths)
    with open_client(http_proxy) as peer:
        stream = peer.request([(":method", "CONNECT"), (":protocol", protocol),
                               (":scheme", "https"), (":authority", "localhost"), (":path", "/")])
        try:
            assert stream.status >= 400
        except Reset:
            pass
        assert len(echo.paths) == before


# ---- messages --------------------------------------------------------------------------------


@pytest.mark.parametrize("deflate", [False, True])
def test_messages_of_every_size_come_back(client, deflate):
    websocket = client.websocket("/ws", deflate)
    assert ("permessage-deflate" in websocket.extensions) == deflate
    for size in (0, 1, 125, 126, 4095, 65535, 65536):
        for message in (os.urandom(size), "ä" * (size // 2)):
            websocket.send(message)
            assert websocket.receive() == message
    large = os.urandom(3 << 19) * 2  # more than every window on its way
    websocket.send(large)
    assert websocket.receive() == large
    websocket.close()
    client.settle()
    assert websocket.stream.reset_code in (None, ErrorCodes.NO_ERROR)


def test_plaintext_clients_with_prior_knowledge_have_it_too(http_proxy):
    with open_client(http_proxy, "plain") as peer:
        websocket = peer.websocket("/plain?with=query")
        websocket.send("hello")
        assert websocket.receive() == "hello"
        websocket.close()


def test_many_messages_in_flight_keep_their_order(client):
    websocket = client.websocket("/")
    for number in range(500):
        websocket.send(str(number))
    assert [int(websocket.receive()) for _ in range(500)] == list(range(500))
    websocket.close()


def test_pings_are_answered_by_the_backend(client):
    websocket = client.websocket("/")
    websocket.ping(b"are you there?")
    while not websocket.pongs:
        websocket.pump()
    assert websocket.pongs == [b"are you there?"]
    websocket.close()


def test_subprotocol_is_agreed_between_the_two(client):
    websocket = client.websocket("/", protocols=["other", "chat.v1"])
    assert websocket.protocol == "chat.v1"
    websocket.close()


@pytest.mark.parametrize("code", [1000, 1011, 4999])
def test_close_code_of_the_backend_arrives(client, code):
    websocket = client.websocket(f"/close/{code}")
    with pytest.raises(EOFError):
        websocket.receive()
    assert (websocket.close_event.code, websocket.close_event.reason) == (code, "as asked")
    websocket.stream.end()
    assert websocket.stream.read_to_end() == b""


def test_close_code_of_the_client_arrives_over_http1(http_proxy, echo):
    with open_client(http_proxy) as peer:
        peer.websocket("/").close(4321, "over http2")
    wait_until(lambda: (4321, "over http2") in echo.closes, "the close code")


def test_close_code_of_the_client_arrives_over_http2(h2c_proxy, http2_echo):
    with open_client(h2c_proxy) as peer:
        peer.websocket("/").close(4321, "all the way")
    wait_until(lambda: (4321, "all the way") in http2_echo.closes, "the close code")


def test_many_share_a_conn_with_ordinary_requests(client):
    sockets = [client.websocket(f"/{number}") for number in range(40)]
    for number, websocket in enumerate(sockets):
        websocket.send(f"hello {number}")
    pages = [client.get("/page") for _ in range(20)]
    for number, websocket in enumerate(sockets):
        assert websocket.receive() == f"hello {number}"
    # The servers of HTTP/1.1 speak nothing but WebSocket.
    assert {page.status for page in pages} <= {200, 426}
    for websocket in sockets:
        websocket.close()


def test_one_that_does_not_read_does_not_hold_up_the_others(client):
    """Its messages wait in its own windows, not in those of the conn."""
    slow, quick = client.websocket("/slow"), client.websocket("/quick")
    client.takes_window = False
    for _ in range(8):  # as much as its stream's window takes, and no more
        slow.send(os.urandom(100000))
    client.takes_window = True
    for _ in range(20):
        quick.send(b"x" * 1000)
        assert quick.receive() == b"x" * 1000
    for _ in range(8):
        assert len(slow.receive()) == 100000


def test_node_ws_agrees(start, sallyport):
    proxy = sallyport(PLAIN_CONFIG, app=f"http://127.0.0.1:{node_server(start)}")
    with open_client(proxy) as peer:
        for deflate in (False, True):
            websocket = peer.websocket("/node", deflate, protocols=["chat.v2"])
            assert websocket.protocol == "chat.v2"
            assert ("permessage-deflate" in websocket.extensions) == deflate
            for size in (0, 1, 70000, 1 << 20):
                websocket.send(bytes(size))
                assert websocket.receive() == bytes(size)
            websocket.close(4000, "done")
            assert websocket.close_event.code == 4000


# ---- the handshake ---------------------------------------------------------------------------


def test_it_becomes_an_upgrade_with_a_key_of_ours(front):
    heads = []

    def accept(conn):
        heads.append(switch(conn))
        conn.read_to_end()
    proxy, _ = front(accept)
    with open_client(proxy) as peer:
        # A client's own key means nothing in HTTP/2: it must not choose what the answer will be.
        own = [("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="), ("origin", "https://localhost"),
               ("cookie", "a=b"), ("cookie", "c=d"), ("sec-websocket-protocol", "chat")]
        for _ in range(2):
            stream = peer.connect("/ws?token=a%20b", own)
            assert stream.status == 200
            names = {name for name, _ in stream.fields}
            assert names.isdisjoint({"sec-websocket-accept", "upgrade", "connection",
                                     "content-length", "transfer-encoding"})
    keys = set()
    for head in heads:
        lines = head.lower().split(b"\r\n")
        assert lines[0] == b"get /ws?token=a%20b http/1.1"
        for line in (b"host: localhost", b"connection: upgrade", b"upgrade: websocket",
                     b"sec-websocket-version: 13", b"origin: https://localhost",
                     b"sec-websocket-protocol: chat", b"cookie: a=b; c=d",
                     b"x-forwarded-proto: https"):
            assert line in lines, head
        assert b":protocol" not in head
        key, = re.findall(rb"\r\nsec-websocket-key: ([^\r]*)", head, re.IGNORECASE)
        assert len(base64.b64decode(key)) == 16
        keys.add(key)
    assert len(keys) == 2 and b"dGhlIHNhbXBsZSBub25jZQ==" not in keys


# As the browsers send them, in their order.
CHROMIUM = [
    (":method", "CONNECT"), (":authority", "localhost"), (":scheme", "https"), (":path", "/shape"),
    (":protocol", "websocket"), ("pragma", "no-cache"), ("cache-control", "no-cache"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
     "Chrome/138.0.0.0 Safari/537.36"),
    ("origin", "https://localhost"), ("sec-websocket-version", "13"),
    ("accept-encoding", "gzip, deflate, br, zstd"), ("accept-language", "en-US,en;q=0.9"),
    ("cookie", "session=1"), ("cookie", "theme=dark"),
    ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits"),
]
FIREFOX = [
    (":method", "CONNECT"), (":protocol", "websocket"), (":path", "/shape"),
    (":authority", "localhost"), (":scheme", "https"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    ("accept", "*/*"), ("accept-language", "en-US,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br, zstd"), ("sec-websocket-version", "13"),
    ("origin", "https://localhost"), ("sec-websocket-extensions", "permessage-deflate"),
    ("cookie", "session=1"), ("sec-fetch-dest", "empty"), ("sec-fetch-mode", "websocket"),
    ("sec-fetch-site", "same-origin"), ("pragma", "no-cache"), ("cache-control", "no-cache"),
]


@pytest.mark.parametrize("fields", [CHROMIUM, FIREFOX], ids=["chromium", "firefox"])
def test_browsers_shapes_are_taken(client, fields):
    stream = client.request(fields)
    assert stream.status == 200, stream.fields
    websocket = Socket(stream, True, PerMessageDeflate())
    assert "permessage-deflate" in websocket.extensions
    for message in ("hello", b"x" * 70000):
        websocket.send(message)
        assert websocket.receive() == message
    websocket.close(1001)


WRONG_ANSWERS = {
    "of_another_key": lambda key: b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    "the_key_itself": lambda key: key,
    "empty": lambda key: b"",
    "twice": lambda key: accept_of(key) + b"\r\nSec-WebSocket-Accept: " + accept_of(key + b"x"),
    "in_the_wrong_case": lambda key: accept_of(key).swapcase(),
}


@pytest.mark.parametrize("name", WRONG_ANSWERS)
def test_wrong_answer_to_the_key_is_refused(front, name):
    """Whoever does not know the key has not understood that this is a WebSocket."""
    ended = threading.Event()

    def accept(conn):
        switch(conn, WRONG_ANSWERS[name], b"never to be seen")
        conn.read_to_end()
        ended.set()
    proxy, _ = front(accept)
    with open_client(proxy) as peer:
        stream = peer.connect("/wrong")
        assert stream.status == 502
        assert b"never to be seen" not in stream.read_to_end()
        assert ended.wait(5), "the backend's conn lives on"
    line = proxy.wait_event("access", path="/wrong")[-1]
    assert line["status"] == 502 and line["fault"] == "backend_upgrade"


def refuse(conn):
    while conn.request() is not None:
        conn.send(b"HTTP/1.1 403 Forbidden\r\nX-Why: origin\r\nContent-Length: 5\r\n\r\nno ws")


def test_refusal_passes_as_an_ordinary_response(front):
    proxy, server = front(refuse)
    with open_client(proxy) as peer:
        for _ in range(3):
            stream = peer.connect("/refused")
            assert (stream.status, stream.field("x-why")) == (403, "origin")
            assert stream.read_to_end() == b"no ws"
        peer.settle()
        assert stream.reset_code in (None, ErrorCodes.NO_ERROR)
    assert len(server.received) == 1, "the backend's conn was not used again"
    line = proxy.wait_event("access", count=3, path="/refused")[0]
    assert line["status"] == 403 and not line.get("tunnel") and "fault" not in line


def test_refusal_of_an_http2_backend_passes_and_its_stream_ends(front2):
    server = EchoOverHttp2()
    proxy, _ = front2(server)
    with open_client(proxy) as peer:
        for _ in range(3):
            stream = peer.connect("/refuse")
            assert (stream.status, stream.field("x-why")) == (403, "origin")
            assert stream.read_to_end() == b"no ws"
        websocket = peer.websocket("/after")
        websocket.send("still here")
        assert websocket.receive() == "still here"
        refused = [one for path, one in server.endings if path == "/refuse"]
        wait_until(lambda: all(one.is_over for one in refused), "an end of the refused streams")
    assert len(server.peers) == 1


@pytest.mark.parametrize("kind", ["http1", "http2"])
def test_early_bytes_do_not_reach_a_backend_that_refuses(front, front2, kind):
    """Else they could be a request of their own: smuggling by a failed upgrade."""
    proxy, server = front(refuse) if kind == "http1" else front2(EchoOverHttp2())
    with open_client(proxy) as peer:
        stream = peer.connect("/refuse")
        with contextlib.suppress(Reset, h2.exceptions.StreamClosedError):
            stream.send(b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert stream.status == 403
        peer.settle()
    line = proxy.wait_event("access", path="/refuse")[-1]
    assert line["status"] == 403
    assert b"/smuggled" not in server.all_received()


def test_early_bytes_of_both_sides_are_not_lost(front):
    """The client speaks before the 101 arrives, the backend in one packet with it."""
    may_answer = threading.Event()

    def accept(conn):
        head = conn.request()
        may_answer.wait(10)
        key = re.search(rb"sec-websocket-key: ([^\r]*)", head, re.IGNORECASE).group(1)
        conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                  b"Upgrade: websocket\r\nSec-WebSocket-Accept: " + accept_of(key) +
                  b"\r\n\r\nfirst from the backend")
        assert conn.read_exactly(21) == b"first from the client"
        conn.send(b", done")
    proxy, server = front(accept)
    with open_client(proxy) as peer:
        stream = peer.connect("/early")
        stream.send(b"first from the client")
        peer.settle()
        may_answer.set()
        assert stream.status == 200
        assert stream.read_to_end() == b"first from the backend, done"
    assert not server.faults


def test_slow_backend_is_waited_for(own):
    """Nobody may send before the answer: the minimum rate of a body is not asked of the client."""
    may_answer = threading.Event()

    def accept(conn):
        head = conn.request()
        may_answer.wait(10)
        key = re.search(rb"sec-websocket-key: ([^\r]*)", head, re.IGNORECASE).group(1)
        conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                  b"Upgrade: websocket\r\nSec-WebSocket-Accept: " + accept_of(key) + b"\r\n\r\n")
        conn.send(conn.read_exactly(5))
        conn.read_to_end()
    proxy, server = own(accept, "timeouts: {minimum_rate: 1000B/s, rate_grace: 300ms}\n")
    with open_client(proxy) as peer:
        stream = peer.connect("/slow")
        server.wait_received(b"GET /slow")
        threading.Event().wait(1.0)  # three times the grace
        may_answer.set()
        assert stream.status == 200
        stream.send(b"hello")
        assert stream.read(5) == b"hello"


# ---- versions --------------------------------------------------------------------------------


def test_https_backend_that_agrees_on_http2_has_its_websockets_over_http1(sallyport, backend,
                                                                         authority):
    spoken = []
    pages = EchoOverHttp2(takes_websockets=False)

    def serve(conn):
        spoken.append(conn.sock.selected_alpn_protocol())
        if spoken[-1] == "h2":
            pages(conn)
            return
        switch(conn)
        conn.send(conn.read_exactly(5))
        conn.read_to_end()
    server = backend(serve, tls=tls_settings(authority, "h2", "http/1.1"))
    proxy = sallyport(CONFIG, app=f"https://localhost:{server.port}")
    with open_client(proxy) as peer:
        assert peer.get("/").read_to_end() == b"page"
        streams = [peer.connect("/ws") for _ in range(3)]
        for stream in streams:
            assert stream.status == 200
            stream.send(b"hello")
            assert stream.read(5) == b"hello"
        assert peer.get("/").read_to_end() == b"page"
    assert sorted(spoken, key=str) == ["h2", "http/1.1", "http/1.1", "http/1.1"]
    assert len(pages.heads) == 2


def test_it_passes_to_an_http2_backend_as_it_is(h2c_proxy, http2_echo):
    with open_client(h2c_proxy) as peer:
        websocket = peer.websocket("/passed?a=b", protocols=["chat"])
        websocket.close()
    head, = [head for head in http2_echo.heads if head[":path"] == "/passed?a=b"]
    assert {name: head.get(name) for name in (":method", ":protocol", ":scheme", ":authority",
                                              "sec-websocket-version")} == {
        ":method": "CONNECT", ":protocol": "websocket", ":scheme": "https",
        ":authority": "localhost", "sec-websocket-version": "13"}
    assert "sec-websocket-key" not in head and "upgrade" not in head


@pytest.mark.parametrize("scheme", ["h2c", "h2"])
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_upgrade_of_http1_becomes_an_extended_connect(request, scheme, compression):
    proxy = request.getfixturevalue(f"{scheme}_proxy")

    async def go():
        trusting = ssl.create_default_context(cafile=str(proxy.authority.path))
        async with websockets.connect(
                f"wss://localhost:{proxy.port('web')}/from-http1", ssl=trusting, max_size=None,
                compression=compression, subprotocols=["chat"]) as client:
            assert client.subprotocol == "chat"
            for size in (0, 1, 65536, 2 << 20):
                message = os.urandom(size)
                await client.send(message)
                assert await client.recv() == message
            await client.close(4001, "thanks")
    asyncio.run(asyncio.wait_for(go(), 30))


def test_upgrade_of_http1_gets_the_answer_to_its_key(h2c_proxy, http2_echo):
    with h2c_proxy.tcp("plain") as conn:
        response = upgrade(conn, b"/keyed")
        assert response.status == 101
        assert response.field("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert response.field("upgrade") == "websocket"
        assert response.field("connection").lower() == "upgrade"
    head, = [head for head in http2_echo.heads if head[":path"] == "/keyed"]
    assert "sec-websocket-key" not in head


def test_upgrade_of_http1_that_is_refused_keeps_its_conn(h2c_proxy):
    with h2c_proxy.tcp("plain") as conn:
        for _ in range(3):
            response = upgrade(conn, b"/refuse")
            assert (response.status, response.body) == (403, b"no ws")


@pytest.mark.parametrize("version", ["http1", "http2"])
def test_http2_backend_without_it_is_a_502(front2, version):
    server = EchoOverHttp2(takes_websockets=False)
    proxy, _ = front2(server)
    if version == "http1":
        with proxy.tls("web") as conn:
            assert upgrade(conn, b"/none").status == 502
    else:
        with open_client(proxy) as peer:
            assert peer.connect("/none").status == 502
            assert peer.get("/page").status == 200
    line = proxy.wait_event("access", path="/none")[-1]
    assert line["fault"] == "backend_no_tunnel" and line["status"] == 502
    assert [head for head in server.heads if ":protocol" in head] == []


def test_settings_of_the_backend_are_waited_for(front2):
    """RFC 8441 §3: nothing may be sent before they are known. Ordinary requests need not wait."""
    may_begin = threading.Event()

    def serve(conn):
        conn.read_until(b"SM\r\n\r\n")
        conn.pending = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + conn.pending
        may_begin.wait(10)
        EchoOverHttp2()(conn)
    proxy, server = front2(serve)
    with open_client(proxy) as peer:
        streams = [peer.connect(f"/late/{number}") for number in range(3)]
        server.wait_received(b"SM\r\n\r\n")
        peer.settle()
        assert all(stream.fields is None for stream in streams)
        may_begin.set()
        for stream in streams:
            assert stream.status == 200
            websocket = Socket(stream, True)
            websocket.send("hello")
            assert websocket.receive() == "hello"


def test_backend_that_offers_it_later_is_believed(front2):
    """In a second SETTINGS: what comes before is refused, what comes after goes through."""
    server = EchoOverHttp2(takes_websockets=False)
    proxy, _ = front2(server)
    with open_client(proxy) as peer:
        assert peer.connect("/before").status == 502
        # The proxy may answer before the server's own thread is out of its constructor.
        peer_of_server, = wait_until(lambda: server.peers, "the server's conn")
        peer_of_server.machine.update_settings({ENABLE_CONNECT_PROTOCOL: 1})
        assert peer.get("/flushes").status == 200

        def works():
            stream = peer.connect("/after")
            return stream.status == 200
        wait_until(works, "a WebSocket")


def test_backend_that_never_sends_settings_is_a_504(own):
    def silent(conn):
        conn.read_to_end()
    proxy, _ = own(silent, "timeouts: {response: 500ms}\n", "h2c")
    with open_client(proxy) as peer:
        assert peer.connect("/silent").status == 504
    proxy.wait_event("access", path="/silent", fault="timeout_response")


# ---- ends ------------------------------------------------------------------------------------


def test_half_close_of_the_client_reaches_the_backend_and_its_answer_comes_back(front):
    def accept(conn):
        switch(conn)
        data = conn.read_to_end()
        conn.send(b"got %d bytes" % len(data))
    proxy, server = front(accept)
    with open_client(proxy) as peer:
        stream = peer.connect("/half")
        assert stream.status == 200
        stream.send(b"x" * 300000, end=True)
        assert stream.read_to_end() == b"got 300000 bytes"
    assert not server.faults
    line, = proxy.wait_event("access", path="/half")
    assert "fault" not in line and line["bytes_in"] == 300000 and line["bytes_out"] == 16


def test_half_close_of_the_backend_reaches_the_client(front):
    heard = []

    def accept(conn):
        switch(conn, more=b"bye")
        conn.send_end()
        heard.append(conn.read_exactly(5))
    proxy, _ = front(accept)
    with open_client(proxy) as peer:
        stream = peer.connect("/half-of-backend")
        assert stream.read_to_end() == b"bye"
        assert stream.reset_code is None
        stream.send(b"later")
        wait_until(lambda: heard == [b"later"], "the backend to hear the rest")


def test_half_closes_pass_to_and_from_an_http2_backend(front2):
    heard = []

    def serve(conn):
        peer = Peer.server(conn, True)
        stream = peer.accept()
        stream.respond(200)
        heard.append(stream.read_to_end())
        stream.send(b"got it", end=True)
        stream = peer.accept()
        stream.respond(200)
        stream.send(b"bye", end=True)
        heard.append(stream.read_to_end())
        peer.accept()
    proxy, _ = front2(serve)
    with open_client(proxy) as peer:
        stream = peer.connect("/first")
        assert stream.status == 200
        stream.send(b"all of it", end=True)
        assert stream.read_to_end() == b"got it"
        stream = peer.connect("/second")
        assert stream.read_to_end() == b"bye"
        stream.send(b"later", end=True)
        wait_until(lambda: heard == [b"all of it", b"later"], "the backend to hear both")
    for path in ("/first", "/second"):
        line, = proxy.wait_event("access", path=path)
        assert "fault" not in line, line


@pytest.mark.parametrize("kind", ["http1", "http2"])
def test_last_words_of_the_client_arrive_though_the_backend_has_ended(front, front2, kind):
    """All of them at once, and more than there is room for on the way."""
    heard = []
    may_read = threading.Event()

    def serve1(conn):
        switch(conn, more=b"bye")
        conn.send_end()
        may_read.wait(10)
        heard.append(len(conn.read_to_end()))

    def serve2(conn):
        peer = Peer.server(conn, True, INITIAL_WINDOW_SIZE=1000)
        stream = peer.accept()
        stream.respond(200)
        stream.send(b"bye", end=True)
        may_read.wait(10)
        heard.append(len(stream.read_to_end()))
        peer.accept()
    for size in (5, 600000):
        heard.clear()
        may_read.clear()
        proxy, _ = front(serve1) if kind == "http1" else front2(serve2)
        with open_client(proxy) as peer:
            stream = peer.connect(f"/last-words/{kind}/{size}")
            assert stream.read_to_end() == b"bye"
            if size == 5:
                may_read.set()
            else:
                threading.Timer(0.5, may_read.set).start()
            left = size
            while left > 0:
                room = min(peer.machine.local_flow_control_window(stream.id), 16384, left)
                if room == 0:
                    peer.step()
                    continue
                left -= room
                peer.machine.send_data(stream.id, bytes(room), end_stream=left == 0)
                peer.flush()
            wait_until(lambda: heard == [size], f"the backend to hear {size} bytes, not {heard}")
        line, = proxy.wait_event("access", path=f"/last-words/{kind}/{size}")
        assert "fault" not in line and line["bytes_in"] == size


def test_backend_that_dies_resets_the_stream_and_nothing_else(front):
    def die(conn):
        head = switch(conn)
        if b"/dies" in head:
            conn.read_exactly(1)
            conn.reset()
        conn.send(conn.read_exactly(5))
        conn.read_to_end()
    proxy, _ = front(die)
    with open_client(proxy) as peer:
        dying, living = peer.connect("/dies"), peer.connect("/lives")
        assert dying.status == living.status == 200
        dying.send(b"x")
        assert dying.wait_reset() != ErrorCodes.NO_ERROR
        living.send(b"hello")
        assert living.read(5) == b"hello"
    line, = proxy.wait_event("access", path="/dies")
    assert line["tunnel"] and line["fault"] == "backend_truncated"


@pytest.mark.parametrize("listener", ["web", "plain"])
def test_http2_backend_that_resets_ends_the_clients_stream(h2c_proxy, listener):
    with open_client(h2c_proxy, listener) as peer:
        assert peer.connect("/reset").wait_reset() != ErrorCodes.NO_ERROR
        websocket = peer.websocket("/alive")
        websocket.send("yes")
        assert websocket.receive() == "yes"


def test_http2_backend_that_resets_ends_the_conn_of_an_http1_client(h2c_proxy):
    with h2c_proxy.tcp("plain") as conn:
        conn.send(b"GET /reset HTTP/1.1\r\n" + UPGRADE + b"\r\n")
        conn.read_to_end()
        assert conn.ended or conn.sock.fileno() >= 0


@pytest.mark.parametrize("way", ["reset", "conn_reset", "conn_closed"])
def test_client_that_goes_ends_the_backends_conn(front, way):
    gone = threading.Event()

    def wait(conn):
        switch(conn)
        try:
            conn.read_to_end()
        finally:
            gone.set()
    proxy, _ = front(wait)
    peer = open_client(proxy)
    stream = peer.connect(f"/client-goes/{way}")
    assert stream.status == 200
    if way == "reset":
        stream.reset()
    elif way == "conn_reset":
        peer.conn.reset()
    else:
        peer.conn.close()
    assert gone.wait(5)
    line = proxy.wait_event("access", path=f"/client-goes/{way}")[-1]
    assert line["tunnel"] and line["status"] == 101 and "fault" in line
    peer.conn.close()


def test_reset_of_the_client_is_passed_to_an_http2_backend(front2):
    server = EchoOverHttp2()
    proxy, _ = front2(server)
    with open_client(proxy) as peer:
        gone, kept = peer.websocket("/gone"), peer.websocket("/kept")
        gone.stream.reset()
        wait_until(lambda: ("/gone", ErrorCodes.CANCEL) in server.endings, "the reset")
        kept.send("still here")
        assert kept.receive() == "still here"
    wait_until(lambda: ("/kept", ErrorCodes.CANCEL) in server.endings, "the end of the other")


def test_backend_that_has_closed_ends_the_stream_when_the_client_speaks(front):
    """Nobody is there to hear the client's half: it must not wait for its idle time."""
    def accept(conn):
        switch(conn, more=b"bye")
    proxy, _ = front(accept)
    with open_client(proxy) as peer:
        stream = peer.connect("/closed")
        assert stream.read_to_end() == b"bye"

        def is_reset():
            if stream.reset_code is None:
                stream.send(b"are you there?")
                peer.settle()
            return stream.reset_code is not None
        wait_until(is_reset, "the reset")
        assert stream.reset_code in (ErrorCodes.NO_ERROR, ErrorCodes.CANCEL)
    line, = proxy.wait_event("access", path="/closed")
    assert line["tunnel"]


def test_http2_backend_that_ends_and_resets_leaves_no_stream_behind(front2):
    def serve(conn):
        peer = Peer.server(conn, True)
        stream = peer.accept()
        stream.respond(200)
        stream.send(b"bye", end=True)
        stream.reset(ErrorCodes.NO_ERROR)
        peer.accept()
    proxy, _ = front2(serve)
    with open_client(proxy) as peer:
        stream = peer.connect("/both")
        assert stream.read_to_end() == b"bye"
        assert stream.wait_reset() in (ErrorCodes.NO_ERROR, ErrorCodes.CANCEL)
        line, = proxy.wait_event("access", path="/both")
        assert line["tunnel"]


def test_trailers_have_no_place_in_a_tunnel(front):
    """RFC 9113 §8.5: nothing but DATA may come."""
    def accept(conn):
        switch(conn)
        conn.read_to_end()
    proxy, _ = front(accept)
    with open_client(proxy) as peer:
        stream = peer.connect("/trailers")
        assert stream.status == 200
        peer.machine.send_headers(stream.id, [("x-more", "1")], end_stream=True)
        peer.flush()
        assert stream.wait_reset() == ErrorCodes.PROTOCOL_ERROR
    line, = proxy.wait_event("access", path="/trailers")
    assert line["fault"] == "h2_trailer"


def test_request_that_ends_at_once_is_a_tunnel_of_one_direction(front):
    def accept(conn):
        switch(conn)
        conn.send(b"got %d bytes" % len(conn.read_to_end()))
    proxy, _ = front(accept)
    with open_client(proxy) as peer:
        stream = peer.request([
            (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"),
            (":authority", "localhost"), (":path", "/one-way"), ("sec-websocket-version", "13")],
            end=True)
        assert stream.status == 200
        assert stream.read_to_end() == b"got 0 bytes"


@pytest.mark.parametrize("kind", ["http1", "http2"])
def test_idle_tunnel_is_closed_after_tunnel_idle_and_a_busy_one_is_not(own, kind):
    def quiet(conn):
        switch(conn)
        while conn._more():
            conn.send(conn.pending)
            conn.pending = b""
    more = "timeouts: {tunnel_idle: 1s, idle: 1s, response: 500ms}\n"
    proxy, _ = own(quiet, more) if kind == "http1" else own(EchoOverHttp2(), more, "h2c")
    with open_client(proxy) as peer:
        idle, busy = peer.connect("/idle"), peer.connect("/busy")
        assert idle.status == busy.status == 200
        busy = Socket(busy, True)
        began = time.monotonic()
        while idle.reset_code is None:
            busy.send(b"x")
            # A server of HTTP/1.1 here returns bytes, which are masked and no message.
            assert busy.stream.read() if kind == "http1" else busy.receive() == b"x"
            threading.Event().wait(0.1)
        assert 0.9 < time.monotonic() - began < 10
        assert idle.reset_code == ErrorCodes.CANCEL
        busy.send(b"y")
        assert busy.stream.read()
    proxy.wait_event("access", path="/idle", fault="timeout_tunnel", tunnel=True)


def test_drain_lets_tunnels_go_on_until_its_deadline(own):
    def quiet(conn):
        switch(conn)
        while conn._more():
            conn.send(conn.pending)
            conn.pending = b""
    proxy, _ = own(quiet, "timeouts: {drain: 1500ms}\n")
    with open_client(proxy) as peer:
        stream, brief = peer.connect("/drained"), peer.connect("/brief")
        assert stream.status == brief.status == 200
        proxy.process.signal(signal.SIGTERM)
        while peer.goaway is None:
            peer.step()
        assert peer.goaway.error_code == ErrorCodes.NO_ERROR
        for one in (stream, brief):
            one.send(b"still here")
            assert one.read(10) == b"still here"
        brief.send(b"", end=True)
        assert brief.read_to_end() == b""
        with contextlib.suppress(Reset, ConnectionResetError):
            while not peer.ended:
                peer.step()
    assert proxy.process.wait(10) == 0
    line, = [e for e in proxy.events("access") if e.get("path") == "/drained"]
    assert line["fault"] == "drain_deadline" and line["tunnel"]
    line, = [e for e in proxy.events("access") if e.get("path") == "/brief"]
    assert "fault" not in line


def test_drain_is_over_when_the_last_tunnel_has_ended(own):
    def quiet(conn):
        switch(conn)
        conn.send(conn.read_to_end())
    proxy, _ = own(quiet, "timeouts: {drain: 60s}\n")
    with open_client(proxy) as peer:
        stream = peer.connect("/drained")
        assert stream.status == 200
        proxy.process.signal(signal.SIGTERM)
        while peer.goaway is None:
            peer.step()
        stream.send(b"the last words", end=True)
        assert stream.read_to_end() == b"the last words"
        while not peer.ended:
            peer.step()
    assert proxy.process.wait(10) == 0


# ---- what is told ----------------------------------------------------------------------------


def test_tunnel_leaves_one_line_when_it_ends(client, proxy, run_sallyport):
    path = f"/logged/{os.urandom(4).hex()}"
    websocket = client.websocket(path)
    wait_until(lambda: tunnels_open(run_sallyport, proxy) >= 1, "the tunnel to be counted")
    websocket.send("x" * 1000)
    assert len(websocket.receive()) == 1000
    assert not [line for line in proxy.events("access") if line.get("path") == path]
    websocket.close()
    line, = proxy.wait_event("access", path=path)
    assert line["protocol"] == "HTTP/2" and line["status"] == 101 and line["tunnel"]
    assert line["method"] == "GET" and "fault" not in line
    assert 1000 <= line["bytes_in"] <= 1100 and 1000 <= line["bytes_out"] <= 1100
    assert line["total_us"] > 0


def test_every_tunnel_is_counted_out_again(proxy, run_sallyport):
    with open_client(proxy) as peer:
        for number in range(10):
            stream = peer.connect("/counted")
            assert stream.status == 200
            if number % 2:
                stream.reset()
    wait_until(lambda: tunnels_open(run_sallyport, proxy) == 0, "no tunnel to be open")
