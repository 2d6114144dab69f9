"""Random pieces, tiny socket buffers, random pauses and sudden ends, on both sides at once: every
exchange that nobody broke off arrives whole and soon, and never as the answer to another one.

SPDX-License-Identifier: Apache-2.0
"""

import concurrent.futures
import contextlib
import hashlib
import json
import os
import random
import select
import socket
import ssl
import threading
import time

import pytest
from conftest import server_settings, wait_until
from h2.events import RequestReceived, StreamEnded
from http2_server import Http2Server

HEAD_END = b"\r\n\r\n"
SEED = int(os.environ.get("SALLYPORT_TORTURE_SEED", "20"))
CLIENTS = 12
CONNS = 5  # of each client, one after the other
PATIENCE = 12  # seconds for a whole conn: much more than any of them takes
REUSED = 8 << 10


def text_of(ident, length):
    """Bytes that tell whose they are."""
    unit = hashlib.sha256(ident.encode()).digest() * (1 + REUSED // 32)
    return (unit * (1 + length // len(unit)))[:length]


def length_of(dice):
    return dice.choice([0, 1, 15, 1000, 4095, 4096, 17 << 10, 100 << 10, dice.randrange(300 << 10)])


def send_in_pieces(sock, data, dice):
    """Everything, cut anywhere; sometimes a pause, so that pieces arrive alone."""
    mode = dice.choice(["whole", "large", "small"])
    most = {"whole": max(len(data), 1), "large": 20000, "small": 600}[mode]
    view = memoryview(data)
    while view:
        piece = dice.randint(1, most)
        sock.sendall(view[:piece])
        view = view[piece:]
        if dice.random() < (0.02 if mode == "large" else 0.005):
            time.sleep(dice.random() * 0.01)


def chunked(data, dice):
    parts = []
    at = 0
    while at < len(data):
        piece = dice.choice([1, 7, 300, 5000, 40000])
        some = data[at:at + piece]
        parts.append(b"%x%s\r\n%s\r\n" % (len(some), dice.choice([b"", b"", b";a=b"]), some))
        at += piece
    trailers = dice.choice([b"", b"x-end: 1\r\n"])
    return b"".join(parts) + b"0\r\n" + trailers + b"\r\n"


class Reader:
    """Reads at its own pace."""

    def __init__(self, sock, dice):
        self.sock = sock
        self.dice = dice
        self.held = b""

    def more(self):
        if self.dice.random() < 0.02:
            time.sleep(self.dice.random() * 0.01)
        room = self.dice.choice([65536, 65536, 4096, 100])
        got = self.sock.recv(room)
        if not got:
            raise EOFError
        self.held += got

    def until(self, mark):
        while mark not in self.held:
            self.more()
        before, _, self.held = self.held.partition(mark)
        return before + mark

    def exactly(self, count):
        while len(self.held) < count:
            self.more()
        taken, self.held = self.held[:count], self.held[count:]
        return taken

    def to_end(self):
        with contextlib.suppress(EOFError, ssl.SSLZeroReturnError):
            while True:
                self.more()
        taken, self.held = self.held, b""
        return taken

    def chunks(self):
        parts = []
        while True:
            size = int(self.until(b"\r\n").split(b";")[0], 16)
            if size == 0:
                while self.until(b"\r\n") != b"\r\n":
                    pass
                return b"".join(parts)
            parts.append(self.exactly(size))
            assert self.exactly(2) == b"\r\n"

    def message(self, has_body=True, until_end=False):
        """(first line, fields, body)"""
        lines = self.until(HEAD_END).decode("latin-1").split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines[1:] if line)
        fields = {name.lower(): value for name, value in fields.items()}
        body = b""
        if has_body and fields.get("transfer-encoding") == "chunked":
            body = self.chunks()
        elif has_body and "content-length" in fields:
            body = self.exactly(int(fields["content-length"]))
        elif has_body and until_end:
            body = self.to_end()
        return lines[0], fields, body


# ---- the backend -----------------------------------------------------------------------------


def respond(sock, method, ident, plan, digest, dice):
    """False: the conn ends here."""
    body = text_of(ident, plan["out"])
    head = b"x-id: %s\r\nx-digest: %s\r\n" % (ident.encode(), digest.encode())
    if plan["early"]:
        head += b"connection: close\r\n"
    if plan["interim"]:
        sock.sendall(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
    kind = plan["kind"]
    if kind == "none":
        send_in_pieces(sock, b"HTTP/1.1 204 No Content\r\n" + head + b"\r\n", dice)
        return True
    framing = {"length": b"content-length: %d\r\n" % len(body),
               "chunked": b"transfer-encoding: chunked\r\n", "close": b""}[kind]
    sent = b"" if method == "HEAD" else chunked(body, dice) if kind == "chunked" else body
    whole = b"HTTP/1.1 200 OK\r\n" + head + framing + b"\r\n" + sent
    if plan["break"] == "backend":
        send_in_pieces(sock, whole[:dice.randrange(len(whole))], dice)
        return False
    send_in_pieces(sock, whole, dice)
    if kind == "close" and method != "HEAD" and isinstance(sock, ssl.SSLSocket):
        with contextlib.suppress(OSError):
            sock.unwrap()  # without it the end would be a truncation
    return kind != "close" or method == "HEAD"


def serve(conn):
    dice = random.Random(SEED)
    reader = Reader(conn.sock, dice)
    while True:
        head = reader.until(HEAD_END).decode("latin-1").split("\r\n")
        fields = {name.lower(): value for name, value in
                  (line.split(": ", 1) for line in head[1:] if line)}
        method = head[0].split(" ")[0]
        ident = fields["x-id"]
        plan = json.loads(fields["x-plan"])
        dice.seed(ident)
        if plan["early"]:
            respond(conn.sock, method, ident, plan, "early", dice)
            return
        if "expect" in fields:
            conn.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        digest = hashlib.sha256()
        if fields.get("transfer-encoding") == "chunked":
            digest.update(reader.chunks())
        elif "content-length" in fields:
            digest.update(reader.exactly(int(fields["content-length"])))
        if not respond(conn.sock, method, ident, plan, digest.hexdigest(), dice):
            return


# ---- the same over HTTP/2: all exchanges on few conns ---


def respond_h2(conn, request, plan, digest, dice):
    ident = request.fields["x-id"]
    body = text_of(ident, plan["out"])
    fields = [("x-id", ident), ("x-digest", digest)]
    if plan["interim"]:
        conn.send_headers(request.id, [(":status", "103"), ("link", "</a>")])
    if plan["kind"] == "none":
        conn.respond(request.id, status=204, fields=fields)
        return
    if plan["kind"] == "length":
        fields.append(("content-length", str(len(body))))
    if plan["break"] == "backend":
        if request.method != "HEAD":  # of which nothing is missing once its head is there
            conn.send_headers(request.id, [(":status", "200"), *fields])
            room = min(conn.h2.local_flow_control_window(request.id), 16384, len(body))
            conn.send_data(request.id, body[:dice.randrange(room + 1)])
        conn.reset(request.id, 2)
        return
    if request.method == "HEAD":
        conn.respond(request.id, fields=fields)
        return
    trailers = [("x-end", "1")] if plan["kind"] == "chunked" else None
    conn.respond(request.id, body, fields=fields, trailers=trailers)


def serve_h2(conn):
    for event in conn.events():
        if not isinstance(event, (RequestReceived, StreamEnded)):
            continue
        request = conn.streams[event.stream_id]
        if request.reset_code is not None:
            continue
        plan = json.loads(request.fields["x-plan"])
        dice = random.Random(request.fields["x-id"])
        if isinstance(event, RequestReceived):
            if plan["early"]:
                respond_h2(conn, request, plan, "early", dice)
            elif "expect" in request.fields:
                conn.send_headers(request.id, [(":status", "100")])
        elif not plan["early"]:
            digest = hashlib.sha256(request.body).hexdigest()
            respond_h2(conn, request, plan, digest, dice)


# ---- the clients -----------------------------------------------------------------------------


def make_plan(dice):
    ends = dice.random()
    return {"out": length_of(dice), "in": length_of(dice) if dice.random() < 0.5 else None,
            "kind": dice.choice(["length", "length", "chunked", "none", "close"]),
            "method": dice.choice(["GET", "GET", "HEAD", "POST", "PUT"]),
            "interim": dice.random() < 0.1, "early": dice.random() < 0.05, "expects": dice.random() < 0.2,
            "chunked": dice.random() < 0.5,
            "break": "client" if ends < 0.03 else "backend" if ends < 0.06 else None}


def write_request(ident, plan, dice):
    """(head, body)"""
    has_body = plan["method"] in ("POST", "PUT") and plan["in"] is not None
    body = text_of(ident + "in", plan["in"]) if has_body else b""
    head = (f"{plan['method']} /{ident} HTTP/1.1\r\nhost: localhost\r\nx-id: {ident}\r\n"
            f"x-plan: {json.dumps(plan)}\r\n").encode()
    if has_body and plan["chunked"]:
        head += b"transfer-encoding: chunked\r\n"
    elif has_body or plan["method"] in ("POST", "PUT"):
        head += b"content-length: %d\r\n" % len(body)
    waits = has_body and plan["expects"] and len(body) > 0
    if waits:
        head += b"expect: 100-continue\r\n"
    sent = chunked(body, dice) if has_body and plan["chunked"] else body
    return head + b"\r\n", sent, hashlib.sha256(body).hexdigest(), waits


class Client:
    def __init__(self, number, connect, ends_tell_nothing=True):
        self.dice = random.Random(SEED * 1000 + number)
        self.ends_tell_nothing = ends_tell_nothing  # the backend's conn may end with a response
        self.number = number
        self.connect = connect
        self.whole = 0

    def run(self):
        for conn in range(CONNS):
            sock = self.connect()
            with contextlib.closing(sock):
                self.use(sock, conn)
        return self.whole

    def use(self, sock, conn):
        plans = [make_plan(self.dice) for _ in range(self.dice.randint(1, 6))]
        idents = [f"{self.number}-{conn}-{i}" for i in range(len(plans))]
        requests = [write_request(*pair, self.dice) for pair in zip(idents, plans)]
        if any(plan["break"] == "client" for plan in plans):
            plans = [{**plan, "break": plan["break"] or "later"} for plan in plans]
        may_continue = threading.Event()
        over = threading.Event()
        sender = threading.Thread(
            target=self.send, args=(sock, requests, plans, may_continue, over), daemon=True)
        sender.start()
        reader = Reader(sock, random.Random(self.number))
        try:
            for request, plan, ident in zip(requests, plans, idents):
                if not self.receive(reader, request, plan, ident, may_continue):
                    break
        except TimeoutError:
            pytest.fail(f"stalled: {ident} of {plans}", pytrace=False)
        finally:
            over.set()
            may_continue.set()
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sender.join()

    def send(self, sock, requests, plans, may_continue, over):
        dice = random.Random(self.number)
        with contextlib.suppress(OSError):
            for (head, body, _, waits), plan in zip(requests, plans):
                if waits:
                    send_in_pieces(sock, head, dice)
                    may_continue.wait(PATIENCE)
                    may_continue.clear()
                else:
                    body = head + body
                if over.is_set():
                    return
                if plan["break"] == "client":
                    send_in_pieces(sock, body[:dice.randrange(len(body) + 1)], dice)
                    sock.shutdown(socket.SHUT_RDWR)
                    return
                send_in_pieces(sock, body, dice)

    def receive(self, reader, request, plan, ident, may_continue):
        """False: no more responses come on this conn."""
        is_sound = plan["break"] is None and not plan["early"]
        try:
            while True:
                line, fields, body = reader.message(has_body=plan["method"] != "HEAD")
                if " 100 " in line:
                    may_continue.set()
                elif " 103 " not in line:
                    break
        except (EOFError, ConnectionError, ssl.SSLError):
            assert not is_sound, f"{ident} was cut: {plan}"
            return False
        status = int(line.split(" ")[1])
        if status in (200, 204):
            assert fields["x-id"] == ident
            assert fields["x-digest"] in (request[2], "early")
            is_cut = plan["break"] == "backend" and plan["method"] != "HEAD" and status == 200
            assert not is_cut or (plan["kind"] == "close" and self.ends_tell_nothing)
            if status == 200 and plan["method"] != "HEAD" and not is_cut:
                assert body == text_of(ident, plan["out"])
        else:
            assert not is_sound, f"{line} for {ident}: {plan}"
        self.whole += is_sound
        may_continue.set()
        if request[3] and status not in (200, 204):
            return False
        return fields.get("connection") != "close"


class BothWays:
    """A socket that one thread reads while another one writes: TLS ones need a lock for that."""

    def __init__(self, sock):
        self.sock = sock
        self.lock = threading.Lock()
        sock.setblocking(False)

    def _attempt(self, call, argument):
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE:
            with self.lock:
                try:
                    return call(argument)
                except (ssl.SSLWantReadError, BlockingIOError):
                    wanted = ([self.sock], [], []) if call == self.sock.recv else ([], [self.sock], [])
                except ssl.SSLWantWriteError:
                    wanted = ([], [self.sock], [])
            select.select(*wanted, 0.5)
        raise TimeoutError

    def recv(self, room):
        return self._attempt(self.sock.recv, room)

    def sendall(self, data):
        view = memoryview(data)
        while view:
            view = view[self._attempt(self.sock.send, view):]

    def shutdown(self, how):
        with self.lock:
            self.sock.shutdown(how)

    def close(self):
        self.sock.close()


def small_conn(port, tls, authority):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 10)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 10)
    sock.connect(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not tls:
        return BothWays(sock)
    settings = ssl.create_default_context(cafile=authority.path)
    return BothWays(settings.wrap_socket(sock, server_hostname="localhost"))


@pytest.mark.parametrize("front", ["plain", "tls"])
@pytest.mark.parametrize("back", ["plain", "tls"])
def test_nothing_stalls_and_nothing_is_mixed_up(sallyport, backend, authority, front, back):
    tls = server_settings(*authority.local) if back == "tls" else None
    server = backend(serve, tls=tls)
    # The conns inherit it. Set on one that is open, it would break the promise of a larger window:
    # the kernel drops what exceeds it, the acknowledgements in there too, and a backend that answers
    # without reading never learns that its answer has arrived.
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        server.socket.setsockopt(socket.SOL_SOCKET, option, 8 << 10)
    proxy = sallyport('''
        certificates: [{name: web, chain: @chain@, key: @key@}]
        listeners:
          - {name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}
          - {name: tls, address: "127.0.0.1:@tls@", routes: [{backend: app}]}
        backends:
          app: {servers: ["@scheme@://127.0.0.1:@app@"]@backend_tls@}
    ''', app=server.port, scheme="https" if tls else "http",
        backend_tls=", tls: {ca: %s}" % authority.path if tls else "")

    def run(number):
        return Client(number, lambda: small_conn(proxy.port(front), front == "tls", authority)).run()

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        assert sum(pool.map(run, range(CLIENTS))) > CLIENTS
    wait_until(lambda: len(open_conns(proxy)) == 0, "the clients' conns to be gone")


@pytest.mark.parametrize("front", ["plain", "tls"])
@pytest.mark.parametrize("back", ["h2c", "h2"])
def test_exchanges_that_share_conns_are_not_mixed_up(sallyport, authority, front, back):
    with Http2Server(serve_h2, tls=authority.local if back == "h2" else None) as server:
        proxy = sallyport('''
            certificates: [{name: web, chain: @chain@, key: @key@}]
            listeners:
              - {name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}
              - {name: tls, address: "127.0.0.1:@tls@", routes: [{backend: app}]}
            backends: {app: {servers: ["@server@"]@backend_tls@}}
        ''', server=server.url,
            backend_tls=", tls: {ca: %s}" % authority.path if back == "h2" else "")

        def run(number):
            connect = lambda: small_conn(proxy.port(front), front == "tls", authority)
            return Client(number, connect, ends_tell_nothing=False).run()

        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            assert sum(pool.map(run, range(CLIENTS))) > CLIENTS
        wait_until(lambda: len(open_conns(proxy)) == 0, "the clients' conns to be gone")
        assert server.violations == [] and len(server.conns) == 1


def open_conns(proxy):
    """Lines of the kernel's table that show an established conn to one of the listeners."""
    ports = {f":{port:04X}" for port in proxy.ports.values()}
    lines = open("/proc/net/tcp").read().splitlines()[1:]
    return [line for line in lines if line.split()[3] == "01" and line.split()[1][-5:] in ports]
