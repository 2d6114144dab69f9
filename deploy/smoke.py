"""smoke.py HOST:PORT CA_FILE: fetches the demo app's page and talks over its WebSocket once, as a
client that trusts the CA and nothing else; prints what it saw. Needs Python's own library only.

SPDX-License-Identifier: Apache-2.0
"""

import base64
import hashlib
import http.client
import json
import os
import re
import ssl
import struct
import sys

PATIENCE = 20


def say(what, text):
    print(f"    {what:<12} {text}")


def fetch(host, trust):
    conn = http.client.HTTPSConnection(host, context=trust, timeout=PATIENCE)
    conn.request("GET", "/")
    answer = conn.getresponse()
    page = answer.read().decode()
    title = re.search(r"<title>(.*?)</title>", page)
    say("page", f"{answer.status}, {len(page)} characters, \"{title.group(1) if title else '?'}\"")
    say("tls", f"{conn.sock.version()}, {conn.sock.cipher()[0]}")
    conn.request("GET", "/api/session")
    received = json.loads(conn.getresponse().read())
    for name in ("sallyport-session", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"):
        say("told", f"{name}: {received['headers'].get(name, '(not said)')}")
    conn.close()
    return answer.status == 200 and title and received["headers"].get("x-forwarded-proto") == "https"


class WebSocket:
    """As much of RFC 6455 as one short conversation needs."""

    def __init__(self, host, path, trust):
        self.conn = http.client.HTTPSConnection(host, context=trust, timeout=PATIENCE)
        self.conn.connect()
        key = base64.b64encode(os.urandom(16)).decode()
        self.conn.sock.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self.file = self.conn.sock.makefile("rb")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.file.readline()
            if not line:
                raise EOFError(f"no answer to the upgrade: {head!r}")
            head += line
        magic = key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(magic.encode()).digest())
        if not head.startswith(b"HTTP/1.1 101") or accept not in head:
            raise ValueError(f"the upgrade was refused: {head.decode(errors='replace')}")

    def send(self, text):
        payload, mask = text.encode(), os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self.conn.sock.sendall(bytes([0x81, 0x80 | len(payload)]) + mask + masked)

    def receive(self):
        _, size = self.file.read(2)
        if size == 126:
            size, = struct.unpack("!H", self.file.read(2))
        elif size == 127:
            size, = struct.unpack("!Q", self.file.read(8))
        return json.loads(self.file.read(size))

    def receive_kind(self, kind):
        while (message := self.receive())["type"] != kind:
            pass
        return message


def talk(host, trust):
    socket = WebSocket(host, "/ws", trust)
    tick = socket.receive_kind("tick")
    say("tick", f"{tick['time']}, {tick['connections']} connection(s)")
    socket.send("hello through the gate")
    echo = socket.receive_kind("echo")
    say("echo", echo["text"])
    return echo["text"] == "hello through the gate"


def main(host, ca_file):
    trust = ssl.create_default_context(cafile=ca_file)
    try:
        fine = fetch(host, trust) and talk(host, trust)
    except (OSError, EOFError, ValueError, http.client.HTTPException) as problem:
        say("problem", repr(problem))
        fine = False
    print("smoke: fine" if fine else "smoke: NOT as expected")
    return 0 if fine else 1


sys.exit(main(*sys.argv[1:]))
