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


def heads_over_http2(path):
    """From Chromium's log of its network: (session, fields) of each head that it sent over HTTP/2."""
    log = json.loads(path.read_text())
    kind = log["constants"]["logEventTypes"]["HTTP2_SESSION_SEND_HEADERS"]
    heads = []
    for event in log["events"]:
        if event["type"] == kind:
            fields = [line.partition(": ") for line in event["params"]["headers"]]
            heads.append((event["source"]["id"], {name: value for name, _, value in fields}))
    return heads


@pytest.fixture
def browse(tmp_path, authority):
    """browse(url, screenshot name) → what browser.mjs saw."""
    def run(url, name):
        home = trusting_home(tmp_path / "home", authority.path)
        (BUILD / "screenshots").mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ["node", "browser.mjs", url, str(BUILD / "screenshots" / name),
             str(tmp_path / "net.json")], cwd=HERE,
            env={**os.environ, "HOME": str(home)}, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        seen = json.loads(done.stdout.splitlines()[-1])
        assert "failure" not in seen, seen
        seen["heads"] = heads_over_http2(tmp_path / "net.json")
        return seen

    return run


def test_chromium_uses_the_app_over_http2(sallyport, demo, browse):
    proxy = sallyport(CONFIG, demo=demo().port)
    seen = browse(f"https://localhost:{proxy.port('web')}/", "demo.png")
    assert seen["status"] == 200
    assert seen["protocol"] == "TLS 1.3"
    assert seen["issuer"] == "test CA"
    assert seen["session_pill"] == "encrypted"
    assert seen["session_version"] == "TLS 1.3"
    assert seen["session_cipher"] == "TLS_AES_256_GCM_SHA384"
    assert seen["session_websocket"].startswith("TLS 1.3")
    assert seen["spoken"] == "h2"
    assert seen["way"] == "HTTP/2 in TLS"
    assert seen["sockets"] == [f"wss://localhost:{proxy.port('web')}/ws"]
    assert seen["ticked"]
    assert seen["echo"] == "through both doors ✓"
    assert not seen["overflow"]
    assert not [line for line in seen["console"] if line.startswith("error")], seen["console"]
    # The page and its WebSocket came over one and the same conn of HTTP/2 (RFC 8441).
    page_session, = {session for session, head in seen["heads"] if head[":path"] == "/"}
    (session, head), = [(session, head) for session, head in seen["heads"]
                        if ":protocol" in head]
    assert session == page_session
    assert (head[":method"], head[":protocol"], head[":path"]) == ("CONNECT", "websocket", "/ws")
    line, = proxy.wait_event("access", path="/ws")
    assert line["protocol"] == "HTTP/2" and line["tunnel"] and line["status"] == 101
    assert line["bytes_in"] > 0 and line["bytes_out"] > 0
    assert {e["protocol"] for e in proxy.events("access") if "path" in e} == {"HTTP/2"}


def test_chromium_uses_the_app_over_http1_where_http2_is_off(sallyport, demo, browse):
    proxy = sallyport(CONFIG.replace("certificates: [web]", "certificates: [web], alpn: [http/1.1]"),
                      demo=demo().port)
    seen = browse(f"https://localhost:{proxy.port('web')}/", "demo-http1.png")
    assert seen["spoken"] == "http/1.1"
    assert seen["way"] == "HTTP/1.1 in TLS"
    assert seen["echo"] == "through both doors ✓"
    assert seen["heads"] == []
    line, = proxy.wait_event("access", path="/ws")
    assert line["protocol"] == "HTTP/1.1" and line["tunnel"]


def test_the_page_says_so_when_nothing_is_encrypted(demo, browse):
    seen = browse(demo().url, "demo-plaintext.png")
    assert seen["session_pill"] == "not encrypted"
    assert seen["session_version"] == "Plaintext"
    assert seen["echo"] == "through both doors ✓"
