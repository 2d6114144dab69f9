"""Slow and silent clients: each kind is cut by its own deadline, says why, and costs nothing.

SPDX-License-Identifier: Apache-2.0
"""

import socket
import ssl
import time

import pytest
from conftest import cpu_seconds, wait_until

pytestmark = pytest.mark.alone

HOST = b"Host: localhost\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LARGE = 64 << 20


def answer(conn):
    """/large: more than fits into any socket; anything else: ok. Bodies are read as they come."""
    while True:
        try:
            head = conn.read_until(b"\r\n\r\n")
        except (EOFError, ConnectionResetError):
            return
        if b"/large" in head:
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE)
            conn.send(bytes(LARGE))
        elif b"content-length" in head or b"transfer-encoding" in head:
            conn.read_to_end()
        else:
            conn.send(OK)


@pytest.fixture(scope="module")
def proxy(standing, standing_backend):
    return standing('''
        certificates: [{name: web, chain: @chain@, key: @key@}]
        listeners:
          - {name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}
          - {name: web, address: "127.0.0.1:@web@", routes: [{backend: app}]}
          - {name: announced, address: "127.0.0.1:@announced@", tls: off,
             proxy_protocol: accept, trusted_proxies: [127.0.0.0/8], routes: [{backend: app}]}
        backends: {app: {servers: ["http://127.0.0.1:@app@"]}}
        timeouts: {handshake: 500ms, header: 600ms, idle: 1s, minimum_rate: 1000B/s,
                   rate_grace: 600ms, linger: 1s}
    ''', app=standing_backend(answer).port)


def seconds_to_end(conn, within=8):
    """How long the peer takes to close; what it sent before is returned as well."""
    began = time.monotonic()
    conn.sock.settimeout(within)
    data = conn.read_to_end()
    return time.monotonic() - began, data


def hello():
    """The bytes of a TLS ClientHello."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    settings = ssl.create_default_context()
    client = settings.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


HELLOS = {
    "nothing": lambda: b"",
    "one_byte": lambda: hello()[:1],
    "record_header": lambda: hello()[:5],
    "half_a_hello": lambda: hello()[:100],
    "all_but_one_byte": lambda: hello()[:-1],
    "hello_and_then_nothing": hello,
}


@pytest.mark.parametrize("name", HELLOS)
def test_unfinished_handshake_is_closed(proxy, name):
    before = len(proxy.events("conn_failed"))
    with proxy.tcp("web") as conn:
        conn.send(HELLOS[name]())
        seconds, _ = seconds_to_end(conn)
        assert 0.3 < seconds < 2
    wait_until(lambda: [e for e in proxy.events("conn_failed")[before:]
                        if e["fault"] == "timeout_handshake"], "a line about the handshake")


def test_hello_in_single_bytes_is_closed_in_the_middle(proxy):
    """A byte now and then does not prolong the deadline."""
    with proxy.tcp("web") as conn:
        began = time.monotonic()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for byte in hello():
                conn.send(bytes([byte]))
                time.sleep(0.05)
        assert time.monotonic() - began < 2


def test_unfinished_proxy_header_is_closed(proxy):
    with proxy.tcp("announced") as conn:
        conn.send(b"PROXY TCP4 192.0.2.1")
        seconds, _ = seconds_to_end(conn)
        assert 0.3 < seconds < 2


@pytest.mark.parametrize("listener", ["plain", "web"])
def test_slow_header_gets_408(proxy, listener):
    """Slowloris: a field line every now and then."""
    with (proxy.tls if listener == "web" else proxy.tcp)(listener) as conn:
        conn.send(b"GET /slow-header HTTP/1.1\r\n" + HOST)
        began = time.monotonic()
        conn.sock.settimeout(0.05)
        while time.monotonic() - began < 5:
            try:
                conn.send(b"X-A: b\r\n")
                if not conn._more() or b"\r\n\r\n" in conn.pending:
                    break
            except (socket.timeout, ssl.SSLError):
                pass
            except OSError:
                break
        assert time.monotonic() - began < 2
        conn.sock.settimeout(5)
        response = conn.response()
        assert response.status == 408 and b"timeout_header" in response.body
        assert response.field("connection") == "close"
    proxy.wait_event("access", fault="timeout_header", status=408, listener=listener)


def test_silent_conn_is_closed_without_a_word(proxy):
    """Not a byte of a request: browsers open such conns in advance."""
    with proxy.tcp("plain") as conn:
        seconds, data = seconds_to_end(conn)
        assert 0.3 < seconds < 3


def test_idle_conn_is_closed_without_a_word(proxy):
    with proxy.tls("web") as conn:
        conn.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        assert conn.response().status == 200
        seconds, data = seconds_to_end(conn)
        assert 0.5 < seconds < 3 and data == b""


@pytest.mark.parametrize("framing", [b"Content-Length: 100000\r\n",
                                     b"Transfer-Encoding: chunked\r\n"])
def test_body_below_the_minimum_rate_gets_408(proxy, framing):
    path = b"/slow-body-" + framing[:7].lower()
    with proxy.tcp("plain") as conn:
        conn.send(b"POST " + path + b" HTTP/1.1\r\n" + HOST + framing + b"\r\n")
        began = time.monotonic()
        conn.sock.settimeout(0.1)
        while time.monotonic() - began < 15:
            try:
                conn.send(b"1\r\na\r\n" if b"chunked" in framing else b"a")
                if not conn._more() or b"\r\n\r\n" in conn.pending:
                    break
            except socket.timeout:
                pass
            except OSError:
                break
        assert time.monotonic() - began < 8
        conn.sock.settimeout(5)
        response = conn.response()
        assert response.status == 408 and b"timeout_body" in response.body
    proxy.wait_event("access", path=path.decode(), fault="timeout_body", status=408)


def test_body_above_the_minimum_rate_is_waited_for(proxy):
    with proxy.tcp("plain") as conn:
        conn.send(b"POST /steady HTTP/1.1\r\n" + HOST + b"Content-Length: 100000\r\n\r\n")
        for _ in range(15):
            conn.send(b"x" * 400)
            time.sleep(0.1)
        conn.sock.settimeout(0.05)
        with pytest.raises(socket.timeout):
            conn.sock.recv(1)


@pytest.mark.parametrize("listener", ["plain", "web"])
def test_reader_below_the_minimum_rate_is_cut(proxy, listener):
    with (proxy.tls if listener == "web" else proxy.tcp)(listener) as conn:
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        conn.send(b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n")
        line = proxy.wait_event("access", fault="timeout_send", listener=listener)[0]
        assert line["bytes_out"] < LARGE and line["path"] == "/large"
        with pytest.raises((EOFError, ConnectionResetError, ssl.SSLError)):
            conn.read_until(b"\r\n\r\n")
            conn.read_exactly(LARGE)


def test_slow_clients_cost_no_cpu_and_stop_nobody(proxy):
    """Two hundred of them at once, of several kinds: others are served as ever."""
    worker, = proxy.workers()
    conns = []
    for number in range(200):
        conn = proxy.tcp(("plain", "web")[number % 2])
        conn.send((b"GET / HTTP/1.1\r\nX", b"\x16")[number % 2])
        conns.append(conn)
    used = cpu_seconds(worker)
    began = time.monotonic()
    with proxy.tcp("plain") as conn:
        for _ in range(20):
            conn.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
            assert conn.response().status == 200
    assert time.monotonic() - began < 1
    for conn in conns:
        conn.sock.settimeout(5)
        conn.read_to_end()
        conn.close()
    assert cpu_seconds(worker) - used < 0.5


def test_steady_reader_with_a_small_window_is_not_cut(proxy):
    """The kernel takes megabytes at once and then nothing for a while: the pace that counts is the
    client's, and this one is far above the minimum."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
    with sock:
        sock.settimeout(5)
        sock.connect(("127.0.0.1", proxy.port("plain")))
        sock.sendall(b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n")
        began = time.monotonic()
        while time.monotonic() - began < 3:
            assert sock.recv(25 << 10)
            time.sleep(0.1)
