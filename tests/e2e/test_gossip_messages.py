"""User messages of hashicorp/memberlist through the sidecar: every size, as datagrams and as streams,
in all directions between nodes behind Sallyport and one that encrypts itself, over IPv4 and IPv6.

The nodes probe each other with datagrams alone, so that a stream cannot hide a lost datagram.

SPDX-License-Identifier: Apache-2.0
"""

import itertools

import pytest
from gossip_lab import make_key, need_labels, open_lab, wait_arrived, wait_nodes

# Around the limits: one byte, what a packet of an Ethernet holds, fragments, the most.
BEST_EFFORT = [1, 2, 100, 1371, 1372, 1400, 1443, 1444, 1472, 1473, 9000, 60_000]
RELIABLE = [1, 1000, 65_536, 1_000_000]
NARROW_MTU = 1400


@pytest.fixture
def lab(request, binary, tmp_path):
    yield from open_lab(request, binary, tmp_path)


class Trio:
    """Three hosts; the first and the third have a sidecar."""

    def __init__(self, lab, key_size=32, **settings):
        self.lab = lab
        self.key = make_key(key_size)
        self.hosts = [lab.host() for _ in range(3)]
        for host in (self.hosts[0], self.hosts[2]):
            lab.sidecar(host, [self.key], **settings)

    def nodes(self, **keywords):
        """A cluster of three, whose second node has the key."""
        found = []
        for name, host, keys in zip("abc", self.hosts, ([], [self.key], []), strict=True):
            found.append(self.lab.node(host, name, keys=keys, join=found[0] if found else None,
                                       **keywords))
        wait_nodes(found)
        return found


@pytest.fixture(scope="module")
def trio(request, binary, tmp_path_factory):
    for lab in open_lab(request, binary, tmp_path_factory.mktemp("trio")):
        yield Trio(lab)


def exchange(nodes, best=BEST_EFFORT, reliable=RELIABLE):
    """Each sends to each all these sizes; all must arrive."""
    messages = [("best", size) for size in best] + [("reliable", size) for size in reliable]
    for one, other in itertools.permutations(nodes, 2):
        wait_arrived(other, one.send(other, *messages))


def leave(nodes):
    for node in nodes:
        node.leave()


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("wildcard", [False, True], ids=["own-address", "wildcard"])
def test_messages_of_all_sizes_arrive_in_all_directions(trio, version, wildcard):
    wire = trio.lab.wire()
    nodes = trio.nodes(version=version, wildcard=wildcard)
    exchange(nodes)
    leave(nodes)
    catch = wire.stop()
    assert catch.unsealed([trio.key]) == []
    assert catch.count_sealed(trio.key) >= 6 * len(BEST_EFFORT)
    assert catch.marks_found("SourceAddr", "UserStateOfTheNode") == []


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_a_narrow_path_gets_fragments_and_all_arrive(lab, version):
    trio = Trio(lab)
    for host in trio.hosts:
        host.set_mtu(NARROW_MTU)
    wire = lab.wire()
    exchange(trio.nodes(version=version), best=[1300, 1371, 1400, 20_000], reliable=[65_536])
    catch = wire.stop()
    addresses = {host.ipv4 for host in trio.hosts} | {host.ipv6 for host in trio.hosts}
    assert {d.source[0] for d in catch.datagrams if d.fragments > 1} <= addresses
    for host in (trio.hosts[0], trio.hosts[2]):
        source = host.ipv4 if version == 4 else host.ipv6
        assert any(d.fragments == 2 for d in catch.datagrams if d.source[0] == source)
    assert catch.unsealed([trio.key]) == []


@pytest.mark.parametrize("key_size", [16, 24])
def test_shorter_keys_do_as_well_where_the_policy_allows_them(lab, key_size):
    trio = Trio(lab, key_size, enforcement={"ciphers": "modern"})
    exchange(trio.nodes(), best=[1, 1400], reliable=[1000])


def test_what_is_sent_in_version_0_is_understood(lab):
    trio = Trio(lab, version=0)
    wire = lab.wire()
    exchange(trio.nodes(), best=[1, 15, 16, 17, 1400, 60_000], reliable=[1, 65_536])
    catch = wire.stop()
    sidecars = {trio.hosts[0].ipv4, trio.hosts[2].ipv4}
    versions = {(d.source[0] in sidecars, d.payload[0]) for d in catch.datagrams}
    assert versions == {(True, 0), (False, 1)}


def test_messages_without_compression_arrive(lab):
    exchange(Trio(lab).nodes(compress=False), best=[1, 1400, 60_000], reliable=[1, 1_000_000])


@pytest.mark.parametrize("settings", [{}, {"label": "staging"}], ids=["from-node", "fixed"])
def test_labels_are_kept_and_authenticated(lab, settings):
    need_labels()
    trio = Trio(lab, **settings)
    wire = lab.wire()
    exchange(trio.nodes(label="staging"), best=[1, 1400, 60_000], reliable=[1, 1_000_000])
    catch = wire.stop()
    assert catch.unsealed([trio.key], label=b"staging") == []
    assert catch.count_sealed(trio.key, label=b"staging") > 18
