"""OCSP: asked for by a child of its own, verified by the master, stapled by the workers.

SPDX-License-Identifier: Apache-2.0
"""

import contextlib
import datetime
import http.server
import json
import subprocess
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from conftest import PATIENCE, wait_until
from test_process import CONFIG, HELLO, ask, children

STAPLED = CONFIG.replace("key: @key@", "key: @key@, ocsp: auto")


def now():
    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)


class Responder:
    """An OCSP responder over HTTP, with the answer that a test wants."""

    def __init__(self, authority):
        self.authority = authority
        self.asked = 0
        self.type = "application/ocsp-response"
        self.act = None  # a function of the HTTP handler, in the place of an answer
        self.answer = lambda body: self.response(ocsp.OCSPCertStatus.GOOD)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                outer.asked += 1
                body = self.rfile.read(int(self.headers["content-length"]))
                assert self.headers["content-type"] == "application/ocsp-request"
                if outer.act is not None:
                    outer.act(self)
                    return
                answer = outer.answer(body)
                self.send_response(200)
                if outer.type is not None:
                    self.send_header("Content-Type", outer.type)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                with contextlib.suppress(BrokenPipeError):  # who has enough hangs up
                    self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"

    def issue(self, folder, must_staple=False):
        """(chain, key) of a certificate for localhost that names this responder."""
        features = [x509.TLSFeatureType.status_request] if must_staple else []
        key = rsa.generate_private_key(65537, 2048)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]))
            .issuer_name(self.authority.name).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now() - datetime.timedelta(days=1))
            .not_valid_after(now() + datetime.timedelta(days=10))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
            .add_extension(x509.AuthorityInformationAccess([x509.AccessDescription(
                AuthorityInformationAccessOID.OCSP,
                x509.UniformResourceIdentifier(self.url))]), False))
        if features:
            builder = builder.add_extension(x509.TLSFeature(features), False)
        self.leaf = builder.sign(self.authority.key, hashes.SHA256())
        chain_path, key_path = folder / "stapled.pem", folder / "stapled.key"
        pem = serialization.Encoding.PEM
        chain_path.write_bytes(
            self.leaf.public_bytes(pem) + self.authority.certificate.public_bytes(pem))
        key_path.write_bytes(key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return chain_path, key_path

    def response(self, status, key=None, age=datetime.timedelta(hours=1),
                 life=datetime.timedelta(days=1), hashed=None):
        """Made `age` ago, and good for `life` from now."""
        revoked = status == ocsp.OCSPCertStatus.REVOKED
        return (
            ocsp.OCSPResponseBuilder()
            .add_response(
                self.leaf, self.authority.certificate, hashed or hashes.SHA1(), status,
                now() - age, now() + life,
                now() - datetime.timedelta(days=1) if revoked else None,
                None)
            .responder_id(ocsp.OCSPResponderEncoding.HASH, self.authority.certificate)
            .sign(key or self.authority.key, hashes.SHA256())
            .public_bytes(serialization.Encoding.DER))


@pytest.fixture
def responder(authority):
    responder = Responder(authority)
    yield responder
    responder.server.shutdown()
    responder.server.server_close()


@pytest.fixture
def stapling(sallyport, backend, responder, tmp_path):
    def run(text=STAPLED, **keywords):
        chain, key = responder.issue(tmp_path, **keywords)
        proxy = sallyport(text, chain=chain, key=key, app=backend(HELLO).port)
        proxy.wait_event("ready")
        return proxy
    return run


def staple_of(proxy):
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port('web')}", "-status",
         "-servername", "localhost"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    return done.stdout


def test_a_good_response_is_stapled_by_every_worker(stapling):
    proxy = stapling()
    proxy.wait_event("ocsp_response", status="good")
    for _ in range(6):  # both workers
        assert "OCSP Response Status: successful" in staple_of(proxy)
    wait_until(lambda: "fetcher" not in children(proxy.pid), "the fetcher to end")


def test_a_reload_keeps_the_response_and_does_not_ask_again(stapling, responder, run_sallyport):
    proxy = stapling()
    proxy.wait_event("ocsp_response", status="good")
    text = proxy.config_path.read_text()
    proxy.config_path.write_text(text.replace("workers: 2", "workers: 2\nlimits: {streams: 9}"))
    assert run_sallyport("reload", "-c", proxy.config_path).returncode == 0
    for _ in range(6):
        assert "OCSP Response Status: successful" in staple_of(proxy)
    assert responder.asked == 1


def test_a_worker_started_later_staples_too(stapling):
    proxy = stapling()
    proxy.wait_event("ocsp_response", status="good")
    for role in ("worker 1", "worker 2"):
        subprocess.run(["kill", "-9", str(children(proxy.pid)[role])], check=True)
        proxy.wait_event("child_started", child=role)
    wait_until(lambda: all("OCSP Response Status: successful" in staple_of(proxy)
                           for _ in range(4)), "the new workers to staple")


@pytest.mark.parametrize("answer", [
    pytest.param(lambda r: b"nonsense", id="nonsense"),
    pytest.param(lambda r: b"x" * 200_000, id="too large"),
    pytest.param(lambda r: b"", id="empty"),
    pytest.param(lambda r: r.response(ocsp.OCSPCertStatus.UNKNOWN), id="unknown"),
    pytest.param(lambda r: r.response(ocsp.OCSPCertStatus.REVOKED, hashed=hashes.SHA384()),
                 id="id of another digest"),
    pytest.param(lambda r: r.response(ocsp.OCSPCertStatus.GOOD,
                                      age=-datetime.timedelta(hours=1)), id="from the future"),
    pytest.param(lambda r: r.response(ocsp.OCSPCertStatus.GOOD, age=datetime.timedelta(hours=9),
                                      life=-datetime.timedelta(hours=1)), id="run out"),
    pytest.param(lambda r: r.response(ocsp.OCSPCertStatus.GOOD,
                                      rsa.generate_private_key(65537, 2048)), id="forged"),
])
def test_a_bad_response_is_refused_and_nothing_breaks(stapling, responder, answer):
    responder.answer = lambda body: answer(responder)
    proxy = stapling()
    proxy.wait_event("ocsp_failed")
    assert "OCSP response: no response sent" in staple_of(proxy)
    assert ask(proxy) == 200


def test_a_responder_that_is_down_changes_nothing(stapling, responder):
    responder.server.shutdown()
    responder.server.server_close()
    proxy = stapling()
    proxy.wait_event("ocsp_failed")
    assert ask(proxy) == 200


def test_a_responder_that_never_answers_does_not_hold_up_the_start(stapling, responder):
    held = threading.Event()
    responder.answer = lambda body: held.wait(10) and b"" or b""
    proxy = stapling()
    wait_until(lambda: responder.asked, "the question")
    assert ask(proxy) == 200
    assert proxy.stop() == 0
    held.set()


def status_of(proxy, run_sallyport):
    done = run_sallyport("posture", "--json", "-c", proxy.config_path)
    return json.loads(done.stdout)


def soon_past_its_middle(responder, status):
    """A response that is asked for again after some seconds."""
    return responder.response(status, age=datetime.timedelta(seconds=40),
                              life=datetime.timedelta(seconds=44))


def test_revoked_ends_a_good_staple_at_once(stapling, responder, run_sallyport):
    responder.answer = lambda body: soon_past_its_middle(responder, ocsp.OCSPCertStatus.GOOD)
    proxy = stapling()
    proxy.wait_event("ocsp_response", status="good")
    assert "OCSP Response Status: successful" in staple_of(proxy)
    assert status_of(proxy, run_sallyport)["violations"] == 0
    responder.answer = lambda body: responder.response(
        ocsp.OCSPCertStatus.REVOKED, age=datetime.timedelta(0))
    assert proxy.wait_event("ocsp_response", status="revoked")[0]["level"] == "error"
    for _ in range(4):  # both workers
        assert "OCSP response: no response sent" in staple_of(proxy)
    posture = status_of(proxy, run_sallyport)
    assert posture["violations"] >= 1
    assert any("is revoked" in hop["reason"] for hop in posture["hops"])
    assert ask(proxy) == 200
    # Over a reload, too, whatever older answer comes then.
    responder.answer = lambda body: responder.response(ocsp.OCSPCertStatus.GOOD)
    assert run_sallyport("reload", "-c", proxy.config_path).returncode == 0
    assert "OCSP response: no response sent" in staple_of(proxy)
    assert status_of(proxy, run_sallyport)["violations"] >= 1


def test_an_older_answer_takes_nobodys_place(stapling, responder):
    responder.answer = lambda body: soon_past_its_middle(responder, ocsp.OCSPCertStatus.GOOD)
    proxy = stapling()
    proxy.wait_event("ocsp_response", status="good")
    responder.answer = lambda body: responder.response(ocsp.OCSPCertStatus.REVOKED)
    event = proxy.wait_event("ocsp_failed")[0]
    assert "older" in event["reason"]
    assert "OCSP Response Status: successful" in staple_of(proxy)


@pytest.mark.parametrize("kind", [None, "text/html", "application/ocsp-responses"])
def test_an_answer_of_another_type_is_refused(stapling, responder, kind):
    responder.type = kind
    proxy = stapling()
    assert "application/ocsp-response" in proxy.wait_event("ocsp_failed")[0]["reason"]
    assert "OCSP response: no response sent" in staple_of(proxy)


def test_a_type_may_have_parameters(stapling, responder):
    responder.type = "Application/OCSP-Response; charset=binary"
    stapling().wait_event("ocsp_response", status="good")


def test_a_response_past_its_middle_is_not_asked_for_without_end(stapling, responder):
    responder.answer = lambda body: responder.response(
        ocsp.OCSPCertStatus.GOOD, age=datetime.timedelta(days=3), life=datetime.timedelta(days=1))
    proxy = stapling()
    proxy.wait_event("ocsp_response", status="good")
    wait_until(lambda: "fetcher" not in children(proxy.pid), "the fetcher to end")
    time.sleep(2.5)  # two ticks of the master: in which it must not ask
    assert responder.asked == 1


def test_a_reload_does_not_ask_a_responder_that_failed(stapling, responder, run_sallyport):
    responder.answer = lambda body: b"nonsense"
    proxy = stapling()
    proxy.wait_event("ocsp_failed")
    assert run_sallyport("reload", "-c", proxy.config_path).returncode == 0
    time.sleep(2.5)  # as above
    assert responder.asked == 1


@pytest.mark.parametrize("way", ["off", "failing", "good"])
def test_a_certificate_that_must_be_stapled_and_is_not_is_told_of(
        stapling, responder, run_sallyport, way):
    responder.answer = lambda body: (responder.response(ocsp.OCSPCertStatus.GOOD)
                                     if way == "good" else b"nonsense")
    proxy = stapling(CONFIG if way == "off" else STAPLED, must_staple=True)
    if way == "good":
        proxy.wait_event("ocsp_response", status="good")
        assert not proxy.events("must_staple_unmet")
    else:
        assert proxy.wait_event("must_staple_unmet")[0]["level"] == "error"
    told_before = len(proxy.events("must_staple_unmet"))
    assert run_sallyport("reload", "-c", proxy.config_path).returncode == 0
    assert len(proxy.events("must_staple_unmet")) == told_before + (way == "off")
    told = any("demands a stapled OCSP response" in hop["reason"]
               for hop in status_of(proxy, run_sallyport)["hops"])
    assert told is (way != "good")


SHAKES = 20


def hold(handler, over):
    """Takes the question, and says nothing until it is over."""
    over.wait(PATIENCE)


def trickle(handler, over):
    """A byte now and then, of an answer that never ends."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    with contextlib.suppress(OSError):
        while not over.wait(0.1):
            handler.wfile.write(b"x")
            handler.wfile.flush()


@pytest.mark.parametrize("way", [hold, trickle])
def test_handshakes_do_not_wait_for_a_slow_responder(stapling, responder, way):
    over, begun, ended = threading.Event(), threading.Event(), threading.Event()

    def act(handler):
        begun.set()
        way(handler, over)
        ended.set()

    responder.act = act
    proxy = stapling()
    assert begun.wait(PATIENCE)
    slowest = 0
    for _ in range(SHAKES):
        since = time.monotonic()
        assert ask(proxy) == 200
        slowest = max(slowest, time.monotonic() - since)
    assert not ended.is_set()  # it was slow all the while
    assert slowest < 2
    assert "OCSP response: no response sent" in staple_of(proxy)
    over.set()


def refuse(handler):
    handler.send_error(500)


def redirect(handler):
    handler.send_response(302)
    handler.send_header("Location", "http://127.0.0.1:1/")
    handler.end_headers()


def hang_up(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"half")
    handler.close_connection = True


@pytest.mark.parametrize("way", [refuse, redirect, hang_up])
def test_a_responder_that_fails_changes_nothing(stapling, responder, way):
    responder.act = way
    proxy = stapling()
    proxy.wait_event("ocsp_failed")
    assert "OCSP response: no response sent" in staple_of(proxy)
    assert ask(proxy) == 200


@pytest.mark.parametrize("later", ["down", "nonsense"])
def test_a_staple_is_kept_while_it_lasts_and_no_longer(stapling, responder, later):
    """The refresh fails: the good response is stapled until it ends, and an old one never."""
    short = responder.response
    responder.answer = lambda body: short(ocsp.OCSPCertStatus.GOOD,
                                          age=datetime.timedelta(seconds=6),
                                          life=datetime.timedelta(seconds=10))
    proxy = stapling()
    proxy.wait_event("ocsp_response", status="good")
    assert "OCSP Response Status: successful" in staple_of(proxy)
    if later == "down":
        responder.server.shutdown()
        responder.server.server_close()
    else:
        responder.answer = lambda body: b"nonsense"
    proxy.wait_event("ocsp_failed")
    assert "OCSP Response Status: successful" in staple_of(proxy)
    assert ask(proxy) == 200
    wait_until(lambda: "OCSP response: no response sent" in staple_of(proxy), "its end", pause=0.2)
    assert ask(proxy) == 200
