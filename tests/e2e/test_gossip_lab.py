"""The lab of the gossip tests itself, without a sidecar: what its checks find, and what they do not.
A check that cannot fail would prove nothing of the sidecar.

SPDX-License-Identifier: Apache-2.0
"""

import contextlib
import socket

import pytest
from conftest import wait_until
from gossip_lab import make_key, open_lab, wait_arrived, wait_members, wait_nodes
from gossip_network import Network, namespaces, processes_in

pytestmark = pytest.mark.alone

KEYS_OF_MESSAGES = ("SourceAddr", "Incarnation", "UserStateLen")


@pytest.fixture
def lab(request, binary, tmp_path):
    yield from open_lab(request, binary, tmp_path)


@pytest.mark.parametrize("compression", [False, True])
def test_finds_a_plaintext_cluster_on_the_wire(lab, compression):
    wire = lab.wire()
    one, other = lab.cluster("plain", "plain", compression=compression)
    wait_members([one, other])
    one.send_event("deploy", "payload-of-an-event")
    other.wait_heard("deploy", "payload-of-an-event")
    wire.wait_until(lambda catch: catch.marks_found(*KEYS_OF_MESSAGES), "a probe")
    catch = wire.stop()
    if not compression:  # which hides words of more than a few letters
        assert catch.marks_found(one.name) and catch.marks_found("payload-of-an-event")
    unsealed = catch.unsealed([make_key()])
    assert any("UDP" in line for line in unsealed) and any("TCP" in line for line in unsealed)


def test_finds_nothing_on_the_wire_of_a_cluster_that_encrypts(lab):
    key = make_key()
    wire = lab.wire()
    one, other = lab.cluster("native", "native", key=key)
    wait_members([one, other])
    one.send_event("deploy", "payload-of-an-event")
    other.wait_heard("deploy", "payload-of-an-event")
    wire.wait_until(lambda catch: catch.count_sealed(key) > 3, "probes")
    catch = wire.stop()
    assert catch.unsealed([key]) == []
    assert catch.marks_found(*KEYS_OF_MESSAGES, one.name, other.name, "payload-of-an-event") == []
    assert catch.unsealed([make_key()]) != [], "any key would fit"


def count_arrivals(one, other, count):
    """How many of that many datagrams arrive."""
    with other.inside():
        target = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        target.bind((other.ipv4, 5000))
    with one.inside():
        source = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with target, source:
        for number in range(count):
            source.sendto(str(number).encode(), (other.ipv4, 5000))
        target.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            for arrived in range(count):
                target.recv(100)
            return count
        return arrived


def test_the_bridge_loses_packets_when_it_is_told_to(lab):
    one, other = lab.host(), lab.host()
    assert count_arrivals(one, other, 100) == 100
    lab.network.lose_packets(50)
    assert 20 < count_arrivals(one, other, 100) < 80
    lab.network.lose_packets(0)
    assert count_arrivals(one, other, 100) == 100


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("wildcard", [False, True])
def test_commanded_nodes_reach_each_other(lab, version, wildcard):
    key = make_key()
    first = lab.node(lab.host(), "first", keys=[key], version=version, wildcard=wildcard)
    second = lab.node(lab.host(), "second", keys=[key], version=version, wildcard=wildcard,
                      join=first)
    wait_nodes([first, second])
    wait_arrived(first, second.send(first, ("best", 1), ("best", 60_000), ("reliable", 1_000_000)))


def test_puts_fragments_together(lab):
    key = make_key()
    first = lab.node(lab.host(), "first", keys=[key])
    second = lab.node(lab.host(), "second", keys=[key], join=first)
    wait_nodes([first, second])
    wire = lab.wire()
    wait_arrived(second, first.send(second, ("best", 20_000)))
    catch = wire.stop()
    assert any(d.fragments > 10 for d in catch.datagrams)
    assert catch.unsealed([key]) == []


def test_leaves_nothing_behind(lab):
    network = Network()
    host = network.host()
    sleeper = lab.start_on(host, "sleeper", "sleep", "1000")
    wait_until(lambda: host.namespace in namespaces() and processes_in(host.namespace),
               "the program to be in there")
    network.close()
    assert not [name for name in namespaces() if name.startswith(network.name + "-")]
    sleeper.wait()
