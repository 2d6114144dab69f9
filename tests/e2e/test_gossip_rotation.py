"""Keys that change, and clusters that move from plaintext to sidecars, while they work: nobody may
be taken for failed, and no event may get lost.

SPDX-License-Identifier: Apache-2.0
"""

import base64
import contextlib
import json

import pytest
from conftest import wait_until
from gossip_lab import SLOW, Talk, base64_of, make_key, open_lab, wait_members

pytestmark = pytest.mark.alone

@pytest.fixture
def lab(request, binary, tmp_path):
    yield from open_lab(request, binary, tmp_path)


@contextlib.contextmanager
def nobody_fails(agents):
    yield
    wait_members(agents)
    assert [agent.failures() for agent in agents] == [[]] * len(agents)


@contextlib.contextmanager
def undisturbed(agents):
    """Whatever happens in the block: nobody is taken for failed, and nothing that is said is lost."""
    with nobody_fails(agents):
        with Talk(agents) as talk:
            yield
        wait_until(lambda: not talk.missing(), f"all of {len(talk.said)} events", pause=SLOW)
        assert talk.said


def wait_primary(wire, hosts, key, count=3):
    """Until each of these hosts sends with that key."""
    def all_do():
        catch = wire.so_far()
        return all(catch.count_sealed(key, source=host.ipv4) >= count for host in hosts)
    wait_until(all_do, "packets that are sealed with the key", pause=0.2)


def test_a_key_is_changed_under_traffic_and_nobody_flaps(lab):
    """Sidecars take the new key, then the native does and uses it, then the sidecars use it; the old
    one goes. serf's own `keys` reports a failure for each member that has no keyring of its own, and
    does what it can."""
    old, new = make_key(), make_key()
    ring = lab.folder / "serf.keyring"
    ring.write_text(json.dumps([base64_of(old)]))
    hosts = [lab.host() for _ in range(3)]
    sidecars = [lab.sidecar(host, [old]) for host in (hosts[0], hosts[2])]
    one = lab.serf(hosts[0], "node1")
    two = lab.serf(hosts[1], "node2", keyring_file=ring, join=one)
    agents = [one, two, lab.serf(hosts[2], "node3", join=one)]
    wait_members(agents)
    with undisturbed(agents):
        for sidecar in sidecars:
            sidecar.keyring_verb("add", "-", text=base64_of(new))
        assert two.keys("-install", base64_of(new)).returncode != 0
        assert set(json.loads(ring.read_text())) == {base64_of(old), base64_of(new)}
        two.keys("-use", base64_of(new))
        assert json.loads(ring.read_text())[0] == base64_of(new)
        wire = lab.wire()
        wait_primary(wire, [hosts[1]], new)
        wait_primary(wire, [hosts[0], hosts[2]], old)
        wire.stop()
        for sidecar in sidecars:
            assert all(key["opened"] > 0 for key in sidecar.keys())
            sidecar.keyring_verb("use", sidecar.keys()[1]["id"])
        two.keys("-remove", base64_of(old))
        assert json.loads(ring.read_text()) == [base64_of(new)]
        for sidecar in sidecars:
            sidecar.keyring_verb("remove", sidecar.keys()[1]["id"])
        last = lab.wire()
        wait_primary(last, hosts, new)
    assert last.stop().unsealed([new]) == []
    assert all(base64_of(key) not in sidecar.sallyport.process.err
               for key in (old, new) for sidecar in sidecars)


AT_A_NODE = """#!/bin/sh
# What ssh would be: runs the words after the first one on that node, where /the-node is its folder.
node=$1
shift
ip netns exec "$node" sh -c "$(echo "$*" | sed "s#/the-node#$(cat {folder}/$node)#g")"
"""


def test_one_command_changes_the_key_of_a_whole_cluster_and_nobody_flaps(lab):
    old = make_key()
    agents = lab.cluster("sidecar", "sidecar", "sidecar", key=old)
    hosts = [agent.host for agent in agents]
    way = lab.folder / "at-a-node"
    way.write_text(AT_A_NODE.format(folder=lab.folder))
    way.chmod(0o755)
    for host in hosts:
        (lab.folder / host.namespace).write_text(f"{host.sidecar.folder}")
    wait_members(agents)
    with undisturbed(agents):
        hosts[0].sidecar.verb(
            "keyring", "rotate", "/the-node/cluster.keyring", "--nodes",
            ",".join(host.namespace for host in hosts), "--via", f"{way} {{}}",
            "--remote-command", lab.binary, "-c", "/the-node/sallyport.yaml", "--settle", "2s")
        new, = {host.sidecar.keyring.read_text().strip() for host in hosts}
        assert new != base64_of(old)
        wire = lab.wire()
        wait_primary(wire, hosts, base64.b64decode(new))
    assert wire.stop().unsealed([base64.b64decode(new)]) == []


def test_a_keyring_that_cannot_be_read_leaves_the_former_one_in_use(lab):
    key = make_key()
    agents = lab.cluster("sidecar", "native", key=key)
    wait_members(agents)
    sidecar = agents[0].host.sidecar
    with undisturbed(agents):
        sidecar.keyring.write_text("no key at all\n")
        sidecar.wait_event("keyring_refused")
        wire = lab.wire()
        wait_primary(wire, [agent.host for agent in agents], key)
    assert base64_of(key) not in sidecar.sallyport.process.err


REPORT = {"mode": "report"}


def all_hear(agents, words):
    for agent in agents:
        agent.send_event("talk", f"{words}-{agent.name}")
    for agent in agents:
        for other in agents:
            other.wait_heard("talk", f"{words}-{agent.name}")


def test_a_plaintext_cluster_moves_to_sidecars_step_by_step(lab):
    """incoming: any, outgoing: plaintext; then outgoing: encrypted; then incoming: encrypted. Each
    step starts an instance anew; what is said while one is away comes with the next exchange of
    states, after half a minute, which is not waited for. Nobody may be taken for failed meanwhile,
    by a failure detector that outlasts a start on a slow machine."""
    key = make_key()
    agents = lab.cluster("plain", "plain", "plain", profile="wan")
    hosts = [agent.host for agent in agents]
    wait_members(agents)
    with nobody_fails(agents):
        for host in hosts:
            lab.sidecar(host, [key], enforcement=REPORT, incoming="any", outgoing="plaintext")
        wire = lab.wire()
        wire.wait_until(lambda catch: len(catch.unsealed([key])) > 10, "plaintext as before")
        for counters in (host.sidecar.counters() for host in hosts):
            assert counters["clear_in"] > 0 and counters["clear_out"] > 0
            assert counters["sealed"] == 0
        all_hear(agents, "step-1")
        for host in hosts:
            host.sidecar.change(outgoing="encrypted")
        wait_primary(wire, hosts, key)
        all_hear(agents, "step-2")
        for host in hosts:  # from now on plaintext that comes in would be seen here
            assert host.sidecar.counters()["clear_out"] == 0
        before = [host.sidecar.counters()["clear_in"] for host in hosts]
        all_hear(agents, "still-2")
        assert [host.sidecar.counters()["clear_in"] for host in hosts] == before
        wire.stop()
        for host in hosts:
            host.sidecar.change(incoming="encrypted")
        last = lab.wire()
        wait_primary(last, hosts, key)
        all_hear(agents, "step-3")
    assert last.stop().unsealed([key]) == []
