"""Logs: one line an exchange, whole, with what an operator needs and nothing that is secret.

SPDX-License-Identifier: Apache-2.0
"""

import json
import re
import textwrap

import pytest
from conftest import wait_until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: sid=set-cookie-secret\r\n\r\nok"
CONFIG = textwrap.dedent('''
    certificates: [{name: web, chain: @chain@, key: @key@}]
    listeners:
      - {name: plain, address: "127.0.0.1:@plain@", tls: off,
         routes: [{backend: app}, {path: /dead, backend: dead}]}
      - {name: web, address: "127.0.0.1:@web@", tls: {certificates: [web]},
         routes: [{backend: app}, {path: /dead, backend: dead}]}
    backends:
      app: {servers: ["http://127.0.0.1:@app@"]}
      dead: {servers: ["http://127.0.0.1:1"]}
''')


def ask(conn, path=b"/", fields=b"", body=b""):
    method = b"POST" if body else b"GET"
    length = b"Content-Length: %d\r\n" % len(body) if body else b""
    conn.send(method + b" " + path + b" HTTP/1.1\r\nHost: localhost\r\n" + fields + length +
              b"\r\n" + body)
    return conn.response()


@pytest.fixture(scope="module")
def proxy(standing, standing_backend):
    return standing(CONFIG, app=standing_backend(OK).port)


def test_each_exchange_leaves_one_line(proxy):
    with proxy.tls("web") as conn:
        for number in range(30):
            assert ask(conn, b"/each/%d" % number).status == 200
    lines = wait_until(lambda: [e for e in proxy.events("access")
                                if e.get("path", "").startswith("/each/")][29:] and
                       [e for e in proxy.events("access") if e.get("path", "").startswith("/each/")],
                       "thirty lines")
    assert [e["path"] for e in lines] == [f"/each/{number}" for number in range(30)]
    assert len({e["id"] for e in lines}) == 30


def test_line_says_what_an_operator_needs(proxy):
    with proxy.tls("web") as conn:
        ask(conn, b"/full?q=1", b"User-Agent: test\r\n", b"hello")
        ask(conn, b"/full-second")
    line, = proxy.wait_event("access", path="/full")
    expected = {
        "client": "127.0.0.1", "listener": "web", "protocol": "HTTP/1.1", "method": "POST",
        "host": "localhost", "path": "/full", "query": True, "user_agent": "test", "tls": True,
        "tls_version": "TLSv1.3", "tls_cipher": "TLS_AES_256_GCM_SHA384", "tls_resumed": False,
        "sni": "localhost", "status": 200, "bytes_in": 5, "bytes_out": 2, "route": "/",
        "backend": "app"}
    assert {key: line.get(key) for key in expected} == expected
    assert line["tls_group"] and line["server"].startswith("http://127.0.0.1:")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    for phase in ("tls_us", "header_us", "first_byte_us", "total_us"):
        assert isinstance(line[phase], int), phase
    assert line["total_us"] >= line["first_byte_us"] and "fault" not in line
    second, = proxy.wait_event("access", path="/full-second")
    assert "tls_us" not in second, "the handshake belongs to the first exchange of a conn"


def test_fault_is_named(proxy):
    with proxy.tcp("plain") as conn:
        assert ask(conn, b"/dead").status == 502
    line, = proxy.wait_event("access", path="/dead")
    assert (line["status"], line["fault"]) == (502, "backend_refused")


SECRETS = {
    "cookie": (b"/", b"Cookie: sid=very-secret-1\r\n"),
    "authorization": (b"/", b"Authorization: Bearer very-secret-2\r\n"),
    "basic": (b"/", b"Authorization: Basic dmVyeS1zZWNyZXQtMw==\r\n"),
    "proxy_authorization": (b"/", b"Proxy-Authorization: Basic very-secret-4\r\n"),
    "query": (b"/?access_token=very-secret-5", b""),
    "query_of_a_fault": (b"/dead?access_token=very-secret-6", b""),
    "api_key": (b"/", b"X-Api-Key: very-secret-7\r\n"),
    "refused_head": (b"/?t=very-secret-8", b"Authorization: very-secret-8\r\nX: a\0b\r\n"),
    "websocket_key": (b"/", b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
                            b"Sec-WebSocket-Protocol: token-very-secret-9\r\n"),
}


@pytest.mark.parametrize("name", SECRETS)
def test_secrets_are_in_no_log(proxy, name):
    path, fields = SECRETS[name]
    before = len(proxy.events("access"))
    with proxy.tls("web") as conn:
        ask(conn, path, fields)
    with proxy.tls("web") as conn:
        ask(conn, b"/body", body=b"very-secret-body")
    wait_until(lambda: len(proxy.events("access")) >= before + 2, "the lines")
    for secret in ("very-secret", "dmVyeS1zZWNyZXQt", "set-cookie-secret", "access_token"):
        assert secret not in proxy.process.err + proxy.process.out


def test_peers_cannot_forge_lines(proxy):
    """Quotes, escapes and control characters in what peers say stay inside their field."""
    forged = rb'/"},{"event":"forged","x":"\u202e'
    with proxy.tcp("plain") as conn:
        ask(conn, b"/a%22b", b'User-Agent: x","event":"forged"\t\xe2\x80\xae\xff\\\r\n')
    line, = proxy.wait_event("access", path="/a%22b")
    assert line["event"] == "access" and line["user_agent"].startswith('x","event":"forged"')
    assert not proxy.events("forged") and forged
    for text in proxy.process.err.splitlines():
        assert "\u202e" not in text and "\t" not in text


def test_long_texts_are_cut_and_the_line_stays_whole(proxy):
    with proxy.tcp("plain") as conn:
        ask(conn, b"/long/" + b"a" * 8000, b"User-Agent: " + b"b" * 8000 + b"\r\n")
    line = wait_until(lambda: [e for e in proxy.events("access")
                               if e.get("path", "").startswith("/long/")], "the line")[0]
    assert len(json.dumps(line)) < 4096 and line["status"] == 200


def test_errors_only_keeps_errors(sallyport, backend):
    proxy = sallyport(CONFIG + "log: {access: errors_only, format: json, level: info}\n",
                      app=backend(OK).port)
    with proxy.tcp("plain") as conn:
        assert ask(conn, b"/fine").status == 200
        assert ask(conn, b"/dead").status == 502
        assert ask(conn, b"/fine").status == 200
        assert ask(conn, b"/%zz").status == 400
    proxy.wait_event("access", path="/dead")
    proxy.wait_event("access", status=400)
    assert not [e for e in proxy.events("access") if e["status"] == 200]


def test_access_log_can_be_off(sallyport, backend):
    proxy = sallyport(CONFIG + "log: {access: off, format: json, level: debug}\n",
                      app=backend(OK).port)
    proxy.wait_event("ready")
    with proxy.tcp("plain") as conn:
        assert ask(conn, b"/fine").status == 200
    proxy.stop()
    assert not proxy.events("access")


def test_text_form_is_one_readable_line(sallyport, backend):
    proxy = sallyport(CONFIG + "log: {access: text, format: text, level: info}\n",
                      app=backend(OK).port)
    with proxy.tls("web") as conn:
        assert ask(conn, b"/readable?token=very-secret", b"Cookie: very-secret\r\n").status == 200
        assert ask(conn, b"/dead").status == 502
    wait_until(lambda: "fault=" in proxy.process.err, "the lines")
    line, = [text for text in proxy.process.err.splitlines() if "/readable" in text]
    assert re.search(r" 200 GET https://localhost/readable\?\.\.\. \d+\.\d\dms", line)
    assert "tls=TLSv1.3" in line and "client=127.0.0.1" in line
    assert "very-secret" not in proxy.process.err
    assert "fault=backend_refused" in proxy.process.err


def test_logs_go_to_a_file_when_asked(sallyport, backend, tmp_path):
    tmp_path.chmod(0o755)
    path = tmp_path / "access.log"
    proxy = sallyport(CONFIG + f'log: {{access: json, format: json, destination: "{path}"}}\n',
                      app=backend(OK).port)
    with proxy.tcp("plain") as conn:
        assert ask(conn, b"/filed").status == 200
    wait_until(lambda: path.exists() and "/filed" in path.read_text(), "the line in the file")
    for text in path.read_text().splitlines():
        json.loads(text)


def test_level_keeps_what_is_less_important_out(sallyport, backend):
    proxy = sallyport(CONFIG + "log: {access: off, format: json, level: warn}\n",
                      app=backend(OK).port)
    with proxy.tcp("plain") as conn:
        assert ask(conn).status == 200
    proxy.stop()
    assert {e["level"] for e in proxy.events()} <= {"warn", "error"}
