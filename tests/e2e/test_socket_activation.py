"""Listening sockets that systemd has opened for us (sd_listen_fds(3)), as a .socket unit has it.

systemd-socket-activate does what the service manager does: it opens, waits for the first conn, and
executes the program with LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES.

SPDX-License-Identifier: Apache-2.0
"""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest

from conftest import TOP, free_port

ACTIVATE = shutil.which("systemd-socket-activate")
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

CONFIG = """
certificates: [{name: web, chain: @chain@, key: @key@}]
listeners:
  - {name: web, address: ["127.0.0.1:@web@", "unix:@path@"], tls: {certificates: [web]},
     routes: [{host: "*", path: /, backend: app}]}
backends: {app: {servers: ["http://127.0.0.1:@app@"]}}
workers: 2
"""

# Executes what follows with these sockets and the variables that name them.
HAND_OVER = """
import os, socket, sys
kind, port, count, *command = sys.argv[1:]
types = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM, "shared": socket.SOCK_STREAM}
kept = socket.socket(socket.AF_INET, types[kind])
if kind == "shared":
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
kept.bind(("127.0.0.1", int(port)))
if kind != "udp":
    kept.listen(100)
os.dup2(kept.detach(), 63)
os.dup2(63, 3, inheritable=True)
os.close(63)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=count, LISTEN_FDNAMES="web.socket")
os.execv(command[0], command)
"""

needs_activate = pytest.mark.skipif(ACTIVATE is None, reason="needs systemd-socket-activate")


def hand_over(kind, port, count="1"):
    return (sys.executable, "-c", HAND_OVER, kind, str(port), count)


def inodes_listening(pid, port):
    """The listening sockets at the port that a process has open."""
    own = set()
    for path in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            own.add(os.readlink(path))
    lines = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {f[9] for f in lines
            if f[3] == "0A" and int(f[1].rpartition(":")[2], 16) == port and f"socket:[{f[9]}]" in own}


def get(conn):
    with conn:
        conn.send(REQUEST)
        return conn.response().body


@needs_activate
def test_serves_on_sockets_that_systemd_opened(sallyport, backend, tmp_path):
    """The conn that woke us is answered, the path stays, and neither a
    reload nor an upgrade changes anything of it."""
    server = backend(HELLO)
    port, path = free_port(), tmp_path / "web.sock"
    proxy = sallyport(CONFIG, app=server.port, web=port, path=path, _wait=False,
                      _before=(ACTIVATE, "-l", f"127.0.0.1:{port}", "-l", str(path),
                               "--fdname=web:path", "-EASAN_OPTIONS", "-EUBSAN_OPTIONS",
                               "-ELSAN_OPTIONS"))
    proxy.ports["web"] = port
    proxy.process.wait_for(lambda: "Listening on" in proxy.process.err and path.exists(),
                           "systemd's sockets")
    assert get(proxy.tls("web")) == b"hello"
    proxy.wait_event("ready")
    [inode] = inodes_listening(proxy.pid, port)
    for worker in proxy.workers():
        assert inodes_listening(worker, port) == {inode}
        environment = pathlib.Path(f"/proc/{worker}/environ").read_bytes()
        assert b"LISTEN_" not in environment
    proxy.process.signal(signal.SIGHUP)
    proxy.wait_event("reloaded")
    assert get(proxy.tls("web")) == b"hello"
    proxy.process.signal(signal.SIGUSR2)
    proxy.wait_event("upgraded")
    assert get(proxy.tls("web")) == b"hello"
    assert inodes_listening(proxy.pid, port) == {inode}
    assert proxy.stop() == 0
    assert path.is_socket()


def test_opens_one_a_worker_beside_a_shared_port(sallyport, backend):
    server = backend(HELLO)
    port = free_port()
    proxy = sallyport(CONFIG.replace(', "unix:@path@"', ""), app=server.port, web=port,
                      _before=hand_over("shared", port), _wait=False)
    proxy.ports["web"] = port
    proxy.wait_event("ready")
    assert len(inodes_listening(proxy.pid, port)) == 2
    for _ in range(10):
        assert get(proxy.tls("web")) == b"hello"


def test_a_reload_cannot_lose_an_inherited_socket(sallyport, backend):
    """Nobody would accept what arrives there, and nobody but systemd could open it again."""
    server = backend(HELLO)
    port = free_port()
    proxy = sallyport(CONFIG.replace(', "unix:@path@"', ""), app=server.port, web=port,
                      _before=hand_over("tcp", port), _wait=False)
    proxy.ports["web"] = port
    proxy.wait_event("ready")
    before = inodes_listening(proxy.pid, port)
    kept = proxy.config_path.read_text()
    proxy.config_path.write_text(kept.replace(f":{port}", f":{free_port()}", 1))
    proxy.process.signal(signal.SIGHUP)
    [failed] = proxy.wait_event("reload_failed")
    assert f"socket at 127.0.0.1:{port}, where no listener is any more" in str(failed)
    assert get(proxy.tls("web")) == b"hello"
    proxy.config_path.write_text(kept)
    proxy.process.signal(signal.SIGHUP)
    proxy.wait_event("reloaded")
    assert inodes_listening(proxy.pid, port) == before
    assert get(proxy.tls("web")) == b"hello"


@pytest.mark.parametrize("kind, count, elsewhere, sentence", [
    ("udp", "1", False, "inherited descriptor 3 of web.socket cannot be listened on: it is not a "
                        "stream socket (ListenStream=)"),
    ("tcp", "1", True, "has no listener: its conns would wait for ever"),
    ("tcp", "2", False, "inherited descriptor 4 cannot be listened on"),
    ("tcp", "many", False, "LISTEN_FDS: a number of sockets up to 4096 was expected"),
])
def test_refuses_sockets_that_it_cannot_serve(sallyport, kind, count, elsewhere, sentence):
    port = free_port()
    proxy = sallyport(CONFIG.replace(', "unix:@path@"', ""), app=1,
                      web=free_port() if elsewhere else port,
                      _before=hand_over(kind, port, count), _wait=False)
    assert proxy.process.wait() == 2
    assert sentence in proxy.process.err
    assert proxy.process.err.count("\n") == 1


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_the_units_are_what_systemd_expects(tmp_path):
    """The programs are named by where they are installed, which is not here."""
    for name in ("sallyport.service", "sallyport.socket"):
        text = (TOP / "deploy/systemd" / name).read_text()
        (tmp_path / name).write_text(text.replace("/usr/bin/sallyport", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *tmp_path.glob("sallyport.*")],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "sallyport" not in done.stderr, done.stderr
