"""Processes killed under load: the fault matrix of tests/soak/faults for some seconds, and that nobody
but the clients of a killed worker notices.

SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import re
import signal
import subprocess
import sys

import pytest
from conftest import TOP, wait_until
from test_process import CONFIG, HELLO, REQUEST, at, children

pytestmark = pytest.mark.alone

CONNS = 24


def test_no_answer_is_wrong_while_processes_are_killed_at_random(binary):
    done = subprocess.run(
        [sys.executable, TOP / "tests/soak/faults", "--seconds", "5", "--sallyport", binary],
        capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("passed\n")
    assert re.search(r"killed +\w", done.stdout) and "right      browse" in done.stdout


def conns_of(run_sallyport, proxy):
    """Worker → how many conns it has."""
    status = json.loads(run_sallyport("status", "--json", "-c", proxy.config_path).stdout)
    return {row["role"]: row["conns"] for row in status["processes"]
            if row["role"].startswith("worker")}


def is_served(conn):
    try:
        return conn.send(REQUEST).response().body == b"hello"
    except (OSError, EOFError):
        return False


def test_a_killed_worker_takes_its_own_conns_and_no_other(sallyport, backend, run_sallyport):
    proxy = sallyport(CONFIG, app=backend(HELLO).port)
    proxy.wait_event("ready")
    conns = [proxy.tls("web") for _ in range(CONNS)]
    assert all(is_served(conn) for conn in conns)
    held = conns_of(run_sallyport, proxy)
    assert sum(held.values()) == CONNS
    victim, other = children(proxy.pid)["worker 1"], children(proxy.pid)["worker 2"]
    os.kill(victim, signal.SIGKILL)
    started = proxy.wait_event("child_started", child="worker 1")[0]
    lost = proxy.events("child_lost")[0]
    assert (at(started) - at(lost)).total_seconds() < 0.1
    assert sum(is_served(conn) for conn in conns) == held["worker 2"]
    assert children(proxy.pid)["worker 2"] == other
    wait_until(lambda: conns_of(run_sallyport, proxy)["worker 1"] == 0, "no conn of the dead one")
    for conn in conns:
        conn.close()


def test_a_killed_keyholder_is_noticed_by_no_open_conn(sallyport, backend):
    proxy = sallyport(CONFIG, app=backend(HELLO).port)
    proxy.wait_event("ready")
    conns = [proxy.tls("web") for _ in range(CONNS)]
    os.kill(children(proxy.pid)["keyholder"], signal.SIGKILL)
    assert all(is_served(conn) for conn in conns)
    proxy.wait_event("child_started", child="keyholder")
    assert all(is_served(conn) for conn in conns)
    for conn in conns:
        conn.close()
