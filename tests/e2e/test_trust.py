"""Whom the proxy believes behind it, and what workers get to see for that.

SPDX-License-Identifier: Apache-2.0
"""

import os
import pathlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from conftest import Authority, server_settings
from memory_search import found_in, signs_of_key
from test_process import REQUEST, children

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

CONFIG = """
certificates: [{name: web, chain: @chain@, key: @key@}]
listeners:
  - {name: web, address: "127.0.0.1:@web@", tls: {certificates: [web]}, default_backend: app}
backends: {app: {servers: ["https://localhost:@app@"], tls: {ca: @backend_ca@}}}
"""

SYSTEM_BUNDLE = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")


@pytest.fixture
def stranger(tmp_path):
    """An authority that nobody was told of."""
    return Authority(tmp_path / "stranger", "a stranger's CA")


def ask(proxy):
    with proxy.tls("web") as conn:
        return conn.send(REQUEST).response()


def test_a_server_of_an_authority_from_a_file_is_believed(sallyport, backend, stranger):
    server = backend(HELLO, tls=server_settings(*stranger.local))
    proxy = sallyport(CONFIG, app=server.port, backend_ca=stranger.path)
    assert ask(proxy).body == b"hello"


@pytest.mark.skipif(not SYSTEM_BUNDLE.exists(), reason="no system authorities on this machine")
def test_a_server_that_the_system_does_not_know_is_refused(sallyport, backend, stranger):
    server = backend(HELLO, tls=server_settings(*stranger.local))
    proxy = sallyport(CONFIG, app=server.port, backend_ca="system")
    assert ask(proxy).status == 502
    assert proxy.wait_event("access", fault="backend_unverified")
    assert b"GET" not in server.all_received()


@pytest.mark.skipif(os.geteuid() != 0 or not SYSTEM_BUNDLE.exists(),
                    reason="needs root, for a mount of its own, and system authorities")
def test_a_server_of_an_authority_of_the_system_is_believed(sallyport, backend, stranger):
    """The system's bundle is another one for this proxy alone: a mount that only it sees."""
    server = backend(HELLO, tls=server_settings(*stranger.local))
    mount = f'mount --bind {stranger.path} {SYSTEM_BUNDLE} && exec "$@"'
    proxy = sallyport(CONFIG, app=server.port, backend_ca="system",
                      _before=("unshare", "--mount", "sh", "-c", mount, "sh"))
    assert ask(proxy).body == b"hello"


@pytest.mark.skipif(os.geteuid() != 0, reason="reads the memory of other processes")
@pytest.mark.parametrize("form", ["pem", "pkcs12"])
def test_a_chain_file_with_a_key_leaves_none_in_a_worker(sallyport, run_sallyport, backend,
                                                         authority, tmp_path, form):
    chain, key_path = authority.local
    key = serialization.load_pem_private_key(key_path.read_bytes(), None)
    leaf = x509.load_pem_x509_certificate(chain.read_bytes())
    both, password = tmp_path / f"both.{form}", tmp_path / "password"
    if form == "pem":
        both.write_bytes(key_path.read_bytes() + chain.read_bytes())
    else:
        both.write_bytes(pkcs12.serialize_key_and_certificates(
            b"web", key, leaf, [authority.certificate], serialization.BestAvailableEncryption(b"secret")))
    password.write_text("secret\n")
    server = backend(HELLO)
    config = CONFIG.replace("chain: @chain@, key: @key@", "chain: @both@@rest@").replace(
        "https:", "http:").replace(", tls: {ca: @backend_ca@}", "")

    rest = f", key: {key_path}"
    if form == "pem":
        done = run_sallyport("run", config=config, both=both, rest=rest, app=server.port)
        assert done.returncode == 2 and "holds a private key" in done.stderr
        rest = ""
    else:
        rest += f", password: {{file: {password}}}"
    proxy = sallyport(config, both=both, rest=rest, app=server.port)
    assert ask(proxy).body == b"hello"
    signs = signs_of_key(key_path)
    if form == "pkcs12":
        signs["archive"] = both.read_bytes()[64:128]
    for role, pid in {**children(proxy.pid), "master": proxy.pid}.items():
        assert bool(found_in(pid, signs)) is (role == "keyholder"), role
