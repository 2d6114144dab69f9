"""A real WebSocket app behind the proxy: Jupyter, with a kernel that computes something.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import http.client
import json
import shutil
import ssl
import uuid

import pytest
import websockets
from conftest import free_port, listening_ports

TOKEN = "tests-only"

CONFIG = """
certificates:
  - {name: web, chain: @chain@, key: @key@}
listeners:
  - name: web
    address: "127.0.0.1:@web@"
    tls: {certificates: [web]}
    routes: [{host: localhost, path: /, backend: jupyter}]
backends:
  jupyter: {servers: ["http://127.0.0.1:@jupyter@"]}
"""


@pytest.fixture
def jupyter(start, tmp_path):
    """The port of a Jupyter server that answers."""
    program = shutil.which("jupyter-server")
    if program is None:
        pytest.fail("jupyter-server is not installed: tests/run installs it", pytrace=False)
    port = free_port()
    process = start("jupyter", [
        program, "--allow-root", "--no-browser", "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--ServerApp.token={TOKEN}",
        f"--ServerApp.root_dir={tmp_path}"],
        env={"HOME": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime")})
    process.wait_for(lambda: port in listening_ports(), "listening", patience=60)
    return port


def trust(authority):
    return ssl.create_default_context(cafile=str(authority.path))


def rest(authority, port, method, path):
    conn = http.client.HTTPSConnection("localhost", port, context=trust(authority), timeout=60)
    try:
        conn.request(method, path, headers={"Authorization": f"token {TOKEN}"})
        answer = conn.getresponse()
        body = answer.read()
        assert answer.status < 300, (answer.status, body)
        return json.loads(body) if body else None
    finally:
        conn.close()


def execute_request(number, code):
    return json.dumps({
        "header": {"msg_id": number, "session": uuid.uuid4().hex, "username": "tests",
                   "msg_type": "execute_request", "version": "5.3", "date": ""},
        "parent_header": {}, "metadata": {}, "channel": "shell", "buffers": [],
        "content": {"code": code, "silent": False, "store_history": False,
                    "user_expressions": {}, "allow_stdin": False, "stop_on_error": True}})


async def run_code(authority, port, kernel, code):
    """What the kernel printed, by its WebSocket."""
    url = f"wss://localhost:{port}/api/kernels/{kernel}/channels?token={TOKEN}"
    number = uuid.uuid4().hex
    printed = ""
    async with websockets.connect(url, ssl=trust(authority), max_size=None,
                                  origin=f"https://localhost:{port}") as socket:
        await socket.send(execute_request(number, code))
        while True:
            message = json.loads(await socket.recv())
            if message["parent_header"].get("msg_id") != number:
                continue
            content = message["content"]
            assert message["msg_type"] != "error", content
            if message["msg_type"] == "stream":
                printed += content["text"]
            if message["msg_type"] == "status" and content["execution_state"] == "idle":
                return printed


def test_a_jupyter_kernel_computes_through_the_proxy(sallyport, jupyter, authority):
    port = sallyport(CONFIG, jupyter=jupyter).port("web")
    kernel = rest(authority, port, "POST", "/api/kernels")["id"]
    code = "print(sum(n * n for n in range(1000))); print('x' * 200000)"
    printed = asyncio.run(asyncio.wait_for(run_code(authority, port, kernel, code), 90))
    assert printed == f"332833500\n{'x' * 200000}\n"
    rest(authority, port, "DELETE", f"/api/kernels/{kernel}")
