"""Routes, and the fields that the proxy adds, changes and strips on both ways.

The last part walks through what a large chat application (Mattermost) needs of the proxy in front
of it: 22 points, each with its test or the key that gives it.

SPDX-License-Identifier: Apache-2.0
"""

import re
import textwrap

import pytest
from conftest import Conn

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def named(name):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(name), name)


def ask(conn, path=b"/", host=b"chat.example.com", fields=b"", method=b"GET"):
    conn.send(method + b" " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\n" + fields + b"\r\n")
    return conn.response(method.decode())


# ---- which backend -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def routed(standing, standing_backend):
    names = ("exact", "wild", "deep", "any", "api", "fallback", "other")
    ports = {name: standing_backend(named(name.encode())).port for name in names}
    backends = "\n".join(f'  {name}: {{servers: ["http://127.0.0.1:{port}"]}}'
                         for name, port in ports.items())
    return standing(textwrap.dedent('''
        listeners:
          - name: plain
            address: "127.0.0.1:@plain@"
            tls: off
            default_backend: fallback
            routes:
              - {host: chat.example.com, path: /, backend: exact}
              - {host: chat.example.com, path: /api, backend: api}
              - {host: "*.example.com", path: /, backend: wild}
              - {host: "*.deep.example.com", path: /, backend: deep}
              - {host: "*", path: /any, backend: any}
          - {name: second, address: "127.0.0.1:@second@", tls: off,
             routes: [{host: second.example, path: /only, backend: other}]}
        backends:
    ''') + backends + "\n")


ROUTES = [
    (b"chat.example.com", b"/", "exact"), (b"chat.example.com", b"/apple", "exact"),
    (b"chat.example.com", b"/api", "api"), (b"chat.example.com", b"/api/", "api"),
    (b"chat.example.com", b"/api/v4?x=/", "api"), (b"chat.example.com", b"/apix", "exact"),
    (b"chat.example.com", b"/x/../api/y", "api"), (b"chat.example.com", b"/%61pi/y", "api"),
    (b"chat.example.com", b"/api/../x", "exact"), (b"CHAT.Example.COM", b"/api", "api"),
    (b"chat.example.com:8443", b"/api", "api"), (b"chat.example.com.", b"/api", "api"),
    (b"www.example.com", b"/api", "wild"), (b"a.b.example.com", b"/", "wild"),
    (b"x.deep.example.com", b"/", "deep"), (b"deep.example.com", b"/", "wild"),
    (b"example.com", b"/", "fallback"), (b"badexample.com", b"/", "fallback"),
    (b"elsewhere.example", b"/any", "any"), (b"elsewhere.example", b"/anything", "fallback"),
    (b"10.0.0.1", b"/any/x", "any"), (b"[::1]:80", b"/any", "any"),
]


@pytest.mark.parametrize("host, path, backend", ROUTES)
def test_route_is_the_most_specific_host_then_the_longest_path(routed, host, path, backend):
    with routed.tcp("plain") as conn:
        assert ask(conn, path, host).body.decode() == backend
    assert routed.wait_event("access", backend=backend)


def test_conn_may_ask_for_several_hosts(routed):
    with routed.tcp("plain") as conn:
        for host, path, backend in ROUTES:
            assert ask(conn, path, host).body.decode() == backend


@pytest.mark.parametrize("host, path", [(b"second.example", b"/"), (b"chat.example.com", b"/only"),
                                        (b"second.example", b"/onlyx")])
def test_what_no_route_of_this_listener_matches_is_404(routed, host, path):
    with routed.tcp("second") as conn:
        response = ask(conn, path, host)
        assert response.status == 404 and b"no_route" in response.body
        assert ask(conn, b"/only/this", b"second.example").body == b"other"
    routed.wait_event("access", listener="second", status=404, fault="no_route")


# ---- the redirect listener -----------------------------------------------------------------


@pytest.fixture(scope="module")
def redirecting(standing):
    return standing('''
        listeners:
          - {name: new, address: "127.0.0.1:@new@", mode: redirect, redirect_port: 8443}
          - {name: old, address: "127.0.0.1:@old@", mode: redirect, redirect_status: 301}
    ''')


@pytest.mark.parametrize("host, path, target", [
    (b"chat.example.com", b"/", b"https://chat.example.com:8443/"),
    (b"chat.example.com:8080", b"/a/b?c=d&e=%20", b"https://chat.example.com:8443/a/b?c=d&e=%20"),
    (b"[::1]:80", b"/x?", b"https://[::1]:8443/x?"),
    (b"Chat.Example.Com", b"//x", b"https://chat.example.com:8443//x"),
])
def test_redirect_keeps_host_path_and_query(redirecting, host, path, target):
    with redirecting.tcp("new") as conn:
        for method in (b"GET", b"POST", b"HEAD", b"DELETE"):
            response = ask(conn, path, host, method=method)
            assert response.status == 308
            assert response.field("location") == target.decode()
            assert response.body == b""


def test_redirect_of_the_old_kind_keeps_the_method_of_others(redirecting):
    with redirecting.tcp("old") as conn:
        for method, status in ((b"GET", 301), (b"HEAD", 301), (b"POST", 308), (b"PUT", 308)):
            response = ask(conn, b"/sub/path", method=method)
            assert response.status == status
            assert response.field("location") == "https://chat.example.com/sub/path"


def test_acme_challenges_are_not_redirected(redirecting):
    with redirecting.tcp("new") as conn:
        assert ask(conn, b"/.well-known/acme-challenge/token").status == 404
        assert ask(conn, b"/.well-known/other").status == 308


def test_redirect_without_a_host_is_refused(redirecting):
    with redirecting.tcp("new") as conn:
        conn.send(b"GET / HTTP/1.0\r\n\r\n")
        assert conn.response().status == 400


@pytest.mark.parametrize("path", [b"/a\r\nX: y", b"/%0d%0aX:%20y"])
def test_redirect_splits_no_response(redirecting, path):
    with redirecting.tcp("new") as conn:
        response = ask(conn, path)
        assert response.field("x") is None


# ---- fields of requests --------------------------------------------------------------------


@pytest.fixture(scope="module")
def recorder(standing_backend):
    return standing_backend(OK)


@pytest.fixture(scope="module")
def front(standing, recorder):
    return standing('''
        certificates: [{name: web, chain: @chain@, key: @key@}]
        listeners:
          - {name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}
          - {name: web, address: "127.0.0.1:@web@", routes: [{backend: app}]}
          - {name: told, address: "127.0.0.1:@told@", forwarded: on, session_header: on,
             routes: [{backend: app}]}
          - {name: trusting, address: "127.0.0.1:@trusting@", forwarded: on,
             trusted_proxies: [127.0.0.0/8, 10.0.0.0/8], routes: [{backend: app}]}
          - {name: renamed, address: "127.0.0.1:@renamed@", routes: [{backend: renamed}]}
          - {name: six, address: "[::1]:@six@", routes: [{backend: app}]}
        backends:
          app: {servers: ["http://127.0.0.1:@app@"]}
          renamed: {servers: ["http://127.0.0.1:@app@"], host_header: backend}
    ''', app=recorder.port)


def seen_by_backend(front, recorder, listener, mark, fields=b"", host=b"chat.example.com",
                    **keywords):
    """Fields that the backend got, as a list of pairs."""
    opened = front.tls(listener, **keywords) if listener != "plain" else front.tcp(listener)
    with opened as conn:
        assert ask(conn, b"/" + mark, host, fields).status == 200
    received = recorder.wait_received(b"GET /" + mark + b" ")
    head = received[received.index(b"GET /" + mark + b" "):].partition(b"\r\n\r\n")[0]
    return [tuple(line.split(": ", 1)) for line in head.decode("latin-1").split("\r\n")[1:]]


def value(fields, name):
    values = [v for n, v in fields if n == name]
    assert len(values) <= 1, f"{name} is there {len(values)} times"
    return values[0] if values else None


def test_backend_is_told_the_client_the_scheme_and_the_host_with_its_port(front, recorder):
    fields = seen_by_backend(front, recorder, "web", b"told-plainly", host=b"chat.example.com:8443")
    told = {name: value(fields, name) for name in
            ("host", "x-forwarded-for", "x-real-ip", "x-forwarded-proto", "x-forwarded-host",
             "x-forwarded-port", "forwarded")}
    assert told == {"host": "chat.example.com:8443", "x-forwarded-for": "127.0.0.1",
                    "x-real-ip": "127.0.0.1", "x-forwarded-proto": "https",
                    "x-forwarded-host": "chat.example.com:8443", "x-forwarded-port": "8443",
                    "forwarded": None}


def test_scheme_of_a_plaintext_listener_is_http(front, recorder):
    fields = seen_by_backend(front, recorder, "plain", b"plain-scheme")
    assert value(fields, "x-forwarded-proto") == "http"
    assert value(fields, "x-forwarded-port") == "80"


def test_client_over_ip6_is_told_as_such(front, recorder):
    fields = seen_by_backend(front, recorder, "six", b"six", address="::1")
    assert value(fields, "x-forwarded-for") == value(fields, "x-real-ip") == "::1"


SPOOFED = (b"X-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-Proto: http\r\n"
           b"X-Forwarded-Host: evil.example\r\nX-Forwarded-Port: 666\r\n"
           b"Forwarded: for=6.6.6.6;host=evil.example\r\nX-Forwarded-Server: evil\r\n"
           b"X-Forwarded-Ssl: off\r\nTrue-Client-IP: 6.6.6.6\r\nX-Client-IP: 6.6.6.6\r\n"
           b"X-Cluster-Client-IP: 6.6.6.6\r\nFront-End-Https: off\r\nClient-Cert: :evil:\r\n"
           b"Client-Cert-Chain: :evil:\r\nSallyport-Session: evil\r\nProxy: http://evil\r\n"
           b"X_Forwarded_For: 6.6.6.6\r\nX_Real_IP: 6.6.6.6\r\n")


def test_spoofed_fields_of_untrusted_clients_are_stripped(front, recorder):
    fields = seen_by_backend(front, recorder, "web", b"spoofed", SPOOFED)
    text = str(fields)
    for lie in ("6.6.6.6", "evil", "'666'", "off"):  # 666 alone may be in an id
        assert lie not in text, text
    assert value(fields, "x-forwarded-for") == "127.0.0.1"
    assert value(fields, "x-forwarded-proto") == "https"


def test_fields_of_trusted_proxies_are_believed_and_appended_to(front, recorder):
    fields = seen_by_backend(
        front, recorder, "trusting", b"trusted",
        b"X-Forwarded-For: 192.0.2.7, 10.1.2.3\r\nX-Forwarded-Proto: http\r\n"
        b"X-Forwarded-Host: public.example\r\nForwarded: for=192.0.2.7\r\nClient-Cert: :evil:\r\n")
    assert value(fields, "x-forwarded-for") == "192.0.2.7, 10.1.2.3, 127.0.0.1"
    assert value(fields, "x-real-ip") == "192.0.2.7"
    assert value(fields, "x-forwarded-proto") == "http"
    assert value(fields, "x-forwarded-host") == "public.example"
    assert value(fields, "forwarded").startswith("for=192.0.2.7, for=127.0.0.1")
    assert value(fields, "client-cert") is None, "no proxy may say whose certificate it was"


def test_address_behind_an_untrusted_one_is_not_believed(front, recorder):
    """Whoever speaks to the trusted proxy may have written the first members."""
    fields = seen_by_backend(front, recorder, "trusting", b"forged",
                             b"X-Forwarded-For: 1.1.1.1, 192.0.2.7, 10.1.2.3\r\n")
    assert value(fields, "x-real-ip") == "192.0.2.7"


def test_forwarded_and_the_session_are_told_when_asked_for(front, recorder):
    fields = seen_by_backend(front, recorder, "told", b"session")
    assert value(fields, "forwarded") == "for=127.0.0.1;host=chat.example.com;proto=https"
    session = value(fields, "sallyport-session")
    assert re.fullmatch(r"version=TLSv1\.3, cipher=TLS_AES_256_GCM_SHA384, group=\w+, "
                        r"resumed=\?0", session), session


def test_host_of_the_backend_is_sent_when_asked_for(front, recorder):
    fields = seen_by_backend(front, recorder, "renamed", b"renamed")
    assert value(fields, "host") == f"127.0.0.1:{recorder.port}"
    assert value(fields, "x-forwarded-host") == "chat.example.com"


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_trace_of_the_client_passes_and_is_logged(front, recorder):
    fields = seen_by_backend(front, recorder, "web", b"traced", b"Traceparent: " + TRACE.encode() +
                             b"\r\nTracestate: a=b\r\nX-Request-Id: req-1\r\n")
    assert value(fields, "traceparent") == TRACE and value(fields, "tracestate") == "a=b"
    assert value(fields, "x-request-id") == "req-1"
    line, = front.wait_event("access", path="/traced")
    assert line["trace"] == TRACE.split("-")[1] and line["request_id"] == "req-1"


@pytest.mark.parametrize("number, given", enumerate([
    b"", b"Traceparent: nonsense\r\nTracestate: a=b\r\n",
    b"Traceparent: 00-00000000000000000000000000000000-b7ad6b7169203331-01\r\n",
    b"Traceparent: " + TRACE.encode() + b"\r\nTraceparent: " + TRACE.encode() + b"\r\n",
    b"X-Request-Id: a\"b\r\n", b"X-Request-Id: " + b"a" * 200 + b"\r\n"]))
def test_trace_and_id_are_made_where_there_are_none_that_hold(front, recorder, number, given):
    fields = seen_by_backend(front, recorder, "web", b"trace-%d" % number, given)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", value(fields, "traceparent"))
    assert value(fields, "tracestate") is None
    assert re.fullmatch(r"[0-9a-f]{16}", value(fields, "x-request-id"))
    assert value(fields, "traceparent") != TRACE


# ---- fields of responses -------------------------------------------------------------------


@pytest.fixture(scope="module")
def dressed(standing, standing_backend):
    app = standing_backend(
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2; Secure; HttpOnly\r\n"
        b"Set-Cookie: secure=3\r\nServer: app\r\nContent-Length: 2\r\n\r\nok")
    own = standing_backend(
        b"HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=7\r\nX-Frame-Options: DENY\r\n"
        b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n")
    moved = standing_backend(
        b"HTTP/1.1 302 Found\r\nLocation: http://chat.example.com/next?a=b\r\n"
        b"Content-Length: 0\r\n\r\n")
    return standing('''
        certificates: [{name: web, chain: @chain@, key: @key@}]
        listeners:
          - {name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}
          - name: web
            address: "127.0.0.1:@web@"
            routes:
              - {backend: app}
              - {path: /own, backend: own}
              - {path: /moved, backend: moved}
              - {path: /raw, backend: raw}
              - {path: /dead, backend: dead}
          - {name: short, address: "127.0.0.1:@short@", hsts: 300s, hsts_subdomains: yes,
             routes: [{backend: app}]}
          - {name: off, address: "127.0.0.1:@off@", hsts: off, routes: [{backend: app}]}
          - {name: basic, address: "127.0.0.1:@basic@", security_headers: basic,
             routes: [{backend: app}, {path: /own, backend: own}]}
          - {name: strict, address: "127.0.0.1:@strict@", security_headers: strict,
             routes: [{backend: app}]}
        backends:
          app: {servers: ["http://127.0.0.1:@app@"]}
          raw: {servers: ["http://127.0.0.1:@app@"], secure_cookies: no}
          own: {servers: ["http://127.0.0.1:@own@"]}
          moved: {servers: ["http://127.0.0.1:@moved@"]}
          dead: {servers: ["http://127.0.0.1:1"]}
    ''', app=app.port, own=own.port, moved=moved.port)


def dressed_response(dressed, listener, path=b"/", host=b"chat.example.com", fields=b""):
    port = dressed.port(listener)
    with (Conn.tcp(port) if listener == "plain"
          else Conn.tls(port, name="chat.example.com")) as conn:
        return ask(conn, path, host, fields)


YEAR = "max-age=31536000"
HSTS = "strict-transport-security"


@pytest.mark.parametrize("path, status", [(b"/", 200), (b"/dead", 502), (b"/%zz", 400)])
def test_every_response_insists_on_https_errors_too(dressed, path, status):
    response = dressed_response(dressed, "web", path)
    assert (response.status, response.field(HSTS)) == (status, YEAR)


@pytest.mark.parametrize("name, expected", [("chat.example.com", YEAR), ("localhost", None)])
@pytest.mark.parametrize("fields, status", [(b"X: a\0b\r\n", 400), (b"X: " + b"a" * 70000, 431)])
def test_refused_heads_are_judged_by_the_name_of_the_handshake(dressed, name, expected, fields,
                                                               status):
    """Their Host is not known; an error must not pin localhost to https."""
    with Conn.tls(dressed.port("web"), name=name) as conn:
        conn.send(b"GET / HTTP/1.1\r\nHost: " + name.encode() + b"\r\n" + fields + b"\r\n")
        response = conn.response()
    assert (response.status, response.field(HSTS)) == (status, expected)


@pytest.mark.parametrize("host", [b"localhost", b"localhost:8443", b"app.localhost", b"127.0.0.1",
                                  b"127.0.0.53:8443", b"[::1]:8443", b"LOCALHOST."])
def test_loopback_names_are_never_pinned_to_https(dressed, host):
    assert dressed_response(dressed, "web", host=host).field(HSTS) is None


def test_plaintext_says_nothing_about_https(dressed):
    assert dressed_response(dressed, "plain").field(HSTS) is None


@pytest.mark.parametrize("listener, expected", [("short", "max-age=300; includeSubDomains"),
                                                ("off", None)])
def test_insistence_on_https_is_as_configured(dressed, listener, expected):
    assert dressed_response(dressed, listener).field(HSTS) == expected


def test_what_the_application_says_about_https_and_frames_is_kept(dressed):
    response = dressed_response(dressed, "basic", b"/own")
    assert response.field(HSTS) == "max-age=7"
    assert response.field("x-frame-options") == "DENY"
    assert response.field("date") == "Thu, 01 Jan 1970 00:00:00 GMT"


def cookies(response):
    return [v for n, v in response.fields if n == "set-cookie"]


def test_cookies_are_made_secure_over_tls(dressed):
    assert cookies(dressed_response(dressed, "web")) == [
        "a=1; Path=/; Secure", "b=2; Secure; HttpOnly", "secure=3; Secure"]


@pytest.mark.parametrize("listener, path", [("plain", b"/"), ("web", b"/raw")])
def test_cookies_are_left_alone_otherwise(dressed, listener, path):
    assert cookies(dressed_response(dressed, listener, path)) == [
        "a=1; Path=/", "b=2; Secure; HttpOnly", "secure=3"]


def test_security_headers_are_added_when_asked_for(dressed):
    names = ("x-content-type-options", "x-frame-options", "referrer-policy")
    assert [dressed_response(dressed, "web").field(n) for n in names] == [None] * 3
    assert [dressed_response(dressed, "basic").field(n) for n in names] == [
        "nosniff", "SAMEORIGIN", "strict-origin-when-cross-origin"]
    strict = dressed_response(dressed, "strict")
    assert strict.field("permissions-policy") and strict.field("cross-origin-opener-policy")


def test_redirects_of_the_application_to_plaintext_lead_to_https(dressed):
    response = dressed_response(dressed, "web", b"/moved")
    assert response.field("location") == "https://chat.example.com/next?a=b"


def test_date_is_added_where_the_application_has_none(dressed):
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT",
                        dressed_response(dressed, "web").field("date"))


@pytest.mark.parametrize("accept, kind", [
    (b"text/html,application/xhtml+xml;q=0.9", "text/html"), (b"application/json",
                                                               "application/json"),
    (b"*/*", "text/plain"), (b"", "text/plain")])
def test_error_page_speaks_the_language_that_is_accepted(dressed, accept, kind):
    response = dressed_response(dressed, "web", b"/dead",
                                fields=b"Accept: " + accept + b"\r\n" if accept else b"")
    assert response.status == 502 and response.field("content-type").startswith(kind)
    assert b"backend_refused" in response.body and response.field("cache-control") == "no-store"
    assert b"127.0.0.1" not in response.body, "where the backend is, is nobody's business"


# ---- what a large chat application needs ---------------------------------------------------

# Point by point: the test above or elsewhere that shows it, or the key that gives it.
POINTS = {
    1: "test_redirect_of_the_old_kind_keeps_the_method_of_others",
    2: "test_websocket.py::test_any_path_takes_websockets",
    3: "test_backend_is_told_the_client_the_scheme_and_the_host_with_its_port",
    4: "test_spoofed_fields_of_untrusted_clients_are_stripped",
    5: "test_security_headers_are_added_when_asked_for",
    6: "test_limits.py::test_default_body_limit_is_100_mib",
    7: "test_limits.py::test_response_header_of_16_kib_passes_by_default",
    8: "key timeouts.tunnel_idle = 1h",
    9: "test_backends.py::test_server_conns_are_kept_for_others",
    10: "key limits.requests_per_connection = 16384",
    11: "test_tls.py::test_suites_are_those_of_the_policy",
    12: "test_tls.py::test_early_data_is_not_accepted",
    13: "test_every_response_insists_on_https_errors_too",
    14: "test_tls.py::test_given_ocsp_response_is_stapled",
    15: "test_http1.py::test_values_and_their_order_pass_unchanged",
    16: "test_logs.py::test_errors_only_keeps_errors",
    17: "left to the application",
    18: "test_http1.py::test_head_tells_the_length_and_sends_none_of_it",
    19: "test_backends.py::test_server_that_cannot_be_trusted_gets_nothing",
    20: "left to `sallyport probe`",
    21: "test_tls.py::test_encrypted_key_is_opened",
    22: "no listener is there unless configured",
}


@pytest.mark.parametrize("point", POINTS)
def test_point_is_shown_by_a_test_or_a_documented_key(run_sallyport, request, point):
    shown = POINTS[point]
    if shown.startswith("test_"):
        name = shown.rpartition("::")[0] or "test_routing.py"
        text = (request.path.parent / name).read_text()
        assert f"def {shown.rpartition('::')[2] or shown}(" in text
    elif shown.startswith("key "):
        path, fallback = shown[4:].split(" = ")
        reference = run_sallyport("config", "reference")
        assert reference.returncode == 0
        key = path.rpartition(".")[2]
        assert re.search(rf"{key}.{{0,200}}{fallback}", reference.stdout, re.DOTALL), key
    else:
        assert shown.startswith(("left to", "no listener"))
