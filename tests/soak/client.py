# tests/soak/client.py
#
# Blocking HTTP/1.1 and WebSocket clients over TLS that check what comes back. A wrong answer and
# a connection that was cut are told apart: Wrong is never allowed, Cut may be.
#
# SPDX-License-Identifier: Apache-2.0
import base64
import hashlib
import os
import socket
import ssl
import struct

from instance import NAME

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
BINARY, CLOSE = 2, 8


class Wrong(Exception):
    """Something came that is not what was asked for."""


class Cut(Exception):
    """The connection was refused, reset, or ended too early."""


class Conn:
    """One TLS connection. All waiting ends after `patience` seconds, which is a Cut."""

    def __init__(self, settings, port, source="127.0.0.1", patience=20):
        self.tls = None
        tcp = socket.socket()
        try:
            tcp.settimeout(patience)
            tcp.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
            tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            tcp.bind((source, 0))
            tcp.connect(("127.0.0.1", port))
            self.tls = settings.wrap_socket(tcp, server_hostname=NAME,
                                            suppress_ragged_eofs=False)
        except ssl.SSLCertVerificationError as failure:
            tcp.close()
            raise Wrong(f"certificate: {failure}") from failure
        except OSError as failure:
            tcp.close()
            raise Cut(f"handshake: {failure}") from failure
        self.unread = bytearray()

    def send(self, data):
        try:
            self.tls.sendall(data)
        except OSError as failure:
            raise Cut(f"sending: {failure}") from failure

    def _fill(self):
        try:
            more = self.tls.recv(65536)
        except OSError as failure:
            raise Cut(f"receiving: {failure}") from failure
        if not more:
            raise Cut("receiving: the other side said goodbye")
        self.unread += more

    def take(self, length):
        while len(self.unread) < length:
            self._fill()
        taken = bytes(self.unread[:length])
        del self.unread[:length]
        return taken

    def take_until(self, mark, most=65536):
        while mark not in self.unread:
            if len(self.unread) > most:
                raise Wrong(f"no {mark!r} in {most} bytes")
            self._fill()
        return self.take(self.unread.index(mark) + len(mark))

    def response(self):
        """(status, fields by lower-case name, body)."""
        head = self.take_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        words = head[0].split(" ", 2)
        if words[0] != "HTTP/1.1" or not words[1].isdigit():
            raise Wrong(f"status line {head[0]!r}")
        fields = {}
        for line in head[1:-2]:
            name, _, value = line.partition(":")
            fields[name.lower()] = value.strip()
        if words[1] == "101":
            return 101, fields, b""
        return int(words[1]), fields, self._body(fields)

    def _body(self, fields):
        if fields.get("transfer-encoding") != "chunked":
            return self.take(int(fields.get("content-length", "0")))
        body = bytearray()
        while True:
            size = int(self.take_until(b"\r\n"), 16)
            if size == 0:
                if self.take(2) != b"\r\n":
                    raise Wrong("trailer fields that nobody sent")
                return bytes(body)
            body += self.take(size)
            if self.take(2) != b"\r\n":
                raise Wrong("a chunk does not end where its size says")

    def end(self):
        """Waits for close_notify and the end of file behind it, says the same and closes."""
        try:
            rest = bytes(self.unread) + self.tls.recv(4096)
            if rest:
                raise Wrong(f"bytes after the end: {rest[:80]!r}")
            self.tls.unwrap()
        except OSError as failure:
            raise Cut(f"ending: {failure}") from failure
        finally:
            self.close()

    def close(self):
        self.tls.close()

    def vanish(self):
        """Resets the connection, without a word."""
        self.tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.tls.close()


class WebSocket:
    """A WebSocket on a conn of its own; masked as RFC 6455 §5.3 wants."""

    def __init__(self, conn, path):
        self.conn = conn
        key = base64.b64encode(os.urandom(16))
        conn.send(b"GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n"
                  % (path.encode(), NAME.encode(), key))
        self.status, fields, _ = conn.response()
        accept = base64.b64encode(hashlib.sha1(key + MAGIC).digest()).decode()
        if self.status == 101 and fields.get("sec-websocket-accept") != accept:
            raise Wrong("the 101 is not for this key")

    def send(self, opcode, payload):
        length = len(payload)
        size = bytes([0x80 | length]) if length < 126 else b"\xfe" + struct.pack("!H", length)
        mask = os.urandom(4)
        pattern = int.from_bytes((mask * (length // 4 + 1))[:length], "big")
        masked = (int.from_bytes(payload, "big") ^ pattern).to_bytes(length, "big")
        self.conn.send(bytes([0x80 | opcode]) + size + mask + masked)

    def receive(self):
        first, size = self.conn.take(2)
        if size == 126:
            size, = struct.unpack("!H", self.conn.take(2))
        elif size > 126:
            raise Wrong("a frame that is masked or longer than any that was sent")
        return first & 0x0f, self.conn.take(size)

    def echo(self, payload):
        self.send(BINARY, payload)
        if self.receive() != (BINARY, payload):
            raise Wrong("not the message that was sent")

    def end(self):
        """The closing handshake, and a clean end of TLS and TCP behind it."""
        self.send(CLOSE, struct.pack("!H", 1000))
        if self.receive()[0] != CLOSE:
            raise Wrong("no close frame")
        self.conn.end()
