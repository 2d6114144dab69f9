"""Mode relay: sidecars without any privilege, between which loopback addresses stand for the members
of the cluster.

SPDX-License-Identifier: Apache-2.0
"""

import itertools
import pathlib

import pytest
from conftest import wait_until
from gossip_lab import (PORT, TO_NOTICE, make_key, open_lab, wait_arrived, wait_members, wait_nodes,
                        without_privileges)

pytestmark = pytest.mark.alone

MESSAGES = [("best", 1), ("best", 1400), ("best", 60_000), ("reliable", 1), ("reliable", 1_000_000)]


@pytest.fixture
def lab(request, binary, tmp_path):
    yield from open_lab(request, binary, tmp_path)


def stand_in(host):
    return f"127.77.0.{host.number}"


def member(host):
    return {"virtual": stand_in(host), "address": f"{host.ipv4}:{PORT}"}


@pytest.fixture
def relays(lab):
    """Three hosts with a relay each, and the key."""
    key = make_key()
    hosts = [lab.host() for _ in range(3)]
    for host in hosts:
        lab.sidecar(host, [key], mode="relay", before=without_privileges(), node=member(host),
                    peers=[member(other) for other in hosts if other is not host])
    return hosts, key


def capabilities(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {line.split()[1] for line in lines if line.startswith(("CapPrm", "CapEff", "CapBnd"))}


def test_relays_need_no_privilege_and_no_rules(relays):
    hosts, _ = relays
    for host in hosts:
        for pid in (host.sidecar.sallyport.pid, host.sidecar.child()):
            assert capabilities(pid) == {"0" * 16}
        assert host.run("nft", "list", "ruleset").stdout == ""


def test_serf_works_on_loopback_addresses_that_stand_for_the_members(lab, relays):
    hosts, key = relays
    wire = lab.wire()
    agents = []
    for number, host in enumerate(hosts, 1):
        agents.append(lab.serf(host, f"node{number}", bind=stand_in(host), profile="local",
                               join=agents[0] if agents else None))
    wait_members(agents)
    assert agents[1].query("load", "words", seconds=1)[0] == [agent.name for agent in agents]
    agents[2].kill()
    wait_members(agents[:2], node3="failed", patience=TO_NOTICE)
    agents[2].run()
    agents[2].join(agents[1])
    wait_members(agents)
    catch = wire.stop()
    assert catch.unsealed([key]) == []
    assert all(catch.count_sealed(key, source=host.ipv4) for host in hosts)


def test_messages_of_all_sizes_pass_the_relays(lab, relays):
    hosts, key = relays
    wire = lab.wire()
    nodes = []
    for name, host in zip("abc", hosts, strict=True):
        nodes.append(lab.node(host, name, bind=stand_in(host)))
        if len(nodes) > 1:
            nodes[-1].join(f"{stand_in(hosts[0])}:{PORT}")
    wait_nodes(nodes)
    for one, other in itertools.permutations(nodes, 2):
        wait_arrived(other, one.send(other, *MESSAGES))
    assert wire.stop().unsealed([key]) == []


def test_a_member_with_a_real_address_is_kept_out(lab, relays):
    """The node would dial it past its relay, in plaintext."""
    hosts, key = relays
    inner = lab.serf(hosts[0], "node1", bind=stand_in(hosts[0]))
    stranger = lab.serf(lab.host(), "stranger", key=key)
    wire = lab.wire()
    stranger.call("join", f"{hosts[0].ipv4}:{PORT}", check=False)
    wait_until(lambda: any(event.get("peer", "").startswith(stranger.host.ipv4)
                           for event in hosts[0].sidecar.events("gossip_refused")), "the refusal")
    wait_members([inner])
    assert wire.stop().unsealed([key]) == []
