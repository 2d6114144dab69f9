"""Master, keyholder and workers, seen from outside: how they start, what they may, how they end.

SPDX-License-Identifier: Apache-2.0
"""

import datetime
import json
import os
import pathlib
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

from conftest import PATIENCE, wait_until

CONFIG = """
certificates: [{name: web, chain: @chain@, key: @key@}]
listeners:
  - {name: web, address: "127.0.0.1:@web@", tls: {certificates: [web]},
     routes: [{host: "*", path: /, backend: app}]}
backends: {app: {servers: ["http://127.0.0.1:@app@"]}}
workers: 2
"""

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


# ---- looking at processes ---------------------------------------------------------------------


def title(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children(pid):
    """Role → pid of the children that run."""
    try:
        pids = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    titles = {title(child): int(child) for child in pids}
    return {name.removeprefix("sallyport: "): child for name, child in titles.items()
            if name.startswith("sallyport: ")}


def facts(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.split() for key, _, value in (line.partition(":") for line in lines)}


def descriptors(pid):
    """Number → what it is."""
    found = {}
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            found[int(entry.name)] = os.readlink(entry)
        except FileNotFoundError:
            pass
    return found


def inet_sockets():
    """Inodes of all TCP and UDP sockets, as /proc/PID/fd shows them."""
    inodes = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in pathlib.Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            inodes.add(f"socket:[{line.split()[9]}]")
    return inodes


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def at(event):
    return datetime.datetime.fromisoformat(event["time"].replace("Z", "+00:00"))


@pytest.fixture
def running(sallyport, backend):
    """A proxy that is ready, with two workers and an app behind it."""
    app = backend(HELLO)
    proxy = sallyport(CONFIG, app=app.port)
    proxy.wait_event("ready")
    return proxy


def ask(proxy):
    with proxy.tls("web") as conn:
        return conn.send(REQUEST).response().status


def admin(folder):
    return f"unix:{folder}/admin.sock"


# ---- start and end ----------------------------------------------------------------------------


def test_starts_says_where_it_listens_and_ends_with_zero(running):
    opened = running.events("listener_open")
    assert [(e["listener"], e["address"]) for e in opened] == [
        ("web", f"127.0.0.1:{running.port('web')}")]
    assert set(children(running.pid)) == {"keyholder", "worker 1", "worker 2"}
    assert running.stop() == 0
    assert running.events("stopped")


def test_chooses_a_port_and_tells_it(sallyport, backend):
    proxy = sallyport(CONFIG.replace("127.0.0.1:@web@", "127.0.0.1:0"), app=backend(HELLO).port)
    address = proxy.wait_event("listener_open")[0]["address"]
    port = int(address.rpartition(":")[2])
    assert port > 0
    proxy.ports["web"] = port
    assert ask(proxy) == 200


def test_listens_on_both_families_with_one_address(sallyport, backend):
    if not socket.has_ipv6 or not pathlib.Path("/proc/net/if_inet6").exists():
        pytest.skip("no IPv6 here")
    proxy = sallyport(CONFIG.replace("127.0.0.1:@web@", "[::]:@web@"), app=backend(HELLO).port)
    proxy.wait_event("ready")
    for address in ("127.0.0.1", "::1"):
        with proxy.tls("web", address=address) as conn:
            assert conn.send(REQUEST).response().status == 200


def test_tells_the_service_manager_when_it_is_ready_alive_and_ending(sallyport, backend, tmp_path):
    """systemd's protocol, as `Type=notify` and `WatchdogSec=` of the unit use it."""
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.settimeout(PATIENCE)
    started = sallyport(CONFIG, app=backend(HELLO).port, _wait=False,
                        _env={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"})
    assert manager.recv(256) == b"READY=1\nSTATUS=serving"
    started.wait_event("ready")
    assert [manager.recv(256) for _ in range(3)] == [b"WATCHDOG=1"] * 3
    started.process.signal(signal.SIGHUP)
    told = [manager.recv(256)]
    while told[-1] != b"READY=1\nSTATUS=serving":
        told.append(manager.recv(256))
    assert any(line.startswith(b"RELOADING=1\n") and b"MONOTONIC_USEC=" in line for line in told)
    for role, pid in children(started.pid).items():
        assert b"NOTIFY_SOCKET" not in pathlib.Path(f"/proc/{pid}/environ").read_bytes(), role
    assert started.stop() == 0
    while (told := manager.recv(256)) == b"WATCHDOG=1":
        pass
    assert told == b"STOPPING=1\nSTATUS=ending"


def test_a_second_signal_ends_it_at_once(sallyport, backend):
    held = threading.Event()
    app = backend(lambda conn: (conn.request(), held.wait(PATIENCE)))
    proxy = sallyport(CONFIG + "timeouts: {drain: 60s}\n", app=app.port)
    proxy.wait_event("ready")
    with proxy.tls("web") as conn:
        conn.send(REQUEST)
        wait_until(lambda: app.received, "the request at the backend")
        proxy.process.signal(signal.SIGTERM)
        proxy.wait_event("draining")
        proxy.process.signal(signal.SIGTERM)
        assert proxy.process.wait() == 0
    held.set()


def test_drain_lets_a_running_exchange_end_and_takes_no_new_conn(sallyport, backend):
    go_on = threading.Event()

    def slow(conn):
        conn.request()
        go_on.wait(PATIENCE)
        conn.send(HELLO)

    app = backend(slow)
    proxy = sallyport(CONFIG, app=app.port)
    proxy.wait_event("ready")
    with proxy.tls("web") as conn:
        conn.send(REQUEST)
        wait_until(lambda: app.received, "the request at the backend")
        proxy.process.signal(signal.SIGTERM)
        proxy.wait_event("draining")

        def is_refused():
            try:
                socket.create_connection(("127.0.0.1", proxy.port("web")), 1).close()
            except ConnectionRefusedError:
                return True
            return False

        wait_until(is_refused, "new conns to be refused")
        go_on.set()
        assert conn.response().body == b"hello"
    assert proxy.process.wait() == 0


def test_children_end_when_the_master_is_killed(running):
    kids = children(running.pid).values()
    running.process.signal(signal.SIGKILL)
    running.process.wait()
    wait_until(lambda: not any(is_alive(pid) for pid in kids), "the children to end")


# ---- supervision ------------------------------------------------------------------------------


@pytest.mark.alone
@pytest.mark.parametrize("role", ["worker 1", "keyholder"])
def test_a_killed_child_comes_back_within_a_tenth_of_a_second(running, role):
    before = children(running.pid)
    os.kill(before[role], signal.SIGKILL)
    started = running.wait_event("child_started", child=role)[0]
    lost = running.events("child_lost")[0]
    assert (at(started) - at(lost)).total_seconds() < 0.1
    after = wait_until(lambda: role in children(running.pid) and children(running.pid),
                       "the child to be back")
    assert after[role] != before[role]
    assert {k: v for k, v in after.items() if k != role} == {
        k: v for k, v in before.items() if k != role}


@pytest.mark.parametrize("role", ["worker 1", "worker 2", "keyholder"])
def test_serves_on_after_a_child_was_killed(running, role):
    os.kill(children(running.pid)[role], signal.SIGKILL)
    running.wait_event("child_started", child=role)
    for _ in range(8):
        assert ask(running) == 200


def test_handshakes_wait_for_the_next_keyholder(running):
    """What comes between a keyholder's death and its successor is served, only later."""
    keyholder = children(running.pid)["keyholder"]
    running.process.signal(signal.SIGSTOP)  # nobody starts a new one for now
    try:
        os.kill(keyholder, signal.SIGKILL)
        running.wait_event("keyholder_lost", count=2)
        answers = []
        askers = [threading.Thread(target=lambda: answers.append(ask(running))) for _ in range(8)]
        for asker in askers:
            asker.start()
    finally:
        running.process.signal(signal.SIGCONT)
    for asker in askers:
        asker.join(PATIENCE)
    assert answers == [200] * 8


def test_a_killed_keyholder_costs_no_handshake(running):
    """What it had been asked and has not answered is asked of its successor."""
    over = threading.Event()
    done, faults = [], []

    def shake_hands():
        while not over.is_set():
            try:
                running.tls("web").close()
                done.append(1)
            except OSError as fault:
                faults.append(fault)

    clients = [threading.Thread(target=shake_hands) for _ in range(12)]
    for client in clients:
        client.start()
    try:
        for count in range(1, 5):
            wait_until(lambda: len(done) >= 50 * count, "handshakes")
            os.kill(children(running.pid)["keyholder"], signal.SIGKILL)
            running.wait_event("child_started", child="keyholder", count=count)
            time.sleep(1)  # a keyholder that dies younger is not started again at once
        before = len(done)
        wait_until(lambda: len(done) >= before + 50, "handshakes")
    finally:
        over.set()
    for client in clients:
        client.join(PATIENCE)
    assert not faults


def test_a_child_that_keeps_dying_waits_longer_each_time(running):
    for count in range(1, 4):
        pid = wait_until(lambda: children(running.pid).get("worker 1"), "worker 1")
        os.kill(pid, signal.SIGKILL)
        running.wait_event("child_started", count=count, child="worker 1")
    delays = [e["delay_ms"] for e in running.events("child_delayed")]
    assert delays == sorted(delays) and len(delays) >= 1
    assert ask(running) == 200


def test_a_child_that_keeps_failing_is_a_warning_until_it_runs_for_a_while(running, run_sallyport,
                                                                           tmp_path):
    def told(verb):
        done = run_sallyport(verb, "--json", "--admin", admin(tmp_path))
        return json.loads(done.stdout)["failing"]

    def said(verb):
        return run_sallyport(verb, "--admin", admin(tmp_path)).stdout

    assert told("status") == told("posture") == []
    for count in range(1, 4):
        pid = wait_until(lambda: children(running.pid).get("worker 1"), "worker 1")
        os.kill(pid, signal.SIGKILL)
        running.wait_event("child_started", count=count, child="worker 1")
    delay = running.events("child_delayed")[-1]["delay_ms"]
    for verb in ("status", "posture"):
        assert told(verb) == [{"child": "worker 1", "restarts": 3, "delay_ms": delay}]
        assert f"WARNING: worker 1 keeps failing: restarts 3, the last one after {delay} ms" in \
            said(verb)
    wait_until(lambda: told("status") == [], "it to be settled", pause=0.5)
    assert told("posture") == []
    assert "WARNING: worker 1" not in said("status")


# ---- privileges -------------------------------------------------------------------------------


@as_root
def test_children_give_up_root_for_good(running):
    kids = children(running.pid)
    uids = {}
    for role, pid in kids.items():
        own = facts(pid)
        assert set(own["Uid"]) == set(own["Uid"][:1]) and own["Uid"][0] != "0", role
        assert set(own["Gid"]) == set(own["Gid"][:1]) and own["Gid"][0] != "0", role
        assert own["Groups"] == [], role
        assert own["NoNewPrivs"] == ["1"], role
        assert int(own["CapPrm"][0], 16) == int(own["CapEff"][0], 16) == 0, role
        assert int(own["CapAmb"][0], 16) == 0, role
        uids[role] = own["Uid"][0]
    assert uids["worker 1"] == uids["worker 2"] != uids["keyholder"]


def test_children_dump_no_core(running):
    for pid in children(running.pid).values():
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        core = next(line for line in limits.splitlines() if line.startswith("Max core"))
        assert core.split()[4:6] == ["0", "0"]


def test_children_hold_only_what_they_were_given(running):
    inet = inet_sockets()
    for role, pid in children(running.pid).items():
        held = descriptors(pid)
        assert [held[0], held[1]] == ["/dev/null", "/dev/null"], role
        for what in held.values():
            assert "memfd" not in what, (role, held)  # neither keys nor configuration stay open
            assert ".key" not in what and ".pem" not in what, (role, held)
        assert role != "keyholder" or not inet & set(held.values())


def test_no_process_has_a_second_thread(running):
    """So no two of them ever touch the same memory at once: there is nothing to lock."""
    for _ in range(4):
        assert ask(running) == 200
    for role, pid in {**children(running.pid), "master": running.pid}.items():
        assert len(list(pathlib.Path(f"/proc/{pid}/task").iterdir())) == 1, role


def test_nothing_of_the_environment_or_of_inherited_descriptors_reaches_children(
        sallyport, backend, tmp_path):
    with open(tmp_path / "inherited", "w") as inherited:
        os.set_inheritable(inherited.fileno(), True)
        proxy = sallyport(CONFIG, app=backend(HELLO).port, _env={"SECRET_OF_OURS": "hush"})
        proxy.wait_event("ready")
    for role, pid in children(proxy.pid).items():
        environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
        assert b"hush" not in environment, role
        assert not any("inherited" in what for what in descriptors(pid).values()), role


# ---- as the first process ---------------------------------------------------------------------


@as_root
def test_is_a_good_first_process(binary, start, backend, authority, tmp_path):
    """In a PID namespace of its own: reaps orphans that are not its own, ends on SIGTERM."""
    chain, key = authority.local
    path = tmp_path / "first.yaml"
    path.write_text(CONFIG.replace("@chain@", str(chain)).replace("@key@", str(key))
                    .replace("@web@", "0").replace("@app@", str(backend(HELLO).port))
                    + f'admin: {{address: "{admin(tmp_path)}"}}\n')
    outer = start("first", ["unshare", "--pid", "--fork", "--mount-proc", binary,
                            "run", "-c", path])
    outer.wait_for(lambda: '"event":"ready"' in outer.err, "ready")
    master = int(pathlib.Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text())
    assert facts(master)["NSpid"][-1] == "1"

    subprocess.run(["nsenter", "-t", str(master), "-p", "-m", "sh", "-c",
                    "(sleep 0.2 & sleep 0.1 &) ; exit 0"], check=True)

    def only_ours():
        pids = pathlib.Path(f"/proc/{master}/task/{master}/children").read_text().split()
        return len(pids) == 3 and all(is_alive(pid) for pid in pids)

    wait_until(only_ours, "the orphans to be reaped")
    os.kill(master, signal.SIGTERM)
    assert outer.wait() == 0


# ---- what is told -----------------------------------------------------------------------------


def test_exit_status_two_lists_every_mistake(run_sallyport, authority):
    chain, key = authority.local
    done = run_sallyport("run", config=CONFIG.replace("backends:", "backend:") + "colour: blue\n",
                         chain=chain, key=key, web=0, app=1)
    assert done.returncode == 2
    assert len([line for line in done.stderr.splitlines() if "verb.yaml:" in line]) >= 2


def test_exit_status_two_for_a_key_of_another_certificate(run_sallyport, authority):
    chain, _ = authority.issue("one.example")
    _, key = authority.issue("two.example")
    done = run_sallyport("run", config=CONFIG, chain=chain, key=key, web=0, app=1)
    assert done.returncode == 2
    assert "verb.yaml:2:" in done.stderr and "is not the key of" in done.stderr


def test_exit_status_one_for_a_violation(run_sallyport, authority):
    chain, key = authority.local
    config = CONFIG.replace("http://127.0.0.1:@app@", "http://192.0.2.1:80")
    done = run_sallyport("run", config=config, chain=chain, key=key, web=0)
    assert done.returncode == 1
    assert "backend/app/0" in done.stderr


def test_report_mode_starts_and_says_so(sallyport, run_sallyport, tmp_path):
    proxy = sallyport(CONFIG.replace("http://127.0.0.1:@app@", "http://192.0.2.1:80")
                      + "enforcement: {mode: report}\n")
    proxy.wait_event("ready", mode="report", violations=1)
    assert proxy.events("report_mode")
    done = run_sallyport("status", "--json", "--admin", admin(tmp_path))
    answer = json.loads(done.stdout)
    assert (answer["mode"], answer["violations"]) == ("report", 1)


def test_exit_status_three_names_the_listener_that_cannot_be_opened(run_sallyport, authority):
    chain, key = authority.local
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = run_sallyport("run", config=CONFIG, chain=chain, key=key, web=port, app=1)
    assert done.returncode == 3
    assert f"listener web cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "verb.yaml:4:" in done.stderr and "in use" in done.stderr


def test_two_instances_of_one_user_do_not_share_a_port(running, run_sallyport, authority, tmp_path):
    chain, key = authority.local
    config = CONFIG + f'admin: {{address: "unix:{tmp_path}/other.sock"}}\n'
    done = run_sallyport("run", config=config, chain=chain, key=key, web=running.port("web"), app=1)
    assert done.returncode == 3
    assert "in use" in done.stderr


@pytest.mark.parametrize("argv, status, words", [
    ([], 2, "Usage:"),
    (["statu"], 2, "did you mean `status`"),
    (["probe", "localhost:1"], 2, "not available yet"),
    (["run", "--frob", "1"], 2, "--frob"),
    (["status", "--admin", "nowhere"], 2, "unix:"),
])
def test_bad_commands_are_told(run_sallyport, argv, status, words):
    done = run_sallyport(*argv)
    assert done.returncode == status
    assert words in done.stderr


def test_help_and_version_end_with_zero(run_sallyport):
    assert "sallyport run" in run_sallyport("--help").stdout
    assert "OpenSSL" in run_sallyport("--version").stdout
    assert "--to" in run_sallyport("run", "--help").stdout


# ---- the admin socket -------------------------------------------------------------------------


def test_status_shows_the_instance(running, run_sallyport, tmp_path):
    done = run_sallyport("status", "--json", "-c", running.config_path)
    assert done.returncode == 0
    answer = json.loads(done.stdout)
    assert answer["pid"] == running.pid
    assert answer["ready"] is True and answer["mode"] == "strict"
    assert {p["role"]: p["pid"] for p in answer["processes"]} == children(running.pid)
    assert answer["listeners"] == [
        {"name": "web", "address": f"127.0.0.1:{running.port('web')}"}]
    assert 28 <= answer["certificates"][0]["days_left"] <= 30
    text = run_sallyport("status", "-c", running.config_path).stdout
    assert "worker 2" in text and "ready" in text
    keyholder = next(p for p in answer["processes"] if p["role"] == "keyholder")
    assert keyholder["signing"] in ("openssl", "batches of 8 (libcrypto-mb)")
    assert f"signing: {keyholder['signing']}" in text
    for process in answer["processes"]:
        is_worker = process["role"].startswith("worker")
        assert ("signing" in process) == (process["role"] == "keyholder")
        assert ("agreements" in process) == is_worker
        if is_worker:  # the same library, for the other half of a handshake
            assert process["agreements"] == keyholder["signing"]
            assert f"agreements: {process['agreements']}" in text


def test_only_the_owner_may_use_the_admin_socket(running, tmp_path):
    path = tmp_path / "admin.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert running.stop() == 0
    assert not path.exists()


def test_a_live_admin_socket_is_not_stolen_and_a_stale_one_is_replaced(
        running, sallyport, run_sallyport, backend, authority, tmp_path):
    chain, key = authority.local
    done = run_sallyport("run", config=CONFIG, chain=chain, key=key, web=0, app=1)
    assert done.returncode == 3 and "another instance answers there" in done.stderr
    running.process.signal(signal.SIGKILL)
    running.process.wait()
    assert (tmp_path / "admin.sock").exists()
    sallyport(CONFIG, app=backend(HELLO).port).wait_event("ready")


def test_commands_without_an_instance_say_so(run_sallyport, tmp_path):
    done = run_sallyport("status", "--admin", admin(tmp_path))
    assert done.returncode == 3 and "no instance is running" in done.stderr
    assert run_sallyport("wait", "--timeout", "0.1", "--admin", admin(tmp_path)).returncode == 1
    assert run_sallyport("drain", "--admin", admin(tmp_path)).returncode == 3


@pytest.mark.parametrize("verb", ["drain", "stop"])
def test_drain_and_stop_return_when_the_instance_has_ended(running, run_sallyport, verb, tmp_path):
    assert run_sallyport("wait", "--admin", admin(tmp_path)).returncode == 0
    assert run_sallyport(verb, "--admin", admin(tmp_path)).returncode == 0
    assert running.process.wait() == 0


def test_nonsense_on_the_admin_socket_is_refused(running, tmp_path):
    for request in (b"frobnicate\n", b"x" * 100, b"\n", b"status"):
        with socket.socket(socket.AF_UNIX) as conn:
            conn.settimeout(PATIENCE)
            conn.connect(str(tmp_path / "admin.sock"))
            conn.sendall(request)
            conn.shutdown(socket.SHUT_WR)
            answer = conn.makefile("rb").read()
            assert answer == b"" or json.loads(answer)["ok"] is False
    assert running.process.running()


def test_hangup_is_not_the_end(running):
    running.process.signal(signal.SIGHUP)
    running.wait_event("reloaded", generation=2)
    assert ask(running) == 200


def test_the_log_file_is_opened_again_for_rotation(sallyport, backend, tmp_path):
    log = tmp_path / "sallyport.log"
    proxy = sallyport(CONFIG + f"log: {{access: json, destination: {log}}}\n",
                      app=backend(HELLO).port)
    wait_until(lambda: log.exists() and '"ready"' in log.read_text(), "ready in the log file")
    assert stat.S_IMODE(log.stat().st_mode) & 0o007 == 0
    log.rename(tmp_path / "old.log")
    proxy.process.signal(signal.SIGUSR1)
    wait_until(lambda: log.exists() and '"log_reopened"' in log.read_text(), "the new log file")
    assert ask(proxy) == 200
    wait_until(lambda: '"event":"access"' in log.read_text(), "a worker's line in the new file")


# ---- without a configuration ------------------------------------------------------------------


def test_zero_configuration_makes_a_certificate_once(start, binary, backend, raw, tmp_path):
    environment = {"STATE_DIRECTORY": str(tmp_path / "state")}
    (tmp_path / "state").mkdir()
    fingerprints = []
    for turn in range(2):
        proxy = start(f"zero{turn}", [
            binary, "run", "--to", f"http://127.0.0.1:{backend(HELLO).port}",
            "--listen", "127.0.0.1:0", "--admin", admin(tmp_path)], env=environment)
        proxy.wait_for(lambda: '"event":"ready"' in proxy.err, "ready")
        lines = [json.loads(line) for line in proxy.err.splitlines() if line.startswith("{")]
        events = {e["event"]: e for e in lines}
        assert events["local_ca"]["new"] is (turn == 0)
        port = int(events["listener_open"]["address"].rpartition(":")[2])
        with raw.tls(port, ca=events["local_ca"]["certificate"]) as conn:
            fingerprints.append(conn.sock.getpeercert(binary_form=True))
            assert conn.send(REQUEST).response().body == b"hello"
        assert proxy.stop() == 0
    assert fingerprints[0] == fingerprints[1]
