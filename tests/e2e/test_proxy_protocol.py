"""The PROXY protocol, versions 1 and 2: taken from trusted balancers, sent to backends.

SPDX-License-Identifier: Apache-2.0
"""

import ipaddress
import ssl
import struct

import pytest
from conftest import wait_until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v1(source="192.0.2.1", destination="198.51.100.1", family=b"TCP4", ports=(51000, 443)):
    return b"PROXY %s %s %s %d %d\r\n" % (family, source.encode(), destination.encode(), *ports)


def v2(source="192.0.2.1", destination="198.51.100.1", ports=(51000, 443), more=b"", command=1):
    addresses = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    family = 0x11 if len(addresses) == 8 else 0x21
    body = addresses + struct.pack("!HH", *ports) + more
    return SIGNATURE + struct.pack("!BBH", 0x20 | command, family, len(body)) + body


@pytest.fixture(scope="module")
def recorder(standing_backend):
    return standing_backend(OK)


@pytest.fixture(scope="module")
def proxy(standing, recorder):
    return standing('''
        certificates: [{name: web, chain: @chain@, key: @key@}]
        listeners:
          - {name: plain, address: "127.0.0.1:@plain@", tls: off, proxy_protocol: accept,
             trusted_proxies: [127.0.0.1], routes: [{backend: app}]}
          - {name: web, address: "127.0.0.1:@web@", proxy_protocol: accept,
             trusted_proxies: [127.0.0.1], routes: [{backend: app}]}
          - {name: distrusting, address: "127.0.0.1:@distrusting@", tls: off,
             proxy_protocol: accept, trusted_proxies: [10.0.0.0/8], routes: [{backend: app}]}
          - {name: without, address: "127.0.0.1:@without@", tls: off, routes: [{backend: app}]}
        backends: {app: {servers: ["http://127.0.0.1:@app@"]}}
        timeouts: {handshake: 500ms}
    ''', app=recorder.port)


def get(path):
    return b"GET " + path + b" HTTP/1.1\r\nHost: chat.example.com\r\n\r\n"


HEADERS = {
    "v1_ip4": (v1(), "192.0.2.1"),
    "v1_ip6": (v1("2001:db8::1", "2001:db8::2", b"TCP6"), "2001:db8::1"),
    "v1_unknown": (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    "v1_unknown_with_rest": (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "127.0.0.1"),
    "v2_ip4": (v2(), "192.0.2.1"),
    "v2_ip6": (v2("2001:db8::1", "2001:db8::2"), "2001:db8::1"),
    "v2_local": (v2(command=0), "127.0.0.1"),
    "v2_local_without_addresses": (SIGNATURE + b"\x20\0\0\0", "127.0.0.1"),
    "v2_with_tlvs": (v2(more=b"\x01\0\x02h2\x02\0\x04host\x04\0\x03\0\0\0"), "192.0.2.1"),
}


@pytest.mark.parametrize("pieces", ["whole", "bytes"])
@pytest.mark.parametrize("name", HEADERS)
def test_client_behind_a_trusted_balancer_is_known(proxy, recorder, name, pieces):
    header, client = HEADERS[name]
    path = f"/{name}-{pieces}".encode()
    with proxy.tcp("plain") as conn:
        if pieces == "whole":
            conn.send(header + get(path))
        else:
            for byte in header + get(path):
                conn.send(bytes([byte]))
        assert conn.response().status == 200
        conn.send(get(path + b"-again"))
        assert conn.response().status == 200
    received = recorder.wait_received(path + b"-again")
    told = received[received.index(path):]
    assert told.count(b"\r\nx-forwarded-for: %s\r\n" % client.encode()) == 2
    assert told.count(b"\r\nx-real-ip: %s\r\n" % client.encode()) == 2
    proxy.wait_event("access", path=path.decode(), client=client)


def test_header_before_a_tls_handshake_is_taken(proxy):
    with proxy.tcp("web") as plain:
        plain.send(v1())
        settings = ssl.create_default_context(cafile=str(proxy.authority.path))
        with settings.wrap_socket(plain.sock, server_hostname="localhost") as sock:
            sock.sendall(get(b"/over-tls"))
            assert sock.recv(4096).startswith(b"HTTP/1.1 200")
    proxy.wait_event("access", path="/over-tls", client="192.0.2.1", tls=True)


def test_fields_of_a_balancers_client_are_not_believed(proxy, recorder):
    """The conn is the client's, who is trusted no more than any other."""
    with proxy.tcp("plain") as conn:
        conn.send(v1() + b"GET /spoof HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n")
        assert conn.response().status == 200
    assert b"6.6.6.6" not in recorder.wait_received(b"/spoof")


MALFORMED = {
    "none": get(b"/no-header"),
    "lower_case": v1().lower(),
    "bare_lf": v1().replace(b"\r\n", b"\n"),
    "leading_zero": b"PROXY TCP4 192.0.2.01 198.51.100.1 1 2\r\n",
    "port_too_large": b"PROXY TCP4 192.0.2.1 198.51.100.1 65536 2\r\n",
    "port_missing": b"PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n",
    "families_mixed": b"PROXY TCP4 2001:db8::1 198.51.100.1 1 2\r\n",
    "two_spaces": b"PROXY  TCP4 192.0.2.1 198.51.100.1 1 2\r\n",
    "line_too_long": b"PROXY TCP4 " + b"1" * 200 + b"\r\n",
    "v2_version_3": SIGNATURE + b"\x31\x11\0\x0c" + b"\0" * 12,
    "v2_command_2": SIGNATURE + b"\x22\x11\0\x0c" + b"\0" * 12,
    "v2_too_short": SIGNATURE + b"\x21\x11\0\x04" + b"\0" * 4,
    "v2_family_unknown": SIGNATURE + b"\x21\x41\0\x0c" + b"\0" * 12,
    "v2_tlv_too_long": v2(more=b"\x01\0\xffab"),
    "v2_bad_signature": SIGNATURE[:-1] + b"x\x21\x11\0\x0c" + b"\0" * 12,
    "v2_huge": SIGNATURE + b"\x21\x11\xff\xff" + b"\0" * 4000,
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_header_closes_the_conn(proxy, recorder, name):
    before = len(proxy.events("conn_failed"))
    with proxy.tcp("plain") as conn:
        conn.send(MALFORMED[name] + get(b"/behind-malformed"))
        assert conn.read_to_end() == b""
    assert b"malformed" not in recorder.all_received()
    lines = wait_until(lambda: proxy.events("conn_failed")[before:], "a line about it")
    assert lines[0]["fault"] == "proxy_protocol"


@pytest.mark.parametrize("header", [v1(), v2(), b""])
def test_conn_of_an_untrusted_address_is_closed(proxy, header):
    with proxy.tcp("distrusting") as conn:
        try:
            conn.send(header + get(b"/untrusted"))
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert conn.read_to_end() == b""
    proxy.wait_event("conn_failed", fault="proxy_untrusted")
    assert not [e for e in proxy.events("access") if e.get("path") == "/untrusted"]


@pytest.mark.parametrize("header", [v1(), v2()])
def test_header_where_none_is_expected_is_a_bad_request(proxy, recorder, header):
    with proxy.tcp("without") as conn:
        conn.send(header + get(b"/unexpected"))
        assert conn.response().status == 400
    assert b"/unexpected" not in recorder.all_received()


# ---- to backends ---------------------------------------------------------------------------


def expecting(seen):
    """A backend that reads a PROXY header and then answers requests."""
    def serve(conn):
        start = conn.read_exactly(12)
        if start == SIGNATURE:
            rest = conn.read_exactly(4)
            header = start + rest + conn.read_exactly(struct.unpack("!H", rest[2:])[0])
        else:
            header = start + conn.read_until(b"\r\n")
        seen.append(header)
        while conn.request() is not None:
            conn.send(OK)
    return serve


@pytest.fixture
def sending(sallyport, backend):
    def start(version):
        seen = []
        proxy = sallyport('''
            certificates: [{name: web, chain: @chain@, key: @key@}]
            listeners:
              - {name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}
              - {name: web, address: "127.0.0.1:@web@", routes: [{backend: app}]}
              - {name: six, address: "[::1]:@six@", tls: off, routes: [{backend: app}]}
            backends: {app: {servers: ["http://127.0.0.1:@app@"], proxy_protocol: @version@}}
        ''', app=backend(expecting(seen)).port, version=version)
        return proxy, seen
    return start


def test_backend_is_told_the_client_in_text(sending):
    proxy, seen = sending("v1")
    with proxy.tcp("plain") as conn:
        port = conn.sock.getsockname()[1]
        for _ in range(2):
            conn.send(get(b"/"))
            assert conn.response().status == 200
    assert seen[0] == b"PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n" % (port, proxy.port("plain"))
    with proxy.tcp("six", address="::1") as conn:
        port = conn.sock.getsockname()[1]
        conn.send(get(b"/"))
        assert conn.response().status == 200
    assert seen[-1] == b"PROXY TCP6 ::1 ::1 %d %d\r\n" % (port, proxy.port("six"))


def test_backend_is_told_the_client_and_its_tls_in_binary(sending):
    proxy, seen = sending("v2")
    with proxy.tls("web") as conn:
        port = conn.sock.getsockname()[1]
        conn.send(get(b"/"))
        assert conn.response().status == 200
    header = seen[0]
    assert header[12:14] == b"\x21\x11"
    assert header[16:24] == b"\x7f\0\0\x01" * 2
    assert struct.unpack("!HH", header[24:28]) == (port, proxy.port("web"))
    assert b"TLSv1.3" in header and b"localhost" in header


def test_two_clients_never_share_a_conn_to_such_a_backend(sending):
    proxy, seen = sending("v1")
    ports = []
    for _ in range(4):
        with proxy.tcp("plain") as conn:
            ports.append(conn.sock.getsockname()[1])
            conn.send(get(b"/"))
            assert conn.response().status == 200
    assert [int(header.split()[4]) for header in seen] == ports
