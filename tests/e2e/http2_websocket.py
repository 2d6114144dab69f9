"""One end of a conn of HTTP/2, client or server, on top of a raw conn; and WebSockets in its streams
(RFC 8441). python3-h2 makes and reads the frames, python3-wsproto the messages.

    with Peer.client(proxy.tls("web", alpn=["h2"])) as peer:
        socket = peer.websocket("/ws")
        socket.send("hello")
        assert socket.receive() == "hello"

SPDX-License-Identifier: Apache-2.0
"""

import contextlib

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import wsproto.connection
import wsproto.events
from wsproto.extensions import PerMessageDeflate

ENABLE_CONNECT_PROTOCOL = h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL
WINDOW = 1 << 20


class Reset(Exception):
    """The other end has reset the stream; `code` says why (RFC 9113 §7)."""

    def __init__(self, code):
        super().__init__(f"the stream was reset with {code}")
        self.code = code


class Stream:
    """One exchange: the fields of the other end's head, the bytes that came, how it ended."""

    def __init__(self, peer, number):
        self.peer = peer
        self.id = number
        self.fields = None
        self.interim = []
        self.data = bytearray()
        self.received = 0
        self.ended = False
        self.reset_code = None
        self.sent_end = False

    def field(self, name):
        values = [value for key, value in self.fields if key == name]
        return ", ".join(values) if values else None

    @property
    def status(self):
        self.head()
        return int(self.field(":status"))

    @property
    def is_over(self):
        return self.ended or self.reset_code is not None or self.peer.ended

    def check(self):
        if self.reset_code is not None:
            raise Reset(self.reset_code)
        if self.peer.ended:
            raise EOFError(f"the conn ended, {self.peer.goaway}")

    def head(self):
        """Waits for the head and returns its fields."""
        while self.fields is None:
            self.check()
            self.peer.step()
        return self.fields

    def read(self, count=1):
        """All bytes that are there, once there are `count` of them or the stream has ended."""
        while len(self.data) < count and not self.ended:
            self.check()
            self.peer.step()
        data = bytes(self.data)
        self.data.clear()
        return data

    def read_to_end(self):
        while not self.ended:
            self.check()
            self.peer.step()
        return self.read(0)

    def wait_reset(self):
        """The code of the reset that must come."""
        while self.reset_code is None:
            if self.peer.ended:
                raise EOFError("the conn ended without a reset")
            self.peer.step()
        return self.reset_code

    def send(self, data, end=False):
        """As the other end's windows allow."""
        view = memoryview(bytes(data))
        while view:
            self.check()
            room = min(self.peer.machine.local_flow_control_window(self.id),
                       self.peer.machine.max_outbound_frame_size, len(view))
            if room <= 0:
                self.peer.step()
                continue
            self.peer.machine.send_data(self.id, view[:room].tobytes())
            self.peer.flush()
            view = view[room:]
        if end:
            self.end()

    def end(self):
        self.sent_end = True
        self.peer.machine.end_stream(self.id)
        self.peer.flush()

    def reset(self, code=h2.errors.ErrorCodes.CANCEL):
        self.peer.machine.reset_stream(self.id, code)
        self.peer.flush()
        self.reset_code = code

    def respond(self, status, fields=(), body=None):
        """body=None: the stream stays open (a tunnel)."""
        self.peer.machine.send_headers(self.id, [(":status", str(status)), *fields],
                                       end_stream=body == b"")
        self.peer.flush()
        if body:
            self.send(body, end=True)


class Machine(h2.connection.H2Connection):
    """python3-h2 takes a conn that got GOAWAY for closed; its streams go on (RFC 9113 §6.8)."""

    def _receive_goaway_frame(self, frame):
        state = self.state_machine.state
        outcome = super()._receive_goaway_frame(frame)
        self.state_machine.state = state
        return outcome


class Peer:
    """The machine of python3-h2 on a Conn. Nothing is read but in step(), so one thread has it."""

    def __init__(self, conn, is_client, settings=None):
        self.conn = conn
        self.machine = Machine(h2.config.H2Configuration(
            client_side=is_client, header_encoding="utf-8"))
        # What is changed later goes out with a second SETTINGS: the first ones must be there now.
        self.machine.local_settings = h2.settings.Settings(
            client=is_client, initial_values=settings or {})
        self.streams = {}
        self.opened = []  # by the other end, not yet asked for
        self.settings_seen = 0
        self.pongs = 0
        self.goaway = None
        self.ended = False
        self.takes_window = True  # gives back what has come
        self.machine.initiate_connection()
        self.machine.increment_flow_control_window(WINDOW)
        self.flush()

    @classmethod
    def client(cls, conn, **keywords):
        """Of a conn on which HTTP/2 was agreed, or a plaintext one."""
        if hasattr(conn.sock, "selected_alpn_protocol"):
            assert conn.sock.selected_alpn_protocol() == "h2"
        return cls(conn, True, {h2.settings.SettingCodes.ENABLE_PUSH: 0,
                                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: WINDOW}, **keywords)

    @classmethod
    def server(cls, conn, takes_websockets=False, **settings):
        chosen = {h2.settings.SettingCodes[name]: value for name, value in settings.items()}
        if takes_websockets:
            chosen[ENABLE_CONNECT_PROTOCOL] = 1
        return cls(conn, False, chosen)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.conn.close()

    def flush(self):
        data = self.machine.data_to_send()
        if data:
            self.conn.send(data)

    def step(self):
        """Waits for bytes and takes them in."""
        data = self.conn.sock.recv(65536) if not self.conn.pending else self.conn.pending
        self.conn.pending = b""
        if not data:
            self.ended = True
            return
        for event in self.machine.receive_data(data):
            self.take(event)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.flush()

    def take(self, event):
        stream = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.RequestReceived):
            stream = self.streams[event.stream_id] = Stream(self, event.stream_id)
            stream.fields = event.headers
            self.opened.append(stream)
        elif isinstance(event, h2.events.InformationalResponseReceived):
            stream.interim.append(event.headers)
        elif isinstance(event, h2.events.ResponseReceived):
            stream.fields = event.headers
        elif isinstance(event, h2.events.DataReceived):
            stream.data += event.data
            stream.received += len(event.data)
            if self.takes_window:
                self.machine.acknowledge_received_data(event.flow_controlled_length,
                                                       event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            stream.ended = True
        elif isinstance(event, h2.events.StreamReset):
            if stream is not None:
                stream.reset_code = event.error_code
        elif isinstance(event, h2.events.RemoteSettingsChanged):
            self.settings_seen += 1
        elif isinstance(event, h2.events.PingAckReceived):
            self.pongs += 1
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = event

    def settle(self):
        """Returns when the other end has answered everything that was sent so far."""
        before = self.pongs
        self.machine.ping(b"settling")
        self.flush()
        while self.pongs == before and not self.ended:
            self.step()

    def wait_settings(self):
        while self.settings_seen == 0:
            assert not self.ended
            self.step()
        return self.machine.remote_settings

    def request(self, fields, end=False):
        number = self.machine.get_next_available_stream_id()
        stream = self.streams[number] = Stream(self, number)
        self.machine.send_headers(number, fields, end_stream=end)
        self.flush()
        return stream

    def get(self, path, authority="localhost"):
        return self.request([(":method", "GET"), (":scheme", "https"), (":authority", authority),
                             (":path", path)], end=True)

    def connect(self, path="/", more=(), authority="localhost"):
        """The request of a WebSocket, and no more."""
        return self.request([
            (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"),
            (":authority", authority), (":path", path), ("sec-websocket-version", "13"), *more])

    def websocket(self, path="/", deflate=False, protocols=(), **keywords):
        extension = PerMessageDeflate() if deflate else None
        more = []
        if deflate:
            more.append(("sec-websocket-extensions", f"permessage-deflate; {extension.offer()}"))
        if protocols:
            more.append(("sec-websocket-protocol", ", ".join(protocols)))
        stream = self.connect(path, more, **keywords)
        assert stream.status == 200, stream.fields
        return Socket(stream, True, extension)

    def accept(self):
        """The next stream that the other end opens; None at the end of the conn."""
        while not self.opened and not self.ended:
            self.step()
        return self.opened.pop(0) if self.opened else None


class Socket:
    """A WebSocket in a stream whose handshake is done."""

    def __init__(self, stream, is_client, extension=None):
        self.stream = stream
        self.protocol = stream.field("sec-websocket-protocol")
        self.extensions = stream.field("sec-websocket-extensions") or ""
        extensions = []
        if extension is not None and self.extensions:
            if is_client:
                extension.finalize(self.extensions)
            else:
                self.agreed = extension.accept(self.extensions)
            extensions.append(extension)
        role = wsproto.connection.ConnectionType
        self.machine = wsproto.connection.Connection(role.CLIENT if is_client else role.SERVER,
                                                     extensions)
        self.events = []
        self.close_event = None
        self.pongs = []
        self.parts = []

    def put(self, event):
        self.stream.send(self.machine.send(event))

    def send(self, message):
        kind = wsproto.events.TextMessage if isinstance(message, str) else \
            wsproto.events.BytesMessage
        self.put(kind(data=message))

    def ping(self, payload):
        self.put(wsproto.events.Ping(payload=payload))

    def close(self, code=1000, reason=None):
        """Says goodbye, waits for the answer, ends the stream and waits for its end."""
        self.put(wsproto.events.CloseConnection(code=code, reason=reason))
        while self.close_event is None:
            self.pump()
        self.stream.end()
        self.stream.read_to_end()

    def pump(self):
        data = self.stream.read()
        if not data:
            raise EOFError("the stream ended within a WebSocket")
        self.machine.receive_data(data)
        for event in self.machine.events():
            if isinstance(event, wsproto.events.Message):
                self.parts.append(event.data)
                if event.message_finished:
                    empty = "" if isinstance(event.data, str) else b""
                    self.events.append(empty.join(self.parts))
                    self.parts = []
            elif isinstance(event, wsproto.events.Ping):
                self.put(event.response())
            elif isinstance(event, wsproto.events.Pong):
                self.pongs.append(bytes(event.payload))
            elif isinstance(event, wsproto.events.CloseConnection):
                self.close_event = event
                if self.machine.state is wsproto.connection.ConnectionState.REMOTE_CLOSING:
                    self.put(event.response())

    def receive(self):
        """The next message, text or bytes."""
        while not self.events:
            if self.close_event is not None:
                raise EOFError(f"closed with {self.close_event.code}")
            self.pump()
        return self.events.pop(0)
