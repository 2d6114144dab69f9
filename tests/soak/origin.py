# tests/soak/origin.py
#
# The server behind tests/soak/requests. Each answer is made from the number in the request, so that
# an answer that went to somebody else, or lost a byte, is seen.
#
#   GET /get/ID/BYTES   BYTES bytes of content(ID); chunked when ID is odd
#   POST /put/ID        what was received: "ID LENGTH SHA256"
#   GET /ws/ID          echoes each message with "ID:" before it
#
# Usage: origin.py PORT. Prints "ready" when it listens.
#
# SPDX-License-Identifier: Apache-2.0
import asyncio
import base64
import hashlib
import struct
import sys

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
BINARY, CLOSE = 2, 8


def content(number, length):
    line = b"%d of the soak\n" % number
    return (line * (length // len(line) + 1))[:length]


async def read_body(reader, fields):
    if fields.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(fields.get("content-length", "0")))
    body = bytearray()
    while (size := int(await reader.readuntil(b"\r\n"), 16)) > 0:
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return bytes(body)


def head(number, more):
    return f"HTTP/1.1 200 OK\r\nX-Id: {number}\r\n{more}\r\n\r\n".encode()


async def answer_get(writer, number, length):
    body = content(number, length)
    if number % 2 == 0:
        writer.write(head(number, f"Content-Length: {length}") + body)
        return
    writer.write(head(number, "Transfer-Encoding: chunked"))
    for begin in range(0, length, 50000):
        piece = body[begin:begin + 50000]
        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        await writer.drain()
    writer.write(b"0\r\n\r\n")


async def answer_put(writer, number, body):
    text = f"{number} {len(body)} {hashlib.sha256(body).hexdigest()}".encode()
    writer.write(head(number, f"Content-Length: {len(text)}") + text)


async def read_frame(reader):
    first, size = await reader.readexactly(2)
    size &= 0x7f
    if size == 126:
        size, = struct.unpack("!H", await reader.readexactly(2))
    mask = await reader.readexactly(4)
    payload = await reader.readexactly(size)
    pattern = (mask * (size // 4 + 1))[:size]
    plain = int.from_bytes(payload, "big") ^ int.from_bytes(pattern, "big")
    return first & 0x0f, plain.to_bytes(size, "big")


def frame(opcode, payload):
    length = len(payload)
    size = bytes([length]) if length < 126 else b"\x7e" + struct.pack("!H", length)
    return bytes([0x80 | opcode]) + size + payload


async def run_websocket(reader, writer, number, fields):
    accept = base64.b64encode(hashlib.sha1(fields["sec-websocket-key"].encode() + MAGIC).digest())
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                 b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
    opcode = BINARY
    while opcode != CLOSE:
        opcode, payload = await read_frame(reader)
        writer.write(frame(opcode, payload if opcode == CLOSE else b"%d:" % number + payload))
        await writer.drain()


async def run_exchange(reader, writer):
    """False at the end of the connection."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = {}
    for line in lines[1:-2]:
        name, _, value = line.partition(":")
        fields[name.lower()] = value.strip()
    kind, number, *length = lines[0].split(" ")[1].strip("/").split("/")
    if kind == "ws":
        await run_websocket(reader, writer, int(number), fields)
        return False
    body = await read_body(reader, fields)
    if kind == "get":
        await answer_get(writer, int(number), int(length[0]))
    else:
        await answer_put(writer, int(number), body)
    await writer.drain()
    return True


async def run_conn(reader, writer):
    try:
        while await run_exchange(reader, writer):
            pass
    except (OSError, asyncio.IncompleteReadError):
        pass  # the proxy has gone, which it may
    writer.close()


async def main():
    server = await asyncio.start_server(run_conn, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
