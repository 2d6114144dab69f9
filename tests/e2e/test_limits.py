"""Limits: what is too large, too many or too long is refused with its own status and fault code.

SPDX-License-Identifier: Apache-2.0
"""

import os
import re
import resource
import subprocess
import textwrap
import threading
import time

import pytest
from conftest import cpu_seconds, wait_until

HOST = b"Host: localhost\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def drain(conn):
    """Answers when a request is complete, and reads bodies of any size."""
    while conn.request() is not None:
        conn.send(OK)


@pytest.fixture(scope="module")
def recorder(standing_backend):
    return standing_backend(drain)


@pytest.fixture(scope="module")
def proxy(standing, recorder):
    return standing('''
        listeners:
          - {name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}
        backends: {app: {servers: ["http://127.0.0.1:@app@"]}}
        limits: {header_bytes: 4KiB, header_count: 20, uri_bytes: 1KiB, body_bytes: 10000B}
    ''', app=recorder.port)


def fields(count, size=10):
    return b"".join(b"X-%d: %s\r\n" % (number, b"a" * size) for number in range(count))


REFUSED = {
    "uri_too_long": (b"GET /" + b"a" * 1100 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414,
                     "limit_uri_bytes"),
    "uri_without_end": (b"GET /" + b"a" * 100000, 414, "limit_uri_bytes"),
    "query_too_long": (b"GET /?" + b"a" * 1100 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414,
                       "limit_uri_bytes"),
    "field_too_large": (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 5000 + b"\r\n\r\n", 431,
                        "limit_header_bytes"),
    "field_without_end": (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 100000, 431,
                          "limit_header_bytes"),
    "fields_too_large_together": (b"GET / HTTP/1.1\r\n" + HOST + fields(18, 300) + b"\r\n", 431,
                                  "limit_header_bytes"),
    "too_many_fields": (b"GET / HTTP/1.1\r\n" + HOST + fields(20) + b"\r\n", 431,
                        "limit_header_count"),
    "body_too_large_by_length": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 10001\r\n\r\n",
                                 413, "limit_body_bytes"),
    "body_too_large_by_chunks": (b"POST / HTTP/1.1\r\n" + HOST +
                                 b"Transfer-Encoding: chunked\r\n\r\n" +
                                 (b"3e8\r\n" + b"a" * 1000 + b"\r\n") * 11 + b"0\r\n\r\n",
                                 413, "limit_body_bytes"),
    "body_of_one_huge_chunk": (b"POST / HTTP/1.1\r\n" + HOST +
                               b"Transfer-Encoding: chunked\r\n\r\n40000000\r\n" + b"a" * 20000,
                               413, "limit_body_bytes"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_too_much_is_refused(proxy, recorder, name):
    request, status, fault = REFUSED[name]
    with proxy.tcp("plain") as conn:
        conn.send(request)
        response = conn.response()
        assert (response.status, response.field("connection")) == (status, "close")
        assert f"Fault: {fault}".encode() in response.body
    identity = re.search(rb"Request id: (\w+)", response.body).group(1).decode()
    proxy.wait_event("access", id=identity, status=status, fault=fault)
    assert b"0\r\n\r\n" not in recorder.all_received(), "a cut body looks complete"


ALLOWED = {
    "uri": b"GET /" + b"a" * 1000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "header": b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 3900 + b"\r\n\r\n",
    "count": b"GET / HTTP/1.1\r\n" + HOST + fields(19) + b"\r\n",
    "body": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 10000\r\n\r\n" + b"a" * 10000,
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_just_fits_is_served(proxy, name):
    with proxy.tcp("plain") as conn:
        conn.send(ALLOWED[name])
        assert conn.response().status == 200


def test_default_body_limit_is_100_mib(sallyport, backend):
    proxy = sallyport('''
        listeners:
          - {name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}
        backends: {app: {servers: ["http://127.0.0.1:@app@"]}}
    ''', app=backend(drain).port)
    for size, status in ((100 << 20) + 1, 413), (16 << 10, 200):
        with proxy.tcp("plain") as conn:
            conn.send(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % size)
            if status == 200:
                conn.send(b"x" * size)
            assert conn.response().status == status


def test_response_header_of_16_kib_passes_by_default(sallyport, backend):
    proxy = sallyport('''
        listeners:
          - {name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}
        backends: {app: {servers: ["http://127.0.0.1:@app@"]}}
    ''', app=backend(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 16384 + b"\r\nContent-Length: 0\r\n\r\n")
        .port)
    with proxy.tcp("plain") as conn:
        conn.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        assert len(conn.response().field("x")) == 16384


# ---- conns ---------------------------------------------------------------------------------


def asks(conn):
    conn.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
    return conn.response().status


def test_conns_beyond_the_limit_wait_and_are_served_when_there_is_room(sallyport, backend):
    proxy = sallyport(textwrap.dedent('''
        listeners:
          - {name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}
        backends: {app: {servers: ["http://127.0.0.1:@app@"]}}
        limits: {connections: 40}
    '''), app=backend().port)
    worker, = proxy.workers()
    first = [proxy.tcp("plain") for _ in range(40)]
    assert [asks(conn) for conn in first] == [200] * 40
    waiting = [proxy.tcp("plain") for _ in range(5)]
    used = cpu_seconds(worker)
    for conn in waiting:
        conn.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
    time.sleep(1)
    assert cpu_seconds(worker) - used < 0.1, "a paused listener spins"
    assert proxy.events("accept_paused")
    for conn in first[:5]:
        conn.close()
    assert [conn.response().status for conn in waiting] == [200] * 5
    for conn in first + waiting:
        conn.close()
    with proxy.tcp("plain") as conn:
        assert asks(conn) == 200


def test_running_out_of_descriptors_pauses_accepting_and_never_spins(sallyport, backend):
    """A limit so low that half of it, which is kept for backends, is soon needed: what is open goes
    on, the others wait, and everybody is served in the end."""
    proxy = sallyport('''
        listeners:
          - {name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}
        backends: {app: {servers: ["http://127.0.0.1:@app@"], keepalive: off}}
    ''', app=backend().port, _before=["prlimit", "--nofile=100:100"])
    worker, = proxy.workers()
    old = [proxy.tcp("plain") for _ in range(10)]
    assert [asks(conn) for conn in old] == [200] * 10
    crowd = [proxy.tcp("plain") for _ in range(150)]
    proxy.wait_event("accept_paused")
    used = cpu_seconds(worker)
    time.sleep(1)
    assert cpu_seconds(worker) - used < 0.1, "running out of descriptors spins"
    assert [asks(conn) for conn in old] == [200] * 10
    for conn in old:
        conn.close()
    for conn in crowd:
        assert asks(conn) == 200
        conn.close()


def test_backend_conns_are_bounded_and_requests_wait_their_turn(sallyport, backend):
    """max_connections: no more conns to a server than that; a request that finds none free is
    answered at once with 503 or later with 200, never lost."""
    at_once, most, lock = [0], [0], threading.Lock()

    def slow(conn):
        while conn.request() is not None:
            with lock:
                at_once[0] += 1
                most[0] = max(most[0], at_once[0])
            time.sleep(0.1)
            with lock:
                at_once[0] -= 1
            conn.send(OK)
    proxy = sallyport('''
        listeners:
          - {name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}
        backends: {app: {servers: ["http://127.0.0.1:@app@"], max_connections: 2}}
    ''', app=backend(slow).port)
    conns = [proxy.tcp("plain") for _ in range(8)]
    for conn in conns:
        conn.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
    responses = [conn.response() for conn in conns]
    for response in responses:
        assert response.status == 200 or b"backend_busy" in response.body
    assert most[0] <= 2 and [r.status for r in responses].count(200) >= 2
    for conn in conns:
        conn.close()


def test_drain_lets_running_exchanges_end_and_refuses_new_conns(sallyport, backend):
    begun, go_on = threading.Event(), threading.Event()

    def slow(conn):
        while conn.request() is not None:
            begun.set()
            go_on.wait(20)
            conn.send(OK)
    proxy = sallyport('''
        listeners:
          - {name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}
        backends: {app: {servers: ["http://127.0.0.1:@app@"]}}
    ''', app=backend(slow).port)
    idle = proxy.tcp("plain")
    with proxy.tcp("plain") as conn:
        conn.send(b"GET /last HTTP/1.1\r\n" + HOST + b"\r\n")
        assert begun.wait(10)
        subprocess.run(["kill", "-TERM", str(proxy.pid)], check=True)
        assert idle.read_to_end() == b"", "an idle conn is closed at once"
        time.sleep(0.1)
        with pytest.raises((ConnectionRefusedError, ConnectionResetError, EOFError)):
            with proxy.tcp("plain") as late:
                asks(late)
        go_on.set()
        response = conn.response()
        assert (response.status, response.field("connection")) == (200, "close")
    idle.close()
    assert proxy.process.wait(10) == 0
    proxy.wait_event("access", path="/last", status=200) if proxy.process.running() else None
    assert [e for e in proxy.events("access") if e.get("path") == "/last" and e["status"] == 200]


def test_drain_ends_at_its_deadline(sallyport, backend):
    proxy = sallyport(textwrap.dedent('''
        listeners:
          - {name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}
        backends: {app: {servers: ["http://127.0.0.1:@app@"]}}
        timeouts: {drain: 500ms}
    '''), app=backend(lambda conn: conn.read_to_end()).port)
    with proxy.tcp("plain") as conn:
        conn.send(b"GET /stuck HTTP/1.1\r\n" + HOST + b"\r\n")
        wait_until(lambda: not conn.ended and time.sleep(0.2) is None, "a moment")
        began = time.monotonic()
        subprocess.run(["kill", "-TERM", str(proxy.pid)], check=True)
        conn.read_to_end()
        assert proxy.process.wait(10) == 0
        assert 0.3 < time.monotonic() - began < 4
    line, = [e for e in proxy.events("access") if e.get("path") == "/stuck"]
    assert line["fault"] == "drain_deadline"
