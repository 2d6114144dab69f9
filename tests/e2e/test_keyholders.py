"""Several keyholders: each signs for its workers, all with the same keys, and one that dies takes nobody
else with it.

SPDX-License-Identifier: Apache-2.0
"""

import os
import pathlib
import re
import signal
import ssl
import threading

import pytest
from conftest import PATIENCE, wait_until
from test_process import HELLO, REQUEST, children, facts
from test_reload import CONFIG, Reloading
from test_sandbox import HAS_SANITIZER

TWO = CONFIG + "keyholders: 2\n"
TRIES = 12  # that both workers get some
KEYHOLDERS = ["keyholder 1", "keyholder 2"]


@pytest.fixture
def two(sallyport, run_sallyport, authority, backend, tmp_path):
    chain, key = authority.local
    values = {"chain": chain, "key": key, "folder": tmp_path, "app": backend(HELLO).port}
    running = Reloading(sallyport(TWO, **values), run_sallyport, values)
    running.proxy.wait_event("ready")
    return running


def ask(running, **keywords):
    with running.proxy.tls("web", **keywords) as conn:
        assert conn.send(REQUEST).response().status == 200
        return conn.sock.session_reused, conn.sock.session


def processes(running):
    return {p["role"]: p for p in running.status()["processes"]}


def test_each_is_a_process_of_its_own_and_told_of_by_status(two):
    assert set(children(two.proxy.pid)) == {*KEYHOLDERS, "worker 1", "worker 2"}
    shown = processes(two)
    assert all(shown[role]["signing"] for role in KEYHOLDERS)
    text = two.run("status", "-c", two.proxy.config_path).stdout
    assert all(role in text for role in KEYHOLDERS)
    for _ in range(TRIES):
        ask(two)


def test_there_are_never_more_than_workers(sallyport, backend):
    proxy = sallyport(CONFIG + "keyholders: 1024\n", app=backend(HELLO).port)
    proxy.wait_event("ready")
    assert set(children(proxy.pid)) == {*KEYHOLDERS, "worker 1", "worker 2"}


def test_workers_of_one_do_not_notice_the_death_of_another(two):
    """With the master stopped there is no successor: who is served has a keyholder that lives."""
    before = children(two.proxy.pid)
    two.proxy.process.signal(signal.SIGSTOP)
    answers = []
    askers = [threading.Thread(target=lambda: answers.append(ask(two))) for _ in range(TRIES * 2)]
    try:
        os.kill(before["keyholder 2"], signal.SIGKILL)
        two.proxy.wait_event("keyholder_lost")
        for asker in askers:
            asker.start()
        wait_until(lambda: answers, "handshakes with the other keyholder")
    finally:
        two.proxy.process.signal(signal.SIGCONT)
    for asker in askers:
        asker.join(PATIENCE)
    assert len(answers) == len(askers)  # the others have waited for the successor
    assert [e["child"] for e in two.proxy.events("child_lost")] == ["keyholder 2"]
    assert len(two.proxy.events("keyholder_lost")) == 1  # one worker's
    after = children(two.proxy.pid)
    assert after["keyholder 1"] == before["keyholder 1"]
    assert after["keyholder 2"] != before["keyholder 2"]


def test_a_session_of_one_is_resumed_with_the_other(two):
    """Their ticket keys are the same; which worker a conn comes to is the kernel's choice."""
    settings = ssl.create_default_context(cafile=str(two.proxy.authority.path))
    session = ask(two, settings=settings)[1]
    for turn in range(TRIES):
        was_resumed, session = ask(two, settings=settings, session=session)
        assert was_resumed, turn


def test_a_reload_gives_new_keys_to_all(two, authority):
    before = two.serial()
    chain, key = authority.issue("localhost")
    two.take(TWO, chain=chain, key=key)
    assert before not in {two.serial() for _ in range(TRIES)}
    for role in KEYHOLDERS:  # the successors have the new ones as well
        os.kill(children(two.proxy.pid)[role], signal.SIGKILL)
        two.proxy.wait_event("child_started", child=role)
    for _ in range(TRIES):
        ask(two)


def test_another_number_needs_a_new_start(two):
    _, why = two.refuse(CONFIG + "keyholders: 1\n")
    assert "the number of keyholders" in why


# ---- memory, and many keys --------------------------------------------------------------------


def test_their_memory_is_locked_or_it_is_told(two):
    shown = processes(two)
    text = two.run("status", "-c", two.proxy.config_path).stdout
    assert all("memory" not in p for role, p in shown.items() if role not in KEYHOLDERS)
    for role in KEYHOLDERS:
        limits = pathlib.Path(f"/proc/{shown[role]['pid']}/limits").read_text()
        is_locked = not HAS_SANITIZER and "unlimited" in re.search(r"Max locked memory.*", limits).group()
        assert not is_locked or int(facts(shown[role]["pid"])["VmLck"][0]) > 0
        assert shown[role]["memory"] == ("locked" if is_locked else "not locked")
        assert f"memory: {shown[role]['memory']}" in text
        assert len(two.proxy.events("memory_unlocked")) == (0 if is_locked else 1)


def test_thousands_of_certificates_are_no_reason_to_end(sallyport, backend, authority):
    """Each worker may use all keys, and each keyholder is told so while it reads them."""
    chain, key = authority.local
    names = [f"c{number}" for number in range(300 if HAS_SANITIZER else 2000)]
    certificates = "".join(f"  - {{name: {name}, chain: {chain}, key: {key}}}\n" for name in names)
    text = f"""
certificates:
{certificates}
listeners:
  - {{name: web, address: "127.0.0.1:@web@", tls: {{certificates: [{names[-1]}]}},
     routes: [{{path: /, backend: app}}]}}
backends: {{app: {{servers: ["http://127.0.0.1:@app@"]}}}}
workers: 4
keyholders: 1
"""
    proxy = sallyport(text, app=backend(HELLO).port)
    proxy.wait_event("ready")
    for _ in range(TRIES):
        with proxy.tls("web") as conn:
            assert conn.send(REQUEST).response().status == 200
    assert not proxy.events("child_lost") and not proxy.events("keyholder_lost")
