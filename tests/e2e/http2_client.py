"""A client of HTTP/2 that sends whatever it is told, right or wrong, and sorts what comes back.

    with Http2(proxy.tls("web", alpn=["h2"])) as client:
        stream = client.request("/path", [("user-agent", "test")])
        reply = client.reply(stream)
        assert (reply.status, reply.body) == (200, b"ok")

hyperframe makes the frames and hpack the header blocks; neither minds what a test puts into them.
Windows are opened again as content comes (`opens_windows`), SETTINGS and PING are acknowledged
(`acknowledges`).

SPDX-License-Identifier: Apache-2.0
"""

import socket
import ssl
import struct

from hpack import Decoder, Encoder
from hyperframe.frame import (ContinuationFrame, DataFrame, Frame, GoAwayFrame, HeadersFrame,
                              PingFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
WINDOW = 65535  # RFC 9113 §6.9.2
FRAME = 16384

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL = 5, 6, 7, 8
COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 9, 11

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 1, 2, 3, 4
MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE, ENABLE_CONNECT_PROTOCOL, NO_RFC7540_PRIORITIES = 5, 6, 8, 9


class Reply:
    """What came on one stream."""

    def __init__(self):
        self.interim = []      # heads with a status below 200
        self.fields = None     # of the final head, in order; None: none came
        self.trailers = None
        self.body = bytearray()
        self.received = 0      # bytes of content, kept or not
        self.ended = False     # END_STREAM
        self.reset = None      # code of RST_STREAM
        self.window = WINDOW   # that the peer gave us

    @property
    def status(self):
        return int(self.field(":status")) if self.fields else None

    def field(self, name):
        values = [value for key, value in self.fields or [] if key == name]
        return ", ".join(values) if values else None

    @property
    def over(self):
        return self.ended or self.reset is not None


def raw_frame(kind, flags, stream, payload=b"", length=None):
    """A frame of any type, with any flags and a length that need not be right."""
    length = len(payload) if length is None else length
    return struct.pack(">HBBBL", length >> 8, length & 0xff, kind, flags, stream) + payload


def get(path="/", fields=(), method="GET", authority="localhost", scheme="https"):
    return [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path),
            *fields]


class Http2:
    """A conn of a client, over a raw one."""

    def __init__(self, conn, settings=None, greet=True, opens_windows=True, acknowledges=True,
                 keeps=True, scheme="https"):
        self.conn = conn
        self.encoder, self.decoder = Encoder(), Decoder()
        self.decoder.max_allowed_table_size = (settings or {}).get(HEADER_TABLE_SIZE, 4096)
        self.opens_windows, self.acknowledges, self.keeps = opens_windows, acknowledges, keeps
        self.scheme = scheme
        self.replies = {}
        self.settings = {}       # the peer's
        self.goaways = []        # (last stream, code)
        self.pongs = []
        self.frames = []         # (type, flags, stream, length) of all that came
        self.window = WINDOW     # of the conn, that the peer gave us
        self.initial_window = WINDOW
        self.next_id = 1
        self.block = None        # (stream, flags, bytes) of a block without its end
        self.broken = None       # how the conn ended, if not in order
        if greet:
            self.send(PREFACE + SettingsFrame(0, settings or {}).serialize())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.conn.close()

    # ---- sending -----------------------------------------------------------------------------

    def send(self, *frames):
        self.conn.send(b"".join(f if isinstance(f, bytes) else f.serialize() for f in frames))
        return self

    def headers(self, stream, fields, end=True):
        """HEADERS, with CONTINUATION as far as needed."""
        block = self.encoder.encode(fields)
        pieces = [block[at:at + FRAME] for at in range(0, len(block), FRAME)] or [b""]
        frames = [raw_frame(1, int(end), stream, pieces[0])]
        frames += [raw_frame(9, 0, stream, piece) for piece in pieces[1:]]
        last = bytearray(frames[-1])
        last[4] |= 4  # END_HEADERS
        return b"".join(frames[:-1]) + bytes(last)

    def open(self):
        """The id of the next stream."""
        stream, self.next_id = self.next_id, self.next_id + 2
        self.replies[stream] = Reply()
        self.replies[stream].window = self.initial_window
        return stream

    def request(self, path="/", fields=(), end=True, **pseudo):
        stream = self.open()
        self.send(self.headers(stream, get(path, fields, **{"scheme": self.scheme, **pseudo}), end))
        return stream

    def data(self, stream, data=b"", end=False, padding=None):
        flags = (["END_STREAM"] if end else []) + (["PADDED"] if padding is not None else [])
        return DataFrame(stream, data, pad_length=padding or 0, flags=flags)

    def upload(self, stream, data, end=True):
        """Content as the windows allow it."""
        reply, at = self.replies[stream], 0
        while at < len(data):
            self.wait(lambda: min(self.window, reply.window) > 0 or reply.over)
            if reply.over:
                return
            room = min(self.window, reply.window, FRAME, len(data) - at)
            last = end and at + room == len(data)
            self.send(self.data(stream, data[at:at + room], last))
            self.window -= room
            reply.window -= room
            at += room
        if end and not data:
            self.send(self.data(stream, b"", True))

    # ---- receiving ---------------------------------------------------------------------------

    @property
    def closed(self):
        return self.conn.ended or self.broken is not None

    def take_frame(self):
        """Takes one frame from the conn; False at its end."""
        try:
            head = self.conn.read_exactly(9)
            frame, length = Frame.parse_frame_header(memoryview(head))
            payload = self.conn.read_exactly(length)
        except (EOFError, ConnectionResetError, BrokenPipeError, ssl.SSLError) as fault:
            if isinstance(fault, socket.timeout):
                raise
            self.broken = fault
            return False
        frame.parse_body(memoryview(payload))
        self.frames.append((head[3], head[4], frame.stream_id, length))
        self._note(frame, length)
        return True

    def _note(self, frame, length):
        if isinstance(frame, DataFrame):
            self._note_data(frame, length)
        elif isinstance(frame, (HeadersFrame, ContinuationFrame)):
            self._note_block(frame)
        elif isinstance(frame, RstStreamFrame):
            self.replies.setdefault(frame.stream_id, Reply()).reset = frame.error_code
        elif isinstance(frame, GoAwayFrame):
            self.goaways.append((frame.last_stream_id, frame.error_code))
        elif isinstance(frame, WindowUpdateFrame):
            if frame.stream_id == 0:
                self.window += frame.window_increment
            elif frame.stream_id in self.replies:
                self.replies[frame.stream_id].window += frame.window_increment
        elif isinstance(frame, SettingsFrame) and "ACK" not in frame.flags:
            self._note_settings(frame)
        elif isinstance(frame, PingFrame):
            if "ACK" in frame.flags:
                self.pongs.append(frame.opaque_data)
            elif self.acknowledges:
                self._answer(PingFrame(0, frame.opaque_data, flags=["ACK"]))

    def _note_settings(self, frame):
        self.settings.update(frame.settings)
        initial = frame.settings.get(INITIAL_WINDOW_SIZE, self.initial_window)
        for reply in self.replies.values():
            reply.window += initial - self.initial_window
        self.initial_window = initial
        if self.acknowledges:
            self._answer(SettingsFrame(0, flags=["ACK"]))

    def _note_data(self, frame, length):
        reply = self.replies.setdefault(frame.stream_id, Reply())
        reply.received += len(frame.data)
        if self.keeps:
            reply.body += frame.data
        reply.ended |= "END_STREAM" in frame.flags
        if self.opens_windows and length:
            updates = [WindowUpdateFrame(0, length)]
            if not reply.over:
                updates.append(WindowUpdateFrame(frame.stream_id, length))
            self._answer(*updates)

    def _note_block(self, frame):
        if isinstance(frame, HeadersFrame):
            self.block = (frame.stream_id, "END_STREAM" in frame.flags, frame.data)
        else:
            self.block = (*self.block[:2], self.block[2] + frame.data)
        if "END_HEADERS" not in frame.flags:
            return
        stream, ended, data = self.block
        fields = [(name.decode("latin-1"), value.decode("latin-1"))
                  for name, value in self.decoder.decode(data, raw=True)]
        reply = self.replies.setdefault(stream, Reply())
        if reply.fields is not None:
            reply.trailers = fields
        elif dict(fields)[":status"] < "200":
            reply.interim.append(fields)
        else:
            reply.fields = fields
        reply.ended |= ended

    def _answer(self, *frames):
        try:
            self.send(*frames)
        except OSError:
            pass  # what was sent to us before the end is still to be read

    def wait(self, condition):
        """Takes frames until the condition holds; fails at the end of the conn."""
        while not condition():
            if not self.take_frame():
                raise EOFError(f"the conn ended ({self.broken!r}); GOAWAY: {self.goaways}")
        return self

    def reply(self, stream):
        """Waits for the end of a stream, whatever it is."""
        reply = self.replies.setdefault(stream, Reply())
        self.wait(lambda: reply.over)
        return reply

    def get(self, path="/", fields=(), **pseudo):
        return self.reply(self.request(path, fields, **pseudo))

    def ping(self, data=b"roundtrp"):
        """Waits until the peer has handled everything that was sent before."""
        count = len(self.pongs)
        self.send(PingFrame(0, data))
        return self.wait(lambda: len(self.pongs) > count)

    def take_until_closed(self):
        """Takes what comes until the peer closes, and returns the code of its last GOAWAY."""
        while self.take_frame():
            pass
        return self.goaways[-1][1] if self.goaways else None
