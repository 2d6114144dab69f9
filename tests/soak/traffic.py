# tests/soak/traffic.py
#
# The clients of tests/soak/requests: threads that do one kind of thing until they are told to stop,
# and the tally of how it went.
#
# SPDX-License-Identifier: Apache-2.0
import collections
import hashlib
import itertools
import os
import random
import socket
import struct
import threading
import time

from client import CLOSE, Conn, Cut, WebSocket, Wrong
from instance import NAME
from origin import content

REFUSALS = (502, 503, 504)
NUMBERS = itertools.count(1)


class Refused(Exception):
    """An error page of the proxy."""


class Tally:
    """What happened, and whether a disturbance explains it."""

    RECOVERY_SECONDS = 2.0  # after a kill, until all goes well again

    def __init__(self):
        self.lock = threading.Lock()
        self.right = collections.Counter()
        self.excused = collections.Counter()
        self.wrong = []
        self.unexplained = []
        self.disturbances = []

    def disturb(self):
        with self.lock:
            self.disturbances.append(time.monotonic())

    def add_right(self, kind):
        with self.lock:
            self.right[kind] += 1

    def add_failure(self, kind, began, failure):
        now = time.monotonic()
        sentence = f"{kind}: {type(failure).__name__}: {failure}"
        with self.lock:
            if isinstance(failure, Wrong):
                self.wrong.append(sentence)
            elif any(began - self.RECOVERY_SECONDS <= then <= now for then in self.disturbances):
                self.excused[f"{kind} {type(failure).__name__.lower()}"] += 1
            else:
                self.unexplained.append(sentence)


class Clients:
    """Threads of all kinds, from start() to stop()."""

    def __init__(self, settings, port, tally):
        self.settings = settings
        self.port = port
        self.tally = tally
        self.stopping = threading.Event()
        crew = ((self.browse, 6), (self.download, 2), (self.upload, 3), (self.chat, 3),
                (self.vanish, 2))
        self.threads = [threading.Thread(target=self._repeat, args=(work,), daemon=True)
                        for work, count in crew for _ in range(count)]

    def start(self):
        for thread in self.threads:
            thread.start()

    def stop(self):
        """How many threads did not end."""
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)
        return sum(thread.is_alive() for thread in self.threads)

    def _repeat(self, work):
        while not self.stopping.is_set():
            began = time.monotonic()
            try:
                work()
            except (Wrong, Cut, Refused) as failure:
                self.tally.add_failure(work.__name__, began, failure)
                time.sleep(0.05)
            except Exception as failure:  # a thread that ends silently would look like peace
                self.tally.add_failure(work.__name__, began, Wrong(repr(failure)))

    def _conn(self):
        return Conn(self.settings, self.port)

    def _check(self, conn, number, expected):
        status, fields, body = conn.response()
        if status in REFUSALS:
            conn.close()
            raise Refused(status)
        if status != 200:
            raise Wrong(f"status {status}: {body[:80]!r}")
        if fields.get("x-id") != str(number):
            raise Wrong(f"the answer for {fields.get('x-id')}, expected {number}")
        if body != expected:
            raise Wrong(f"body of {len(body)} bytes, expected {len(expected)}, or other content")

    def _get(self, conn, length):
        number = next(NUMBERS)
        conn.send(f"GET /get/{number}/{length} HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        self._check(conn, number, content(number, length))

    def browse(self):
        """Requests one after another on a kept connection."""
        conn = self._conn()
        try:
            for _ in range(random.randint(1, 200)):
                if self.stopping.is_set():
                    break
                self._get(conn, random.choice((0, 1, 100, 1000, 8192, 20000)))
                self.tally.add_right("browse")
        finally:
            conn.close()

    def download(self):
        conn = self._conn()
        try:
            self._get(conn, random.randint(500_000, 4_000_000))
            self.tally.add_right("download")
        finally:
            conn.close()

    def upload(self):
        conn = self._conn()
        number = next(NUMBERS)
        body = content(number, random.randint(0, 1_500_000))
        begin = f"POST /put/{number} HTTP/1.1\r\nHost: {NAME}\r\n"
        try:
            if number % 2 == 0:
                conn.send(f"{begin}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            else:
                conn.send(f"{begin}Transfer-Encoding: chunked\r\n\r\n".encode())
                for place in range(0, len(body), 30000):
                    piece = body[place:place + 30000]
                    conn.send(b"%x\r\n%s\r\n" % (len(piece), piece))
                conn.send(b"0\r\n\r\n")
            text = f"{number} {len(body)} {hashlib.sha256(body).hexdigest()}"
            self._check(conn, number, text.encode())
            self.tally.add_right("upload")
        finally:
            conn.close()

    def chat(self):
        """A WebSocket with some messages, closed in order."""
        conn = self._conn()
        number = next(NUMBERS)
        try:
            websocket = WebSocket(conn, f"/ws/{number}")
            if websocket.status in REFUSALS:
                raise Refused(websocket.status)
            if websocket.status != 101:
                raise Wrong(f"status {websocket.status}")
            for _ in range(random.randint(1, 50)):
                message = os.urandom(random.choice((0, 1, 60, 125, 126, 4000, 60000)))
                websocket.send(2, message)
                opcode, echo = websocket.receive()
                if (opcode, echo) != (2, b"%d:" % number + message):
                    raise Wrong("not the message that was sent")
                self.tally.add_right("message")
            websocket.end()
            self.tally.add_right("chat")
        finally:
            conn.close()

    def vanish(self):
        """One of the ways in which clients go away."""
        way = random.choice((self._vanish_in_handshake, self._vanish_in_head,
                             self._vanish_in_upload, self._vanish_in_download,
                             self._vanish_in_websocket))
        way()
        self.tally.add_right("vanish")
        time.sleep(0.02)

    def _vanish_in_handshake(self):
        with socket.create_connection(("127.0.0.1", self.port), 20) as tcp:
            tcp.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            if random.random() < 0.5:
                tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _leave(self, conn):
        """With a reset, or with an end of file that no close_notify announced."""
        conn.vanish() if random.random() < 0.5 else conn.close()

    def _vanish_in_head(self):
        conn = self._conn()
        conn.send(b"GET /get/1/1 HTTP/1.1\r\nHost: ")
        self._leave(conn)

    def _vanish_in_upload(self):
        conn = self._conn()
        conn.send(f"POST /put/{next(NUMBERS)} HTTP/1.1\r\nHost: {NAME}\r\n"
                  "Content-Length: 500000\r\n\r\n".encode() + bytes(100_000))
        self._leave(conn)

    def _vanish_in_download(self):
        conn = self._conn()
        conn.send(f"GET /get/{next(NUMBERS)}/4000000 HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        conn.take(1000)
        self._leave(conn)

    def _vanish_in_websocket(self):
        conn = self._conn()
        websocket = WebSocket(conn, f"/ws/{next(NUMBERS)}")
        if websocket.status == 101:
            websocket.send(random.choice((2, CLOSE)), bytes(2))
        self._leave(conn)
