"""gRPC end to end: grpc-js calls grpc-js through the proxy, over TLS in front, and over h2c and over
TLS behind.

SPDX-License-Identifier: Apache-2.0
"""

import json
import pathlib
import shutil
import subprocess
import textwrap
import threading

import pytest
from conftest import (PATIENCE, free_port, lean_sanitizer_settings, resident_bytes, wait_until)
from http2_server import Http2Server, grpc_message

HERE = pathlib.Path(__file__).resolve().parent
SCRIPTS = HERE / "grpc"
MIB = 1 << 20

OK, CANCELLED, UNKNOWN, DEADLINE_EXCEEDED = 0, 1, 2, 4
RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED = 8, 9, 10
UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 12, 13, 14

pytestmark = pytest.mark.skipif(
    not (HERE.parent / "node_modules/@grpc/grpc-js").is_dir() or not shutil.which("node"),
    reason="Node or @grpc/grpc-js is missing: npm ci in tests/")

CONFIG = textwrap.dedent('''
    certificates: [{name: web, chain: @chain@, key: @key@}]
    listeners:
      - {name: web, address: "127.0.0.1:@web@", tls: {certificates: [web]},
         routes: [{host: localhost, path: /, backend: app}]}
    backends: {app: {servers: ["@server@"], tls: {ca: @ca@}}}
''')
PLAIN_CONFIG = CONFIG.replace(", tls: {ca: @ca@}}", "}")


# ---- servers and clients -------------------------------------------------------------------


class GrpcServer:
    def __init__(self, process, port, scheme):
        self.process = process
        self.port = port
        self.url = f"{scheme}://127.0.0.1:{port}"

    def events(self, **fields):
        lines = [json.loads(line) for line in self.process.out.splitlines()]
        return [e for e in lines if all(e.get(key) == value for key, value in fields.items())]

    def wait_event(self, count=1, **fields):
        return self.process.wait_for(
            lambda: len(found := self.events(**fields)) >= count and found, f"{fields}")


def start_server(start, authority, scheme):
    identity = authority.local if scheme == "h2" else ()
    process = start("grpc-server", ["node", SCRIPTS / "server.mjs", *identity])
    line = process.wait_for(lambda: "\n" in process.out and json.loads(process.out.splitlines()[0]),
                            "its port")
    return GrpcServer(process, line["port"], scheme)


def front(sallyport, url, config=None, tail="", **keywords):
    config = config or (CONFIG if url.startswith("h2:") else PLAIN_CONFIG)
    return sallyport(config + textwrap.dedent(tail), server=url, **keywords)


def words(proxy, scenario, **wishes):
    return ["node", SCRIPTS / "client.mjs", proxy.port("web"), proxy.authority.path, scenario,
            json.dumps(wishes)]


def call(proxy, scenario, **wishes):
    """What the client tells of its scenario."""
    done = subprocess.run([str(word) for word in words(proxy, scenario, **wishes)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=3 * PATIENCE)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


class Calling:
    """A client that runs meanwhile."""

    def __init__(self, start, proxy, scenario, **wishes):
        self.process = start("grpc-client", words(proxy, scenario, **wishes))

    def wait_answers(self, count):
        self.process.wait_for(lambda: self.process.out.count('"answered"') >= count,
                              f"{count} answers")

    def outcome(self):
        self.process.wait()
        return json.loads(self.process.out.splitlines()[-1])


@pytest.fixture(scope="module", params=["h2c", "h2"])
def chain(request, standing, standing_start, authority):
    """(proxy, server) of either kind, standing."""
    server = start_server(standing_start, authority, request.param)
    return front(standing, server.url), server


@pytest.fixture(scope="module")
def plain(standing, standing_start, authority):
    """The same, over h2c alone, for what does not depend on it."""
    server = start_server(standing_start, authority, "h2c")
    return front(standing, server.url), server


# ---- the four kinds of calls ---------------------------------------------------------------


def test_unary_call_is_answered(chain):
    proxy, _ = chain
    seen = call(proxy, "unary", bytes=1000)
    assert seen["code"] == OK and seen["same"]
    assert seen["initial"]["x-user-agent"][0].startswith("grpc-node-js/")


def test_client_streams(chain):
    assert call(chain[0], "collect", count=300, bytes=20000) == {
        "code": OK, "count": 300, "bytes": 6000000}


def test_server_streams(chain):
    seen = call(chain[0], "spread", count=300, bytes=20000)
    assert (seen["code"], seen["messages"], seen["bytes"]) == (OK, 300, 6000000)
    assert seen["ordered"]


def test_both_stream_at_once(chain):
    """Each message waits for the answer to the one before: nothing is held back either way."""
    seen = call(chain[0], "chat", count=200, bytes=100)
    assert (seen["code"], seen["messages"], seen["same"]) == (OK, 200, 200)


def test_empty_messages_pass(plain):
    seen = call(plain[0], "chat", count=5, bytes=0)
    assert (seen["code"], seen["same"]) == (OK, 5)


# ---- metadata and status -------------------------------------------------------------------


def test_metadata_and_trailers_pass(chain):
    fields = [["x-one", "a"], ["x-one", "b"], ["x-long", "v" * 5000], ["x-raw-bin", "00ff10"]]
    seen = call(chain[0], "unary", bytes=1, metadata=fields)
    for first, where in (("x-", seen["initial"]), ("x-last-", seen["trailers"])):
        assert ", ".join(where[first + "one"]) == "a, b"
        assert where[first + "long"] == ["v" * 5000]
        assert where[first + "raw-bin"] == ["00ff10"]


def test_refusal_without_messages_keeps_code_text_and_metadata(chain):
    seen = call(chain[0], "unary", method="Refuse", bytes=1)
    assert seen["code"] == FAILED_PRECONDITION
    assert seen["details"] == "not now: 100 % – sorry"
    assert seen["trailers"]["x-why"] == ["because"]


def test_server_that_gives_up_after_messages_is_heard(chain):
    seen = call(chain[0], "break")
    assert (seen["code"], seen["details"], seen["messages"]) == (ABORTED, "given up", 2)


def test_compressed_messages_stay_compressed(plain):
    proxy, _ = plain
    before = len(proxy.events("access"))
    seen = call(proxy, "unary", bytes=2 * MIB, zeros=True, gzip=True)
    assert seen["code"] == OK and seen["same"]
    line = proxy.wait_event("access", count=before + 1)[before]
    assert 0 < line["bytes_in"] < 100000


def test_te_trailers_and_the_deadline_reach_the_server(sallyport):
    heads = []

    def serve(conn):
        for request in conn.requests():
            heads.append(request.fields)
            conn.send_headers(request.id, [(":status", "200"), ("content-type", "application/grpc")])
            conn.send_data(request.id, grpc_message(b"fine"))
            conn.send_headers(request.id, [("grpc-status", "0")], end_stream=True)
    with Http2Server(serve) as server:
        seen = call(front(sallyport, server.url), "unary", bytes=3, deadline=20000)
    assert seen["code"] == OK and seen["answer"] == "fine"
    head, = heads
    assert head["te"] == "trailers" and head["content-type"] == "application/grpc"
    assert head["grpc-timeout"] and head[":path"] == "/test.Echo/Unary"


# ---- deadlines and cancellation ------------------------------------------------------------


def test_deadline_ends_the_call_on_both_sides(plain):
    proxy, server = plain
    seen = call(proxy, "unary", method="Wait", bytes=1, deadline=2000)
    assert seen["code"] == DEADLINE_EXCEEDED
    assert server.wait_event(event="began", name="Wait")[-1]["deadline"]
    server.wait_event(event="cancelled", name="Wait")


def test_cancelled_stream_is_cancelled_at_the_server(chain):
    proxy, server = chain
    seen = call(proxy, "chat", method="WaitStream", count=3, bytes=10, cancel=True)
    assert (seen["code"], seen["same"]) == (CANCELLED, 3)
    server.wait_event(event="cancelled", name="WaitStream")
    assert call(proxy, "unary", bytes=10)["code"] == OK


def test_cancelled_download_stops_the_server(plain):
    """The server would send 2 GB."""
    proxy, server = plain
    seen = call(proxy, "spread", count=20000, bytes=100000, cancel_after=5)
    assert seen["code"] == CANCELLED
    server.wait_event(event="cancelled", name="Spread")


def test_client_that_dies_cancels_its_call(plain, start):
    proxy, server = plain
    count = len(server.events(event="cancelled", name="WaitStream"))
    calling = Calling(start, proxy, "chat", method="WaitStream", count=1, bytes=10, stay=True)
    calling.wait_answers(1)
    calling.process.popen.kill()
    server.wait_event(count + 1, event="cancelled", name="WaitStream")


def cutting(cut, head=True):
    """A server that answers the head and half of a message, and then does what `cut` says."""
    def serve(conn):
        for request in conn.requests():
            if head:
                conn.send_headers(request.id,
                                  [(":status", "200"), ("content-type", "application/grpc")])
                conn.send_data(request.id, grpc_message(b"whole") + b"\0\0\0\1")
            cut(conn, request)
    return serve


@pytest.mark.parametrize("code, status, fault", [(2, INTERNAL, "backend_truncated"),
                                                 (8, CANCELLED, "backend_cancelled")])
def test_servers_reset_reaches_the_client(sallyport, code, status, fault):
    """After a head the status is not ours to invent: the call ends by the reset that its server chose."""
    with Http2Server(cutting(lambda conn, request: conn.reset(request.id, code))) as server:
        proxy = front(sallyport, server.url)
        seen = call(proxy, "unary", bytes=1)
        assert seen["code"] == status and not seen["same"]
        proxy.wait_event("access", path="/test.Echo/Unary", fault=fault)


def test_server_that_closes_in_a_call_reaches_the_client(sallyport):
    with Http2Server(cutting(lambda conn, request: conn.close())) as server:
        proxy = front(sallyport, server.url)
        assert call(proxy, "unary", bytes=1)["code"] in (INTERNAL, CANCELLED, UNAVAILABLE)
        proxy.wait_event("access", path="/test.Echo/Unary", fault="backend_truncated")


def test_server_that_closes_before_its_head_is_unavailable(sallyport):
    with Http2Server(cutting(lambda conn, request: conn.close(), head=False)) as server:
        proxy = front(sallyport, server.url)
        seen = call(proxy, "unary", bytes=1)
        assert seen["code"] == UNAVAILABLE and "(backend_reset)" in seen["details"]
        proxy.wait_event("access", path="/test.Echo/Unary", fault="backend_reset")


def test_stop_ends_calls_when_the_drain_is_over(sallyport, start, authority):
    server = start_server(start, authority, "h2c")
    proxy = front(sallyport, server.url, tail="timeouts: {drain: 1s}\n")
    calling = Calling(start, proxy, "chat", method="WaitStream", count=1, bytes=10, stay=True)
    calling.wait_answers(1)
    assert proxy.stop() == 0
    assert calling.outcome()["code"] in (CANCELLED, UNAVAILABLE)
    server.wait_event(event="cancelled", name="WaitStream")
    assert proxy.events("access")[-1]["fault"] == "drain_deadline"


# ---- time and size -------------------------------------------------------------------------


def test_quiet_stream_outlives_the_timeouts(sallyport, start, authority):
    server = start_server(start, authority, "h2c")
    proxy = front(sallyport, server.url, tail='''
        timeouts: {response: 500ms, header: 500ms, idle: 1s, rate_grace: 200ms,
                   minimum_rate: 1KiB/s, backend_idle: 500ms, ping: 1s}
    ''')
    seen = call(proxy, "chat", count=2, bytes=10, pause=2500)
    assert (seen["code"], seen["same"]) == (OK, 2)


def test_quiet_call_is_not_asked_again_and_again(sallyport, start):
    """Servers of gRPC close a conn after the fourth PING with nothing else between them."""
    def serve(conn):
        for request in conn.requests():
            conn.send_headers(request.id, [(":status", "200"), ("content-type", "application/grpc")])
            if request.path.endswith("Unary"):
                conn.send_data(request.id, grpc_message(b"fine"))
                conn.send_headers(request.id, [("grpc-status", "0")], end_stream=True)
    with Http2Server(serve) as server:
        proxy = front(sallyport, server.url, tail="timeouts: {ping: 1s}\n")
        Calling(start, proxy, "spread")
        wait_until(lambda: server.requests, "the call")
        threading.Event().wait(4.5)
        assert [conn.pings for conn in server.conns] == [1]
        assert call(proxy, "unary", bytes=1)["answer"] == "fine"


def test_large_messages_pass_in_bounded_memory(sallyport, start, authority):
    server = start_server(start, authority, "h2c")
    proxy = front(sallyport, server.url, _env=lean_sanitizer_settings())
    assert call(proxy, "unary", bytes=MIB)["same"]
    worker, = proxy.workers()
    before = most = resident_bytes(worker)
    calling = Calling(start, proxy, "unary", bytes=64 * MIB)
    while calling.process.running():
        most = max(most, resident_bytes(worker))
        threading.Event().wait(0.01)
    assert calling.outcome()["same"]
    assert most - before < 24 * MIB, f"{(most - before) >> 20} MiB more"


def conns_to(port):
    """Established conns to a local port, as the kernel lists them."""
    lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
    rows = [line.split() for line in lines]
    return sum(row[3] == "01" and row[2].endswith(f":{port:04X}") for row in rows)


def test_many_calls_share_few_conns(sallyport, start, authority):
    server = start_server(start, authority, "h2c")
    proxy = front(sallyport, server.url)
    assert call(proxy, "together", count=300)["same"] == 300
    assert 1 <= conns_to(server.port) <= 4


# ---- answers of our own --------------------------------------------------------------------


def assert_ours(proxy, code, fault, scenario="unary", **wishes):
    seen = call(proxy, scenario, **{"bytes": 10, **wishes})
    assert seen["code"] == code and f"({fault})" in seen["details"], seen
    line = proxy.wait_event("access", fault=fault)[-1]
    assert line["protocol"] == "HTTP/2" and line["status"] == 200
    assert line["path"].startswith("/test.Echo/")
    return seen


def test_backend_that_is_down_is_unavailable(sallyport):
    assert_ours(front(sallyport, f"h2c://127.0.0.1:{free_port()}"), UNAVAILABLE, "backend_refused")


def test_no_route_is_unimplemented(plain):
    assert_ours(plain[0], UNIMPLEMENTED, "no_route", authority="elsewhere.example")


def test_message_above_the_limit_is_exhausted(sallyport, start, authority):
    server = start_server(start, authority, "h2c")
    proxy = front(sallyport, server.url, tail="limits: {body_bytes: 100KiB}\n")
    assert_ours(proxy, RESOURCE_EXHAUSTED, "limit_body_bytes", bytes=MIB)
    assert_ours(proxy, RESOURCE_EXHAUSTED, "limit_body_bytes", "collect", count=5, bytes=MIB)
    assert call(proxy, "collect", count=100, bytes=5000)["code"] == OK  # no end to the call
    assert call(proxy, "unary", bytes=50000)["code"] == OK


def test_backend_of_http1_is_unavailable_and_told(sallyport, backend):
    server = backend()
    seen = assert_ours(front(sallyport, f"http://127.0.0.1:{server.port}"), UNAVAILABLE,
                       "backend_no_grpc")
    assert "HTTP/1.1" in seen["details"]
    assert server.all_received() == b""


def test_backend_that_does_not_answer_its_ping_is_given_up(sallyport):
    """Calls may be silent for days, conns may not."""
    def stall(conn):
        next(conn.requests())
        conn.wait_closed()
    with Http2Server(stall) as server:
        proxy = front(sallyport, server.url, tail="timeouts: {ping: 1s}\n")
        assert_ours(proxy, DEADLINE_EXCEEDED, "timeout_response")


def test_grpc_over_http1_gets_a_page_that_says_so(plain):
    proxy, _ = plain
    done = subprocess.run(
        ["curl", "-sS4", "--http1.1", "--cacert", str(proxy.authority.path), "-w", "%{http_code}",
         "-H", "content-type: application/grpc", "--data-binary", "x",
         f"https://localhost:{proxy.port('web')}/test.Echo/Old"],
        capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout.endswith("505") and "Fault: client_no_grpc" in done.stdout
    proxy.wait_event("access", path="/test.Echo/Old", fault="client_no_grpc", status=505)
