"""HTTP/2 that means two things: refused with the right error code, answered with no page, and not a
byte of it reaches the backend, which speaks HTTP/1.1 and would read what it was made to see.

One proxy and one recording backend stand for the whole table.

SPDX-License-Identifier: Apache-2.0
"""

import pytest
from conftest import wait_until
from http2_client import (COMPRESSION_ERROR, ENABLE_PUSH, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR,
                          INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, PROTOCOL_ERROR, STREAM_CLOSED,
                          Http2, get, raw_frame)
from hyperframe.frame import SettingsFrame, WindowUpdateFrame

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(scope="module")
def recorder(standing_backend):
    return standing_backend(OK)


@pytest.fixture(scope="module")
def proxy(standing, recorder):
    return standing('''
        certificates: [{name: web, chain: @chain@, key: @key@}]
        listeners:
          - {name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}
          - {name: web, address: "127.0.0.1:@web@", routes: [{backend: app}]}
        backends: {app: {servers: ["http://127.0.0.1:@app@"]}}
        limits: {trailer_bytes: 1KiB}
    ''', app=recorder.port)


@pytest.fixture
def client(proxy):
    with Http2(proxy.tcp("plain"), scheme="http") as one:
        yield one


def faults(proxy, name):
    return [e for e in proxy.events("access") if e.get("fault") == name]


def head(*more, without=(), **changed):
    """Fields of a request; `without` and `changed` name pseudo-header fields without the colon."""
    fields = {"method": "GET", "scheme": "http", "authority": "localhost", "path": "/smuggled",
              **changed}
    return [(":" + name, value) for name, value in fields.items() if name not in without] + [*more]


NAME, VALUE, PSEUDO = "h2_field_name", "h2_field_value", "h2_pseudo_field"
HOP, URI, LENGTH = "connection_malformed", "uri_malformed", "h2_length"

# name of the attack → fields of the request, fault
HEADS = {
    # names
    "name_in_upper_case": (head(("X-Smuggled", "1")), NAME),
    "name_of_framing_in_upper_case": (head(("Content-Length", "0")), NAME),
    "name_with_cr_lf": (head(("x\r\nsmuggled", "1")), NAME),
    "name_with_cr": (head(("x\rsmuggled", "1")), NAME),
    "name_with_lf": (head(("x\nsmuggled", "1")), NAME),
    "name_with_nul": (head(("x\0smuggled", "1")), NAME),
    "name_with_space": (head(("x smuggled", "1")), NAME),
    "name_with_space_at_its_end": (head(("transfer-encoding ", "chunked")), NAME),
    "name_with_colon": (head(("transfer-encoding: chunked\r\nx", "1")), NAME),
    "name_with_colon_at_its_end": (head(("host:", "smuggled")), NAME),
    "name_empty": (head(("", "smuggled")), NAME),
    "name_not_ascii": (head((b"x\xc3\xa4", "1")), NAME),
    "name_with_delete": (head(("x\x7f", "1")), NAME),
    # values
    "value_with_cr_lf": (head(("x", "1\r\ntransfer-encoding: chunked")), VALUE),
    "value_with_whole_request": (head(("x", "1\r\n\r\nGET /smuggled HTTP/1.1\r\nx: ")), VALUE),
    "value_with_cr": (head(("x", "1\rsmuggled: 1")), VALUE),
    "value_with_lf": (head(("x", "1\nsmuggled: 1")), VALUE),
    "value_with_nul": (head(("x", "1\0smuggled")), VALUE),
    "value_with_delete": (head(("x", "1\x7f")), VALUE),
    "value_with_space_before": (head(("x", " 1")), VALUE),
    "value_with_space_behind": (head(("x", "1 ")), VALUE),
    "value_with_tab_behind": (head(("x", "1\t")), VALUE),
    "cookie_with_cr_lf": (head(("cookie", "a=1"), ("cookie", "b=2\r\nsmuggled: 1")), VALUE),
    # pseudo-header fields
    "method_with_request_line": (head(method="GET /smuggled HTTP/1.1\r\nx: 1\r\n\r\n"), VALUE),
    "method_with_space": (head(method="GET /smuggled"), PSEUDO),
    "method_empty": (head(method=""), PSEUDO),
    "method_missing": (head(without=["method"]), PSEUDO),
    "method_twice": (head()[:1] + head(), PSEUDO),
    "path_with_cr_lf": (head(path="/ HTTP/1.1\r\nx: smuggled"), VALUE),
    "path_with_nul": (head(path="/\0smuggled"), VALUE),
    "path_with_space": (head(path="/smuggled HTTP/1.1"), URI),
    "path_with_tab": (head(path="/a\tsmuggled"), URI),
    "path_with_fragment": (head(path="/smuggled#here"), URI),
    "path_empty": (head(path=""), URI),
    "path_absolute": (head(path="http://localhost/smuggled"), URI),
    "path_of_another_host": (head(path="//smuggled@evil/../x#"), URI),
    "path_relative": (head(path="smuggled"), URI),
    "path_query_alone": (head(path="?smuggled"), URI),
    "path_bad_escape": (head(path="/%zz"), URI),
    "path_asterisk_with_get": (head(path="*"), URI),
    "path_asterisk_and_more": (head(path="*/smuggled", method="OPTIONS"), URI),
    "path_missing": (head(without=["path"]), PSEUDO),
    "path_twice": (head() + [(":path", "/smuggled")], PSEUDO),
    "scheme_missing": (head(without=["scheme"]), PSEUDO),
    "scheme_twice": (head() + [(":scheme", "https")], PSEUDO),
    "scheme_with_url": (head(scheme="http://evil/smuggled?"), PSEUDO),
    "scheme_unknown": (head(scheme="ftp"), PSEUDO),
    "scheme_with_cr_lf": (head(scheme="http\r\nx: smuggled"), VALUE),
    "pseudo_unknown": (head() + [(":smuggled", "1")], PSEUDO),
    "pseudo_in_upper_case": (head() + [(":Path", "/smuggled")], PSEUDO),
    "pseudo_without_name": (head() + [(":", "smuggled")], PSEUDO),
    "pseudo_behind_a_field": (head()[:3] + [("x", "1"), (":path", "/smuggled")], PSEUDO),
    "pseudo_of_a_response": (head() + [(":status", "200")], PSEUDO),
    "protocol_with_get": (head() + [(":protocol", "websocket")], PSEUDO),
    "connect_with_path": (head(method="CONNECT"), PSEUDO),
    "connect_without_authority": ([(":method", "CONNECT")], PSEUDO),
    # what belongs to a hop
    "transfer_encoding": (head(("transfer-encoding", "chunked")), "coding_malformed"),
    "transfer_encoding_and_length": (head(("transfer-encoding", "chunked"),
                                          ("content-length", "0")), "length_and_coding"),
    "transfer_encoding_identity": (head(("transfer-encoding", "identity")), "coding_malformed"),
    "connection_close": (head(("connection", "close")), HOP),
    "connection_that_names_a_field": (head(("connection", "x-real-ip, content-length")), HOP),
    "keep_alive": (head(("keep-alive", "timeout=1")), HOP),
    "proxy_connection": (head(("proxy-connection", "keep-alive")), HOP),
    "upgrade_to_h2c": (head(("upgrade", "h2c")), HOP),
    "upgrade_to_websocket": (head(("upgrade", "websocket")), HOP),
    "te_gzip": (head(("te", "gzip")), HOP),
    "te_trailers_and_more": (head(("te", "trailers, chunked")), HOP),
    "te_of_two": (head(("te", "trailers"), ("te", "gzip")), HOP),
    # lengths
    "length_without_content": (head(("content-length", "5"), method="POST"), LENGTH),
    "length_repeated": (head(("content-length", "0"), ("content-length", "0")),
                        "length_repeated"),
    "length_different": (head(("content-length", "0"), ("content-length", "5")),
                         "length_repeated"),
    "length_list": (head(("content-length", "0, 0")), "length_repeated"),
    "length_plus": (head(("content-length", "+0")), "length_malformed"),
    "length_negative": (head(("content-length", "-1")), "length_malformed"),
    "length_hexadecimal": (head(("content-length", "0x0")), "length_malformed"),
    "length_empty": (head(("content-length", "")), "length_malformed"),
    "length_overflow": (head(("content-length", "18446744073709551616")), "length_malformed"),
    # hosts
    "host_differs": (head(("host", "smuggled")), "host_clash"),
    "host_differs_in_port": (head(("host", "localhost:81")), "host_clash"),
    "hosts_two": (head(("host", "localhost"), ("host", "localhost")), "host_repeated"),
    "hosts_two_without_authority": (head(("host", "localhost"), ("host", "smuggled"),
                                         without=["authority"]), "host_repeated"),
    "host_malformed": (head(("host", "local host"), without=["authority"]), "host_malformed"),
    "host_none": (head(without=["authority"]), "host_missing"),
    "authority_twice": (head() + [(":authority", "smuggled")], PSEUDO),
    "authority_empty": (head(authority=""), "host_missing"),
    "authority_with_user": (head(authority="user@localhost"), "host_malformed"),
    "authority_with_user_and_password": (head(authority="a:b@localhost"), "host_malformed"),
    "authority_with_space": (head(authority="localhost smuggled"), "host_malformed"),
    "authority_with_cr_lf": (head(authority="localhost\r\nx: smuggled"), VALUE),
    "authority_with_path": (head(authority="localhost/smuggled"), "host_malformed"),
    "authority_with_query": (head(authority="localhost?smuggled"), "host_malformed"),
    "authority_with_fragment": (head(authority="localhost#smuggled"), "host_malformed"),
    "authority_of_two": (head(authority="localhost,smuggled"), "host_malformed"),
    "authority_port_too_large": (head(authority="localhost:99999"), "host_malformed"),
    "authority_port_not_a_number": (head(authority="localhost:http"), "host_malformed"),
    "authority_port_negative": (head(authority="localhost:-1"), "host_malformed"),
    "authority_port_alone": (head(authority=":80"), "host_malformed"),
    "authority_two_ports": (head(authority="localhost:80:81"), "host_malformed"),
}


@pytest.mark.parametrize("name", HEADS)
def test_malformed_head_resets_its_stream_alone(proxy, recorder, client, name):
    fields, fault = HEADS[name]
    before, lines = recorder.all_received(), len(faults(proxy, fault))
    stream = client.open()
    client.send(client.headers(stream, fields))
    reply = client.reply(stream)
    assert reply.reset == PROTOCOL_ERROR
    assert reply.fields is None and not reply.interim, "there was an answer"
    assert recorder.all_received() == before, "something reached the backend"
    assert client.get("/good").status == 200, "the conn is of no more use"
    assert not client.goaways
    wait_until(lambda: len(faults(proxy, fault)) == lines + 1, f"a line that says {fault}")


def test_malformed_head_with_content_resets_its_stream_alone(recorder, client):
    before = recorder.all_received()
    stream = client.open()
    fields = head(("transfer-encoding", "chunked"), method="POST")
    client.send(client.headers(stream, fields, False),
                client.data(stream, b"0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n", True))
    assert client.reply(stream).reset == PROTOCOL_ERROR
    assert recorder.all_received() == before
    assert client.get("/good").status == 200


@pytest.mark.parametrize("name", ["connect", "trace"])
def test_method_that_a_proxy_must_not_pass_is_refused(recorder, client, name):
    """Well formed, so it has an answer."""
    fields = {"connect": [(":method", "CONNECT"), (":authority", "localhost:22")],
              "trace": head(method="TRACE")}[name]
    before = recorder.all_received()
    stream = client.open()
    client.send(client.headers(stream, fields))
    assert client.reply(stream).status == 405
    assert recorder.all_received() == before
    assert client.get("/good").status == 200


# ---- content ---------------------------------------------------------------------------------


def body(declared, *pieces):
    """POST with this Content-Length and this content in these pieces."""
    def attack(client, stream):
        fields = head(("content-length", str(declared)), method="POST", path="/begun")
        frames = [client.headers(stream, fields, False)]
        frames += [client.data(stream, piece, at == len(pieces) - 1)
                   for at, piece in enumerate(pieces)]
        return frames
    return attack


def trailers(*fields, ended=True):
    def attack(client, stream):
        return [client.headers(stream, head(method="POST", path="/begun"), False),
                client.data(stream, b"body"),
                client.headers(stream, fields, ended)]
    return attack


SMUGGLED = b"GET /inner HTTP/1.1\r\nHost: localhost\r\n\r\n"

CONTENT = {
    "longer_than_its_length": (body(5, b"hello" + SMUGGLED), LENGTH),
    "shorter_than_its_length": (body(100, b"hello"), LENGTH),
    "shorter_in_two_frames": (body(100, b"hello", b""), LENGTH),
    "trailer_pseudo": (trailers((":path", "/inner")), PSEUDO),
    "trailer_status": (trailers((":status", "200")), PSEUDO),
    "trailer_transfer_encoding": (trailers(("transfer-encoding", "chunked")), "h2_trailer"),
    "trailer_content_length": (trailers(("content-length", "4")), "h2_trailer"),
    "trailer_host": (trailers(("host", "inner")), "h2_trailer"),
    "trailer_connection": (trailers(("connection", "close")), "h2_trailer"),
    "trailer_authorization": (trailers(("authorization", "Basic aW5uZXI=")), "h2_trailer"),
    "trailer_in_upper_case": (trailers(("X-Inner", "1")), NAME),
    "trailer_with_cr_lf": (trailers(("x", "1\r\n\r\nGET /inner HTTP/1.1")), VALUE),
    "trailer_name_with_lf": (trailers(("x\ninner", "1")), NAME),
    "trailers_that_end_nothing": (trailers(("x-sum", "1"), ended=False), "h2_trailer"),
}


@pytest.mark.parametrize("at_once", [True, False], ids=["at_once", "frame_by_frame"])
@pytest.mark.parametrize("name", CONTENT)
def test_malformed_content_never_looks_complete(proxy, recorder, client, name, at_once):
    """The head may be with the backend already: but no end of the body, and nothing behind it."""
    attack, fault = CONTENT[name]
    conns = len(recorder.received)
    stream = client.open()
    frames = attack(client, stream)
    if at_once:
        client.send(*frames)
    else:
        for frame in frames:
            client.send(frame)
            client.ping()
    reply = client.reply(stream)
    assert reply.reset == PROTOCOL_ERROR and reply.fields is None
    assert client.get("/good").status == 200
    assert b"inner" not in recorder.all_received()
    for record in recorder.received[conns:]:
        assert not record.endswith(b"\r\n0\r\n\r\n")
        assert b"begun" not in record or b"good" not in record, "its conn was used again"
    proxy.wait_event("access", fault=fault)


@pytest.mark.parametrize("declared", [0, 5])
def test_content_behind_its_length_is_never_passed_on(recorder, client, declared):
    """By its length the request was complete, so there may be an answer before more of it comes."""
    stream = client.request("/complete", [("content-length", str(declared))], method="POST",
                            end=False)
    client.send(client.data(stream, b"hello"[:declared])).ping()
    client.send(client.data(stream, SMUGGLED, True)).ping()
    reply = client.reply(stream)
    assert reply.reset == PROTOCOL_ERROR or reply.status == 200
    assert client.get("/good").status == 200
    assert b"inner" not in recorder.all_received()


# ---- frames that may not come ------------------------------------------------------------------

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING = range(7)
GOAWAY, WINDOW_UPDATE, CONTINUATION = 7, 8, 9
END_STREAM, END_HEADERS, PADDED, PRIORITISED = 1, 4, 8, 0x20


def block(client, fields=None):
    return client.encoder.encode(fields or head())


def open_upload(client, frame):
    """A request whose content is still to come, then what `frame` makes."""
    return [client.headers(client.open(), head(method="POST", path="/good"), False), frame()]


def after_answer(client, frame):
    assert client.get("/good").status == 200
    return [frame()]


# name → what is sent by a client whose next stream is 1, code of GOAWAY
CONNS = {
    "headers_on_an_even_stream": (lambda c: [raw_frame(HEADERS, 5, 2, block(c))], PROTOCOL_ERROR),
    "headers_on_stream_0": (lambda c: [raw_frame(HEADERS, 5, 0, block(c))], PROTOCOL_ERROR),
    "headers_on_an_older_stream": (lambda c: [
        raw_frame(HEADERS, 5, 7, block(c, head(path="/good"))), raw_frame(HEADERS, 5, 5, block(c))],
        STREAM_CLOSED),
    "headers_after_the_answer": (lambda c: after_answer(
        c, lambda: raw_frame(HEADERS, 5, 1, block(c))), STREAM_CLOSED),
    "headers_after_end_stream": (lambda c: [
        raw_frame(HEADERS, 5, 1, block(c, head(path="/good"))), raw_frame(HEADERS, 5, 1, block(c))],
        STREAM_CLOSED),
    "data_after_end_stream": (lambda c: [
        raw_frame(HEADERS, 5, 1, block(c, head(path="/good"))), raw_frame(DATA, 1, 1, b"smuggled")],
        STREAM_CLOSED),
    "data_after_the_answer": (lambda c: after_answer(c, lambda: raw_frame(DATA, 1, 1, b"smuggled")),
                              STREAM_CLOSED),
    "data_on_an_idle_stream": (lambda c: [raw_frame(DATA, 1, 9, b"smuggled")], PROTOCOL_ERROR),
    "data_on_stream_0": (lambda c: [raw_frame(DATA, 1, 0, b"smuggled")], PROTOCOL_ERROR),
    "push_promise": (lambda c: [raw_frame(PUSH_PROMISE, 4, 1, b"\0\0\0\2" + block(c))],
                     PROTOCOL_ERROR),
    "push_promise_on_an_open_stream": (lambda c: open_upload(
        c, lambda: raw_frame(PUSH_PROMISE, 4, 1, b"\0\0\0\2" + block(c))), PROTOCOL_ERROR),
    "continuation_of_nothing": (lambda c: [raw_frame(CONTINUATION, 4, 1, block(c))],
                                PROTOCOL_ERROR),
    "continuation_of_a_complete_block": (lambda c: open_upload(
        c, lambda: raw_frame(CONTINUATION, 4, 1, block(c))), PROTOCOL_ERROR),
    "block_interrupted_by_data": (lambda c: [raw_frame(HEADERS, 1, 1, block(c)),
                                             raw_frame(DATA, 1, 1, b"x")], PROTOCOL_ERROR),
    "block_interrupted_by_headers": (lambda c: [raw_frame(HEADERS, 1, 1, block(c)),
                                                raw_frame(HEADERS, 5, 3, block(c))],
                                     PROTOCOL_ERROR),
    "block_interrupted_by_ping": (lambda c: [raw_frame(HEADERS, 1, 1, block(c)),
                                             raw_frame(PING, 0, 0, bytes(8))], PROTOCOL_ERROR),
    "block_interrupted_by_unknown": (lambda c: [raw_frame(HEADERS, 1, 1, block(c)),
                                                raw_frame(0x99, 0, 0, b"")], PROTOCOL_ERROR),
    "block_continued_on_another_stream": (lambda c: [raw_frame(HEADERS, 1, 1, block(c)),
                                                     raw_frame(CONTINUATION, 4, 3, b"")],
                                          PROTOCOL_ERROR),
    "block_with_a_bad_index": (lambda c: [raw_frame(HEADERS, 5, 1, b"\xff\xff\xff\x7f")],
                               COMPRESSION_ERROR),
    "block_with_index_0": (lambda c: [raw_frame(HEADERS, 5, 1, b"\x80")], COMPRESSION_ERROR),
    "block_cut_short": (lambda c: [raw_frame(HEADERS, 5, 1, block(c)[:-1])], COMPRESSION_ERROR),
    "block_with_bad_huffman_code": (lambda c: [raw_frame(HEADERS, 5, 1, b"\x04\x84" + b"\xff" * 4)],
                                    COMPRESSION_ERROR),
    "headers_padded_beyond_its_end": (lambda c: [
        raw_frame(HEADERS, 5 | PADDED, 1, b"\xff" + block(c))], PROTOCOL_ERROR),
    "data_padded_beyond_its_end": (lambda c: open_upload(
        c, lambda: raw_frame(DATA, 1 | PADDED, 1, b"\x09smuggled")), PROTOCOL_ERROR),
    "frame_too_large": (lambda c: open_upload(c, lambda: raw_frame(DATA, 1, 1, bytes(16385))),
                        FRAME_SIZE_ERROR),
    "settings_of_5_bytes": (lambda c: [raw_frame(SETTINGS, 0, 0, bytes(5))], FRAME_SIZE_ERROR),
    "settings_acknowledged_with_content": (lambda c: [raw_frame(SETTINGS, 1, 0, bytes(6))],
                                           FRAME_SIZE_ERROR),
    "settings_on_a_stream": (lambda c: [raw_frame(SETTINGS, 0, 1, b"")], PROTOCOL_ERROR),
    "settings_window_too_large": (lambda c: [SettingsFrame(0, {INITIAL_WINDOW_SIZE: 1 << 31})],
                                  FLOW_CONTROL_ERROR),
    "settings_frame_size_too_small": (lambda c: [SettingsFrame(0, {MAX_FRAME_SIZE: 1})],
                                      PROTOCOL_ERROR),
    "settings_push_2": (lambda c: [SettingsFrame(0, {ENABLE_PUSH: 2})], PROTOCOL_ERROR),
    "ping_of_7_bytes": (lambda c: [raw_frame(PING, 0, 0, bytes(7))], FRAME_SIZE_ERROR),
    "ping_on_a_stream": (lambda c: [raw_frame(PING, 0, 1, bytes(8))], PROTOCOL_ERROR),
    "goaway_on_a_stream": (lambda c: [raw_frame(GOAWAY, 0, 1, bytes(8))], PROTOCOL_ERROR),
    "reset_of_an_idle_stream": (lambda c: [raw_frame(RST_STREAM, 0, 9, bytes(4))], PROTOCOL_ERROR),
    "reset_of_stream_0": (lambda c: [raw_frame(RST_STREAM, 0, 0, bytes(4))], PROTOCOL_ERROR),
    "reset_of_3_bytes": (lambda c: open_upload(c, lambda: raw_frame(RST_STREAM, 0, 1, bytes(3))),
                         FRAME_SIZE_ERROR),
    "window_update_of_0": (lambda c: [raw_frame(WINDOW_UPDATE, 0, 0, bytes(4))], PROTOCOL_ERROR),
    "window_update_of_an_idle_stream": (lambda c: [raw_frame(WINDOW_UPDATE, 0, 9, b"\0\0\0\1")],
                                        PROTOCOL_ERROR),
    "window_beyond_its_end": (lambda c: [WindowUpdateFrame(0, (1 << 31) - 1)] * 2,
                              FLOW_CONTROL_ERROR),
    "window_update_of_5_bytes": (lambda c: [raw_frame(WINDOW_UPDATE, 0, 0, bytes(5))],
                                 FRAME_SIZE_ERROR),
}


@pytest.mark.parametrize("name", CONNS)
def test_frame_that_may_not_come_ends_the_conn(proxy, recorder, client, name):
    attack, code = CONNS[name]
    before = len([e for e in proxy.events() if e.get("fault") == "h2_protocol"])
    client.send(*attack(client))
    assert client.take_until_closed() == code
    assert b"smuggled" not in recorder.all_received()
    for reply in client.replies.values():
        assert reply.status in (None, 200)
    wait_until(lambda: len([e for e in proxy.events() if e.get("fault") == "h2_protocol"]) > before,
               "a line about the conn")
    with Http2(proxy.tcp("plain"), scheme="http") as other:
        assert other.get("/good").status == 200


def test_content_beyond_the_window_ends_the_conn(proxy, client):
    """More than the window that SETTINGS gave, without waiting for more of it."""
    client.ping()
    stream = client.request("/flooded", end=False, method="POST")
    client.send(*[client.data(stream, bytes(16384)) for _ in range(20)])
    assert client.take_until_closed() == FLOW_CONTROL_ERROR
    proxy.wait_event("access", path="/flooded", fault="h2_protocol")


STREAMS = {
    "window_update_of_0": (lambda s: raw_frame(WINDOW_UPDATE, 0, s, bytes(4)), PROTOCOL_ERROR),
    "window_beyond_its_end": (lambda s: WindowUpdateFrame(s, (1 << 31) - 1), FLOW_CONTROL_ERROR),
}


@pytest.mark.parametrize("name", STREAMS)
def test_bad_window_update_ends_its_stream(client, name):
    """A stream error or, as strict as that, one of the conn (RFC 9113 §6.9)."""
    attack, code = STREAMS[name]
    stream = client.request("/good", end=False, method="POST")
    client.send(attack(stream))
    client.wait(lambda: client.replies[stream].over or client.goaways)
    codes = [client.replies[stream].reset] + [code for _, code in client.goaways]
    assert code in codes


def test_frames_on_a_stream_that_we_reset_are_taken_and_dropped(recorder, client):
    """They may have been on the way when it was reset."""
    stream = client.open()
    client.send(client.headers(stream, head(("connection", "close"), method="POST"), False))
    assert client.reply(stream).reset == PROTOCOL_ERROR
    client.send(client.data(stream, b"smuggled"),
                client.headers(stream, [("x-smuggled", "1")]))
    assert client.get("/good").status == 200 and not client.goaways
    assert b"smuggled" not in recorder.all_received()


def test_frames_of_extensions_are_ignored(client):
    """RFC 9113 §5.5: unknown types and settings, and flags that mean nothing."""
    client.send(raw_frame(0x99, 0xff, 0, b"anything"), raw_frame(0x77, 0, 5, bytes(100)),
                SettingsFrame(0, {0x5a5a: 1}), raw_frame(PING, 0xfe, 0, b"12345678"))
    client.wait(lambda: client.pongs)
    assert client.get("/good").status == 200


# ---- what another version would understand otherwise --------------------------------------------


def test_field_that_http1_would_fold_or_split_passes_as_it_is(recorder, client):
    """What is sendable comes out as one line, whatever it looks like."""
    value = "a, b; transfer-encoding: chunked"
    assert client.get("/good", [("x-looks", value), ("x-empty", "")]).status == 200
    record = recorder.wait_received(b"\r\nx-looks: " + value.encode() + b"\r\n")
    assert b"\r\ntransfer-encoding: chunked\r\n" not in record[record.rindex(b"GET /good"):]


def test_settings_of_an_upgrade_are_not_passed_on(recorder, client):
    assert client.get("/good", [("http2-settings", "AAMAAABk")]).status == 200
    assert b"http2-settings" not in recorder.all_received().lower()


def test_host_beside_the_same_authority_is_said_once(recorder, client):
    assert client.get("/once", [("host", "localhost")]).status == 200
    record = recorder.wait_received(b"GET /once ")
    assert record[record.rindex(b"GET /once "):].lower().count(b"\r\nhost:") == 1


def test_host_in_place_of_authority_is_taken(recorder, client):
    stream = client.open()
    client.send(client.headers(stream, head(("host", "localhost:8443"), path="/hosted",
                                            without=["authority"])))
    assert client.reply(stream).status == 200
    assert b"GET /hosted HTTP/1.1\r\nhost: localhost:8443\r\n" in recorder.all_received().replace(
        b"Host:", b"host:")


@pytest.mark.parametrize("text", [
    b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", b"PRI * HTTP/2.0\r\nHost: localhost\r\n\r\n",
    b"PRI / HTTP/1.1\r\nHost: localhost\r\nX: smuggled\r\n\r\n"])
def test_almost_a_preface_is_no_request(proxy, recorder, text):
    with proxy.tcp("plain") as conn:
        conn.send(text)
        conn.sock.settimeout(0.5)
        try:
            answer = conn.read_until(b"\r\n")
        except (EOFError, OSError):
            answer = b""
    assert text.startswith(b"PRI /") or not answer or b" 4" in answer or b" 505" in answer
    assert b"PRI *" not in recorder.all_received()
