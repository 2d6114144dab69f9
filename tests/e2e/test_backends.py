"""Backends: dead ones are noticed fast and named, others take over, https ones must prove who they
are before they get a byte.

SPDX-License-Identifier: Apache-2.0
"""

import base64
import hashlib
import pathlib
import socket
import ssl
import tempfile
import textwrap
import threading
import time

import pytest
from conftest import Authority, free_port, server_settings
from cryptography import x509
from cryptography.hazmat.primitives import serialization

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

CONFIG = textwrap.dedent('''
    listeners:
      - {name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}
    backends: {app: {servers: [@servers@]@more@}}
    timeouts: {connect: 700ms, response: 1s, backend_idle: 30s}
''')


@pytest.fixture
def front(sallyport):
    """front(server URLs..., more=keys of the backend) → proxy"""
    def start(*servers, more="", tail="", **values):
        return sallyport(CONFIG + textwrap.dedent(tail),
                         servers=", ".join(f'"{server}"' for server in servers),
                         more=f", {more}" if more else "", **values)
    return start


def url(server):
    return f"http://127.0.0.1:{server.port}"


def ask(proxy, path=b"/", method=b"GET", body=b""):
    with proxy.tcp("plain") as conn:
        length = b"Content-Length: %d\r\n" % len(body) if method == b"POST" else b""
        conn.send(method + b" " + path + b" HTTP/1.1\r\nHost: localhost\r\n" + length + b"\r\n" +
                  body)
        return conn.response()


def named(name):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(name), name)


# ---- dead ones -----------------------------------------------------------------------------


def assert_fault(proxy, status, fault, within, **keywords):
    began = time.monotonic()
    response = ask(proxy, b"/fault", **keywords)
    assert time.monotonic() - began < within
    assert response.status == status and f"Fault: {fault}".encode() in response.body
    line = proxy.wait_event("access", path="/fault", fault=fault)[0]
    assert line["status"] == status and line["backend"] == "app"


@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_server_that_refuses_is_502_at_once(front, method):
    assert_fault(front(f"http://127.0.0.1:{free_port()}"), 502, "backend_refused", 1,
                 method=method, body=b"x")


def test_server_that_swallows_connects_is_504_after_the_connect_time(front):
    """A listening socket whose queue is full drops what comes, as a black hole does."""
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        port = hole.getsockname()[1]
        fillers = []
        for _ in range(4):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
            fillers.append(sock)
        time.sleep(0.1)
        assert_fault(front(f"http://127.0.0.1:{port}"), 504, "timeout_connect", 2.5)
        for sock in fillers:
            sock.close()


@pytest.mark.parametrize("when", ["at_once", "after_the_request"])
def test_server_that_resets_is_502(front, backend, when):
    def reset(conn):
        if when == "after_the_request":
            conn.request()
        conn.reset()
    assert_fault(front(url(backend(reset))), 502, "backend_reset", 1)


def test_server_that_says_nothing_is_504(front, backend):
    assert_fault(front(url(backend(lambda conn: conn.read_to_end()))), 504, "timeout_response", 3)


def test_server_that_stops_in_the_middle_is_cut(front, backend):
    def stop(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        conn.read_to_end()
    proxy = front(url(backend(stop)))
    with pytest.raises((EOFError, ConnectionResetError)):
        ask(proxy, b"/stops")
    proxy.wait_event("access", path="/stops", fault="timeout_response")


def test_name_that_does_not_resolve_is_502(front):
    proxy = front("http://no-such-name.invalid:80", tail="enforcement: {plaintext: any}\n")
    assert_fault(proxy, 502, "backend_name", 7)


def test_name_of_the_hosts_file_is_resolved(front, backend):
    assert ask(front(f"http://localhost:{backend(OK).port}")).body == b"ok"


def test_unix_socket_serves(front, backend):
    with tempfile.TemporaryDirectory() as folder:  # one that workers of another account can enter
        path = pathlib.Path(folder) / "app.sock"
        path.parent.chmod(0o755)
        backend(OK, unix=path)
        path.chmod(0o666)
        proxy = front(f"unix:{path}")
        for _ in range(3):
            assert ask(proxy).body == b"ok"


def test_unix_socket_that_is_not_there_is_502(front, tmp_path):
    assert_fault(front(f"unix:{tmp_path}/nobody.sock"), 502, "backend_refused", 1)


def test_server_over_ip6_serves(front, backend):
    assert ask(front(f"http://[::1]:{backend(OK, address='::1').port}")).body == b"ok"


def test_server_that_comes_back_is_used_again(front, backend):
    port = free_port()
    proxy = front(f"http://127.0.0.1:{port}")
    assert ask(proxy).status == 502
    with socket.create_server(("127.0.0.1", port)) as server:
        def serve():
            sock, _ = server.accept()
            sock.recv(4096)
            sock.sendall(OK)
            sock.close()
        threading.Thread(target=serve, daemon=True).start()
        assert ask(proxy).status == 200


# ---- several servers -----------------------------------------------------------------------


@pytest.mark.parametrize("method", [b"GET", b"POST"])
@pytest.mark.parametrize("balance", ["round_robin", "least_requests"])
def test_dead_server_is_passed_over(front, backend, balance, method):
    """Nothing was sent to the dead one, so even a POST may go to the next."""
    alive = backend(OK)
    proxy = front(f"http://127.0.0.1:{free_port()}", url(alive), more=f"balance: {balance}")
    for _ in range(6):
        assert ask(proxy, b"/over", method, b"body").status == 200
    lines = proxy.wait_event("access", count=6, path="/over")
    assert any(line.get("retries") for line in lines)
    assert all(line["server"] == url(alive) for line in lines)


def test_all_servers_dead_is_502_after_each_was_tried(front):
    proxy = front(*[f"http://127.0.0.1:{free_port()}" for _ in range(3)])
    assert ask(proxy, b"/all-dead").status == 502
    line, = proxy.wait_event("access", path="/all-dead")
    assert line["retries"] == 2


def test_round_robin_takes_turns(front, backend):
    proxy = front(*[url(backend(named(name))) for name in (b"a", b"b", b"c")],
                  more="balance: round_robin")
    answers = [ask(proxy).body for _ in range(12)]
    assert sorted(answers[:3]) == [b"a", b"b", b"c"] and answers == answers[:3] * 4


def test_least_requests_avoids_the_busy_server(front, backend):
    go_on = threading.Event()

    def busy(conn):
        while conn.request() is not None:
            go_on.wait(10)
            conn.send(named(b"busy"))
    proxy = front(url(backend(busy)), url(backend(named(b"free"))),
                  more="balance: least_requests", tail="")
    with proxy.tcp("plain") as first, proxy.tcp("plain") as second:
        for conn in (first, second):
            conn.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.2)  # one of the two is answered now, the other waits
        answers = [ask(proxy).body for _ in range(10)]
        assert answers == [b"free"] * 10
        go_on.set()
        assert {first.response().body, second.response().body} == {b"busy", b"free"}


# ---- conns that are kept -------------------------------------------------------------------


def test_server_conns_are_kept_for_others(front, backend):
    server = backend(OK)
    proxy = front(url(server))
    for _ in range(10):
        assert ask(proxy).status == 200
    assert len(server.received) == 1


def test_server_conns_are_not_kept_when_told_so(front, backend):
    server = backend(OK)
    proxy = front(url(server), more="keepalive: off")
    for _ in range(3):
        assert ask(proxy).status == 200
    assert len(server.received) == 3


def once(close):
    """Answers one request a conn; a second one on it finds it closed, without a warning."""
    def serve(conn):
        if conn.request() is not None:
            conn.send(OK)
            close.wait(10)
            conn.request()  # the next one has arrived, or the conn is at its end
            conn.reset()
    return serve


def test_get_on_a_stale_conn_is_tried_again(front, backend):
    """The server closed the idle conn just as the request left: nobody did anything yet."""
    close = threading.Event()
    close.set()
    server = backend(once(close))
    proxy = front(url(server))
    for _ in range(4):
        assert ask(proxy, b"/again").status == 200
    assert server.all_received().count(b"GET /again") >= 5, "no conn was stale"


def test_post_on_a_stale_conn_is_never_sent_twice(front, backend):
    close = threading.Event()
    close.set()
    server = backend(once(close))
    proxy = front(url(server))
    assert ask(proxy).status == 200
    response = ask(proxy, b"/once", b"POST", b"pay 100")
    assert response.status == 502 and b"backend_reset" in response.body
    assert server.all_received().count(b"POST /once") == 1


def test_post_is_served_after_the_server_has_closed_idle_conns(front, backend):
    """An idle conn whose end is known is not used, so even a POST is safe."""
    def polite(conn):
        conn.request()
        conn.send(OK)
        time.sleep(0.05)
    proxy = front(url(backend(polite)))
    for _ in range(5):
        assert ask(proxy, b"/", b"POST", b"pay 100").status == 200
        time.sleep(0.15)


# ---- https ---------------------------------------------------------------------------------


@pytest.fixture
def secure(sallyport, authority, backend):
    """secure(chain and key, tls keys, host) → (proxy, backend): an https server behind us."""
    def start(identity, tls="", host="localhost", answer=OK, settings=None, enforcement="{}",
              certificates="[]", **values):
        server = backend(answer, tls=settings or server_settings(*identity))
        proxy = sallyport(textwrap.dedent('''
            enforcement: @enforcement@
            certificates: @certificates@
            listeners:
              - {name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}
            backends:
              app: {servers: ["https://@host@:@app@"], tls: {ca: @trusted@@tls@}}
            timeouts: {connect: 3s, response: 3s}
        '''), app=server.port, host=host, tls=f", {tls}" if tls else "", enforcement=enforcement,
            certificates=certificates, **{"trusted": authority.path, **values})
        return proxy, server
    return start


def pin_of(chain):
    certificate = x509.load_pem_x509_certificate(chain.read_bytes())
    key = certificate.public_key().public_bytes(serialization.Encoding.DER,
                                                serialization.PublicFormat.SubjectPublicKeyInfo)
    return "sha256/" + base64.b64encode(hashlib.sha256(key).digest()).decode()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_verified_server_serves(secure, authority, host, kind):
    proxy, server = secure(authority.issue("localhost", "127.0.0.1", kind=kind), host=host)
    for _ in range(3):
        assert ask(proxy).body == b"ok"
    assert len(server.received) == 1 and not server.faults


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_server_of_either_version_serves(secure, authority, version):
    identity = authority.issue("localhost")
    proxy, _ = secure(identity, settings=server_settings(*identity, version=version))
    assert ask(proxy).body == b"ok"


def test_name_of_the_server_is_sent_and_can_be_set(secure, authority):
    identity = authority.issue("internal.example")
    settings, names = server_settings(*identity), []
    settings.sni_callback = lambda sock, name, context: names.append(name)
    proxy, _ = secure(identity, "server_name: internal.example", settings=settings)
    assert ask(proxy).body == b"ok" and names == ["internal.example"]


def other_authority(tmp_path):
    return Authority(tmp_path / "other", "somebody else's CA")


def wrong(name, authority, tmp_path):
    """(identity, keys) of a server that must not be trusted."""
    return {
        "wrong_name": lambda: (authority.issue("other.example"), ""),
        "address_is_no_name": lambda: (authority.issue("127.0.0.1"), ""),
        "unknown_ca": lambda: (other_authority(tmp_path).issue("localhost"), ""),
        "expired": lambda: (authority.issue("localhost", days=(-10, -1)), ""),
        "not_yet_valid": lambda: (authority.issue("localhost", days=(2, 10)), ""),
        "for_clients_only": lambda: (authority.issue("localhost", usage="client"), ""),
        "wrong_pin": lambda: (authority.issue("localhost"), f'pin: "sha256/{"A" * 43}="'),
        "right_pin_of_unknown_ca": lambda: (
            (issued := other_authority(tmp_path).issue("localhost")),
            f'pin: "{pin_of(issued[0])}"'),
    }[name]()


@pytest.mark.parametrize("name", ["wrong_name", "address_is_no_name", "unknown_ca", "expired",
                                  "not_yet_valid", "for_clients_only", "wrong_pin",
                                  "right_pin_of_unknown_ca"])
def test_server_that_cannot_be_trusted_gets_nothing(secure, authority, tmp_path, name):
    identity, keys = wrong(name, authority, tmp_path)
    proxy, server = secure(identity, keys)
    response = ask(proxy, b"/secret?token=1")
    assert response.status == 502 and b"backend_unverified" in response.body
    proxy.wait_event("access", path="/secret", fault="backend_unverified")
    assert server.all_received() == b"", "it got bytes of the request"


def test_pinned_server_serves(secure, authority):
    identity = authority.issue("localhost")
    proxy, _ = secure(identity, f'pin: "{pin_of(identity[0])}"')
    assert ask(proxy).body == b"ok"


def test_server_that_nobody_verifies_serves(secure, tmp_path):
    proxy, _ = secure(other_authority(tmp_path).issue("elsewhere.example"),
                      enforcement="{verify_backends: no}")
    assert ask(proxy).body == b"ok"


def test_server_with_weak_suites_only_is_refused(secure, authority):
    identity = authority.issue("localhost")
    settings = server_settings(*identity, version="1.2")
    settings.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    proxy, server = secure(identity, settings=settings)
    response = ask(proxy)
    assert response.status == 502 and b"backend_tls" in response.body
    assert server.all_received() == b""


def test_our_certificate_is_shown_to_a_server_that_asks(secure, authority):
    chain, key = authority.issue("sallyport.example", usage="client")
    identity = authority.issue("localhost")
    settings = server_settings(*identity, client_ca=authority.path)
    subjects = []

    def answer(conn):
        subjects.append(dict(pair[0] for pair in conn.sock.getpeercert()["subject"]))
        while conn.request() is not None:
            conn.send(OK)
    proxy, _ = secure(identity, "certificate: own", settings=settings, answer=answer,
                      certificates=f'[{{name: own, chain: "{chain}", key: "{key}"}}]')
    assert ask(proxy).body == b"ok"
    assert subjects == [{"commonName": "sallyport.example"}]


def test_server_that_asks_for_a_certificate_we_lack_is_502(secure, authority):
    identity = authority.issue("localhost")
    proxy, _ = secure(identity, settings=server_settings(*identity, client_ca=authority.path))
    response = ask(proxy)
    assert response.status == 502 and b"Fault: backend_" in response.body


def test_plaintext_before_the_handshake_is_never_taken_for_a_response(front, authority):
    """A man in the middle answers before TLS begins; what he says must not reach the client."""
    chain, key = authority.issue("localhost")
    settings = server_settings(chain, key)
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned"
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve():
            while True:
                try:
                    sock, _ = server.accept()
                except OSError:
                    return
                try:
                    sock.sendall(poison)
                    heard.append(sock.recv(1))
                    with settings.wrap_socket(sock, server_side=True) as tls:
                        heard.append(tls.recv(4096))
                except (OSError, ssl.SSLError):
                    pass
                sock.close()
        threading.Thread(target=serve, daemon=True).start()
        proxy = front(f"https://localhost:{server.getsockname()[1]}",
                      more=f'tls: {{ca: "{authority.path}"}}')
        response = ask(proxy, b"/poison")
        assert response.status == 502 and b"poisoned" not in response.body
        assert b"Fault: backend_tls" in response.body
        assert all(b"GET" not in data for data in heard)


def test_plaintext_server_at_an_https_address_gets_nothing(front, backend, authority):
    server = backend(OK)
    proxy = front(f"https://localhost:{server.port}", more=f'tls: {{ca: "{authority.path}"}}')
    response = ask(proxy, b"/secret")
    assert response.status in (502, 504)
    assert b"secret" not in server.all_received()


def test_response_cut_by_a_tls_end_without_notice_is_not_complete(secure, authority):
    """Truncation attack: the conn ends, but the server never said that it had finished."""
    def cut(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\n\r\nuntil the en")
        time.sleep(0.1)
        socket.socket(fileno=conn.sock.detach()).close()
    proxy, _ = secure(authority.issue("localhost"), answer=cut)
    with pytest.raises((EOFError, ConnectionResetError)):
        ask(proxy, b"/tls-cut")
    proxy.wait_event("access", path="/tls-cut", fault="backend_truncated")


def test_response_ended_by_a_tls_notice_is_complete(secure, authority):
    def end(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
        conn.sock.unwrap()
    proxy, _ = secure(authority.issue("localhost"), answer=end)
    assert ask(proxy).body == b"until the end"


def test_large_bodies_pass_over_tls_both_ways(secure, authority):
    body = bytes(range(256)) * 20000

    def echo(conn):
        while (request := conn.request()) is not None:
            got = request.partition(b"\r\n\r\n")[2]
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(got), got))
    proxy, _ = secure(authority.issue("localhost"), answer=echo)
    assert ask(proxy, b"/", b"POST", body).body == body


def test_system_authorities_are_there_by_default(front, backend, authority):
    """They do not know the tests' authority: the handshake fails for that and nothing else."""
    server = backend(OK, tls=server_settings(*authority.issue("localhost")))
    proxy = front(f"https://localhost:{server.port}")
    response = ask(proxy)
    assert response.status == 502 and b"backend_unverified" in response.body


def test_revoked_server_is_refused(secure, authority, tmp_path):
    revoked, fine = authority.issue("localhost"), authority.issue("localhost")
    crl = authority.revocation_list(tmp_path / "revoked.crl", revoked)
    proxy, server = secure(revoked, f'crl: "{crl}"')
    response = ask(proxy)
    assert response.status == 502 and b"backend_unverified" in response.body
    assert server.all_received() == b""
    proxy, _ = secure(fine, f'crl: "{crl}"')
    assert ask(proxy).body == b"ok"
