"""Abuse of HTTP/2, by the names under which it became known: each attacker is answered with the
right code and closed, memory stays bounded, and others are served meanwhile.

SPDX-License-Identifier: Apache-2.0
"""

import contextlib
import socket
import threading
import time

import pytest
from conftest import Conn, lean_sanitizer_settings, resident_bytes, wait_until, watch_memory
from http2_client import (COMPRESSION_ERROR, ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR,
                          HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE, NO_ERROR, PREFACE, PROTOCOL_ERROR,
                          Http2, get, raw_frame)
from hyperframe.frame import PingFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GO_ON = threading.Event()
MIB = 1 << 20
LARGE = 10 * MIB
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING = range(7)
GOAWAY, WINDOW_UPDATE, CONTINUATION = 7, 8, 9
PRIORITY_UPDATE = 0x10
END_STREAM, END_HEADERS, PADDED = 1, 4, 8


def answer(conn):
    """/large: ten megabytes; /many: a response with a hundred fields; /stuck: takes no content;
    anything else: ok."""
    for head in iter(lambda: conn.read_until(b"\r\n\r\n"), b""):
        if b"/large" in head:
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE)
            for _ in range(LARGE // 65536):
                conn.send(bytes(65536))
        elif b"/many" in head:
            fields = b"".join(b"x-%d: %s-%d\r\n" % (n, b"a" * 400, time.monotonic_ns())
                              for n in range(100))
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + fields + b"\r\n")
        elif b"/stuck" in head:
            GO_ON.wait(20)
        elif b"POST" in head:
            conn.read_to_end()
        else:
            conn.send(OK)


@pytest.fixture(scope="module")
def app(standing_backend):
    server = standing_backend(answer)
    server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)  # the kernel takes little
    return server


@pytest.fixture(scope="module")
def proxy(standing, app):
    return standing('''
        certificates: [{name: web, chain: @chain@, key: @key@}]
        listeners:
          - {name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}
          - {name: web, address: "127.0.0.1:@web@", routes: [{backend: app}]}
        backends: {app: {servers: ["http://127.0.0.1:@app@"]}}
        timeouts: {header: 900ms, idle: 5s, minimum_rate: 1000B/s, rate_grace: 600ms, linger: 1s}
    ''', app=app.port, _env=lean_sanitizer_settings())


@pytest.fixture
def attacker(proxy):
    with Http2(proxy.tcp("plain"), scheme="http", keeps=False) as client:
        client.ping()
        yield client


@pytest.fixture(autouse=True)
def others(proxy):
    """Around each attack: another client is served, and the worker does not grow."""
    worker, = proxy.workers()
    over, seconds, faults = threading.Event(), [], []

    def ask():
        try:
            with proxy.tls("web") as conn:
                while not over.is_set() or len(seconds) < 3:
                    began = time.monotonic()
                    conn.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    assert conn.response().status == 200
                    seconds.append(time.monotonic() - began)
                    over.wait(0.02)
        except Exception as fault:
            faults.append(fault)
    before, peak = resident_bytes(worker), watch_memory(worker)
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    yield
    over.set()
    thread.join()
    grown = peak() - before
    assert not faults and max(seconds) < 5
    assert grown < 24 * MIB, f"the worker grew by {grown >> 20} MiB"
    assert proxy.workers() == [worker], "the worker was replaced"


def flood(client, rounds, frames):
    """Sends `frames`, or what it gives for each round, until the peer has had enough; returns the
    code of its GOAWAY."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for number in range(rounds):
            client.send(frames(number) if callable(frames) else frames)
    return client.take_until_closed()


def block(client, fields):
    """A header block that stays right however often it is sent: no field goes to the table."""
    return client.encoder.encode([(name, value, True) for name, value in fields])


def flood_in_steps(client, streams, frames):
    """The same with what `frames` gives for each stream, a few streams at once and then a round
    trip, since many at once end the conn for being too many."""
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        for first in range(1, 2 * streams, 50):
            client.send(b"".join(frames(stream) for stream in range(first, first + 50, 2))).ping()
    return client.take_until_closed()


def post(path="/", *fields):
    return get(path, fields, method="POST", scheme="http")


def lines(proxy, **fields):
    return [e for e in proxy.events("access")
            if all(e.get(key) == value for key, value in fields.items())]


# ---- resets ------------------------------------------------------------------------------------


def test_rapid_reset(proxy, app, attacker):
    """CVE-2023-44487: requests that are taken back at once."""
    data = block(attacker, get("/rapid", scheme="http"))

    def pair(number):
        stream = 2 * number + 1
        return raw_frame(HEADERS, END_STREAM | END_HEADERS, stream, data) + \
            raw_frame(RST_STREAM, 0, stream, b"\0\0\0\x08")
    assert flood(attacker, 20000, pair) == ENHANCE_YOUR_CALM
    assert app.all_received().count(b"/rapid") < 300


def test_rapid_reset_after_the_backend_was_asked(proxy, app, attacker):
    """The same, a round trip later: what was begun has cost something."""
    data, began = block(attacker, post("/asked")), app.all_received().count(b"/asked")
    cancel = b"\0\0\0\x08"
    with contextlib.suppress(EOFError, OSError):
        for first in range(1, 4000, 50):
            streams = range(first, first + 50, 2)
            attacker.send(*[raw_frame(HEADERS, END_HEADERS, s, data) for s in streams]).ping()
            attacker.send(*[raw_frame(RST_STREAM, 0, s, cancel) for s in streams])
    assert attacker.take_until_closed() == ENHANCE_YOUR_CALM
    assert app.all_received().count(b"/asked") - began < 1000


def with_window(increment):
    def frames(client):
        data = block(client, post())
        return lambda stream: (raw_frame(HEADERS, END_HEADERS, stream, data) +
                               raw_frame(WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big")))
    return frames


def with_head(*fields):
    def frames(client):
        data = block(client, post("/", *fields))
        return lambda stream: raw_frame(HEADERS, END_HEADERS, stream, data)
    return frames


def with_content(declared, content):
    def frames(client):
        data = block(client, post("/", ("content-length", str(declared))))
        return lambda stream: (raw_frame(HEADERS, END_HEADERS, stream, data) +
                               raw_frame(DATA, END_STREAM, stream, content))
    return frames


def with_trailers(client):
    data, more = block(client, post()), block(client, [("x-a", "b")])
    return lambda stream: (raw_frame(HEADERS, END_HEADERS, stream, data) +
                           raw_frame(HEADERS, END_HEADERS, stream, more))


def with_too_much(client):
    data = block(client, post())
    return lambda stream: (raw_frame(HEADERS, END_HEADERS, stream, data) +
                           raw_frame(DATA, 0, stream, bytes(16384)) * 5)


RESETS = {
    "window_update_of_0": with_window(0),
    "window_beyond_its_end": with_window((1 << 31) - 1),
    "malformed_head": with_head(("connection", "close")),
    "malformed_value": with_head(("x", "a\0")),
    "wrong_length": with_content(5, b"hello!"),
    "missing_content": with_content(5, b""),
    "trailers_that_end_nothing": with_trailers,
    "content_beyond_the_window": with_too_much,
}


@pytest.mark.parametrize("name", RESETS)
def test_made_you_reset(proxy, attacker, name):
    """CVE-2025-8671: the client breaks a rule so that the server resets, which costs the same. Some
    broken rules end the conn at once."""
    frames = RESETS[name](attacker)
    code = flood_in_steps(attacker, 4000, frames)
    at_once = {PROTOCOL_ERROR, FLOW_CONTROL_ERROR} if "window" in name else set()
    assert code in {ENHANCE_YOUR_CALM} | at_once


# ---- frames of no use --------------------------------------------------------------------------


def test_continuation_flood_without_an_end(attacker):
    """CVE-2024-27316 and its like: a block that never ends."""
    attacker.send(raw_frame(HEADERS, END_STREAM, 1, block(attacker, get(scheme="http"))))
    small = raw_frame(CONTINUATION, 0, 1, b"\x00\x01a\x01b")
    assert flood(attacker, 1000, small * 100) == ENHANCE_YOUR_CALM


def test_continuation_flood_with_full_frames(attacker):
    attacker.send(raw_frame(HEADERS, END_STREAM, 1, block(attacker, get(scheme="http"))))
    field = b"\x00\x01a\x7f\x81\x7e" + b"x" * 16384
    assert flood(attacker, 1000, raw_frame(CONTINUATION, 0, 1, field[:16384])) in (
        ENHANCE_YOUR_CALM, COMPRESSION_ERROR)


def test_continuation_flood_with_ends(attacker):
    """Each block ends, after as many frames as are allowed; the request is answered at once."""
    data = block(attacker, get(scheme="http", method="TRACE"))

    def request(stream):
        return (raw_frame(HEADERS, END_STREAM, stream, data) +
                raw_frame(CONTINUATION, 0, stream, b"") * 7 +
                raw_frame(CONTINUATION, END_HEADERS, stream, b""))
    assert flood_in_steps(attacker, 3000, request) == ENHANCE_YOUR_CALM


def test_empty_continuation_flood(attacker):
    attacker.send(raw_frame(HEADERS, END_STREAM, 1, block(attacker, get(scheme="http"))))
    assert flood(attacker, 1000, raw_frame(CONTINUATION, 0, 1, b"") * 100) == ENHANCE_YOUR_CALM


def on_a_stream(*frames):
    """Frames on a stream that is open for content."""
    def make(client):
        client.send(client.headers(client.open(), post("/patient"), False))
        return b"".join(frames)
    return make


ONE = (1).to_bytes(4, "big")
FRAMES = {
    "settings_flood": lambda c: SettingsFrame(0, {}).serialize(),
    "settings_flood_of_windows": lambda c: SettingsFrame(0, {INITIAL_WINDOW_SIZE: 1}).serialize() +
    SettingsFrame(0, {INITIAL_WINDOW_SIZE: 100000}).serialize(),
    "settings_flood_of_tables": lambda c: SettingsFrame(0, {HEADER_TABLE_SIZE: 0}).serialize() +
    SettingsFrame(0, {HEADER_TABLE_SIZE: 4096}).serialize(),
    "ping_flood": lambda c: PingFrame(0, b"12345678").serialize(),
    "pong_flood": lambda c: PingFrame(0, b"12345678", flags=["ACK"]).serialize(),
    "priority_flood": lambda c: raw_frame(PRIORITY, 0, 5, bytes(4) + b"\x10"),
    "priority_flood_of_idle_streams": lambda c: b"".join(
        raw_frame(PRIORITY, 0, stream, bytes(4) + b"\x10") for stream in range(1, 200, 2)),
    "priority_update_flood": lambda c: raw_frame(PRIORITY_UPDATE, 0, 0, (5).to_bytes(4, "big") +
                                                 b"u=1"),
    "priority_update_flood_of_idle_streams": lambda c: b"".join(
        raw_frame(PRIORITY_UPDATE, 0, 0, stream.to_bytes(4, "big") + b"u=1")
        for stream in range(1, 200, 2)),
    "window_update_flood": lambda c: raw_frame(WINDOW_UPDATE, 0, 0, ONE),
    "window_update_flood_of_a_stream": on_a_stream(raw_frame(WINDOW_UPDATE, 0, 1, ONE)),
    "unknown_frame_flood": lambda c: raw_frame(0x99, 0, 0, b""),
    "unknown_frame_flood_with_content": lambda c: raw_frame(0x99, 0xff, 7, bytes(100)),
    "goaway_flood": on_a_stream(raw_frame(GOAWAY, 0, 0, bytes(8))),  # without one it is the end
    "altsvc_flood": lambda c: raw_frame(0x0a, 0, 0, bytes(2)),
    "empty_data_flood": on_a_stream(raw_frame(DATA, 0, 1)),
    "short_padding_flood": on_a_stream(raw_frame(DATA, PADDED, 1, b"\0")),
}


@pytest.mark.parametrize("name", FRAMES)
def test_frame_of_no_use_flood(proxy, attacker, name):
    frames = FRAMES[name](attacker)
    assert flood(attacker, 1000, frames * 100) == ENHANCE_YOUR_CALM
    wait_until(lambda: [e for e in proxy.events() if e.get("fault") == "h2_flood"],
               "a line about the flood")


def test_padding_flood(attacker):
    """Content that is padding alone: its window is given back, its patience is not."""
    attacker.send(attacker.headers(attacker.open(), post("/patient"), False))
    frames = raw_frame(DATA, PADDED, 1, b"\xff" + bytes(255)) * 100
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        for _ in range(100):
            attacker.send(frames).ping()
    assert attacker.take_until_closed() == ENHANCE_YOUR_CALM


def test_reset_flood_of_one_stream(attacker):
    """RST_STREAM on a stream that is over is allowed, now and then."""
    attacker.send(attacker.headers(attacker.open(), post("/patient"), False))
    assert flood(attacker, 1000, raw_frame(RST_STREAM, 0, 1, bytes(4)) * 100) == ENHANCE_YOUR_CALM


def test_peer_that_reads_no_answers(proxy):
    """What it made us say does not pile up, whichever bound it meets first."""
    ping, began = PingFrame(0, b"12345678").serialize(), time.monotonic()
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", proxy.port("plain")))
    sock.settimeout(10)
    with contextlib.closing(sock):
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            sock.sendall(PREFACE + SettingsFrame(0, {}).serialize())
            while time.monotonic() - began < 10:
                sock.sendall(ping * 100)


def test_pings_within_reason_are_answered(attacker):
    for _ in range(500):
        attacker.ping()
    assert not attacker.goaways and attacker.get().status == 200


# ---- windows -----------------------------------------------------------------------------------


@pytest.mark.parametrize("closed", ["streams", "conn"])
def test_zero_window_streams(proxy, closed):
    """A hundred requests for ten megabytes each, and no window to send them into."""
    before = len(lines(proxy, fault="timeout_send"))
    window = 0 if closed == "streams" else MIB
    with Http2(proxy.tcp("plain"), {INITIAL_WINDOW_SIZE: window}, scheme="http", keeps=False,
               opens_windows=False) as client:
        client.ping()
        streams = [client.request("/large") for _ in range(100)]
        began = time.monotonic()
        for stream in streams:
            assert client.reply(stream).reset == ENHANCE_YOUR_CALM
        assert time.monotonic() - began < 12
        assert sum(client.replies[stream].received for stream in streams) <= 65535
        assert client.get().status == 200 or closed == "conn"
    wait_until(lambda: len(lines(proxy, fault="timeout_send")) >= before + 100, "a hundred lines")


def test_open_windows_and_a_socket_that_nobody_reads(proxy):
    """A hundred requests for ten megabytes each: what waits for the socket is bounded as well."""
    before = len(lines(proxy, fault="timeout_send"))
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", proxy.port("plain")))
    with Http2(Conn(sock), {INITIAL_WINDOW_SIZE: (1 << 31) - 1}, scheme="http") as client:
        client.send(WindowUpdateFrame(0, (1 << 31) - 65536))
        for _ in range(100):
            client.request("/large")
        wait_until(lambda: len(lines(proxy, fault="timeout_send")) >= before + 100,
                   "a hundred lines")


def fill(client, streams):
    """Content for each, as far as the windows go; how much that was."""
    sent, moved = 0, True
    while moved:
        moved = False
        for stream in streams:
            room = min(client.replies[stream].window, client.window, 16384)
            if room > 0:
                client.send(client.data(stream, bytes(room)))
                client.replies[stream].window -= room
                client.window -= room
                sent, moved = sent + room, True
        client.ping()
    return sent


def test_uploads_that_nobody_takes(sallyport, app):
    """What is held of them is the conn's budget, and who waits for it is not to blame."""
    proxy = sallyport('''
        listeners: [{name: plain, address: "127.0.0.1:@plain@", tls: off, routes: [{backend: app}]}]
        backends: {app: {servers: ["http://127.0.0.1:@app@"]}}
        limits: {connection_buffer_bytes: 256KiB}
        timeouts: {minimum_rate: 1000B/s, rate_grace: 600ms}
    ''', app=app.port)
    with Http2(proxy.tcp("plain"), scheme="http") as client:
        client.ping()
        streams = [client.request("/stuck", end=False, method="POST") for _ in range(6)]
        wait_until(lambda: fill(client, streams) == 0, "the windows to be closed")
        assert client.window <= 0
        late, began = client.request("/late", end=False, method="POST"), time.monotonic()
        while time.monotonic() - began < 2:
            client.ping()
            time.sleep(0.05)
        GO_ON.set()
        assert not client.replies[late].over and not client.goaways


def test_tiny_windows(proxy, attacker):
    """A frame for every byte: as much work for us as for a megabyte."""
    attacker.opens_windows = False
    attacker.send(SettingsFrame(0, {INITIAL_WINDOW_SIZE: 0})).ping()
    stream = attacker.request("/large")
    update = WindowUpdateFrame(stream, 1).serialize()
    thread = threading.Thread(target=flood_in_silence, args=(attacker, update * 50), daemon=True)
    thread.start()
    assert attacker.take_until_closed() == ENHANCE_YOUR_CALM
    thread.join(10)
    assert attacker.replies[stream].received < 100000


def test_tiny_windows_in_step(attacker):
    """The same, at the pace of our answers; on a slow machine the minimum rate ends it first."""
    attacker.opens_windows = False
    attacker.send(SettingsFrame(0, {INITIAL_WINDOW_SIZE: 0})).ping()
    streams = [attacker.request("/large") for _ in range(50)]
    updates = b"".join(WindowUpdateFrame(stream, 1).serialize() for stream in streams)
    replies = [attacker.replies[stream] for stream in streams]

    def cut():
        return any(reply.over for reply in replies)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        for step in range(1, 200):
            attacker.send(updates).wait(
                lambda: cut() or sum(reply.received for reply in replies) == step * len(streams))
    if cut():
        assert {reply.reset for reply in replies if reply.over} == {ENHANCE_YOUR_CALM}
    else:
        assert attacker.take_until_closed() == ENHANCE_YOUR_CALM


def flood_in_silence(client, frames):
    with contextlib.suppress(OSError):
        for _ in range(20000):
            client.send(frames)


def test_slow_reader_is_cut_and_its_conn_goes_on(proxy, attacker):
    attacker.opens_windows = False
    stream = attacker.request("/large")
    reply = attacker.reply(stream)
    assert reply.reset == ENHANCE_YOUR_CALM and reply.received == 65535
    proxy.wait_event("access", fault="timeout_send", path="/large")
    attacker.send(WindowUpdateFrame(0, 65535))
    assert attacker.get().status == 200


def test_stream_that_waits_for_another_is_not_slow(proxy):
    """The client takes what comes at a good pace, and its conn's window goes to the first."""
    with Http2(proxy.tcp("plain"), {INITIAL_WINDOW_SIZE: LARGE}, scheme="http", keeps=False,
               opens_windows=False) as client:
        client.ping()
        one, two = client.request("/large"), client.request("/large")
        began = time.monotonic()
        while time.monotonic() - began < 3.5:
            client.send(WindowUpdateFrame(0, 16384)).ping()
            time.sleep(0.05)
        assert client.replies[one].received > 4 * client.replies[two].received
        assert not client.replies[two].over
        client.opens_windows = True
        client.send(WindowUpdateFrame(0, MIB))
        assert client.reply(two).received == LARGE


# ---- header blocks -----------------------------------------------------------------------------


def test_hpack_bomb(attacker):
    """One field of the table, named again by each byte of the block."""
    fields = get(scheme="http")
    attacker.send(attacker.headers(attacker.open(), fields + [("x-bomb", "a" * 3900)]))
    reference = b"\xbe"  # the youngest entry
    bomb = raw_frame(HEADERS, END_STREAM | END_HEADERS, 3,
                     attacker.encoder.encode(fields) + reference * 16000)
    assert flood(attacker, 1, bomb) == ENHANCE_YOUR_CALM


def test_hpack_bombs_of_the_size_that_is_tolerated(attacker):
    """Each block a little too large: answered, again and again, in the same memory."""
    fields = get(scheme="http")
    attacker.reply(attacker.request("/", [("x-bomb", "a" * 3900)]))
    for _ in range(30):
        stream = attacker.open()
        attacker.send(raw_frame(HEADERS, END_STREAM | END_HEADERS, stream,
                                attacker.encoder.encode(fields) + b"\xbe" * 60))
        assert attacker.reply(stream).status == 431


def test_header_list_too_large(attacker):
    """Somewhat: a page. Far beyond: the end."""
    assert attacker.get("/", [(f"x-{n}", "a" * 8000) for n in range(20)]).status == 431
    stream = attacker.open()
    data = attacker.encoder.encode(get(scheme="http") +
                                   [(f"y-{n}", "a" * 8000) for n in range(60)], huffman=False)
    frames = [raw_frame(HEADERS, END_STREAM, stream, data[:16384])]
    frames += [raw_frame(CONTINUATION, 0, stream, data[at:at + 16384])
               for at in range(16384, len(data), 16384)]
    assert flood(attacker, 1, b"".join(frames)) == ENHANCE_YOUR_CALM


def test_fields_without_names_and_values(attacker):
    """Cheap to send, dear to keep; and malformed."""
    data = attacker.encoder.encode(get(scheme="http"))
    stream = attacker.open()
    attacker.send(raw_frame(HEADERS, END_STREAM | END_HEADERS, stream, data + b"\0\0\0" * 5000))
    attacker.wait(lambda: attacker.replies[stream].over or attacker.goaways)
    assert attacker.replies[stream].status in (None, 431)


def test_table_larger_than_was_allowed(attacker):
    """RFC 7541 §6.3: a size update beyond our SETTINGS."""
    data = b"\x3f\xe1\xff\x03" + attacker.encoder.encode(get(scheme="http"))
    attacker.send(raw_frame(HEADERS, END_STREAM | END_HEADERS, 1, data))
    assert attacker.take_until_closed() == COMPRESSION_ERROR


@pytest.mark.parametrize("size", [0, 1, 4096, 100000, (1 << 32) - 1])
def test_table_of_any_size_is_kept_to(proxy, size):
    """A table of four gigabytes is an offer, not a duty."""
    with Http2(proxy.tcp("plain"), {HEADER_TABLE_SIZE: size}, scheme="http") as client:
        for _ in range(30):
            reply = client.get("/many")
            assert reply.status == 200 and len(reply.fields) > 100


def test_table_that_shrinks_and_grows(attacker):
    for size in 0, 4096, 100, 0, 65536:
        attacker.decoder.max_allowed_table_size = 65536
        attacker.send(SettingsFrame(0, {HEADER_TABLE_SIZE: size})).ping()
        assert attacker.get("/many").status == 200


# ---- silence -----------------------------------------------------------------------------------


def seconds_to_end(client):
    began = time.monotonic()
    code = client.take_until_closed()
    return time.monotonic() - began, code


PREFACES = {
    "nothing": b"",
    "half_a_preface": PREFACE[:12],
    "preface_alone": PREFACE,
    "preface_and_half_of_settings": PREFACE + SettingsFrame(0, {}).serialize()[:5],
}


@pytest.mark.parametrize("listener", ["plain", "web"])
@pytest.mark.parametrize("name", PREFACES)
def test_greeting_that_is_never_finished(proxy, listener, name):
    conn = proxy.tcp("plain") if listener == "plain" else proxy.tls("web", alpn=["h2"])
    with Http2(conn, greet=False, acknowledges=False) as client:
        client.send(PREFACES[name])
        assert 0.3 < seconds_to_end(client)[0] < 4


def test_request_in_place_of_settings(proxy):
    with Http2(proxy.tcp("plain"), scheme="http", greet=False) as client:
        client.send(PREFACE)
        client.request("/")
        assert client.take_until_closed() == PROTOCOL_ERROR


@pytest.mark.parametrize("others_run", [False, True], ids=["first", "beside_another"])
def test_headers_that_are_never_finished(proxy, attacker, others_run):
    """Slowloris with CONTINUATION: a byte now and then does not prolong the deadline."""
    if others_run:
        attacker.opens_windows = False
        attacker.send(raw_frame(HEADERS, END_HEADERS, 1, block(attacker, post("/patient"))))
    else:
        assert attacker.get().status == 200
    attacker.ping()
    before = len([e for e in proxy.events() if e.get("fault") == "timeout_header"])
    attacker.send(raw_frame(HEADERS, END_STREAM, 3, block(attacker, get(scheme="http"))))
    began = time.monotonic()
    attacker.conn.sock.settimeout(0.2)
    while time.monotonic() - began < 6:
        with contextlib.suppress(socket.timeout):
            if not attacker.take_frame():
                break
        with contextlib.suppress(OSError):
            attacker.send(raw_frame(CONTINUATION, 0, 3, b"\x00\x01a\x01b"))
    assert 0.3 < time.monotonic() - began < 4
    wait_until(lambda: len([e for e in proxy.events() if e.get("fault") == "timeout_header"]) >
               before, "a line about the header")


@pytest.mark.parametrize("beats", ["content", "ping"])
def test_slow_upload(proxy, attacker, beats):
    """Below the minimum rate: a page, the stream ends, the conn goes on."""
    stream = attacker.request(f"/slow-{beats}", end=False, method="POST")
    reply, began = attacker.replies[stream], time.monotonic()
    while not reply.over and time.monotonic() - began < 8:
        if beats == "content":
            attacker.send(attacker.data(stream, b"a"))
        attacker.ping()
        time.sleep(0.05)
    assert reply.status == 408
    assert attacker.get().status == 200
    proxy.wait_event("access", path=f"/slow-{beats}", fault="timeout_body", status=408)


def test_conn_that_only_pings_is_idle(proxy):
    """Idle is a conn without streams, whatever else it says."""
    with Http2(proxy.tcp("plain"), scheme="http") as client:
        assert client.get().status == 200
        began = time.monotonic()
        with pytest.raises((EOFError, OSError)):
            while time.monotonic() - began < 12:
                client.ping()
                time.sleep(0.1)
        assert time.monotonic() - began < 10
        assert client.goaways and client.goaways[-1][1] == NO_ERROR
