"""A scripted server of HTTP/2, on python-h2, that may also break the rules.

    def serve(conn):
        for request in conn.requests():
            conn.respond(request.id, b"hello")

    with Http2Server(serve) as server:
        ...  # server.url is h2c://..., or h2://... with tls=

SPDX-License-Identifier: Apache-2.0
"""

import contextlib
import socket
import ssl
import struct
import threading

from conftest import PATIENCE, server_settings
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (ConnectionTerminated, DataReceived, PingReceived, RequestReceived,
                       StreamEnded, StreamReset, TrailersReceived)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings


def grpc_message(content):
    return b"\0" + struct.pack(">I", len(content)) + content


class Request:
    def __init__(self, stream, headers):
        self.id = stream
        self.headers = headers
        self.fields = dict(headers)
        self.path = self.fields[":path"]
        self.method = self.fields[":method"]
        self.body = bytearray()
        self.trailers = None
        self.is_whole = False
        self.reset_code = None


class Http2Conn:
    """The server's end of one conn. What is sent waits for the peer's windows by itself."""

    def __init__(self, sock, settings=None, before=None):
        self.sock = sock
        self.streams = {}
        self.queues = {}  # stream → [bytes left, trailers or None]
        self.violations = []
        self.most_at_once = 0
        self.terminated = None
        self.pings = 0
        config = H2Configuration(client_side=False, header_encoding="utf-8",
                                 validate_outbound_headers=False,
                                 normalize_outbound_headers=False)
        self.h2 = H2Connection(config)
        if settings is not None:
            self.h2.local_settings = Settings(client=False, initial_values=settings)
        if before is not None:
            before(sock)
        self.h2.initiate_connection()
        self.flush()

    # ---- sending

    def flush(self):
        self.sock.sendall(self.h2.data_to_send())

    def raw(self, data):
        """Bytes past the library."""
        self.flush()
        self.sock.sendall(data)

    def send_headers(self, stream, headers, end_stream=False):
        self.h2.send_headers(stream, headers, end_stream=end_stream)
        self.flush()

    def send_data(self, stream, data, end_stream=False):
        """At once; the caller knows that the windows are wide enough."""
        self.h2.send_data(stream, data, end_stream=end_stream)
        self.flush()

    def respond(self, stream, body=b"", status=200, fields=(), trailers=None):
        self.h2.send_headers(stream, [(":status", str(status)), *fields],
                             end_stream=not body and trailers is None)
        if body or trailers is not None:
            self.queues[stream] = [memoryview(bytes(body)), trailers]
        self.pump()

    def pump(self):
        for stream, queue in list(self.queues.items()):
            with contextlib.suppress(ProtocolError):
                self.pump_one(stream, queue)
        self.flush()

    def pump_one(self, stream, queue):
        while queue[0]:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if room <= 0:
                return
            piece, queue[0] = queue[0][:room], queue[0][room:]
            self.h2.send_data(stream, bytes(piece),
                              end_stream=not queue[0] and queue[1] is None)
        if queue[1] is not None:
            self.h2.send_headers(stream, queue[1], end_stream=True)
        del self.queues[stream]

    def reset(self, stream, code):
        self.h2.reset_stream(stream, code)
        self.flush()

    def goaway(self, last, code=0):
        """The library would refuse frames after it; ours may still come."""
        self.raw(struct.pack(">I", 8)[1:] + b"\x07\0" + struct.pack(">III", 0, last, code))

    def settings(self, **changes):
        self.h2.update_settings({getattr(SettingCodes, name): value
                                 for name, value in changes.items()})
        self.flush()

    def close(self):
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    # ---- receiving

    def events(self):
        """All events until the peer closes; data is credited as it comes."""
        while True:
            try:
                data = self.sock.recv(65536)
            except (OSError, ValueError):
                return
            if not data:
                return
            try:
                events = self.h2.receive_data(data)
            except ProtocolError as fault:
                self.violations.append(repr(fault))
                return
            for event in events:
                self.note(event)
            try:
                self.pump()
            except OSError:
                return
            yield from events

    def note(self, event):
        if isinstance(event, RequestReceived):
            self.streams[event.stream_id] = Request(event.stream_id, event.headers)
            self.most_at_once = max(self.most_at_once, self.h2.open_inbound_streams)
        elif isinstance(event, DataReceived):
            self.streams[event.stream_id].body += event.data
            if event.flow_controlled_length:
                with contextlib.suppress(ProtocolError):
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, TrailersReceived):
            self.streams[event.stream_id].trailers = event.headers
        elif isinstance(event, StreamEnded):
            self.streams[event.stream_id].is_whole = True
        elif isinstance(event, StreamReset):
            self.queues.pop(event.stream_id, None)
            self.streams[event.stream_id].reset_code = int(event.error_code)
        elif isinstance(event, PingReceived):
            self.pings += 1
        elif isinstance(event, ConnectionTerminated):
            self.terminated = int(event.error_code)

    def requests(self, whole=True):
        """Requests as they come; only when all of each is there, unless told otherwise."""
        wanted = StreamEnded if whole else RequestReceived
        for event in self.events():
            if isinstance(event, wanted):
                yield self.streams[event.stream_id]

    def wait_closed(self):
        """Reads nothing any more, until the peer is gone."""
        with contextlib.suppress(OSError):
            self.gone.wait(PATIENCE)

    gone = None  # set by the server


class Http2Server:
    """Runs `serve(conn)` in a thread for each conn. With tls=(chain, key) ALPN is as given."""

    def __init__(self, serve, tls=None, alpn=("h2",), settings=None, **keywords):
        self.serve = serve
        self.wishes = {"settings": settings, **keywords}
        self.tls = None
        if tls is not None:
            self.tls = server_settings(*tls)
            if alpn:
                self.tls.set_alpn_protocols(list(alpn))
        self.conns = []
        self.faults = []
        self.gone = threading.Event()
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(128)
        self.port = self.socket.getsockname()[1]
        self.url = f"{'h2c' if tls is None else 'h2'}://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._run, args=(sock,), daemon=True).start()

    def _run(self, sock):
        conn = None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            sock.settimeout(3 * PATIENCE)
            if self.tls is not None:
                sock = self.tls.wrap_socket(sock, server_side=True)
            conn = Http2Conn(sock, **self.wishes)
            conn.gone = self.gone
            self.conns.append(conn)
            self.serve(conn)
        except (OSError, ssl.SSLError, ProtocolError, StopIteration) as fault:
            self.faults.append(fault)
        finally:
            with contextlib.suppress(OSError):
                sock.close()

    @property
    def requests(self):
        return [request for conn in self.conns for request in conn.streams.values()]

    @property
    def violations(self):
        return [violation for conn in self.conns for violation in conn.violations]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.gone.set()
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for conn in self.conns:
            conn.close()
