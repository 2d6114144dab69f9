"""WebSocket through the proxy on any path, without a word of configuration about it.

Real clients: python websockets and Node's ws; raw conns where bytes matter.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import textwrap
import threading
import time

import pytest
import websockets
from conftest import cpu_seconds, lean_sanitizer_settings, resident_bytes, wait_until

HOST = b"Host: localhost\r\n"
UPGRADE = (HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
SWITCHING = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
             b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")

CONFIG = textwrap.dedent('''
    certificates: [{name: web, chain: @chain@, key: @key@}]
    listeners:
      - {name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}
      - {name: web, address: "127.0.0.1:@web@", tls: {certificates: [web]},
         routes: [{backend: app}]}
    backends: {app: {servers: ["http://127.0.0.1:@app@"]}}
''')


class Echo:
    """A WebSocket server in a thread: /close/CODE closes with it, the rest echoes."""

    def __init__(self, tls=None):
        self.tls = tls
        self.loop = asyncio.new_event_loop()
        self.paths, self.closes, self.pings = [], [], 0
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = self.call(self.open())
        self.port = self.server.sockets[0].getsockname()[1]

    def call(self, coroutine, patience=30):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(patience)

    async def open(self):
        return await websockets.serve(self.talk, "127.0.0.1", 0, max_size=None, ping_interval=None,
                                      subprotocols=["chat.v2", "chat.v1"], backlog=1024,
                                      ssl=self.tls)

    async def talk(self, socket):
        self.paths.append(socket.path)
        if socket.path.startswith("/close/"):
            await socket.close(int(socket.path[7:]), "as asked")
            return
        try:
            async for message in socket:
                await socket.send(message)
        except websockets.ConnectionClosed:
            pass
        self.closes.append((socket.close_code, socket.close_reason))

    def close(self):
        async def end():
            self.server.close()
        self.call(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)


@pytest.fixture(scope="module")
def echo():
    server = Echo()
    yield server
    server.close()


@pytest.fixture(scope="module")
def proxy(standing, echo):
    return standing(CONFIG, app=echo.port)


def trust(proxy):
    return ssl.create_default_context(cafile=str(proxy.authority.path))


def connect(proxy, path="/", **keywords):
    keywords = {"max_size": None, "ping_interval": None, **keywords}
    return websockets.connect(f"wss://localhost:{proxy.port('web')}{path}", ssl=trust(proxy),
                              **keywords)


def talk(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 30))


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_messages_of_every_size_come_back(proxy, compression):
    async def go():
        async with connect(proxy, "/ws", compression=compression) as socket:
            extensions = socket.response_headers.get("Sec-WebSocket-Extensions", "")
            assert ("permessage-deflate" in extensions) == (compression == "deflate")
            for size in (0, 1, 125, 126, 127, 4095, 65535, 65536, 1 << 20, 5 << 20):
                for message in (os.urandom(size), "ä" * (size // 2)):
                    await socket.send(message)
                    assert await socket.recv() == message
    talk(go())


@pytest.mark.parametrize("path", ["/", "/api/v4/websocket", "/deep/er/path?token=a%20b",
                                  "/api/kernels/1/channels"])
def test_any_path_takes_websockets(proxy, echo, path):
    async def go():
        async with connect(proxy, path) as socket:
            await socket.send("hello")
            assert await socket.recv() == "hello"
    talk(go())
    assert path in echo.paths


def test_many_messages_in_flight_keep_their_order(proxy):
    async def go():
        async with connect(proxy) as socket:
            async def push():
                for number in range(2000):
                    await socket.send(str(number))
            pushing = asyncio.ensure_future(push())
            assert [int(await socket.recv()) for _ in range(2000)] == list(range(2000))
            await pushing
    talk(go())


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 3000, 4999])
def test_close_code_of_the_backend_arrives(proxy, code):
    async def go():
        async with connect(proxy, f"/close/{code}") as socket:
            with pytest.raises(websockets.ConnectionClosed):
                await socket.recv()
            assert (socket.close_code, socket.close_reason) == (code, "as asked")
    talk(go())


def test_close_code_of_the_client_arrives(proxy, echo):
    async def go():
        async with connect(proxy) as socket:
            await socket.close(4321, "enough")
    talk(go())
    wait_until(lambda: (4321, "enough") in echo.closes, "the close code")


def test_pings_are_answered_by_the_backend(proxy):
    async def go():
        async with connect(proxy) as socket:
            await asyncio.wait_for(await socket.ping(b"are you there?"), 10)
    talk(go())


def test_subprotocol_is_agreed_between_the_two(proxy):
    async def go():
        async with connect(proxy, subprotocols=["other", "chat.v1", "chat.v2"]) as socket:
            assert socket.subprotocol in ("chat.v1", "chat.v2")
    talk(go())


NODE = r"""
const WebSocket = require('ws');
const https = require('https');
const fs = require('fs');
const [url, ca] = process.argv.slice(1);
const socket = new WebSocket(url, ['chat.v2'], {ca: fs.readFileSync(ca), perMessageDeflate: true});
const seen = {protocol: null, sizes: [], pong: false};
const sizes = [0, 1, 1000, 70000, 1 << 20];
socket.on('open', () => {
  seen.protocol = socket.protocol;
  seen.extensions = socket.extensions;
  socket.ping('x');
  for (const size of sizes) socket.send(Buffer.alloc(size, 7));
});
socket.on('pong', () => { seen.pong = true; });
socket.on('message', (data) => {
  seen.sizes.push(data.length);
  if (seen.sizes.length === sizes.length) socket.close(4000, 'done');
});
socket.on('close', (code) => { seen.code = code; console.log(JSON.stringify(seen)); });
socket.on('error', (error) => { console.error(String(error)); process.exit(1); });
"""


def test_node_ws_agrees(proxy):
    modules = pathlib.Path(__file__).resolve().parents[1] / "node_modules"
    if not (modules / "ws").is_dir() or not shutil.which("node"):
        pytest.skip("Node's ws is not there: npm ci --prefix tests")
    done = subprocess.run(
        ["node", "-e", NODE, f"wss://localhost:{proxy.port('web')}/node", proxy.authority.path],
        env={**os.environ, "NODE_PATH": str(modules)}, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen == {"protocol": "chat.v2", "sizes": [0, 1, 1000, 70000, 1 << 20], "pong": True,
                    "extensions": "permessage-deflate", "code": 4000}


def test_tunnel_leaves_one_line_when_it_ends(proxy):
    async def go():
        async with connect(proxy, "/logged", compression=None) as socket:
            await socket.send("x" * 1000)
            await socket.recv()
    talk(go())
    line, = proxy.wait_event("access", path="/logged")
    assert line["status"] == 101 and line["tunnel"] and "fault" not in line
    assert line["bytes_in"] >= 1000 and line["bytes_out"] >= 1000 and line["total_us"] > 0


# ---- the handshake, byte by byte -------------------------------------------------------------


@pytest.fixture
def front(sallyport, backend):
    """front(answer, more_yaml) → (proxy, backend)"""
    def start(answer, more="", **options):
        server = backend(answer)
        return sallyport(CONFIG + more, app=server.port, **options), server
    return start


def upgrade(conn, path=b"/ws"):
    conn.send(b"GET " + path + b" HTTP/1.1\r\n" + UPGRADE + b"\r\n")
    return conn.response(interim=True)


def test_handshake_reaches_the_backend_whole(front):
    def accept(conn):
        conn.request()
        conn.send(SWITCHING)
        conn.read_to_end()
    proxy, server = front(accept)
    with proxy.tcp("plain") as conn:
        response = upgrade(conn)
        assert response.status == 101
        assert response.field("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert response.field("upgrade") == "websocket"
        assert response.field("connection").lower() == "upgrade"
        assert response.field("transfer-encoding") is None
    received = server.all_received()
    for line in (b"connection: upgrade", b"upgrade: websocket", b"sec-websocket-version: 13",
                 b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="):
        assert line + b"\r\n" in received


REFUSALS = {
    "forbidden": (b"HTTP/1.1 403 Forbidden\r\nX-Why: origin\r\nContent-Length: 5\r\n\r\nno ws",
                  403, b"no ws"),
    "upgrade_required": (b"HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\n"
                         b"Content-Length: 0\r\n\r\n", 426, b""),
    "ordinary_page": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npage\r\n0\r\n"
                      b"\r\n", 200, b"page"),
    "not_found": (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", 404, b""),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusal_of_the_backend_passes_and_the_conn_lives_on(front, name):
    answer, status, body = REFUSALS[name]
    proxy, _ = front(answer)
    with proxy.tcp("plain") as conn:
        for _ in range(3):
            response = upgrade(conn)
            assert (response.status, response.body) == (status, body)


BAD_SWITCHES = {
    "without_upgrade": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n",
    "without_connection": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    "to_something_else": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                         b"Upgrade: h2c\r\n\r\n",
    "to_two_protocols": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                        b"Upgrade: websocket\r\nUpgrade: h2c\r\n\r\n",
    "with_length": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                   b"Upgrade: websocket\r\nContent-Length: 5\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD_SWITCHES)
def test_switch_that_breaks_the_rules_becomes_502(front, name):
    proxy, _ = front(BAD_SWITCHES[name])
    with proxy.tcp("plain") as conn:
        assert upgrade(conn).status == 502


def test_early_tunnel_bytes_of_both_sides_are_not_lost(front):
    """The client speaks before the 101 arrives, the backend in one packet with it."""
    def accept(conn):
        conn.request()
        time.sleep(0.2)
        conn.send(SWITCHING + b"first from the backend")
        assert conn.read_exactly(21) == b"first from the client"
        conn.send(b"done")
    proxy, server = front(accept)
    with proxy.tls("web") as conn:
        conn.send(b"GET /early HTTP/1.1\r\n" + UPGRADE + b"\r\nfirst from the client")
        assert conn.response(interim=True).status == 101
        assert conn.read_until(b"done") == b"first from the backenddone"
    assert not server.faults


def test_early_bytes_do_not_reach_a_backend_that_refuses(front):
    """Else they could be a request of their own: smuggling by a failed upgrade."""
    proxy, server = front(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
    with proxy.tcp("plain") as conn:
        conn.send(b"GET /refused HTTP/1.1\r\n" + UPGRADE + b"\r\n" +
                  b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n")
        assert conn.response().status == 403
        conn.sock.settimeout(2)
        conn.read_to_end() if conn.ended else None
    heads = [e["path"] for e in proxy.wait_event("access", path="/refused")]
    assert heads == ["/refused"]
    received = server.all_received()
    # Either not at all, or as a request of its own that was routed and logged like any other.
    if b"/smuggled" in received:
        assert b"GET /smuggled HTTP/1.1\r\nhost: localhost\r\nx-forwarded-for:" in received
        proxy.wait_event("access", path="/smuggled")


# ---- ends ------------------------------------------------------------------------------------


def test_half_close_of_the_client_reaches_the_backend_and_its_answer_comes_back(front):
    def accept(conn):
        conn.request()
        conn.send(SWITCHING)
        data = conn.read_to_end()
        conn.send(b"got %d bytes" % len(data))
    proxy, server = front(accept)
    with proxy.tcp("plain") as conn:
        assert upgrade(conn).status == 101
        conn.send(b"x" * 100000)
        conn.send_end()
        assert conn.read_to_end() == b"got 100000 bytes"
    assert not server.faults


def test_half_close_of_the_backend_reaches_the_client(front):
    heard = []

    def accept(conn):
        conn.request()
        conn.send(SWITCHING + b"bye")
        conn.send_end()
        heard.append(conn.read_exactly(5))
    proxy, _ = front(accept)
    with proxy.tcp("plain") as conn:
        assert upgrade(conn).status == 101
        assert conn.read_to_end() == b"bye"
        conn.send(b"later")
        wait_until(lambda: heard == [b"later"], "the backend to hear the rest")


def test_backend_that_dies_ends_the_tunnel(front):
    def die(conn):
        conn.request()
        conn.send(SWITCHING)
        conn.read_exactly(1)
        conn.reset()
    proxy, _ = front(die)
    with proxy.tls("web") as conn:
        assert upgrade(conn, b"/dies").status == 101
        conn.send(b"x")
        began = time.monotonic()
        with pytest.raises((EOFError, ConnectionResetError, ssl.SSLError)):
            conn.read_exactly(1)
        assert time.monotonic() - began < 3
    proxy.wait_event("access", path="/dies", tunnel=True)


def test_client_that_dies_ends_the_backends_conn(front):
    gone = threading.Event()

    def wait(conn):
        conn.request()
        conn.send(SWITCHING)
        try:
            conn.read_to_end()
        finally:
            gone.set()
    proxy, _ = front(wait)
    conn = proxy.tcp("plain")
    assert upgrade(conn, b"/client-dies").status == 101
    conn.reset()
    assert gone.wait(5)
    proxy.wait_event("access", path="/client-dies", tunnel=True)


def quiet(conn):
    conn.request()
    conn.send(SWITCHING)
    while conn._more():
        conn.send(conn.pending)
        conn.pending = b""


def test_idle_tunnel_is_closed_after_tunnel_idle_and_a_busy_one_is_not(front):
    proxy, _ = front(quiet, "timeouts: {tunnel_idle: 1s, idle: 1s, response: 500ms}\n")
    with proxy.tcp("plain") as idle, proxy.tls("web") as busy:
        assert upgrade(idle, b"/idle").status == upgrade(busy, b"/busy").status == 101
        for _ in range(8):
            busy.send(b"x")
            assert busy.read_exactly(1) == b"x"
            time.sleep(0.4)
        idle.sock.settimeout(0.1)
        assert idle.read_to_end() == b""
        busy.send(b"y")
        assert busy.read_exactly(1) == b"y"
    proxy.wait_event("access", path="/idle", fault="timeout_tunnel")


def test_slow_reader_of_a_tunnel_holds_the_backend_back(front):
    sent = [0]

    def flood(conn):
        conn.request()
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        conn.send(SWITCHING)
        piece = bytes(1 << 20)
        for _ in range(64):
            conn.send(piece)
            sent[0] += len(piece)
    proxy, _ = front(flood)
    worker, = proxy.workers()
    with proxy.tls("web") as conn:
        conn.send(b"GET / HTTP/1.1\r\n" + UPGRADE + b"\r\n")
        conn.read_until(b"\r\n\r\n")

        def rests():
            before = sent[0]
            time.sleep(0.3)
            return sent[0] == before
        wait_until(rests, "the backend to be held back")
        assert sent[0] < 48 << 20
        used = cpu_seconds(worker)
        time.sleep(0.5)
        assert cpu_seconds(worker) - used < 0.1
        count = len(conn.pending)
        while count < 64 << 20:
            count += len(conn.sock.recv(65536))


def test_dead_peers_of_a_tunnel_are_looked_for_on_both_sides(front):
    """The kernel probes a silent peer: a machine that vanished is noticed without a byte sent."""
    proxy, server = front(quiet)
    with proxy.tls("web") as conn:
        assert upgrade(conn).status == 101
        for side, port in (("client", proxy.port("web")), ("backend", server.port)):
            column = "sport" if side == "client" else "dport"
            words = ["ss", "-Htno", "state", "established", f"{column} = :{port}"]
            wait_until(lambda: "timer:(keepalive" in subprocess.run(
                words, capture_output=True, text=True, check=True).stdout,
                f"the probes of the {side}'s conn", patience=5)


def test_drain_closes_tunnels_at_its_deadline(front):
    proxy, _ = front(quiet, "timeouts: {drain: 700ms}\n")
    with proxy.tls("web") as conn:
        assert upgrade(conn, b"/drained").status == 101
        began = time.monotonic()
        proxy.process.signal(signal.SIGTERM)
        time.sleep(0.2)
        conn.send(b"still here")
        assert conn.read_exactly(10) == b"still here"
        conn.read_to_end()
        assert 0.4 < time.monotonic() - began < 3
    assert proxy.process.wait(10) == 0
    line, = [e for e in proxy.events("access") if e.get("path") == "/drained"]
    assert line["fault"] == "drain_deadline"


@pytest.fixture
def many_descriptors():
    """As many descriptors as may be had, for both ends of many conns in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_two_thousand_idle_tunnels_stay_small_and_cost_nothing(sallyport, many_descriptors):
    """Most of the memory is the sanitizer's own: the bound is for leaks and kept buffers."""
    count = 2000
    if many_descriptors < 3 * count:
        pytest.skip(f"needs {3 * count} descriptors, the hard limit is {many_descriptors}")
    held, conns = [], []
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as server:
        def accept_all():
            for _ in range(count):
                sock, _ = server.accept()
                held.append(sock)
                sock.recv(4096)
                sock.sendall(SWITCHING)
        thread = threading.Thread(target=accept_all, daemon=True)
        thread.start()
        proxy = sallyport(CONFIG, app=server.getsockname()[1], _env=lean_sanitizer_settings())
        worker, = proxy.workers()
        trusting = trust(proxy)
        for number in range(count):
            conns.append(proxy.tls("web", settings=trusting))
            assert upgrade(conns[-1]).status == 101
            if number == 99:
                before = resident_bytes(worker)
        each = (resident_bytes(worker) - before) / (count - 100)
        assert each < 48 << 10, f"{each / 1024:.1f} KiB each"
        used = cpu_seconds(worker)
        time.sleep(1)
        assert cpu_seconds(worker) - used < 0.1
        conns[0].send(b"x")
        assert held[0].recv(1) == b"x"
        for sock in conns + held:
            sock.close()
        thread.join(5)
