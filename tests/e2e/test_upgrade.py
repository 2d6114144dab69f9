"""Upgrades: SIGUSR2 puts the program that stands at our path in our place. No conn is refused or cut, and
whatever is wrong with the new program leaves the old one serving.

SPDX-License-Identifier: Apache-2.0
"""

import collections
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import threading
import time

import pytest
from conftest import PATIENCE, Conn, fill, wait_until
from test_process import HELLO, REQUEST, children, title
from test_reload import echo, echoes, upgraded

CONFIG = """
certificates: [{name: web, chain: @chain@, key: @key@}]
listeners:
  - {name: web, address: "127.0.0.1:@web@", tls: {certificates: [web]},
     routes: [{host: "*", path: /, backend: app}]}
  - {name: plain, address: "unix:@folder@/web.sock", tls: off,
     routes: [{host: "*", path: /, backend: app}]}
backends: {app: {servers: ["http://127.0.0.1:@app@"]}}
timeouts: {drain: @drain@}
workers: @workers@
"""


class Upgrading:
    """A running proxy whose program and configuration can be replaced."""

    def __init__(self, proxy, program, values, run):
        self.proxy, self.program, self.values, self.run = proxy, program, values, run
        self.pid = proxy.process.pid

    def write(self, text=CONFIG, **values):
        filled, _ = fill(text, self.values["folder"], {**self.values, **self.proxy.ports, **values})
        self.proxy.config_path.write_text(filled)

    def replace(self, write):
        """Puts another file in the place of the program: write(path) makes it."""
        other = self.program.with_suffix(".new")
        write(other)
        os.replace(other, self.program)

    def status(self):
        done = self.run("status", "--json", "--admin", f"unix:{self.values['folder']}/admin.sock")
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def ask(self):
        os.kill(self.pid, signal.SIGUSR2)

    def upgrade(self):
        """Asks for one and waits until it is done."""
        before = len(self.proxy.events("upgraded"))
        self.ask()
        self.proxy.process.wait_for(lambda: len(self.proxy.events("upgraded")) > before
                                    or self.proxy.events("upgrade_failed"), "the upgrade")
        assert not self.proxy.events("upgrade_failed"), self.proxy.events("upgrade_failed")

    def refuse(self):
        """Asks for one that fails → the reason."""
        before = len(self.proxy.events("upgrade_failed"))
        self.ask()
        self.proxy.process.wait_for(
            lambda: len(self.proxy.events("upgrade_failed")) > before, "the refusal")
        return self.proxy.events("upgrade_failed")[-1]["reason"]

    def get(self):
        with self.proxy.tls("web") as conn:
            return conn.send(REQUEST).response().body


@pytest.fixture
def upgrading(sallyport, binary, run_sallyport, authority, backend, tmp_path):
    def start(text=CONFIG, answer=HELLO, **values):
        program = tmp_path / "sallyport"
        shutil.copy2(binary, program)
        chain, key = authority.local
        keywords = {name: values.pop(name) for name in list(values) if name.startswith("_")}
        values = {"chain": chain, "key": key, "folder": tmp_path, "app": backend(answer).port,
                  "drain": "5s", "workers": 2, **values}
        proxy = sallyport(text, _binary=program, **keywords, **values)
        proxy.wait_event("ready")
        return Upgrading(proxy, program, values, run_sallyport)
    return start


def pids_of(pid):
    """Of all children, those of a former program too, whose roles are the same."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return set(map(int, pathlib.Path(
            f"/proc/{pid}/task/{pid}/children").read_text().split()))
    return set()


def gone(pids):
    return not any(pathlib.Path(f"/proc/{pid}").exists() for pid in pids)


def script(text):
    """A program that is a shell script, for Upgrading.replace."""
    def write(path):
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    return write


@contextlib.contextmanager
def steady_load(running, threads=2):
    """Requests without a pause on conns that stay and on new ones, plain and over TLS → Counter of
    what has become of them: "ok", and one name for each thing that is not."""
    counts, over = collections.Counter(), threading.Event()

    def open_conn(name):
        if name == "unix":
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(PATIENCE)
            sock.connect(f"{running.values['folder']}/web.sock")
            return Conn(sock)
        return running.proxy.tls("web") if name == "web" else Conn.tcp(running.proxy.port("tcp"))

    def ask(name, stays):
        conn, asked = None, 0
        while not over.is_set():
            step = "connect"
            try:
                conn = conn or open_conn(name)
                step = f"request {'on a kept' if asked else 'on a new'} conn"
                response = conn.send(REQUEST).response()
                asked += 1
                assert response.body == b"hello", response.head
                counts["ok"] += 1
                if not stays or response.field("connection") == "close":
                    conn.close()
                    conn, asked = None, 0
            except (OSError, EOFError, AssertionError) as fault:
                counts[f"{name}, {step}: {fault!r}"] += 1
                conn, asked = None, 0

    workers = [threading.Thread(target=ask, args=(name, stays)) for name in ("tcp", "unix", "web")
               for stays in (True, False) for _ in range(threads)]
    for thread in workers:
        thread.start()
    try:
        yield counts
    finally:
        over.set()
        for thread in workers:
            thread.join()


def test_the_program_at_our_path_takes_our_place(upgrading, binary):
    running = upgrading()
    assert running.get() == b"hello"
    former = list(children(running.pid).values())
    inode = os.stat(f"/proc/{running.pid}/exe").st_ino
    running.replace(lambda path: shutil.copy2(binary, path))
    running.upgrade()
    assert os.stat(f"/proc/{running.pid}/exe").st_ino == os.stat(running.program).st_ino != inode
    assert running.get() == b"hello"
    status = running.status()
    assert status["pid"] == running.pid and status["upgrade"]["state"] == "done", status
    wait_until(lambda: gone(former), "the former children to end")
    assert running.get() == b"hello"
    assert running.proxy.stop() == 0
    assert not (running.program.parent / "web.sock").exists()
    assert not (running.program.parent / "admin.sock").exists()


def test_no_conn_is_refused_or_cut_while_programs_follow_each_other(upgrading, binary):
    """With more workers and with fewer: a socket that has no worker of its own has one all the same."""
    text = CONFIG.replace("listeners:", """listeners:
  - {name: tcp, address: "127.0.0.1:@tcp@", tls: off, routes: [{host: "*", path: /, backend: app}]}""")
    running = upgrading(text)
    descriptors = []
    with steady_load(running) as counts:
        for workers in (2, 4, 1, 3, 2, 2):
            before = counts["ok"]
            wait_until(lambda: counts["ok"] > before + 100, "requests")
            running.write(text, workers=workers)
            running.upgrade()
            status = running.status()  # the socket is the same all the time
            assert len([p for p in status["processes"] if p["role"].startswith("worker")]) == workers
            if workers == 2:
                wait_until(lambda: running.status()["upgrade"]["former_processes"] == 0, "the end")
                descriptors.append(len(os.listdir(f"/proc/{running.pid}/fd")))
        before = counts["ok"]
        wait_until(lambda: counts["ok"] > before + 100, "requests")
    assert set(counts) == {"ok"}, counts
    assert len(running.proxy.events("upgraded")) == 6
    # 4 sockets instead of 2 for each of two addresses, from the second upgrade on.
    assert descriptors[2] == descriptors[1] == descriptors[0] + 4, descriptors


def test_a_websocket_goes_on_until_the_drain_is_over(upgrading):
    running = upgrading(answer=echo, drain="3s")
    with running.proxy.tls("web") as conn:
        assert echoes(upgraded(conn, "/"))
        running.upgrade()
        assert echoes(conn)
        assert running.status()["upgrade"]["former_processes"] > 0
        assert conn.read_to_end() == b"\x88\x02\x03\xe9"  # close, 1001
    wait_until(lambda: running.status()["upgrade"]["former_processes"] == 0, "the former children")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed_by_the_next_program(upgrading, version):
    running = upgrading()
    settings = ssl.create_default_context(cafile=str(running.proxy.authority.path))
    settings.minimum_version = settings.maximum_version = version

    def visit(session=None):
        with running.proxy.tls("web", settings=settings, session=session) as conn:
            conn.send(REQUEST).response()
            return conn.sock.session_reused, conn.sock.session

    _, session = visit()
    former = list(children(running.pid).values())
    running.upgrade()
    wait_until(lambda: gone(former), "the former children to end")
    for _ in range(3):
        resumed, session = visit(session)
        assert resumed


def test_a_spent_ticket_stays_spent_in_the_next_programs(upgrading):
    running = upgrading(CONFIG + "tickets: {single_use: yes}\n")
    settings = ssl.create_default_context(cafile=str(running.proxy.authority.path))
    settings.minimum_version = ssl.TLSVersion.TLSv1_3

    def visit(session=None):
        with running.proxy.tls("web", settings=settings, session=session) as conn:
            conn.send(REQUEST).response()
            return conn.sock.session_reused, conn.sock.session

    spent, kept = visit()[1], visit()[1]
    assert visit(spent)[0]
    for _ in range(2):
        running.upgrade()
        assert not any(visit(spent)[0] for _ in range(3))
    assert [visit(kept)[0] for _ in range(3)] == [True, False, False]


def test_a_program_that_cannot_take_over_changes_nothing(upgrading, binary):
    running = upgrading()
    before = children(running.pid)
    cases = [
        (lambda path: path.write_text("no program"), "Permission denied"),
        (script("echo some library is missing >&2; exit 1"), "status 1): some library is missing"),
        (script("exit 0"), "cannot take over from this version"),
        (script("echo sallyport-handover 99"), "cannot take over from this version"),
        (script("kill -SEGV $$"), "signal 11"),
        (script("sleep 1000 & exit 3"), "status 3"),
    ]
    for write, reason in cases:
        running.replace(write)
        assert reason in running.refuse()
        status = running.status()["upgrade"]
        assert status["state"] == "failed" and reason in status["reason"]
        assert running.get() == b"hello"
    running.program.unlink()
    assert "No such file" in running.refuse()
    assert children(running.pid) == before
    shutil.copy2(binary, running.program)
    running.ask()
    running.proxy.wait_event("upgraded")
    assert running.status()["upgrade"]["state"] == "done"


def test_a_configuration_that_is_refused_changes_nothing(upgrading):
    running = upgrading()
    before = children(running.pid)
    running.write(CONFIG.replace("backend: app}", "backend: nobody}"))
    assert "nobody" in running.refuse()
    running.write(CONFIG, key=running.values["chain"])
    assert "key" in running.refuse()
    assert children(running.pid) == before and running.get() == b"hello"


def test_a_start_that_fails_leaves_the_former_children_serving(upgrading):
    running = upgrading()
    before = pids_of(running.pid)
    more = CONFIG.replace("  - {name: plain", """  - {name: more, address: "127.0.0.1:@more@", tls: off,
     routes: [{host: "*", path: /, backend: app}]}
  - {name: plain""")
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        running.write(more, more=port)
        assert "in use by another process" in running.refuse()
        wait_until(lambda: pids_of(running.pid) == before, "the new children to end")
        status = running.status()
        assert status["state"] == "holding" and status["ready"], status
        assert "in use" in status["upgrade"]["reason"]
        admin = f"unix:{running.values['folder']}/admin.sock"
        metrics = running.run("status", "--metrics", "--admin", admin).stdout
        assert "\nsallyport_upgrade_failed 1\n" in metrics and "\nsallyport_ready 1\n" in metrics
        assert "in use" in running.run("status", "--admin", admin).stdout
        posture = running.run("posture", "--admin", admin)
        assert posture.returncode == 3 and "upgrade has failed" in posture.stderr
        assert running.get() == b"hello"
        running.refuse()  # the same again, from there
        assert running.get() == b"hello" and pids_of(running.pid) == before
    running.ask()
    running.proxy.wait_event("upgraded")
    assert running.status()["state"] == "ready" and running.get() == b"hello"
    with Conn.tcp(port) as conn:
        assert conn.send(REQUEST).response().body == b"hello"
    wait_until(lambda: gone(before), "the former children to end")


def test_who_holds_the_place_ends_when_told(upgrading):
    running = upgrading()
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        running.write(CONFIG.replace("@web@", str(stranger.getsockname()[1])))
        running.refuse()
        before = list(children(running.pid).values())
        assert running.proxy.stop() == 0
    assert gone(before)
    assert not (running.program.parent / "web.sock").exists()
    assert not (running.program.parent / "admin.sock").exists()


def test_all_children_end_with_the_master_whoever_has_started_them(upgrading):
    running = upgrading(answer=echo, drain="20s")
    with running.proxy.tls("web") as conn:
        assert echoes(upgraded(conn, "/"))
        running.upgrade()
        assert echoes(conn)  # so one of the former workers is there
        pids = pids_of(running.pid)
        assert len(pids) >= 5, pids
        os.kill(running.pid, signal.SIGKILL)
        running.proxy.process.popen.wait(PATIENCE)
        wait_until(lambda: gone(pids), "all children to end")


def test_a_new_child_that_dies_before_it_is_ready_is_a_failed_start(upgrading):
    """Or it has been ready just before: then it was started again, and the upgrade is done."""
    running = upgrading()
    former = pids_of(running.pid)
    running.ask()
    new = wait_until(lambda: [pid for pid in pids_of(running.pid) - former
                              if title(pid).startswith("sallyport: worker")],
                     "a new worker", pause=0)
    os.kill(new[0], signal.SIGKILL)
    running.proxy.process.wait_for(
        lambda: running.proxy.events("upgrade_failed") or running.proxy.events("upgraded"), "an end")
    if running.proxy.events("upgrade_failed"):
        assert running.status()["state"] == "holding"
        wait_until(lambda: pids_of(running.pid) == former, "the new children to end")
    assert running.get() == b"hello"
    if running.proxy.events("upgrade_failed"):
        running.ask()
        running.proxy.wait_event("upgraded")
        assert running.get() == b"hello"


@pytest.mark.parametrize("after_ms", [0, 30, 60, 90, 120, 160, 220])
def test_a_sigterm_at_any_moment_ends_the_instance(upgrading, after_ms):
    running = upgrading()
    seen = pids_of(running.pid)
    running.ask()
    deadline = time.monotonic() + after_ms / 1000
    while time.monotonic() < deadline:
        seen |= pids_of(running.pid)
    assert running.proxy.stop() == 0
    wait_until(lambda: gone(seen), "all children to end")
    assert not (running.program.parent / "admin.sock").exists()


def test_one_upgrade_at_a_time_and_reloads_beside_it(upgrading, binary):
    """A rehearsal that takes its time: another request is refused, and a reload is not."""
    running = upgrading()
    gate = running.program.parent / "gate"
    real = running.program.parent / "real"
    shutil.copy2(binary, real)
    running.replace(script(f"while ! [ -e {gate} ]; do sleep 0.05; done\nexec {real} \"$@\""))
    running.ask()
    running.proxy.wait_event("upgrade_begun")
    assert running.status()["upgrade"]["state"] == "rehearsing"
    running.ask()
    running.proxy.wait_event("upgrade_refused")
    os.kill(running.pid, signal.SIGHUP)
    running.proxy.wait_event("reloaded")
    gate.touch()
    running.proxy.wait_event("upgraded")
    assert running.get() == b"hello"


def test_a_rehearsal_that_hangs_does_not_hold_up_the_end(upgrading):
    running = upgrading()
    running.replace(script("sleep 1000 & wait"))
    running.ask()
    running.proxy.wait_event("upgrade_begun")
    assert running.proxy.stop() == 0


def test_as_the_first_process_of_a_container(upgrading):
    running = upgrading(_before=("unshare", "--pid", "--fork", "--mount-proc", "--kill-child"))
    running.pid = int(pathlib.Path(
        f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()[0])
    former = list(children(running.pid).values())
    running.upgrade()
    wait_until(lambda: gone(former), "the former children to end")
    assert running.get() == b"hello"
    assert "NSpid" in pathlib.Path(f"/proc/{running.pid}/status").read_text()
    os.kill(running.pid, signal.SIGTERM)
    assert running.proxy.process.popen.wait(PATIENCE) == 0


def test_a_handover_that_nobody_has_made_is_refused(run_sallyport, tmp_path):
    for value in ("0", "7", "x", ""):
        done = run_sallyport("run", config="admin: {address: off}\n",
                             env={"SALLYPORT_HANDOVER": value})
        assert done.returncode == 2 and "SALLYPORT_HANDOVER" in done.stderr


def test_the_service_manager_hears_of_it_as_of_a_reload(upgrading, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        running = upgrading(_env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        assert manager.recv(1024).startswith(b"READY=1")
        running.upgrade()
        reloading = manager.recv(1024)
        assert reloading.startswith(b"RELOADING=1") and b"MONOTONIC_USEC=" in reloading
        assert manager.recv(1024).startswith(b"READY=1")
