"""Session tickets between instances: with one secret they resume each other's sessions, with another or
none they do not, and the secret stays in the keyholders.

SPDX-License-Identifier: Apache-2.0
"""

import os
import secrets
import ssl

import pytest
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
