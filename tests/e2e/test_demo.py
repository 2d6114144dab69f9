"""The demo app by itself, without the proxy.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import json
import os

import pytest
import websockets


def get(raw, port, path, fields=""):
    with raw.tcp(port) as conn:
        conn.send(f"GET {path} HTTP/1.1\r\nHost: demo\r\n{fields}\r\n".encode())
        return conn.response()


def test_serves_its_page_alone(demo, raw):
    page = get(raw, demo().port, "/")
    assert page.status == 200
    assert b"<title>Sallyport demo</title>" in page.body
    assert b"http://" not in page.body and b"https://" not in page.body, "an external resource"


def test_shows_what_it_received_but_no_secret(demo, raw):
    answer = get(raw, demo().port, "/api/session",
                 "Sallyport-Session: version=TLSv1.3, resumed=?0\r\n"
                 "X-Forwarded-For: 192.0.2.7\r\nCookie: very=secret\r\n"
                 "Authorization: Basic c2VjcmV0\r\n")
    received = json.loads(answer.body)
    assert received["encrypted"] is True
    assert received["headers"]["sallyport-session"] == "version=TLSv1.3, resumed=?0"
    assert received["headers"]["x-forwarded-for"] == "192.0.2.7"
    assert b"c2VjcmV0" not in answer.body and b"very=" not in answer.body


def test_keeps_its_connections_alive(demo, raw):
    with raw.tcp(demo().port) as conn:
        for path, status in (("/healthz", 200), ("/nowhere", 404), ("/", 200)):
            conn.send(f"GET {path} HTTP/1.1\r\nHost: demo\r\n\r\n".encode())
            assert conn.response().status == status


def test_ticks_and_echoes(demo):
    async def talk(url):
        async with websockets.connect(url) as socket:
            assert json.loads(await socket.recv())["type"] == "hello"
            assert json.loads(await socket.recv())["type"] == "tick"
            await socket.send('quoted "ü"')
            while (message := json.loads(await socket.recv()))["type"] != "echo":
                pass
            assert message["text"] == 'quoted "ü"'

    asyncio.run(asyncio.wait_for(talk(f"ws://127.0.0.1:{demo('--tick-ms', '50').port}/ws"), 20))


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_echoes_messages_of_any_size_verbatim(demo, compression):
    async def talk(url):
        async with websockets.connect(url, max_size=None, compression=compression) as socket:
            for size in (0, 1, 125, 126, 65535, 65536, 1 << 20):
                message = os.urandom(size)
                await socket.send(message)
                assert await socket.recv() == message

    asyncio.run(asyncio.wait_for(talk(f"ws://127.0.0.1:{demo().port}/echo"), 60))


def test_refuses_a_message_that_is_too_long_and_says_goodbye(demo):
    running = demo()
    url = f"ws://127.0.0.1:{running.port}"

    async def too_long():
        async with websockets.connect(url + "/echo", max_size=None) as socket:
            await socket.send(bytes((1 << 20) + 1))
            with pytest.raises(websockets.ConnectionClosed):
                await socket.recv()
            return socket.close_code

    async def goodbye():
        async with websockets.connect(url + "/ws") as socket:
            running.process.popen.terminate()
            with pytest.raises(websockets.ConnectionClosed):
                while True:
                    await socket.recv()
            return socket.close_code

    assert asyncio.run(asyncio.wait_for(too_long(), 20)) == 1009
    assert asyncio.run(asyncio.wait_for(goodbye(), 20)) == 1001
