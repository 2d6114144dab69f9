"""Keys that change, and clusters that move from plaintext to sidecars, while they work: nobody may
be taken for failed, and no event may get lost.

SPDX-License-Identifier: Apache-2.0
"""

import contextlib
import json

import pytest
from conftest import wait_until
from gossip_lab import SLOW, Talk, base64_of, make_key, open_lab, wait_members

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


def wait_primary(wire, hosts, key, count=5):
    """Until each of these hosts sends with that key."""
    def all_do():
        catch = wire.so_far()
        return all(catch.count_sealed(key, source=host.ipv4) >= count for host in hosts)
    wait_until(all_do, "packets that are sealed with the key", pause=0.2)


def test_a_key_is_changed_under_traffic_and_nobody_flaps(lab):
    """Sidecars take the new key, then the natives; natives use it, then the sidecars; the old one
    goes. serf's own `keys` reports a failure for each member that has no keyring of its own."""
    old, new = make_key(), make_key()
    ring = lab.folder / "serf.keyring"
    ring.write_text(json.dumps([base64_of(old)]))
    first, native, third = [lab.host() for _ in range(3)]
    sidecars = [lab.sidecar(host, [old]) for host in (first, third)]
    one = lab.serf(first, "node1")
    two = lab.serf(native, "node2", keyring_file=ring, join=one)
    agents = [one, two, lab.serf(third, "node3", join=one)]
    wait_members(agents)
    hosts = [first, native, third]

    with undisturbed(agents):
        for sidecar in sidecars:
            sidecar.change_keyring([old, new])
        assert two.keys("-install", base64_of(new)).returncode != 0
        assert set(json.loads(ring.read_text())) == {base64_of(old), base64_of(new)}
        two.keys("-use", base64_of(new))
        assert json.loads(ring.read_text())[0] == base64_of(new)
        wire = lab.wire()
        wait_primary(wire, [native], new)
        wait_primary(wire, [first, third], old)
        for sidecar in sidecars:
            sidecar.change_keyring([new, old])
        wait_primary(wire, hosts, new)
        wire.stop()
        two.keys("-remove", base64_of(old))
        assert json.loads(ring.read_text()) == [base64_of(new)]
        for sidecar in sidecars:
            sidecar.change_keyring([new])
        last = lab.wire()
        wait_primary(last, hosts, new)
    assert last.stop().unsealed([new]) == []


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
    states, after half a minute, which is not waited for."""
    key = make_key()
    agents = lab.cluster("plain", "plain", "plain")
    hosts = [agent.host for agent in agents]
    wait_members(agents)
    with nobody_fails(agents):
        for host in hosts:
            lab.sidecar(host, [key], enforcement=REPORT, incoming="any", outgoing="plaintext")
        wire = lab.wire()
        wire.wait_until(lambda catch: len(catch.unsealed([key])) > 10, "plaintext as before")
        all_hear(agents, "step-1")
        for host in hosts:
            host.sidecar.change(outgoing="encrypted")
        wait_primary(wire, hosts, key)
        all_hear(agents, "step-2")
        wire.stop()
        for host in hosts:
            host.sidecar.change(incoming="encrypted")
        last = lab.wire()
        wait_primary(last, hosts, key)
        all_hear(agents, "step-3")
    assert last.stop().unsealed([key]) == []
