"""A real Chromium, which trusts the tests' CA, uses the demo app through the proxy.

SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import pathlib
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build"

CONFIG = """
certificates:
  - {name: web, chain: @chain@, key: @key@}
listeners:
  - name: web
    address: "127.0.0.1:@web@"
    session_header: on
    tls: {certificates: [web]}
    routes: [{host: localhost, path: /, backend: demo}]
backends:
  demo: {servers: ["http://127.0.0.1:@demo@"]}
"""


def trusting_home(folder, ca):
    """A home directory whose NSS database, which Chromium reads, trusts the CA."""
    database = folder / ".pki" / "nssdb"
    database.mkdir(parents=True)
    for argv in (["-N", "--empty-password"],
                 ["-A", "-n", "tests", "-t", "C,,", "-i", str(ca)]):
        subprocess.run(["certutil", "-d", f"sql:{database}", *argv], check=True,
                       capture_output=True, timeout=30)
    return folder


@pytest.fixture
def browse(tmp_path, authority):
    """browse(url, screenshot name) → what browser.mjs saw."""
    def run(url, name):
        home = trusting_home(tmp_path / "home", authority.path)
        (BUILD / "screenshots").mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ["node", "browser.mjs", url, str(BUILD / "screenshots" / name)], cwd=HERE,
            env={**os.environ, "HOME": str(home)}, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        seen = json.loads(done.stdout.splitlines()[-1])
        assert "failure" not in seen, seen
        return seen

    return run


def test_chromium_uses_the_app_over_tls(sallyport, demo, browse):
    proxy = sallyport(CONFIG, demo=demo().port)
    seen = browse(f"https://localhost:{proxy.port('web')}/", "demo.png")
    assert seen["status"] == 200
    assert seen["protocol"] == "TLS 1.3"
    assert seen["issuer"] == "test CA"
    assert seen["session_pill"] == "encrypted"
    assert seen["session_version"] == "TLS 1.3"
    assert seen["session_cipher"] == "TLS_AES_256_GCM_SHA384"
    assert seen["session_websocket"].startswith("TLS 1.3")
    assert seen["sockets"] == [f"wss://localhost:{proxy.port('web')}/ws"]
    assert seen["ticked"]
    assert seen["echo"] == "through both doors ✓"
    assert not seen["overflow"]
    assert not [line for line in seen["console"] if line.startswith("error")], seen["console"]


def test_the_page_says_so_when_nothing_is_encrypted(demo, browse):
    seen = browse(demo().url, "demo-plaintext.png")
    assert seen["session_pill"] == "not encrypted"
    assert seen["session_version"] == "Plaintext"
    assert seen["echo"] == "through both doors ✓"
