"""Session tickets between instances: with one secret they resume each other's sessions, with another or
none they do not, and the secret stays in the keyholders.

SPDX-License-Identifier: Apache-2.0
"""

import concurrent.futures
import os
import secrets
import signal
import socket
import ssl
import subprocess
import threading

import pytest
from conftest import PATIENCE, wait_until
from memory_search import found_in
from test_process import HELLO, REQUEST, children

CONFIG = """
certificates: [{name: web, chain: @chain@, key: @key@}]
listeners:
  - {name: @name_@, address: "127.0.0.1:@web@", tls: {certificates: [web] @more@},
     routes: [{host: "*", path: /, backend: app}]}
backends: {app: {servers: ["http://127.0.0.1:@app@"]}}
workers: 2
"""
SHARED = CONFIG + "tickets: {secret: {file: @secret@}}\n"
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
TRIES = 6  # that both workers of an instance get some


@pytest.fixture
def node(sallyport, backend, tmp_path):
    """node(secret=text) → an instance of its own."""
    app = backend(HELLO)

    def run(secret=None, name="web", more="", **keywords):
        path = tmp_path / f"secret-{len(list(tmp_path.iterdir()))}"
        if secret is not None:
            path.write_text(secret)
        proxy = sallyport(CONFIG if secret is None else SHARED, app=app.port, secret=path,
                          name_=name, more=more, **keywords)
        proxy.wait_event("ready")
        return proxy

    return run


def client(proxy, version, certificate=None):
    settings = ssl.create_default_context(cafile=str(proxy.authority.path))
    settings.minimum_version = settings.maximum_version = VERSIONS[version]
    if certificate is not None:
        settings.load_cert_chain(*certificate)
    return settings


def visit(proxy, settings, session=None):
    """(whether the session was resumed, the session now)"""
    with proxy.tls("web", settings=settings, session=session) as conn:
        assert conn.send(REQUEST).response().body == b"hello"
        return conn.sock.session_reused, conn.sock.session


def new_secret():
    return secrets.token_hex(32) + "\n"  # as `openssl rand -hex 32` prints it


@pytest.mark.parametrize("version", VERSIONS)
def test_instances_with_one_secret_resume_each_others_sessions(node, version):
    secret = new_secret()
    nodes = [node(secret), node(secret)]
    settings = client(nodes[0], version)
    is_resumed, session = visit(nodes[0], settings)
    assert not is_resumed
    for turn in range(1, 2 * TRIES):  # from one to the other, with what the other has given
        is_resumed, session = visit(nodes[turn % 2], settings, session)
        assert is_resumed, turn


@pytest.mark.parametrize("version", VERSIONS)
def test_sessions_outlive_an_instance_with_a_secret(node, version):
    secret = new_secret()
    first = node(secret)
    settings = client(first, version)
    _, session = visit(first, settings)
    assert first.stop() == 0
    assert visit(node(secret), settings, session)[0]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kinds", ["other secret", "one without", "both without"])
def test_instances_without_a_common_secret_do_not(node, version, kinds):
    one, other = {"other secret": (new_secret(), new_secret()),
                  "one without": (new_secret(), None), "both without": (None, None)}[kinds]
    one, other = node(one), node(other)
    settings = client(one, version)
    _, session = visit(one, settings)
    assert visit(one, settings, session)[0]  # it is one that can be resumed
    for _ in range(TRIES):
        assert not visit(other, settings, session)[0]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_opens_no_listener_of_another_name(node, version):
    """A secret for all instances does not make one door of all their doors."""
    secret = new_secret()
    one, other = node(secret), node(secret, name="door")
    settings = client(one, version)
    _, session = visit(one, settings)
    assert not visit(other, settings, session)[0]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_without_a_certificate_opens_no_listener_that_asks_for_one(
        node, authority, version):
    secret = new_secret()
    one = node(secret)
    other = node(secret, more=", client_ca: @ca@, client_auth: required".replace(
        "@ca@", f'"{authority.path}"'))
    settings = client(one, version, authority.issue("somebody", usage="client"))
    _, session = visit(one, settings)  # where nobody asks for the certificate
    assert visit(one, settings, session)[0]
    assert not visit(other, settings, session)[0]


def test_a_secret_from_the_environment_is_the_same_secret(node, sallyport, backend):
    secret = new_secret()
    one = node(secret)
    other = sallyport(SHARED.replace("file: @secret@", "env: TICKET_SECRET"), name_="web", more="",
                      app=backend(HELLO).port, _env={"TICKET_SECRET": secret.strip()})
    other.wait_event("ready")
    settings = client(one, "1.3")
    _, session = visit(one, settings)
    assert visit(other, settings, session)[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="reads the memory of other users")
def test_the_secret_is_in_the_keyholder_and_nowhere_else(node):
    secret = new_secret()
    proxy = node(secret)
    settings = client(proxy, "1.3")
    _, session = visit(proxy, settings)
    for _ in range(TRIES):
        assert visit(proxy, settings, session)[0]
    signs = {"secret": secret.strip().encode(), "half": secret[32:64].encode()}
    for role, pid in {**children(proxy.pid), "master": proxy.pid}.items():
        assert bool(found_in(pid, signs)) is (role == "keyholder"), role


CLOSING = REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
SINGLE = "tickets: {single_use: @single@, spent_max: @room@}\n"


@pytest.fixture
def spender(sallyport, backend):
    """spender(single="yes") → an instance with three workers."""
    app = backend(HELLO)

    def run(single="yes", room=1000):
        proxy = sallyport(CONFIG.replace("workers: 2", "workers: 3") + SINGLE, app=app.port,
                          name_="web", more="", single=single, room=room)
        proxy.wait_event("ready")
        return proxy

    return run


def uses(proxy, settings, session, tries=3 * TRIES):
    """How many of so many tries, on whatever worker, resume the session."""
    return sum(visit(proxy, settings, session)[0] for _ in range(tries))


def test_a_ticket_of_single_use_resumes_once_on_one_worker(spender):
    proxy = spender()
    settings = client(proxy, "1.3")
    for _ in range(3):
        _, session = visit(proxy, settings)
        assert uses(proxy, settings, session) == 1


def test_without_single_use_it_resumes_again_and_again(spender):
    proxy = spender(single="no")
    settings = client(proxy, "1.3")
    _, session = visit(proxy, settings)
    assert uses(proxy, settings, session) == 3 * TRIES


def test_of_many_at_once_one_resumes(spender):
    """All conns are open, on all workers, before the first says hello."""
    proxy = spender()
    settings = client(proxy, "1.3")
    for _ in range(4):
        _, session = visit(proxy, settings)
        gate = threading.Barrier(12)

        def race(session=session, gate=gate):
            with socket.create_connection(("127.0.0.1", proxy.port("web"))) as bare:
                gate.wait(PATIENCE)
                with settings.wrap_socket(bare, server_hostname="localhost",
                                          session=session) as conn:
                    return conn.session_reused

        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            racers = [pool.submit(race) for _ in range(12)]
            assert sum(racer.result(PATIENCE) for racer in racers) == 1


def test_a_full_list_makes_full_handshakes(spender, run_sallyport):
    proxy = spender(room=64)  # which makes 128 places
    settings = client(proxy, "1.3")
    _, session = visit(proxy, settings)
    _, kept = visit(proxy, settings)
    for _ in range(128):
        is_resumed, session = visit(proxy, settings, session)
        assert is_resumed
    for _ in range(3):
        is_resumed, session = visit(proxy, settings, session)
        assert not is_resumed
    assert uses(proxy, settings, kept, TRIES) == 0
    done = run_sallyport("status", "--metrics", "-c", proxy.config_path)
    assert f"\nsallyport_tickets_no_room_total {3 + TRIES}\n" in done.stdout


def test_single_use_gives_a_fresh_ticket_each_time(spender):
    proxy = spender()
    settings = client(proxy, "1.3")
    _, session = visit(proxy, settings)
    for _ in range(3 * TRIES):
        is_resumed, session = visit(proxy, settings, session)
        assert is_resumed
    _, spent = visit(proxy, settings, session)
    is_resumed, renewed = visit(proxy, settings, session)
    assert not is_resumed  # and so it gets a ticket too
    assert visit(proxy, settings, renewed)[0] and visit(proxy, settings, spent)[0]


def test_a_spent_ticket_stays_spent_over_reloads_and_lost_workers(spender, run_sallyport):
    proxy = spender()
    settings = client(proxy, "1.3")
    _, spent = visit(proxy, settings)
    _, kept = visit(proxy, settings)
    assert visit(proxy, settings, spent)[0]
    text = proxy.config_path.read_text()
    proxy.config_path.write_text(text + "limits: {streams: 9}\n")
    assert run_sallyport("reload", "-c", proxy.config_path).returncode == 0
    assert uses(proxy, settings, spent) == 0
    for role in ("worker 1", "worker 2", "worker 3"):
        os.kill(children(proxy.pid)[role], signal.SIGKILL)
        proxy.wait_event("child_started", child=role)
    wait_until(lambda: run_sallyport("status", "-c", proxy.config_path).returncode == 0, "workers")
    assert uses(proxy, settings, spent) == 0
    assert uses(proxy, settings, kept) == 1


def test_single_use_can_be_switched_on_by_a_reload(spender, run_sallyport):
    proxy = spender(single="no")
    settings = client(proxy, "1.3")
    _, session = visit(proxy, settings)
    assert uses(proxy, settings, session, 2) == 2
    text = proxy.config_path.read_text()
    proxy.config_path.write_text(text.replace("single_use: no", "single_use: yes"))
    assert run_sallyport("reload", "-c", proxy.config_path).returncode == 0
    assert uses(proxy, settings, session) == 1  # what was before is not known
    proxy.config_path.write_text(text.replace("spent_max: 1000", "spent_max: 2000"))
    done = run_sallyport("reload", "-c", proxy.config_path)
    assert done.returncode == 2 and "`tickets.spent_max` cannot change" in done.stderr


def test_tickets_of_tls_1_2_are_not_of_single_use(spender):
    proxy = spender()
    settings = client(proxy, "1.2")
    _, session = visit(proxy, settings)
    assert uses(proxy, settings, session, TRIES) == TRIES


def test_a_client_that_says_hello_twice_spends_its_ticket_once(spender, tmp_path):
    """It guesses a group that we do not have, and shows the same ticket in both hellos."""
    proxy, kept = spender(), tmp_path / "session"
    ask = ["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port('web')}", "-tls1_3", "-msg",
           "-ign_eof"]
    said = []
    for options in (["-sess_out", kept], ["-groups", "ffdhe2048:X25519:P-256", "-sess_in", kept],
                    ["-sess_in", kept]):
        said.append(subprocess.run([*ask, *options], input=CLOSING, capture_output=True,
                                   timeout=20).stdout)
    assert said[1].count(b"ClientHello") == 2
    assert [b"Reused, TLSv1.3" in text for text in said] == [False, True, False]


@pytest.mark.parametrize("reference, words", [
    ("{file: @short@}", "too short; expected at least 32 bytes"),
    ("{env: SHORT_SECRET}", "too short; expected at least 32 bytes"),
    ("{env: NO_SUCH_SECRET}", "NO_SUCH_SECRET is not set"),
    ("{file: @none@}", "does not exist"),
    ("0123456789abcdef0123456789abcdef", "a secret cannot stand in the file"),
])
@pytest.mark.parametrize("verb", ["check", "run"])
def test_what_is_no_secret_is_refused(run_sallyport, authority, tmp_path, verb, reference, words):
    chain, key = authority.local
    short = tmp_path / "short"
    short.write_text("0123456789abcdef0123456789abcde\n")
    done = run_sallyport(verb, config=CONFIG + f"tickets: {{secret: {reference}}}\n", chain=chain,
                         key=key, short=short, none=tmp_path / "none", name_="web", more="", web=0,
                         app=1, env={"SHORT_SECRET": "short"})
    assert done.returncode == 2
    assert words in done.stdout + done.stderr and "verb.yaml:" in done.stdout + done.stderr
