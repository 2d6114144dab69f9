"""TLS with clients: versions, suites, names, resumption, client certificates, kinds of key files.

SPDX-License-Identifier: Apache-2.0
"""

import datetime
import re
import socket
import ssl
import subprocess
import textwrap

import pytest
from conftest import Conn, wait_until
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509 import ocsp

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def config(tls="{}", certificates="[{name: web, chain: @chain@, key: @key@}]", tail=""):
    return textwrap.dedent(f'''
        certificates: {certificates}
        listeners:
          - {{name: web, address: "127.0.0.1:@web@", tls: {tls}, routes: [{{backend: app}}]}}
        backends: {{app: {{servers: ["http://127.0.0.1:@app@"]}}}}
    ''') + tail


@pytest.fixture(scope="module")
def app(standing_backend):
    return standing_backend(OK)


@pytest.fixture(scope="module")
def proxy(standing, app):
    return standing(config(), app=app.port)


@pytest.fixture
def front(sallyport, app):
    def start(*arguments, _env=None, **values):
        keys = {k: values.pop(k) for k in ("tls", "certificates", "tail") if k in values}
        return sallyport(config(*arguments, **keys), app=app.port, _env=_env, **values)
    return start


def served(conn):
    conn.send(REQUEST)
    return conn.response().body == b"ok"


def s_client(proxy, *arguments, send="", patience=15):
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port('web')}", "-CAfile",
         proxy.authority.path, "-servername", "localhost", *arguments],
        input=send, capture_output=True, text=True, timeout=patience)
    return done.stdout + done.stderr


# ---- versions and suites -------------------------------------------------------------------


@pytest.mark.parametrize("version, suite", [("1.2", "ECDHE-RSA-AES256-GCM-SHA384"),
                                            ("1.3", "TLS_AES_256_GCM_SHA384")])
def test_both_versions_serve_with_aes256(proxy, version, suite):
    with proxy.tls("web", version=version) as conn:
        assert conn.sock.version() == f"TLSv{version}"
        assert conn.sock.cipher()[0] == suite
        assert served(conn)
    proxy.wait_event("access", tls_version=f"TLSv{version}", tls_cipher=suite)


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_old_versions_are_refused(proxy, version):
    out = s_client(proxy, version, "-cipher", "ALL:@SECLEVEL=0")
    assert "Cipher is (NONE)" in out or "alert" in out or "no protocols" in out


@pytest.mark.parametrize("arguments", [
    ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"),
    ("-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305"),
    ("-tls1_2", "-cipher", "AES256-GCM-SHA384"),
    ("-tls1_2", "-cipher", "ECDHE-RSA-AES256-SHA384"),
    ("-tls1_2", "-cipher", "DHE-RSA-AES256-GCM-SHA384"),
    ("-tls1_2", "-cipher", "ALL:!ECDHE:@SECLEVEL=0"),
    ("-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"),
    ("-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"),
])
def test_suites_are_those_of_the_policy(proxy, arguments):
    out = s_client(proxy, *arguments)
    assert "handshake failure" in out and "Cipher is (NONE)" in out
    proxy.wait_event("conn_failed", fault="tls_handshake")


def test_server_chooses_the_suite(proxy):
    out = s_client(proxy, "-tls1_3", "-ciphersuites",
                   "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384")
    assert "TLS_AES_256_GCM_SHA384" in out


def test_other_suites_serve_when_the_policy_says_so(front):
    proxy = front(tail="enforcement: {ciphers: modern}\n")
    for suite in ("ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256",
                  "ECDHE-RSA-CHACHA20-POLY1305"):
        with proxy.tls("web", version="1.2", ciphers=suite) as conn:
            assert conn.sock.cipher()[0] == suite and served(conn)


def test_only_tls_13_when_the_policy_says_so(front):
    proxy = front(tail='enforcement: {minimum_tls: "1.3"}\n')
    with pytest.raises(ssl.SSLError):
        proxy.tls("web", version="1.2")
    with proxy.tls("web") as conn:
        assert served(conn)


def test_renegotiation_is_refused(proxy):
    with subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port('web')}", "-tls1_2",
             "-CAfile", proxy.authority.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True) as client:
        out, _ = client.communicate("R\n", timeout=15)
    assert "RENEGOTIATING" in out
    assert re.search(r"no renegotiation|unexpected|alert|error|closed", out.partition(
        "RENEGOTIATING")[2], re.IGNORECASE)


def test_compression_and_early_data_are_off(proxy):
    assert "Compression: NONE" in s_client(proxy, "-tls1_2", "-comp")


def test_early_data_is_not_accepted(proxy, tmp_path):
    session = tmp_path / "session"
    out = s_client(proxy, "-tls1_3", "-sess_out", session, "-ign_eof",
                   send="GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert "Max Early Data: 0" in out or "Early data was not sent" in out
    early = tmp_path / "early"
    early.write_bytes(REQUEST)
    out = s_client(proxy, "-tls1_3", "-sess_in", session, "-early_data", early)
    assert "Early data was accepted" not in out


def test_secure_renegotiation_and_extended_master_secret_are_there(proxy):
    out = s_client(proxy, "-tls1_2")
    assert "Secure Renegotiation IS supported" in out and "Extended master secret: yes" in out


# ---- what is not TLS -----------------------------------------------------------------------


@pytest.mark.parametrize("request_", [REQUEST, b"POST / HTTP/1.1\r\nHost: a\r\n\r\n",
                                      b"HEAD / HTTP/1.0\r\n\r\n"])
def test_http_on_the_tls_port_is_told_so(proxy, request_):
    with proxy.tcp("web") as conn:
        conn.send(request_)
        response = conn.response()
        assert response.status == 400 and b"https://" in response.body
        assert response.field("connection") == "close"
        assert conn.read_to_end() == b""
    proxy.wait_event("conn_failed", fault="http_on_tls_port")


@pytest.mark.parametrize("garbage", [b"\0" * 100, b"\x16\x03\x01\xff\xff" + b"a" * 100,
                                     b"SSH-2.0-OpenSSH\r\n", b"\x80\x2e\x01\0\x02" + b"\0" * 50])
def test_garbage_closes_the_conn(proxy, garbage):
    with proxy.tcp("web") as conn:
        conn.send(garbage)
        conn.sock.settimeout(8)
        assert b"HTTP/1.1 200" not in conn.read_to_end()
    with proxy.tls("web") as conn:
        assert served(conn)


def test_damaged_record_ends_the_conn(proxy):
    plain = socket.create_connection(("127.0.0.1", proxy.port("web")))
    settings = ssl.create_default_context(cafile=str(proxy.authority.path))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = settings.wrap_bio(incoming, outgoing, server_hostname="localhost")
    while True:
        try:
            client.do_handshake()
            break
        except ssl.SSLWantReadError:
            plain.sendall(outgoing.read())
            incoming.write(plain.recv(65536))
    client.write(REQUEST)
    record = bytearray(outgoing.read())
    record[-1] ^= 1
    plain.sendall(record)
    plain.settimeout(5)
    data = b""
    while piece := plain.recv(65536):
        data += piece
    plain.close()
    assert len(data) < 1000, "a request was answered"


# ---- names and certificates ----------------------------------------------------------------


def identity(authority, name, **keywords):
    chain, key = authority.issue(*([name] if isinstance(name, str) else name), **keywords)
    return f'chain: "{chain}", key: "{key}"'


def common_name(conn):
    der = conn.sock.getpeercert(binary_form=True)
    subject = x509.load_der_x509_certificate(der).subject
    return subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value


def peer(proxy, name, **keywords):
    keywords = {"ca": None, **keywords}
    with Conn.tls(proxy.port("web"), name=name, **keywords) as conn:
        assert served(conn)
        return common_name(conn)


def test_certificate_is_chosen_by_name(front, authority):
    proxy = front(certificates=f'''[
        {{name: first, {identity(authority, "first.example")}}},
        {{name: second, {identity(authority, "second.example")}}},
        {{name: wild, {identity(authority, "*.wild.example")}}}]'''.replace("\n", ""))
    for name, shown in {"first.example": "first.example", "second.example": "second.example",
                        "SECOND.example": "second.example", "a.wild.example": "*.wild.example",
                        "a.b.wild.example": "first.example", "unknown.example": "first.example",
                        None: "first.example"}.items():
        assert peer(proxy, name) == shown, name
    proxy.wait_event("access", sni="second.example")


def test_rsa_and_ecdsa_serve_under_one_name(front, authority):
    proxy = front(certificates=f'''[
        {{name: web, {identity(authority, "both.example", kind="rsa")}}},
        {{name: web, {identity(authority, "both.example", kind="ecdsa")}}}]'''.replace("\n", ""))
    kinds = set()
    for ciphers in ("ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"):
        with Conn.tls(proxy.port("web"), name="both.example", version="1.2",
                      ciphers=ciphers) as conn:
            assert served(conn)
            kinds.add(conn.sock.cipher()[0])
    assert kinds == {"ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"}
    assert peer(proxy, "both.example") == "both.example"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_expired_certificate_is_never_shown_when_a_valid_one_is_there(front, authority, order):
    both = [identity(authority, "twice.example", days=(-10, -1)),
            identity(authority, "twice.example")]
    listed = ", ".join(f"{{name: web, {both[at]}}}" for at in order)
    proxy = front(certificates=f"[{listed}]", tail="enforcement: {mode: report}\n")
    for _ in range(3):
        assert peer(proxy, "twice.example", ca=proxy.authority.path) == "twice.example"


def test_protocol_is_agreed_by_alpn(proxy):
    for offered, agreed in ((["h2", "http/1.1"], "h2"), (["http/1.1", "h2"], "h2"), (["h2"], "h2"),
                            (["http/1.1"], "http/1.1"), (None, None)):
        with proxy.tls("web", alpn=offered) as conn:
            assert conn.sock.selected_alpn_protocol() == agreed
            assert agreed == "h2" or served(conn)


def test_http2_is_switched_off_by_offering_the_other_alone(front):
    proxy = front(tls="{alpn: [http/1.1]}")
    with proxy.tls("web", alpn=["h2", "http/1.1"]) as conn:
        assert conn.sock.selected_alpn_protocol() == "http/1.1" and served(conn)
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        with proxy.tls("web", alpn=["h2"]) as conn:
            assert served(conn)


def test_client_that_speaks_none_of_our_protocols_is_refused(proxy):
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        with proxy.tls("web", alpn=["spdy/3"]) as conn:
            assert served(conn)


def test_chain_is_sent_whole(proxy):
    assert "Verify return code: 0 (ok)" in s_client(proxy, "-verify_hostname", "localhost")


# ---- kinds of key files --------------------------------------------------------------------


def test_encrypted_key_is_opened(front, authority, tmp_path):
    chain, key = authority.issue("locked.example", password="open sesame")
    (tmp_path / "password").write_text("open sesame\n")
    for password in (f'{{file: "{tmp_path}/password"}}', "{env: KEY_PASSWORD}"):
        proxy = front(certificates=f'[{{name: web, chain: "{chain}", key: "{key}", '
                                   f'password: {password}}}]',
                      _env={"KEY_PASSWORD": "open sesame"})
        assert peer(proxy, "locked.example") == "locked.example"
        assert "sesame" not in proxy.process.err + proxy.process.out


def test_encrypted_key_without_its_password_stops_the_start(run_sallyport, authority):
    chain, key = authority.issue("locked.example", password="open sesame")
    certificates = f'[{{name: web, chain: "{chain}", key: "{key}"}}]'
    done = run_sallyport("run", config=config(certificates=certificates), app=1)
    assert done.returncode == 2 and "password" in done.stderr


@pytest.mark.parametrize("password", [None, "open sesame"])
def test_pkcs12_file_serves(front, authority, tmp_path, password):
    chain, key = authority.issue("bundle.example")
    leaf = x509.load_pem_x509_certificate(chain.read_bytes())
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    seal = (serialization.BestAvailableEncryption(password.encode()) if password
            else serialization.NoEncryption())
    path = tmp_path / "bundle.p12"
    path.write_bytes(pkcs12.serialize_key_and_certificates(
        b"web", private, leaf, [authority.certificate], seal))
    path.chmod(0o600)
    secret = ", password: {env: KEY_PASSWORD}" if password else ""
    proxy = front(certificates=f'[{{name: web, chain: "{path}"{secret}}}]',
                  _env={"KEY_PASSWORD": password or ""})
    assert peer(proxy, "bundle.example", ca=authority.path) == "bundle.example"


def test_key_beside_the_chain_in_one_file_serves(front, authority, tmp_path):
    chain, key = authority.issue("one.example")
    path = tmp_path / "one.pem"
    path.write_bytes(chain.read_bytes() + key.read_bytes())
    path.chmod(0o600)
    assert peer(front(certificates=f'[{{name: web, chain: "{path}"}}]'),
                "one.example") == "one.example"


def test_given_ocsp_response_is_stapled(front, authority, tmp_path):
    chain, key = authority.issue("stapled.example")
    leaf = x509.load_pem_x509_certificate(chain.read_bytes())
    now = datetime.datetime.utcnow()
    response = (ocsp.OCSPResponseBuilder()
                .add_response(leaf, authority.certificate, hashes.SHA1(),
                              ocsp.OCSPCertStatus.GOOD, now - datetime.timedelta(hours=1),
                              now + datetime.timedelta(days=5), None, None)
                .responder_id(ocsp.OCSPResponderEncoding.HASH, authority.certificate)
                .sign(authority.key, hashes.SHA256()))
    path = tmp_path / "response.der"
    path.write_bytes(response.public_bytes(serialization.Encoding.DER))
    proxy = front(certificates=f'[{{name: web, chain: "{chain}", key: "{key}", ocsp: "{path}"}}]')
    out = s_client(proxy, "-status")
    assert "OCSP Response Status: successful" in out and "Cert Status: good" in out


# ---- resumption ----------------------------------------------------------------------------


def test_session_is_resumed_by_another_worker(front):
    """Tickets of one worker are good at all: their keys come from the keyholder."""
    proxy = front(tail="workers: 2\n")
    for version in ("1.2", "1.3"):
        settings = ssl.create_default_context(cafile=str(proxy.authority.path))
        only = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
        settings.minimum_version = settings.maximum_version = only
        with proxy.tls("web", settings=settings) as conn:
            assert served(conn) and not conn.sock.session_reused
            session = conn.sock.session
        for _ in range(16):  # both workers get some
            with proxy.tls("web", settings=settings, session=session) as conn:
                assert served(conn) and conn.sock.session_reused
                session = conn.sock.session
    assert proxy.wait_event("access", count=32, tls_resumed=True)


def test_sessions_are_not_resumed_when_told_so(front):
    proxy = front(tls="{session_tickets: no}")
    settings = ssl.create_default_context(cafile=str(proxy.authority.path))
    with proxy.tls("web", settings=settings) as conn:
        assert served(conn)
        session = conn.sock.session
    with proxy.tls("web", settings=settings, session=session) as conn:
        assert served(conn) and not conn.sock.session_reused


# ---- client certificates -------------------------------------------------------------------


def mutual(auth, crl=""):
    return f"{{client_ca: @ca@, client_auth: {auth}{crl}}}"


def told(app, mark):
    received = app.wait_received(mark)
    return received[received.index(mark):].partition(b"\r\n\r\n")[0]


def ask(conn, path):
    conn.send(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nClient-Cert: :Zm9yZ2Vk:\r\n\r\n")
    return conn.response().status


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_client_without_a_certificate_is_refused_where_one_is_required(front, version):
    proxy = front(mutual("required"))
    with pytest.raises((ssl.SSLError, ConnectionResetError, EOFError)):
        with proxy.tls("web", version=version) as conn:
            ask(conn, b"/never")
    proxy.wait_event("conn_failed", fault="tls_handshake")
    assert not [e for e in proxy.events("access") if e.get("path") == "/never"]


@pytest.mark.parametrize("auth", ["required", "optional"])
def test_certificate_of_the_client_is_told_to_the_backend(front, app, authority, auth):
    proxy = front(mutual(auth))
    client = authority.issue("alice.example", usage="client")
    path = b"/alice-" + auth.encode()
    with proxy.tls("web", client=client) as conn:
        assert ask(conn, path) == 200
    head = told(app, path)
    assert re.search(rb"\r\nclient-cert: :[A-Za-z0-9+/=]{500,}:", head)
    assert b"Zm9yZ2Vk" not in head
    line, = proxy.wait_event("access", path=path.decode())
    assert "alice.example" in line["client_subject"]


def test_client_without_a_certificate_is_served_where_one_is_optional(front, app):
    proxy = front(mutual("optional"))
    with proxy.tls("web") as conn:
        assert ask(conn, b"/nobody") == 200
    assert b"client-cert" not in told(app, b"/nobody")


def test_forged_client_certificate_field_is_stripped_where_none_is_asked_for(proxy, app):
    with proxy.tls("web") as conn:
        assert ask(conn, b"/forged") == 200
    assert b"client-cert" not in told(app, b"/forged")


@pytest.mark.parametrize("auth", ["required", "optional"])
@pytest.mark.parametrize("name", ["unknown_ca", "expired", "for_servers", "revoked"])
def test_client_certificate_that_does_not_hold_is_refused(front, authority, tmp_path, auth, name):
    from conftest import Authority
    client = {
        "unknown_ca": lambda: Authority(tmp_path / "other", "other").issue("a.example",
                                                                           usage="client"),
        "expired": lambda: authority.issue("a.example", usage="client", days=(-10, -1)),
        "for_servers": lambda: authority.issue("a.example", usage="server"),
        "revoked": lambda: authority.issue("a.example", usage="client"),
    }[name]()
    crl = authority.revocation_list(tmp_path / "clients.crl", client) if name == "revoked" else None
    proxy = front(mutual(auth, f', client_crl: "{crl}"' if crl else ""))
    with pytest.raises((ssl.SSLError, ConnectionResetError, EOFError)):
        with proxy.tls("web", client=client) as conn:
            ask(conn, b"/never")
    assert not [e for e in proxy.events("access") if e.get("path") == "/never"]
    if crl:
        with proxy.tls("web", client=authority.issue("b.example", usage="client")) as conn:
            assert ask(conn, b"/fine") == 200


def test_upload_cut_by_a_tls_end_without_notice_never_looks_complete(proxy, app):
    with proxy.tls("web") as conn:
        conn.send(b"POST /cut-upload HTTP/1.1\r\nHost: localhost\r\n"
                  b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        app.wait_received(b"half")
        socket.socket(fileno=conn.sock.detach()).close()
        line, = proxy.wait_event("access", path="/cut-upload")
        assert line["fault"] in ("client_gone", "client_reset")
    received = app.wait_received(b"/cut-upload")
    assert b"0\r\n\r\n" not in received[received.index(b"/cut-upload"):]


def test_handshakes_at_once_all_succeed(proxy):
    """Two hundred at the same time: signatures come from the keyholder, in any order."""
    settings = ssl.create_default_context(cafile=str(proxy.authority.path))
    pending = []
    for _ in range(200):
        sock = socket.create_connection(("127.0.0.1", proxy.port("web")))
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = settings.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        sock.sendall(outgoing.read())
        pending.append((sock, client, incoming, outgoing))
    for sock, client, incoming, outgoing in pending:
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                data = sock.recv(65536)
                assert data, "closed in the middle of a handshake"
                incoming.write(data)
        sock.sendall(outgoing.read())
        sock.close()
    with proxy.tls("web") as conn:
        assert served(conn)
    assert wait_until(lambda: proxy.events("access"), "a line")


@pytest.mark.parametrize("version", ["tls1_2", "tls1_3"])
def test_x25519_at_once_gives_every_client_its_secret(proxy, version):
    """Computed for several together where `status` says so. P-256 is there for nothing but the list
    of curves of TLS 1.2."""
    clients = [subprocess.Popen(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port('web')}", "-CAfile",
         proxy.authority.path, "-servername", "localhost", f"-{version}", "-groups",
         "X25519:P-256"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(40)]
    told = [client.communicate(timeout=60)[0] for client in clients]
    assert all("Verify return code: 0 (ok)" in text for text in told)
    assert all(re.search(r"X25519, 253 bits", text) for text in told)
