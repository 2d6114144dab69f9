"""The sandbox of every child, from the position of somebody who has taken the child over: calls are
made inside the running processes (injector.py). Each is also made in a process without a sandbox,
which shows that it would have worked.

SPDX-License-Identifier: Apache-2.0
"""

import errno
import json
import pathlib
import re
import signal
import subprocess
import sys
import threading

import injector
import pytest
from conftest import BINARY, PATIENCE, free_port, wait_until
from gossip_lab import make_key, open_lab, wait_members
from injector import inject, ipv4, needs_injector
from test_process import CONFIG as ANY_CONFIG
from test_process import HELLO, ask, children, facts
from test_staples import STAPLED, Responder

# What a configuration without names and unix sockets needs, and no more.
CONFIG = ANY_CONFIG + "sandbox: exact\n"

# A sanitizer reads files of its own: there it is Landlock that refuses all others.
HAS_SANITIZER = b"__asan_init" in BINARY.read_bytes() if BINARY.exists() else False
FORBIDDEN_OPEN = (-errno.EACCES,) if HAS_SANITIZER else ("SIGSYS",)

INET, STREAM, DGRAM, RAW, NETLINK, UNIX = 2, 1, 2, 3, 16, 1
PATH = b"/etc/passwd"
WRITABLE_CODE = (0, 4096, 7, 0x22, -1, 0)

OPENING = {
    "open": (injector.OPEN, PATH, 0),
    "openat": (injector.OPENAT, -100, PATH, 0),
}
EXECUTING = {
    "execve": (injector.EXECVE, b"/bin/true", 0, 0),
    "mount": (injector.MOUNT, b"none", b"/mnt", b"tmpfs", 0, 0),
    "bpf": (injector.BPF, 0, 0, 0),
    "io_uring": (injector.IO_URING_SETUP, 1, bytes(120)),
    "userfaultfd": (injector.USERFAULTFD, 1),
    "process_vm_readv": (injector.PROCESS_VM_READV, 1, 0, 0, 0, 0, 0),
    "kill": (injector.KILL, 1, 0),
}
SOCKETS = {
    "raw": (injector.SOCKET, INET, RAW, 17),
    "netlink": (injector.SOCKET, NETLINK, RAW, 0),
    "unix": (injector.SOCKET, UNIX, STREAM, 0),
}
# What passes descriptors: the master would have to close them, however long that takes.
PASSING = {
    "sendmsg": (injector.SENDMSG, 3, bytes(56), 0),
    "sendmmsg": (injector.SENDMMSG, 3, bytes(64), 1, 0),
}
SERVING = {
    "listen": (injector.LISTEN, 0, 1),
}


def names(table):
    return [pytest.param(call, id=name) for name, call in table.items()]


@pytest.fixture
def bystander():
    """A process without a sandbox that waits in a system call."""
    process = subprocess.Popen(["sleep", "1000"])
    wait_until(lambda: "nanosleep" in pathlib.Path(f"/proc/{process.pid}/wchan").read_text(),
               "its sleep")
    yield process.pid
    process.kill()
    process.wait()


@pytest.fixture
def running(sallyport, backend):
    """A proxy that is ready, with two workers and an app behind it."""
    proxy = sallyport(CONFIG, app=backend(HELLO).port)
    proxy.wait_event("ready")
    return proxy


def has_landlock(proxy, run_sallyport, folder, version=1):
    processes = status(proxy, run_sallyport, folder)["processes"]
    found = [re.search(r"landlock (\d+)", process["sandbox"]) for process in processes]
    return all(match and int(match.group(1)) >= version for match in found)


def status(proxy, run_sallyport, folder):
    done = run_sallyport("status", "--json", "--admin", f"unix:{folder}/admin.sock")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def killed_and_replaced(proxy, role, pid):
    """That child, and no other, was killed for it, and there is a new one."""
    event = proxy.wait_event("child_forbidden_call", child=role, pid=pid)[0]
    assert event["level"] == "error"
    proxy.wait_event("child_lost", child=role, pid=pid, signal=int(signal.SIGSYS))
    proxy.wait_event("child_started", child=role)
    assert len(proxy.events("child_lost")) == 1
    wait_until(lambda: children(proxy.pid).get(role) not in (None, pid), "the next one")


# ---- that it is there -------------------------------------------------------------------------


def test_every_child_is_in_its_sandbox(running, run_sallyport, tmp_path):
    for role, pid in children(running.pid).items():
        assert facts(pid)["Seccomp"] == ["2"], role
        assert facts(pid)["NoNewPrivs"] == ["1"], role
    assert facts(running.pid)["Seccomp"] == ["0"]
    for process in status(running, run_sallyport, tmp_path)["processes"]:
        assert re.fullmatch(r"seccomp, landlock \d+", process["sandbox"]), process
    assert not running.events("sandbox_missing")


def test_status_shows_it_to_people(running, run_sallyport, tmp_path):
    done = run_sallyport("status", "--admin", f"unix:{tmp_path}/admin.sock")
    assert len(re.findall(r"ready .* sandbox: seccomp", done.stdout)) == 3


# ---- a worker that was taken over -------------------------------------------------------------


@needs_injector
@pytest.mark.parametrize("call", names(OPENING))
def test_a_worker_opens_no_file(running, bystander, call):
    assert inject(bystander, *call) >= 0
    running.process.may_break_out = True
    pid = children(running.pid)["worker 1"]
    assert inject(pid, *call) in FORBIDDEN_OPEN
    if not HAS_SANITIZER:
        killed_and_replaced(running, "worker 1", pid)


@needs_injector
@pytest.mark.parametrize("call", names(EXECUTING | SOCKETS | SERVING | PASSING))
def test_a_worker_that_does_what_it_never_does_is_killed(running, call):
    running.process.may_break_out = True
    pid = children(running.pid)["worker 2"]
    assert inject(pid, *call) == "SIGSYS"
    killed_and_replaced(running, "worker 2", pid)
    assert ask(running) == 200


@needs_injector
@pytest.mark.parametrize("call", names({"raw": SOCKETS["raw"], "unix": SOCKETS["unix"],
                                        "bpf": EXECUTING["bpf"], "kill": EXECUTING["kill"]}))
def test_without_a_sandbox_the_same_calls_are_no_end(bystander, call):
    assert inject(bystander, *call) != "SIGSYS"
    assert inject(bystander, injector.GETPID) == bystander


@needs_injector
def test_execve_without_a_sandbox_executes(bystander):
    """And the program that waited is gone."""
    executed = pathlib.Path("/bin/true").resolve()
    assert pathlib.Path(f"/proc/{bystander}/exe").resolve() != executed
    inject(bystander, *EXECUTING["execve"])
    wait_until(lambda: pathlib.Path(f"/proc/{bystander}/stat").read_text().split()[2] == "Z",
               "the end of true")


@needs_injector
def test_a_worker_connects_to_the_ports_of_backends_alone(sallyport, backend, bystander,
                                                          run_sallyport, tmp_path):
    app, other = backend(HELLO), backend(HELLO)
    proxy = sallyport(CONFIG, app=app.port)
    if not has_landlock(proxy, run_sallyport, tmp_path, version=4):
        pytest.skip("this kernel cannot restrict ports")

    def connect(pid, port):
        descriptor = inject(pid, injector.SOCKET, INET, STREAM, 0)
        assert descriptor >= 0
        return inject(pid, injector.CONNECT, descriptor, ipv4("127.0.0.1", port), 16)

    pid = children(proxy.pid)["worker 1"]
    assert connect(pid, app.port) == 0
    assert connect(pid, other.port) == -errno.EACCES
    assert connect(bystander, other.port) == 0
    assert children(proxy.pid)["worker 1"] == pid
    assert ask(proxy) == 200


@needs_injector
def test_a_worker_makes_no_socket_to_bind(running):
    running.process.may_break_out = True
    pid = children(running.pid)["worker 1"]
    descriptor = inject(pid, injector.SOCKET, INET, STREAM, 0)
    assert inject(pid, injector.BIND, descriptor, ipv4("127.0.0.1", free_port()), 16) == "SIGSYS"
    killed_and_replaced(running, "worker 1", pid)


@needs_injector
def test_what_a_reload_may_need_passes_unless_the_sandbox_is_exact(sallyport, backend, bystander):
    app, other = backend(HELLO), backend(HELLO)
    proxy = sallyport(ANY_CONFIG, app=app.port)
    pid = children(proxy.pid)["worker 1"]
    descriptor = inject(pid, injector.SOCKET, INET, STREAM, 0)
    assert inject(pid, injector.CONNECT, descriptor, ipv4("127.0.0.1", other.port), 16) == 0
    assert inject(pid, injector.SOCKET, INET, DGRAM, 0) >= 0
    assert inject(pid, injector.SOCKET, UNIX, STREAM, 0) >= 0
    assert children(proxy.pid)["worker 1"] == pid


def test_a_reload_that_an_exact_sandbox_does_not_cover_is_refused(sallyport, backend, run_sallyport):
    app, other = backend(HELLO), backend(HELLO)
    proxy = sallyport(CONFIG, app=app.port)
    text = proxy.config_path.read_text()
    proxy.config_path.write_text(text.replace(f":{app.port}", f":{other.port}"))
    done = run_sallyport("reload", "-c", str(proxy.config_path))
    assert done.returncode != 0
    assert "sandbox: exact" in done.stderr
    assert ask(proxy) == 200
    proxy.config_path.write_text(text)
    assert run_sallyport("reload", "-c", str(proxy.config_path)).returncode == 0


@needs_injector
def test_who_is_busy_is_stopped_in_a_call_too():
    """That the calls of the tests above reach their process on a machine with much to do."""
    busy = "import time\nprint(flush=True)\nwhile True:\n  for i in range(1000000): pass\n  time.sleep(0.005)"
    with subprocess.Popen([sys.executable, "-c", busy], stdout=subprocess.PIPE) as process:
        try:
            process.stdout.readline()
            for _ in range(3):
                assert inject(process.pid, injector.SOCKET, INET, STREAM, 0) >= 0
        finally:
            process.kill()


@needs_injector
def test_udp_is_for_those_who_ask_for_names(sallyport, backend):
    udp = (injector.SOCKET, INET, DGRAM, 0)
    named = sallyport(CONFIG.replace("127.0.0.1:@app@", "localhost:@app@"), app=backend(HELLO).port)
    assert inject(children(named.pid)["worker 1"], *udp) >= 0
    numbered = sallyport(CONFIG, app=backend(HELLO).port)
    numbered.process.may_break_out = True
    assert inject(children(numbered.pid)["worker 1"], *udp) == "SIGSYS"


@needs_injector
def test_no_memory_of_a_worker_becomes_code(running, bystander):
    assert inject(bystander, injector.MMAP, *WRITABLE_CODE) > 0
    if HAS_SANITIZER:
        pytest.skip("a sanitizer maps what it likes")
    running.process.may_break_out = True
    assert inject(children(running.pid)["worker 1"], injector.MMAP, *WRITABLE_CODE) == "SIGSYS"


@needs_injector
def test_conns_of_the_others_do_not_notice(sallyport, backend):
    """With several workers, a conn of each; the one whose worker is killed ends, no other."""
    app = backend(HELLO)
    proxy = sallyport(CONFIG.replace("workers: 2", "workers: 3"), app=app.port)
    proxy.process.may_break_out = True
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    conns = [proxy.tls("web") for _ in range(24)]
    for conn in conns:
        assert conn.send(request).response().status == 200
    assert inject(children(proxy.pid)["worker 1"], *EXECUTING["execve"]) == "SIGSYS"
    proxy.wait_event("child_started", child="worker 1")
    alive = 0
    for conn in conns:
        try:
            alive += conn.send(request).response().status == 200
        except (EOFError, OSError):
            pass
        conn.close()
    lost = len(conns) - alive
    assert 0 < alive < len(conns), f"{alive} of {len(conns)}"
    assert lost < 20
    assert ask(proxy) == 200


# ---- the keyholder ----------------------------------------------------------------------------


@needs_injector
@pytest.mark.parametrize("call", names(
    {"tcp": (injector.SOCKET, INET, STREAM, 0), "clone": (injector.CLONE, 17, 0, 0, 0, 0)}
    | SOCKETS | EXECUTING | PASSING))
def test_the_keyholder_makes_no_socket_and_no_process(running, call):
    if HAS_SANITIZER and call[0] == injector.CLONE:
        pytest.skip("the leak checker makes a thread")
    running.process.may_break_out = True
    pid = children(running.pid)["keyholder"]
    assert inject(pid, *call) == "SIGSYS"
    killed_and_replaced(running, "keyholder", pid)
    assert ask(running) == 200  # with the next one


@needs_injector
@pytest.mark.parametrize("call", names(OPENING))
def test_the_keyholder_opens_no_file(running, call):
    running.process.may_break_out = True
    assert inject(children(running.pid)["keyholder"], *call) in FORBIDDEN_OPEN


# ---- gossip -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lab(request, binary, tmp_path_factory):
    yield from open_lab(request, binary, tmp_path_factory.mktemp("gossip-sandbox"))


@pytest.fixture(scope="module")
def sidecar(lab):
    key = make_key()
    plain, native = lab.host(), lab.host()
    sidecar = lab.sidecar(plain, [key])
    one = lab.serf(plain, "one")
    wait_members([one, lab.serf(native, "other", key=key, join=one)])
    sidecar.sallyport.process.may_break_out = True
    return sidecar


@needs_injector
@pytest.mark.parametrize("call", names(OPENING | EXECUTING | SOCKETS | SERVING))
def test_gossip_does_nothing_else(sidecar, call):
    pid = sidecar.child()
    assert facts(pid)["Seccomp"] == ["2"]
    expected = FORBIDDEN_OPEN if call in OPENING.values() else ("SIGSYS",)
    assert inject(pid, *call) in expected
    if expected == ("SIGSYS",):
        wait_until(lambda: sidecar.child() not in (None, pid), "another gossip process")
        sidecar.verb("wait", "-c", sidecar.config_path)


@needs_injector
def test_gossip_binds_to_no_port_of_its_choice_and_connects_to_the_clusters_alone(sidecar):
    pid = sidecar.child()
    descriptor = inject(pid, injector.SOCKET, INET, STREAM, 0)
    assert descriptor >= 0
    told = json.loads(sidecar.verb("status", "--json", "-c", sidecar.config_path).stdout)
    if int(re.search(r"landlock (\d+)", told["processes"][0]["sandbox"]).group(1)) < 4:
        pytest.skip("this kernel cannot restrict ports")
    assert inject(pid, injector.BIND, descriptor, ipv4("0.0.0.0", 4444), 16) == -errno.EACCES
    assert inject(pid, injector.CONNECT, descriptor, ipv4("127.0.0.1", 4445), 16) == -errno.EACCES
    assert inject(pid, injector.BIND, descriptor, ipv4("127.0.0.1", 0), 16) == 0
    assert sidecar.child() == pid


# ---- the fetcher ------------------------------------------------------------------------------


@needs_injector
def test_a_fetcher_reads_nothing_but_what_names_and_tls_need(sallyport, backend, authority, tmp_path,
                                                             bystander):
    held = threading.Event()
    responder = Responder(authority)
    responder.answer = lambda body: (held.wait(PATIENCE), b"")[1]
    chain, key = responder.issue(tmp_path)
    proxy = sallyport(STAPLED, chain=chain, key=key, app=backend(HELLO).port)
    proxy.process.may_break_out = True
    try:
        wait_until(lambda: responder.asked, "the question")
        pid = children(proxy.pid)["fetcher"]
        assert facts(pid)["Seccomp"] == ["2"]
        assert inject(bystander, injector.OPENAT, -100, PATH, 0) >= 0
        assert inject(pid, injector.OPENAT, -100, PATH, 0) == -errno.EACCES
        assert inject(pid, injector.OPENAT, -100, b"/etc/nsswitch.conf", 0) >= 0
        assert inject(pid, *EXECUTING["execve"]) == "SIGSYS"
        proxy.wait_event("child_forbidden_call", child="fetcher", pid=pid)
        proxy.wait_event("ocsp_failed")
        assert ask(proxy) == 200
    finally:
        held.set()
        responder.server.shutdown()
        responder.server.server_close()


# ---- where the system has none ----------------------------------------------------------------

# Refuses seccomp(2), prctl(PR_SET_SECCOMP) and landlock_create_ruleset(2) with EPERM to whatever it
# executes, as a container may: a filter in the kernel's own form.
REFUSE = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None)
numbers = [int(word) for word in sys.argv[1].split(",")]
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
code = [(LOAD, 0, 0, 0)]
for i, number in enumerate(numbers):
    code.append((EQUAL, len(numbers) - i, 0, number))
code += [(RETURN, 0, 0, 0x7fff0000), (RETURN, 0, 0, 0x00050001)]
text = b"".join(struct.pack("=HBBI", *one) for one in code)
room = ctypes.create_string_buffer(text)
program = struct.pack("=HxxxxxxQ", len(code), ctypes.addressof(room))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, program, 0, 0) == 0
os.execv(sys.argv[2], sys.argv[2:])
"""
SECCOMP, LANDLOCK = "317", "444"


@needs_injector
@pytest.mark.parametrize("refused, missing, left", [
    (SECCOMP, "seccomp", r"landlock \d+"),
    (LANDLOCK, "landlock", "seccomp"),
    (f"{SECCOMP},{LANDLOCK}", "seccomp, landlock", "none"),
])
def test_what_the_system_has_not_is_told_once(sallyport, backend, run_sallyport, tmp_path, refused,
                                              missing, left):
    proxy = sallyport(CONFIG, app=backend(HELLO).port,
                      _before=["/usr/bin/python3", "-c", REFUSE, refused])
    assert ask(proxy) == 200
    told = proxy.wait_event("sandbox_missing")
    assert [event["missing"] for event in told] == [missing]
    assert told[0]["level"] == "warn"
    for process in status(proxy, run_sallyport, tmp_path)["processes"]:
        assert re.fullmatch(left, process["sandbox"]), process
