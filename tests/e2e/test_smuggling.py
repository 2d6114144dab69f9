"""Request and response smuggling: each ambiguity is refused, and nothing of it reaches the backend.

One proxy and one recording backend stand for the whole table. Each attack carries a marker that
must not appear in what the backend received, and each refusal must name its fault both on the page
and in the access log.

SPDX-License-Identifier: Apache-2.0
"""

import re
import socket
import time

import pytest

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HOST = b"Host: localhost\r\n"


@pytest.fixture(scope="module")
def recorder(standing_backend):
    return standing_backend(OK)


@pytest.fixture(scope="module")
def proxy(standing, recorder):
    return standing('''
        listeners:
          - {name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}
        backends: {app: {servers: ["http://127.0.0.1:@app@"]}}
        limits: {chunk_overhead_bytes: 4KiB, trailer_bytes: 1KiB}
    ''', app=recorder.port)


def fault_on_page(page):
    match = re.search(rb"Fault: (\w+)", page)
    assert match, f"the page does not say why: {page!r}"
    return match.group(1).decode()


def id_on_page(page):
    return re.search(rb"Request id: (\w+)", page).group(1).decode()


def assert_refused(proxy, recorder, attack, status, fault, marker=b"smuggled"):
    """Sent whole and then in single bytes: the same refusal, a closed conn, no byte passed on."""
    before = len(recorder.all_received())
    conns = len(recorder.received)
    for pieces in ([attack], [attack[i:i + 1] for i in range(len(attack))]):
        with proxy.tcp("plain") as conn:
            try:
                for piece in pieces:
                    conn.send(piece)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused before the last byte
            response = conn.response()
            assert (response.status, fault_on_page(response.body)) == (status, fault)
            assert response.field("connection") == "close"
            assert conn.read_to_end() == b"", "something follows the refusal"
        proxy.wait_event("access", id=id_on_page(response.body), fault=fault, status=status)
    received = recorder.all_received()
    assert len(received) == before and len(recorder.received) == conns
    assert marker not in received


def post(fields, body=b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n", version=b"1.1"):
    return b"POST /smuggled HTTP/" + version + b"\r\n" + HOST + fields + b"\r\n" + body


def get(fields=b"", line=b"GET /smuggled HTTP/1.1\r\n", host=HOST):
    return line + host + fields + b"\r\n"


CHUNKED = b"Transfer-Encoding: chunked\r\n"

# name of the attack → bytes, status, fault
FRAMING = {
    "cl_te": (post(b"Content-Length: 6\r\n" + CHUNKED), 400, "length_and_coding"),
    "te_cl": (post(CHUNKED + b"Content-Length: 4\r\n"), 400, "length_and_coding"),
    "te_cl_of_zero": (post(CHUNKED + b"Content-Length: 0\r\n"), 400, "length_and_coding"),
    "te_te_obfuscated": (post(CHUNKED + b"Transfer-Encoding: cow\r\n"), 400, "coding_malformed"),
    "te_te_equal": (post(CHUNKED + CHUNKED), 400, "coding_malformed"),
    "te_chunked_twice": (post(b"Transfer-Encoding: chunked, chunked\r\n"), 400,
                         "coding_malformed"),
    "te_trailing_comma": (post(b"Transfer-Encoding: chunked,\r\n"), 400,
                          "coding_malformed"),
    "te_leading_comma": (post(b"Transfer-Encoding: ,chunked\r\n"), 400, "coding_malformed"),
    "te_empty": (post(b"Transfer-Encoding:\r\n"), 400, "coding_malformed"),
    "te_identity": (post(b"Transfer-Encoding: identity\r\n"), 501, "coding_unknown"),
    "te_identity_then_chunked": (post(b"Transfer-Encoding: identity, chunked\r\n"), 501,
                                 "coding_unknown"),
    "te_gzip_chunked": (post(b"Transfer-Encoding: gzip, chunked\r\n"), 501, "coding_unknown"),
    "te_chunked_not_last": (post(b"Transfer-Encoding: chunked, gzip\r\n"), 501, "coding_unknown"),
    "te_xchunked": (post(b"Transfer-Encoding: xchunked\r\n"), 501, "coding_unknown"),
    "te_quoted": (post(b'Transfer-Encoding: "chunked"\r\n'), 400, "coding_malformed"),
    "te_parameter": (post(b"Transfer-Encoding: chunked;q=1\r\n"), 501, "coding_unknown"),
    "te_vertical_tab": (post(b"Transfer-Encoding: \x0bchunked\r\n"), 400, "h1_field_value"),
    "te_space_before_colon": (post(b"Transfer-Encoding : chunked\r\n"), 400,
                              "h1_space_before_colon"),
    "te_tab_before_colon": (post(b"Transfer-Encoding\t: chunked\r\n"), 400,
                            "h1_space_before_colon"),
    "te_folded": (post(b"Transfer-Encoding:\r\n chunked\r\n"), 400, "h1_obs_fold"),
    "te_behind_folding": (post(b"X-A: b\r\n Transfer-Encoding: chunked\r\n"), 400, "h1_obs_fold"),
    "te_in_http10": (post(CHUNKED, version=b"1.0"), 400, "coding_in_http10"),
    "te_in_http10_with_length": (post(CHUNKED + b"Content-Length: 5\r\n", version=b"1.0"), 400,
                                 "length_and_coding"),
    "te_behind_bare_lf": (post(b"X-A: b\nTransfer-Encoding: chunked\r\n"), 400, "h1_bare_lf"),
    "te_behind_bare_cr": (post(b"X-A: b\rTransfer-Encoding: chunked\r\n"), 400, "h1_bare_cr"),
    "te_behind_nul": (post(b"X-A: b\0\r\nTransfer-Encoding: chunked\r\n"), 400, "h1_field_value"),
    "cl_cl_different": (post(b"Content-Length: 5\r\nContent-Length: 6\r\n"), 400,
                        "length_repeated"),
    "cl_cl_equal": (post(b"Content-Length: 5\r\nContent-Length: 5\r\n"), 400, "length_repeated"),
    "cl_list": (post(b"Content-Length: 5, 5\r\n"), 400, "length_repeated"),
    "cl_plus": (post(b"Content-Length: +5\r\n"), 400, "length_malformed"),
    "cl_minus": (post(b"Content-Length: -5\r\n"), 400, "length_malformed"),
    "cl_hexadecimal": (post(b"Content-Length: 0x5\r\n"), 400, "length_malformed"),
    "cl_empty": (post(b"Content-Length:\r\n"), 400, "length_malformed"),
    "cl_with_space_inside": (post(b"Content-Length: 1 2\r\n"), 400, "length_malformed"),
    "cl_decimal_point": (post(b"Content-Length: 5.0\r\n"), 400, "length_malformed"),
    "cl_overflow_64_bits": (post(b"Content-Length: 18446744073709551621\r\n"), 400,
                            "length_malformed"),
    "cl_overflow_far": (post(b"Content-Length: " + b"9" * 60 + b"\r\n"), 400, "length_malformed"),
    "cl_underscore": (post(b"Content_Length: 5\r\n" + CHUNKED + b"Content-Length: 5\r\n"), 400,
                      "length_and_coding"),
    "get_with_cl_and_te": (get(b"Content-Length: 3\r\n" + CHUNKED), 400, "length_and_coding"),
}

HEADS = {
    "bare_lf_everywhere": (b"GET /smuggled HTTP/1.1\nHost: localhost\n\n", 400, "h1_bare_lf"),
    "bare_lf_ends_head": (b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\n", 400, "h1_bare_lf"),
    "bare_cr_in_value": (get(b"X-A: a\rb\r\n"), 400, "h1_bare_cr"),
    "bare_cr_in_request_line": (get(line=b"GET /smuggled\r HTTP/1.1\r\n"), 400, "h1_bare_cr"),
    "nul_in_value": (get(b"X-A: a\0b\r\n"), 400, "h1_field_value"),
    "nul_in_name": (get(b"X\0A: b\r\n"), 400, "h1_field_name"),
    "nul_in_target": (get(line=b"GET /smug\0gled HTTP/1.1\r\n"), 400, "h1_request_line"),
    "control_in_value": (get(b"X-A: a\x01b\r\n"), 400, "h1_field_value"),
    "delete_in_value": (get(b"X-A: a\x7fb\r\n"), 400, "h1_field_value"),
    "escape_in_value": (get(b"X-A: \x1b[31m\r\n"), 400, "h1_field_value"),
    "name_empty": (get(b": b\r\n"), 400, "h1_field_name"),
    "name_with_space": (get(b"X A: b\r\n"), 400, "h1_field_name"),
    "name_with_parentheses": (get(b"X(A): b\r\n"), 400, "h1_field_name"),
    "name_with_quote": (get(b'"X": b\r\n'), 400, "h1_field_name"),
    "name_with_slash": (get(b"X/A: b\r\n"), 400, "h1_field_name"),
    "name_in_latin1": (get(b"X-\xe4: b\r\n"), 400, "h1_field_name"),
    "no_colon": (get(b"nothing\r\n"), 400, "h1_field_name"),
    "space_before_colon": (get(b"X-A : b\r\n"), 400, "h1_space_before_colon"),
    "folded": (get(b"X-A: b\r\n c\r\n"), 400, "h1_obs_fold"),
    "folded_with_tab": (get(b"X-A: b\r\n\tc\r\n"), 400, "h1_obs_fold"),
    "folded_first_field": (b"GET /smuggled HTTP/1.1\r\n Host: localhost\r\n\r\n", 400,
                           "h1_obs_fold"),
    "two_spaces_behind_method": (get(line=b"GET  /smuggled HTTP/1.1\r\n"), 400,
                                 "h1_request_line"),
    "two_spaces_before_version": (get(line=b"GET /smuggled  HTTP/1.1\r\n"), 400,
                                  "h1_request_line"),
    "tab_instead_of_space": (get(line=b"GET\t/smuggled HTTP/1.1\r\n"), 400, "h1_request_line"),
    "space_in_target": (get(line=b"GET /smug gled HTTP/1.1\r\n"), 400, "h1_request_line"),
    "leading_space": (get(line=b" GET /smuggled HTTP/1.1\r\n"), 400, "h1_method"),
    "version_09": (b"GET /smuggled\r\n\r\n", 400, "h1_request_line"),
    "version_12": (get(line=b"GET /smuggled HTTP/1.2\r\n"), 505, "h1_version"),
    "version_20": (get(line=b"GET /smuggled HTTP/2.0\r\n"), 505, "h1_version"),
    "version_with_spare_digit": (get(line=b"GET /smuggled HTTP/1.10\r\n"), 400,
                                 "h1_request_line"),
    "version_in_lower_case": (get(line=b"GET /smuggled http/1.1\r\n"), 400, "h1_request_line"),
    "version_of_something_else": (get(line=b"GET /smuggled HTCP/1.1\r\n"), 400,
                                  "h1_request_line"),
    "h2_preface_that_is_none": (b"PRI * HTTP/2.0\r\nHost: localhost\r\n\r\n", 505, "h1_version"),
    "method_malformed": (get(line=b"GE(T /smuggled HTTP/1.1\r\n"), 400, "h1_method"),
    "method_trace": (get(line=b"TRACE /smuggled HTTP/1.1\r\n"), 405, "method_refused"),
    "method_connect": (get(line=b"CONNECT localhost:443 HTTP/1.1\r\n"), 405, "method_refused"),
    "target_without_slash": (get(line=b"GET smuggled HTTP/1.1\r\n"), 400, "h1_target"),
    "target_asterisk_with_get": (get(line=b"GET * HTTP/1.1\r\n"), 400, "h1_target"),
    "target_with_fragment": (get(line=b"GET /smuggled#f HTTP/1.1\r\n"), 400, "uri_malformed"),
    "target_bad_escape": (get(line=b"GET /smuggled%zz HTTP/1.1\r\n"), 400, "uri_malformed"),
    "target_in_latin1": (get(line=b"GET /smuggled\xe4 HTTP/1.1\r\n"), 400, "uri_malformed"),
    "target_of_another_scheme": (get(line=b"GET ftp://localhost/smuggled HTTP/1.1\r\n"), 400,
                                 "h1_target"),
    "target_with_userinfo": (get(line=b"GET http://a@localhost/smuggled HTTP/1.1\r\n"), 400,
                             "h1_target"),
    "absolute_form_clash": (get(line=b"GET http://other.example/smuggled HTTP/1.1\r\n"), 400,
                            "host_clash"),
    "expectation_unknown": (get(b"Expect: 200-ok\r\n"), 417, "expect_unknown"),
    "connection_names_host": (get(b"Connection: host\r\n"), 400, "connection_malformed"),
    "connection_names_length": (post(b"Content-Length: 5\r\nConnection: content-length\r\n"), 400,
                                "connection_malformed"),
    "connection_names_forwarded_for": (get(b"Connection: x-forwarded-for\r\n"), 400,
                                       "connection_malformed"),
    "connection_names_authorization": (get(b"Connection: close, authorization\r\n"), 400,
                                       "connection_malformed"),
    "connection_malformed": (get(b"Connection: close, a b\r\n"), 400, "connection_malformed"),
    "upgrade_malformed": (get(b"Connection: upgrade\r\nUpgrade: web socket\r\n"), 400,
                          "upgrade_malformed"),
}

# Every one of these was let through by at least one of the proxies that were measured.
BAD_HOSTS = {
    "with_space": b"local host", "with_comma": b"localhost, other", "with_slash": b"localhost/",
    "with_query": b"localhost?a", "with_fragment": b"localhost#a", "with_at": b"a@localhost",
    "with_backslash": b"local\\host", "with_percent": b"local%host",
    "with_bad_port": b"localhost:80a", "with_large_port": b"localhost:65536",
    "with_minus_port": b"localhost:-1", "with_two_ports": b"localhost:80:80",
    "with_quote": b'"localhost"', "with_angle": b"<localhost>", "with_pipe": b"a|b",
    "with_caret": b"a^b", "with_brace": b"{a}", "with_backtick": b"`a`",
    "with_open_bracket": b"[::1", "with_close_bracket": b"::1]", "ip6_without_brackets": b"::1",
    "ip6_malformed": b"[::g]", "ip6_with_rest": b"[::1]a", "with_high_byte": b"loc\xe4lhost",
    "scheme": b"http://localhost",
}

HOSTS = {f"host_{name}": (get(host=b"Host: " + host + b"\r\n"), 400, "host_malformed")
         for name, host in BAD_HOSTS.items()}
HOSTS |= {
    "host_missing": (get(host=b""), 400, "host_missing"),
    "host_repeated": (get(host=HOST + HOST), 400, "host_repeated"),
    "host_repeated_differently": (get(host=HOST + b"Host: other\r\n"), 400, "host_repeated"),
    "host_repeated_in_other_case": (get(host=HOST + b"hOST: other\r\n"), 400, "host_repeated"),
}


@pytest.mark.parametrize("name", FRAMING)
def test_framing_attack_is_refused(proxy, recorder, name):
    assert_refused(proxy, recorder, *FRAMING[name])


@pytest.mark.parametrize("name", HEADS)
def test_malformed_head_is_refused(proxy, recorder, name):
    assert_refused(proxy, recorder, *HEADS[name])


@pytest.mark.parametrize("target", [b"/smuggled%00", b"/../smuggled", b"/%2e%2e/smuggled",
                                    b"/a/../../smuggled", b"/a/%2E./%2e%2e/smuggled"])
def test_path_that_leaves_the_root_or_hides_a_nul_is_refused(proxy, recorder, target):
    """The message is well framed, so the conn may go on; the path is still nobody's."""
    with proxy.tcp("plain") as conn:
        conn.send(b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n")
        response = conn.response()
        assert (response.status, fault_on_page(response.body)) == (400, "uri_malformed")
    proxy.wait_event("access", id=id_on_page(response.body), fault="uri_malformed")
    assert b"smuggled" not in recorder.all_received()


@pytest.mark.parametrize("name", HOSTS)
def test_invalid_host_is_refused(proxy, recorder, name):
    assert_refused(proxy, recorder, *HOSTS[name])


# ---- chunked bodies: the head was good and may have been passed on, what is wrong may not --------


def chunks(body):
    return b"POST /chunks HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n" + body


def bodies_of_chunks(received):
    """What came after the head of each request to /chunks."""
    return [request.partition(b"\r\n\r\n")[2] for request in received.split(b"POST /chunks ")[1:]]


def has_last_chunk(body):
    """Whether the chunks go on to the last one. It is not enough to look for its bytes: content that
    came in pieces may be passed on a byte at a time, so that a chunk is just "0"."""
    while (line := re.match(rb"([0-9a-f]+)\r\n", body)) is not None:
        size = int(line[1], 16)
        if size == 0:
            return True
        body = body[line.end() + size + 2:]
    return False


def test_the_last_chunk_is_told_from_content_that_looks_like_it():
    assert has_last_chunk(b"1\r\n0\r\n0\r\n\r\n")
    assert not has_last_chunk(b"1\r\n0\r\n")
    assert not has_last_chunk(b"5\r\n0\r\n\r\n\r\n1\r\n")


CHUNKS = {
    "size_missing": (b"\r\nsmuggled", "h1_chunk_size"),
    "size_hexadecimal_prefix": (b"0x8\r\nsmuggled\r\n0\r\n\r\n", "h1_chunk_size"),
    "size_negative": (b"-8\r\nsmuggled\r\n0\r\n\r\n", "h1_chunk_size"),
    "size_plus": (b"+8\r\nsmuggled\r\n0\r\n\r\n", "h1_chunk_size"),
    "size_leading_space": (b" 8\r\nsmuggled\r\n0\r\n\r\n", "h1_chunk_size"),
    "size_trailing_space": (b"8 \r\nsmuggled\r\n0\r\n\r\n", "h1_chunk_size"),
    "size_underscore": (b"0_8\r\nsmuggled\r\n0\r\n\r\n", "h1_chunk_size"),
    "size_overflow": (b"10000000000000008\r\nsmuggled\r\n0\r\n\r\n", "h1_chunk_size"),
    "size_many_zeros": (b"0" * 40 + b"8\r\nsmuggled\r\n0\r\n\r\n", "h1_chunk_size"),
    "size_line_bare_lf": (b"8\nsmuggled\r\n0\r\n\r\n", "h1_bare_lf"),
    "size_line_bare_cr": (b"8\rsmuggled\r\n0\r\n\r\n", "h1_bare_cr"),
    "content_longer_than_size": (b"0a\r\n0123456789smuggled\r\n0\r\n\r\n", "h1_chunk_end"),
    "content_ends_in_lf": (b"2\r\nok\n0\r\n\r\nsmuggled", "h1_chunk_end"),
    "extension_malformed": (b"8;=smuggled\r\nsmuggled\r\n0\r\n\r\n", "h1_chunk_extension"),
    "extension_bare_lf": (b"8;a\nsmuggled\r\n0\r\n\r\n", "h1_bare_lf"),
    "extension_bare_cr": (b"8;a\rsmuggled\r\n0\r\n\r\n", "h1_bare_cr"),
    "extension_nul": (b'8;a="\0"\r\nsmuggled\r\n0\r\n\r\n', "h1_chunk_extension"),
    "extension_endless": (b"1;" + b"a" * 70000, "h1_chunk_overhead"),
    "extensions_without_number": (b"1;smuggled\r\na\r\n" * 7000, "h1_chunk_overhead"),
    "trailer_bad_name": (b"0\r\nsmug gled: a\r\n\r\n", "h1_field_name"),
    "trailer_name_with_nul": (b"0\r\nsmuggled\0: a\r\n\r\n", "h1_field_name"),
    "trailer_value_with_nul": (b"0\r\nsmuggled: \0\r\n\r\n", "h1_field_value"),
    "trailer_space_before_colon": (b"0\r\nsmuggled : a\r\n\r\n", "h1_space_before_colon"),
    "trailer_folded": (b"0\r\nx: a\r\n smuggled\r\n\r\n", "h1_obs_fold"),
    "trailer_bare_lf": (b"0\r\nsmuggled: a\n\r\n", "h1_bare_lf"),
    "trailer_bare_cr": (b"0\r\nsmuggled: a\rb\r\n\r\n", "h1_bare_cr"),
    "trailer_content_length": (b"0\r\nContent-Length: 5\r\n\r\n", "h1_trailer"),
    "trailer_transfer_encoding": (b"0\r\nTransfer-Encoding: chunked\r\n\r\n", "h1_trailer"),
    "trailer_host": (b"0\r\nHost: smuggled\r\n\r\n", "h1_trailer"),
    "trailer_authorization": (b"0\r\nAuthorization: smuggled\r\n\r\n", "h1_trailer"),
    "trailer_cookie": (b"0\r\nCookie: smuggled\r\n\r\n", "h1_trailer"),
    "trailer_forwarded_for": (b"0\r\nX-Forwarded-For: smuggled\r\n\r\n", "h1_trailer"),
    "trailer_connection": (b"0\r\nConnection: smuggled\r\n\r\n", "h1_trailer"),
    "trailer_disguised": (b"0\r\nX_Forwarded_For: smuggled\r\n\r\n", "h1_trailer"),
    "trailers_too_large": (b"0\r\nx: " + b"a" * 2000 + b"\r\n\r\n", "limit_header_bytes"),
}


@pytest.mark.parametrize("split", ["at once", "in pieces"])
@pytest.mark.parametrize("name", CHUNKS)
def test_malformed_chunk_is_refused(proxy, recorder, name, split):
    attack, fault = CHUNKS[name]
    step = max(1, len(attack) // 40)
    with proxy.tcp("plain") as conn:
        try:
            conn.send(chunks(b"" if split == "in pieces" else attack))
            for at in range(0, len(attack) if split == "in pieces" else 0, step):
                conn.send(attack[at:at + step])
        except (BrokenPipeError, ConnectionResetError):
            pass
        response = conn.response()
        assert response.status == (431 if fault == "limit_header_bytes" else 400)
        assert fault_on_page(response.body) == fault
        assert conn.read_to_end() == b""
    proxy.wait_event("access", id=id_on_page(response.body), fault=fault)
    received = recorder.all_received()
    # The request never looks complete to the backend, and what is wrong never reaches it.
    assert not any(has_last_chunk(body) for body in bodies_of_chunks(received))
    assert b"smuggled" not in received or name == "content_longer_than_size"


def test_gigabytes_of_chunk_extensions_are_not_listened_to(proxy):
    """What chunks cost beside their content is bounded: the conn is refused and soon cut."""
    began = time.monotonic()
    with proxy.tcp("plain") as conn:
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            conn.send(chunks(b""))
            while time.monotonic() - began < 10:
                conn.send(b"1;" + b"a" * 4094 + b"\r\nx\r\n")
    line = proxy.wait_event("access", fault="h1_chunk_overhead")[-1]
    assert line["total_us"] < 1_000_000 and line["bytes_in"] < 1000


# ---- what is let through is written anew -------------------------------------------------------


def passed_on(proxy, recorder, request, mark):
    """The head that the backend got for a request with `mark` in its target."""
    with proxy.tcp("plain") as conn:
        conn.send(request)
        assert conn.response().status == 200
    received = recorder.wait_received(mark)
    start = received.rindex(b"\r\n", 0, received.index(mark)) + 2 if b"\r\n" in \
        received[:received.index(mark)] else 0
    return received[start:received.index(b"\r\n\r\n", start) + 4]


def test_fields_that_connection_names_stay_here(proxy, recorder):
    head = passed_on(proxy, recorder, b"GET /named HTTP/1.1\r\n" + HOST +
                     b"Connection: x-internal, keep-alive\r\nX-Internal: 1\r\nX-Other: 2\r\n\r\n",
                     b"/named").lower()
    assert b"x-internal" not in head and b"x-other: 2\r\n" in head


def test_h2c_upgrade_is_dropped(proxy, recorder):
    head = passed_on(proxy, recorder, b"GET /h2c HTTP/1.1\r\n" + HOST +
                     b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                     b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n", b"/h2c").lower()
    assert b"upgrade" not in head and b"http2-settings" not in head


def test_h2c_beside_websocket_is_dropped(proxy, recorder):
    head = passed_on(proxy, recorder, b"GET /h2cws HTTP/1.1\r\n" + HOST +
                     b"Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n\r\n", b"/h2cws").lower()
    assert b"h2c\r\n" not in head.replace(b"/h2cws", b"")


@pytest.mark.parametrize("field", [
    b"Keep-Alive: 5", b"Proxy-Connection: keep-alive", b"TE: gzip", b"Proxy: http://evil",
    b"Proxy-Authorization: Basic QTpC", b"Transfer_Encoding: chunked", b"Content_Length: 5",
    b"X_Forwarded_For: 6.6.6.6", b"Upgrade: websocket"])
def test_field_of_the_hop_or_in_disguise_stays_here(proxy, recorder, field):
    path = b"/hop-" + re.sub(rb"\W", b"-", field)
    head = passed_on(proxy, recorder, b"GET " + path + b" HTTP/1.1\r\n" + HOST + field +
                     b"\r\n\r\n", path + b" ")
    name = field.split(b":")[0]
    assert b"\r\n" + name.lower() + b":" not in head.lower()


def test_framing_is_written_anew(proxy, recorder):
    head = passed_on(proxy, recorder, b"POST /anew HTTP/1.1\r\n" + HOST +
                     b"cOnTent-lenGTH:\t 000005 \r\n\r\nhello", b"/anew")
    assert head.count(b"content-length") == 1 and b"\r\ncontent-length: 5\r\n" in head


def test_chunks_are_written_anew(proxy, recorder):
    with proxy.tcp("plain") as conn:
        conn.send(b"POST /resized HTTP/1.1\r\n" + HOST + b"transfer-encoding:  ChUnKeD \r\n\r\n"
                  b'0005;a=b;c="d\\""\r\nhello\r\n000\r\nX-Checksum: 1\r\n\r\n')
        assert conn.response().status == 200
    received = recorder.wait_received(b"/resized")
    tail = received[received.index(b"/resized"):]
    head, _, body = tail.partition(b"\r\n\r\n")
    assert b"\r\ntransfer-encoding: chunked" in head and b";" not in body
    assert body.startswith(b"5\r\nhello\r\n0\r\n")


def test_absolute_form_becomes_origin_form(proxy, recorder):
    head = passed_on(proxy, recorder, b"GET http://LOCALHOST/absolute HTTP/1.1\r\n" + HOST +
                     b"\r\n", b"/absolute")
    assert head.startswith(b"GET /absolute HTTP/1.1\r\nhost: localhost\r\n")


def test_empty_line_before_a_request_is_forgiven_once(proxy, recorder):
    """RFC 9112 §2.2"""
    passed_on(proxy, recorder, b"\r\nGET /late HTTP/1.1\r\n" + HOST + b"\r\n", b"/late")
    with proxy.tcp("plain") as conn:
        conn.send(b"\r\n\r\nGET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n")
        assert conn.response().status == 400


def test_pipelined_bytes_behind_a_refused_request_are_not_a_request(proxy, recorder):
    with proxy.tcp("plain") as conn:
        conn.send(get(b"X-A : b\r\n") + b"GET /smuggled-second HTTP/1.1\r\n" + HOST + b"\r\n")
        assert conn.response().status == 400
        assert conn.read_to_end() == b""
    assert b"smuggled" not in recorder.all_received()


def test_get_with_a_body_leaves_no_request_behind(proxy, recorder):
    """The body of a GET is passed on as a body, never read as the next request."""
    inner = b"GET /inner HTTP/1.1\r\n" + HOST + b"\r\n"
    with proxy.tcp("plain") as conn:
        conn.send(b"GET /outer HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(inner) +
                  inner)
        assert conn.response().status == 200
        conn.send(b"GET /after HTTP/1.1\r\n" + HOST + b"\r\n")
        assert conn.response().status == 200
    received = recorder.wait_received(b"/after")
    assert b"content-length: %d\r\n" % len(inner) in received[received.index(b"/outer"):]
    assert not [e for e in proxy.events("access") if e.get("path") == "/inner"]


# ---- the other direction: what backends send --------------------------------------------------

BAD_RESPONSES = {
    "no_status_line": b"<html>smuggled</html>",
    "no_status_line_with_head": b"smuggled: a\r\n\r\nsmuggled",
    "other_protocol": b"ICY 200 OK\r\n\r\nsmuggled",
    "version_20": b"HTTP/2.0 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled",
    "version_09": b"HTTP/0.9 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled",
    "status_two_digits": b"HTTP/1.1 20 OK\r\nContent-Length: 8\r\n\r\nsmuggled",
    "status_four_digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 8\r\n\r\nsmuggled",
    "status_zero": b"HTTP/1.1 000 OK\r\nContent-Length: 8\r\n\r\nsmuggled",
    "status_600": b"HTTP/1.1 600 OK\r\nContent-Length: 8\r\n\r\nsmuggled",
    "status_999": b"HTTP/1.1 999 OK\r\nContent-Length: 8\r\n\r\nsmuggled",
    "status_letters": b"HTTP/1.1 2oo OK\r\nContent-Length: 8\r\n\r\nsmuggled",
    "status_negative": b"HTTP/1.1 -20 OK\r\nContent-Length: 8\r\n\r\nsmuggled",
    "status_two_spaces": b"HTTP/1.1  200 OK\r\nContent-Length: 8\r\n\r\nsmuggled",
    "cl_te": b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nTransfer-Encoding: chunked\r\n\r\n"
             b"8\r\nsmuggled\r\n0\r\n\r\n",
    "cl_cl": b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nContent-Length: 9\r\n\r\nsmuggled",
    "cl_cl_equal": b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nContent-Length: 8\r\n\r\nsmuggled",
    "cl_list": b"HTTP/1.1 200 OK\r\nContent-Length: 8, 8\r\n\r\nsmuggled",
    "cl_malformed": b"HTTP/1.1 200 OK\r\nContent-Length: eight\r\n\r\nsmuggled",
    "cl_negative": b"HTTP/1.1 200 OK\r\nContent-Length: -8\r\n\r\nsmuggled",
    "cl_overflow": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nsmuggled",
    "cl_empty": b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nsmuggled",
    "te_unknown": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nsmuggled",
    "te_trailing_comma": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked,\r\n\r\n0\r\n\r\n",
    "te_empty": b"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\nsmuggled",
    "te_twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"
                b"\r\n0\r\n\r\n",
    "te_in_http10": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nsmuggled\r\n0\r\n"
                    b"\r\n",
    "te_with_204": b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nsmuggled\r\n0\r\n"
                   b"\r\n",
    "cl_with_204": b"HTTP/1.1 204 No\r\nContent-Length: 8\r\n\r\nsmuggled",
    "bare_lf": b"HTTP/1.1 200 OK\nContent-Length: 8\n\nsmuggled",
    "bare_cr": b"HTTP/1.1 200 OK\r\nX-A: a\rb\r\nContent-Length: 8\r\n\r\nsmuggled",
    "nul_in_value": b"HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 8\r\n\r\nsmuggled",
    "nul_in_reason": b"HTTP/1.1 200 O\0K\r\nContent-Length: 8\r\n\r\nsmuggled",
    "bad_name": b"HTTP/1.1 200 OK\r\nX A: b\r\nContent-Length: 8\r\n\r\nsmuggled",
    "name_empty": b"HTTP/1.1 200 OK\r\n: b\r\nContent-Length: 8\r\n\r\nsmuggled",
    "space_before_colon": b"HTTP/1.1 200 OK\r\nContent-Length : 8\r\n\r\nsmuggled",
    "folded": b"HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 8\r\n\r\nsmuggled",
    "no_colon": b"HTTP/1.1 200 OK\r\nsmuggled\r\nContent-Length: 8\r\n\r\nsmuggled",
    "connection_names_length": b"HTTP/1.1 200 OK\r\nConnection: content-length\r\n"
                               b"Content-Length: 8\r\n\r\nsmuggled",
    "switches_protocols_unasked": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                                  b"Upgrade: websocket\r\n\r\nsmuggled",
    "interim_in_http10": b"HTTP/1.0 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n"
                         b"smuggled",
    "interim_with_length": b"HTTP/1.1 103 Early\r\nContent-Length: 8\r\n\r\nsmuggledHTTP/1.1 200 "
                           b"OK\r\nContent-Length: 0\r\n\r\n",
    "header_too_large": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70000 + b"\r\n\r\nsmuggled",
    "too_many_fields": b"HTTP/1.1 200 OK\r\n" + b"X: smuggled\r\n" * 300 + b"\r\n",
}


class Script:
    """A backend whose answer the test changes; after it the conn is closed."""

    def __init__(self):
        self.answer = b""

    def __call__(self, conn):
        if conn.request() is not None:
            conn.send(self.answer)
            conn.send_end()
            conn.read_to_end()


@pytest.fixture(scope="module")
def script():
    return Script()


@pytest.fixture(scope="module")
def rude(standing, standing_backend, script):
    """A proxy before a backend that answers as the script says."""
    return standing('''
        listeners:
          - {name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}
        backends: {app: {servers: ["http://127.0.0.1:@app@"]}}
        timeouts: {response: 3s}
    ''', app=standing_backend(script).port)


@pytest.mark.parametrize("name", BAD_RESPONSES)
def test_rude_response_becomes_502(rude, script, name):
    script.answer = BAD_RESPONSES[name]
    with rude.tcp("plain") as conn:
        conn.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        response = conn.response()
        assert response.status == 502
        assert b"smuggled" not in response.head + response.body
        fault = fault_on_page(response.body)
        assert fault.startswith("backend_") or fault == "h1_status_line"
        # The fault is the backend's: the client's conn lives on.
        script.answer = OK
        conn.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        assert conn.response().status == 200
    rude.wait_event("access", id=id_on_page(response.body), fault=fault, status=502)


TRUNCATED = {
    "length_cut": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
    "length_cut_before_first_byte": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
    "chunk_cut": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf",
    "chunk_cut_between_chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                b"4\r\nhalf\r\n",
    "chunk_cut_in_size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n1",
    "chunk_cut_before_last_line": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  b"4\r\nhalf\r\n0\r\n",
    "trailer_cut": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nX: a",
    "chunk_malformed": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
    "chunk_longer_than_size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalfmore"
                              b"\r\n0\r\n\r\n",
    "trailer_malformed": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"
                         b"0\r\nb\0d: a\r\n\r\n",
    "trailer_sets_length": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"
                           b"0\r\nContent-Length: 4\r\n\r\n",
}


@pytest.mark.parametrize("name", TRUNCATED)
def test_truncated_response_never_looks_complete(rude, script, name):
    script.answer = TRUNCATED[name]
    with rude.tcp("plain") as conn:
        conn.send(b"GET /cut-" + name.encode() + b" HTTP/1.1\r\n" + HOST + b"\r\n")
        with pytest.raises((EOFError, ConnectionResetError)) as cut:
            response = conn.response()
            assert response.status == 502  # nothing was sent before: an honest answer
            raise EOFError
        assert b"0\r\n\r\n" not in conn.pending and cut
    line = rude.wait_event("access", path=f"/cut-{name}")[0]
    assert line["fault"].startswith("backend_"), line


def test_head_that_is_cut_is_a_502(rude, script):
    for part in (b"", b"HTTP/1.1", b"HTTP/1.1 200 OK\r\nContent-Le"):
        script.answer = part
        with rude.tcp("plain") as conn:
            conn.send(b"POST /head HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n")
            response = conn.response()
            assert response.status == 502
            assert fault_on_page(response.body) == "backend_reset"


def test_response_bytes_beyond_the_length_never_answer_another_request(sallyport, backend):
    """Response queue poisoning: the backend says more than it declared."""
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned"
    proxy = sallyport('''
        listeners:
          - {name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}
        backends: {app: {servers: ["http://127.0.0.1:@app@"]}}
    ''', app=backend(lambda conn: [conn.send(OK + poison) for _ in iter(conn.request, None)]).port)
    for _ in range(5):
        with proxy.tcp("plain") as conn:
            conn.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
            assert conn.response().body == b"ok"


def test_bytes_that_a_backend_sends_unasked_never_answer_a_request(sallyport, backend):
    """An idle conn on which the backend speaks is not used again."""
    def speak_late(conn):
        for _ in iter(conn.request, None):
            conn.send(OK)
            time.sleep(0.1)
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned")

    proxy = sallyport('''
        listeners:
          - {name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}
        backends: {app: {servers: ["http://127.0.0.1:@app@"]}}
    ''', app=backend(speak_late).port)
    for _ in range(3):
        with proxy.tcp("plain") as conn:
            conn.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
            assert conn.response().body == b"ok"
        time.sleep(0.2)


def test_request_that_is_cut_never_looks_complete_to_the_backend(proxy, recorder):
    for name, body in {"length": b"Content-Length: 100\r\n\r\nhalf",
                       "chunk": CHUNKED + b"\r\n64\r\nhalf",
                       "between": CHUNKED + b"\r\n4\r\nhalf\r\n"}.items():
        mark = b"/broken-" + name.encode()
        with proxy.tcp("plain") as conn:
            conn.send(b"POST " + mark + b" HTTP/1.1\r\n" + HOST + body)
            recorder.wait_received(mark)
            conn.sock.shutdown(socket.SHUT_WR)
            conn.read_to_end()
        proxy.wait_event("access", path=mark.decode(), fault="client_gone")
        received = recorder.wait_received(mark)
        assert not received.endswith(b"0\r\n\r\n")
