"""The process that carries a cluster's gossip, from outside: what it may do, what it holds, and that it
dies alone; and what the instance says about the peers.

SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import pathlib
import re
import signal
import time

import pytest
from conftest import wait_until
from gossip_lab import PORT, base64_of, children_of, make_key, open_lab, wait_members

pytestmark = pytest.mark.alone

NET_RAW = 1 << 13


@pytest.fixture(scope="module")
def lab(request, binary, tmp_path_factory):
    yield from open_lab(request, binary, tmp_path_factory.mktemp("gossip-process"))


@pytest.fixture(scope="module")
def pair(lab):
    """A node in plaintext with its sidecar, and a member that encrypts by itself."""
    key = make_key()
    plain, native = lab.host(), lab.host()
    sidecar = lab.sidecar(plain, [key])
    one = lab.serf(plain, "one")
    other = lab.serf(native, "other", key=key, join=one)
    wait_members([one, other])
    return sidecar, one, other, key


def facts(pid):
    return dict(line.split(":\t", 1)
                for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
                if ":\t" in line)


def memory_of(pid):
    """Every byte that the process can read of itself."""
    found = []
    with open(f"/proc/{pid}/mem", "rb") as memory:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            begin, end, rights = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
            if not rights.startswith("rw") or int(end, 16) - int(begin, 16) > 1 << 28:
                continue
            try:
                memory.seek(int(begin, 16))
                found.append(memory.read(int(end, 16) - int(begin, 16)))
            except OSError:
                continue
    return found


def kill_child(sidecar):
    """And waits for the next one."""
    before = sidecar.child()
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: sidecar.child() not in (before, None), "another gossip process")
    sidecar.verb("wait", "-c", sidecar.config_path)


def test_has_one_capability_and_a_user_of_its_own(pair):
    found = facts(pair[0].child())
    for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
        assert int(found[kind], 16) == NET_RAW, kind
    assert found["NoNewPrivs"] == "1"
    users = found["Uid"].split()
    assert len(set(users)) == 1 and users[0] != "0"
    assert users[0] != facts(pair[0].sallyport.pid)["Uid"].split()[0]


def test_says_what_it_is_in_its_command_line(pair):
    assert pathlib.Path(f"/proc/{pair[0].child()}/cmdline").read_bytes() \
        .startswith(b"sallyport: gossip 1")


def test_does_not_keep_the_text_of_its_keyring(pair):
    sidecar, _, _, key = pair
    text = base64_of(key).encode()
    assert not any(text in part for part in memory_of(sidecar.child()))
    # That it would be found: the master holds it, to hand it on to the next one.
    assert any(text in part for part in memory_of(sidecar.sallyport.pid))


def test_tells_each_peer_as_a_hop_with_when_it_was_proven(pair):
    sidecar, _, other, _ = pair
    done = sidecar.verb("posture", "--json", "-c", sidecar.config_path)
    posture = json.loads(done.stdout)
    hops = {hop["name"]: hop for hop in posture["hops"]}
    assert {"gossip/cluster/node", "gossip/cluster/out", "gossip/cluster/in"} <= set(hops)
    hop = hops[f"gossip/cluster/peer/{other.host.ipv4}:{PORT}"]
    assert hop["protection"] == "gossip-aes-256-gcm"
    assert hop["verdict"] == "ok"
    assert hop["proven_seconds"] is not None and hop["proven_seconds"] < 30
    assert hop["counters"]["sealed"] > 0 and hop["counters"]["opened"] > 0
    assert "clear_in" not in hop["counters"] and "clear_out" not in hop["counters"]
    assert posture["violations"] == 0


def test_shows_the_posture_to_people_and_as_a_table(pair):
    sidecar, _, other, _ = pair
    text = sidecar.verb("posture", "-c", sidecar.config_path).stdout
    assert re.search(rf"gossip/cluster/peer/{other.host.ipv4}:{PORT}  gossip-aes-256-gcm  ok", text)
    assert "by a packet that a key opened" in text
    table = sidecar.verb("posture", "--markdown", "-c", sidecar.config_path).stdout.splitlines()
    assert table[0].startswith("| hop | from | to |")
    assert all(line.count(" | ") == 5 for line in table[2:])


def test_forgets_no_count_when_it_is_started_again(pair):
    sidecar, _, other, _ = pair
    before = sidecar.counters()
    kill_child(sidecar)
    after = sidecar.counters()
    assert after["sealed"] >= before["sealed"] > 0
    assert after["opened"] >= before["opened"] > 0


def test_dies_alone(lab, authority):
    """A worker and the keyholder beside it do not notice, nor does it see the TLS key."""
    key = make_key()
    host = lab.host()
    chain, private = authority.issue("beside.example")
    sidecar = lab.sidecar(host, [key], beside={
        "certificates": [{"name": "beside", "chain": str(chain), "key": str(private)}],
        "listeners": [{"name": "web", "address": "127.0.0.1:8443", "mode": "http",
                       "routes": [{"backend": "app"}]}],
        "backends": {"app": {"servers": ["http://127.0.0.1:9"]}}})
    processes = {row["role"]: row for row in sidecar.status()["processes"]}
    assert set(processes) == {"keyholder", "worker 1", "gossip 1"}
    secret = pathlib.Path(private).read_bytes().splitlines()[1]
    assert not any(secret in part for part in memory_of(sidecar.child()))
    kill_child(sidecar)
    after = {row["role"]: row for row in sidecar.status()["processes"]}
    for role in ("keyholder", "worker 1"):
        assert after[role]["pid"] == processes[role]["pid"]
    sidecar.stop()


def test_a_weak_key_is_refused_at_the_start_and_later(lab):
    host = lab.host()
    strong, weak = make_key(), make_key(16)
    sidecar = lab.sidecar(host, [strong])
    sidecar.write_keyring([weak])
    event = sidecar.wait_event("keyring_refused")
    assert "128 bits, the policy asks for 256" in event[-1]["reason"]
    assert [row["is_loaded"] for row in sidecar.keys()] == [False]
    text = sidecar.keyring_verb("list", check=False).stdout
    assert "128 bits, the policy asks for 256" in text, text
    done = sidecar.verb("check", "-c", sidecar.config_path, check=False)
    assert done.returncode == 1 and "128 bits" in done.stderr
    sidecar.write_keyring([strong])
    sidecar.stop()


def test_a_hang_up_reads_the_keyring_again(lab):
    host = lab.host()
    first, second = make_key(), make_key()
    sidecar = lab.sidecar(host, [first])
    before = len(sidecar.events("keyring_taken"))
    # In place, as `cat >` does: told by the folder as well, so that this is the signal's test only
    # in so far as nothing is done twice.
    sidecar.write_keyring([second, first])
    sidecar.sallyport.process.signal(signal.SIGHUP)
    sidecar.sallyport.process.wait_for(
        lambda: len(sidecar.events("keyring_taken")) == before + 1, "the keyring")
    time.sleep(0.3)
    assert len(sidecar.events("keyring_taken")) == before + 1
    assert len(sidecar.keys()) == 2
    assert len(children_of(sidecar.sallyport.pid)) == 1
    sidecar.stop()


def test_an_upgrade_lets_the_next_process_carry_on(lab):
    """Its ports are the former one's, so that ends first; the rules stay, and are removed at the end."""
    key = make_key()
    plain, native = lab.host(), lab.host()
    sidecar = lab.sidecar(plain, [key])
    one = lab.serf(plain, "one")
    other = lab.serf(native, "other", key=key, join=one)
    wait_members([one, other])
    before = sidecar.child()
    sidecar.sallyport.process.signal(signal.SIGUSR2)
    sidecar.wait_event("upgraded")
    wait_until(lambda: not pathlib.Path(f"/proc/{before}").exists(), "the former process to end")
    assert sidecar.child() not in (before, None)
    assert "cluster" in plain.run("nft", "list", "tables").stdout
    assert not sidecar.events("rules_removed")
    third = lab.serf(lab.host(), "third", key=key, join=other)
    wait_members([one, other, third])
    sidecar.stop()
    assert sidecar.events("rules_removed")
    assert "cluster" not in plain.run("nft", "list", "tables").stdout
