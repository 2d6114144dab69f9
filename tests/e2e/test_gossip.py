"""The gossip sidecar with real serf agents: those that speak plaintext behind Sallyport form one
cluster with one that encrypts itself, and live through losses, cuts and kills.

The claims about one standing cluster share it, and one capture of all that it ever says.

SPDX-License-Identifier: Apache-2.0
"""

import concurrent.futures
import contextlib
import os
import select
import signal
import socket
import time

import pytest
from conftest import PATIENCE, wait_until
from gossip_lab import PORT, TO_NOTICE, make_key, open_lab, wait_members, without_privileges
from gossip_network import opened, sealed, sealed_frame

pytestmark = pytest.mark.alone

PAYLOAD = "payload-of-an-event"
WORDS_OF_MESSAGES = ("SourceAddr", "Incarnation", "UserStateLen", "SeqNo", PAYLOAD)
LOSS_SECONDS = 20
LOST_PER_CENT = 10
STATE_OF_RULES = (("nft", "list", "ruleset"), ("ip", "rule"), ("ip", "-6", "rule"))
SILENCE = 0.3  # seconds, after which nothing comes any more


@pytest.fixture
def lab(request, binary, tmp_path):
    yield from open_lab(request, binary, tmp_path)


@pytest.fixture(scope="module")
def standing_lab(request, binary, tmp_path_factory):
    yield from open_lab(request, binary, tmp_path_factory.mktemp("gossip"))


@pytest.fixture(scope="module", autouse=True)
def lossy(request, binary, tmp_path_factory):
    """A cluster that loses a tenth of its packets while the other tests run; judged at the end.
    With a fifth, members of a cluster of three take each other for failed now and then, with
    sidecars or without: there is one to ask for help, and one to spread what refutes it."""
    for lab in open_lab(request, binary, tmp_path_factory.mktemp("lossy")):
        cluster = Cluster(lab)
        wait_members(cluster.agents)
        lab.network.lose_packets(LOST_PER_CENT)
        cluster.since = time.monotonic()
        yield cluster


class Cluster:
    """node1 and node3 speak plaintext behind Sallyport, node2 encrypts."""

    def __init__(self, lab):
        self.lab = lab
        self.key = make_key()
        self.wire = lab.wire()
        self.agents = lab.cluster("sidecar", "native", "sidecar", key=self.key, compression=False)
        self.hosts = [agent.host for agent in self.agents]

    def failures(self):
        return [agent.failures() for agent in self.agents]

    @contextlib.contextmanager
    def nobody_fails(self, since_the_start=False):
        before = [[]] * len(self.agents) if since_the_start else self.failures()
        yield
        assert self.failures() == before

    def is_well(self):
        """Members agree, and an event of each reaches all."""
        wait_members(self.agents)
        for agent in self.agents:
            payload = f"{PAYLOAD}-{self.lab.number()}"
            agent.send_event("deploy", payload)
            for other in self.agents:
                other.wait_heard("deploy", payload)


@pytest.fixture(scope="module")
def cluster(standing_lab):
    return Cluster(standing_lab)


# ---- one cluster of both kinds -----------------------------------------------------------------


def test_plaintext_nodes_and_one_that_encrypts_form_a_cluster(cluster):
    wait_members(cluster.agents)
    for agent in cluster.agents:
        assert agent.addresses() == {
            other.name: f"{other.host.ipv4}:{PORT}" for other in cluster.agents}


def test_events_of_each_reach_all(cluster):
    for agent in cluster.agents:
        agent.send_event("deploy", f"{PAYLOAD}-of-{agent.name}")
    for agent in cluster.agents:
        for other in cluster.agents:
            agent.wait_heard("deploy", f"{PAYLOAD}-of-{other.name}")


def test_a_query_of_each_is_answered_by_all(cluster):
    names = [agent.name for agent in cluster.agents]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda agent: agent.query("load", PAYLOAD, 1), cluster.agents))
    for acks, responses in answers:
        assert acks == names
        assert responses == {name: f"{name} heard {PAYLOAD}" for name in names}


def test_a_member_that_is_cut_off_fails_and_comes_back(cluster):
    one, native, other = cluster.agents
    wait_members(cluster.agents)
    other.host.cut_off()
    wait_members([one, native], [one.name, native.name], node3="failed", patience=TO_NOTICE)
    wait_members([other], [other.name], node1="failed", node2="failed", patience=TO_NOTICE)
    other.host.plug_in()
    wait_members(cluster.agents, patience=TO_NOTICE)


def test_a_killed_gossip_process_is_replaced_and_nobody_notices(cluster):
    sidecar = cluster.hosts[0].sidecar
    with cluster.nobody_fails():
        before = sidecar.child()
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: sidecar.child() not in (before, None), "another gossip process")
        sidecar.wait_event("child_lost")
        cluster.is_well()


def test_an_instance_that_is_killed_and_started_again_finds_its_cluster(cluster):
    sidecar = cluster.hosts[2].sidecar
    with cluster.nobody_fails():
        sidecar.kill()
        sidecar.run()
        cluster.is_well()


def test_a_member_that_leaves_has_left_and_not_failed(cluster):
    host = cluster.lab.host()
    cluster.lab.sidecar(host, [cluster.key])
    # From here on the cluster takes longer to notice a failure: it counts four members.
    leaver = cluster.lab.serf(host, "leaver", join=cluster.agents[1])
    wait_members([*cluster.agents, leaver])
    leaver.leave()
    wait_members(cluster.agents, leaver="left")
    assert all("leaver" not in agent.failures() for agent in cluster.agents)
    host.sidecar.stop()


def test_nothing_of_the_cluster_was_ever_on_the_wire_in_plaintext(cluster):
    """The last of them, so that it sees all of the above. That it can fail shows
    test_gossip_lab.py, with clusters that encrypt nothing."""
    cluster.is_well()
    for agent in cluster.agents:  # an exchange of states, over a conn each
        agent.join(cluster.agents[agent is cluster.agents[0]])
    cluster.wire.wait_until(lambda catch: catch.count_sealed(cluster.key) > 10, "sealed packets")
    catch = cluster.wire.so_far()
    assert catch.unsealed([cluster.key]) == []
    assert catch.marks_found(*WORDS_OF_MESSAGES, *(agent.name for agent in cluster.agents)) == []
    senders = {datagram.source for datagram in catch.datagrams}
    assert {(host.ipv4, PORT) for host in cluster.hosts} <= senders
    dialled = {source[0] for source, target in catch.streams if target[1] == PORT}
    assert {host.ipv4 for host in cluster.hosts} <= dialled


def test_nobody_fails_while_a_tenth_of_all_packets_is_lost(lossy):
    with lossy.nobody_fails(since_the_start=True):
        time.sleep(max(0, lossy.since + LOSS_SECONDS - time.monotonic()))
        assert lossy.lab.network.lost_packets() > 5
        lossy.is_well()
    assert lossy.wire.stop().unsealed([lossy.key]) == []


class Ears:
    """Sockets on the gossip port of a host, and what they get."""

    def __init__(self, host):
        self.host = host
        with host.inside():
            self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.datagrams.bind(("0.0.0.0", PORT))
            self.conns = socket.create_server((host.ipv4, PORT))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.datagrams.close()
        self.conns.close()

    def say(self, other, words):
        """Sends these words as a datagram and over a conn. False: the conn did not come about, or
        was ended."""
        self.datagrams.sendto(words, (other.ipv4, PORT))
        try:
            with self.host.inside():
                conn = socket.create_connection((other.ipv4, PORT), SILENCE)
            with conn:
                conn.sendall(words)
                return conn.recv(1) != b""  # nobody answers: a time-out means that it stands
        except TimeoutError:
            return True
        except OSError:
            return False

    def heard(self, count=0):
        """All that comes: so many messages are waited for, then silence."""
        found = []
        while True:
            patience = PATIENCE if len(found) < count else SILENCE
            ready = select.select([self.datagrams, self.conns], [], [], patience)[0]
            if not ready:
                return found
            for one in ready:
                found += self._take(one)

    def _take(self, ready):
        if ready is self.datagrams:
            return [ready.recv(65536)]
        conn, _ = ready.accept()
        with conn, contextlib.suppress(TimeoutError, ConnectionError):
            conn.settimeout(PATIENCE)
            words = conn.recv(65536)
            return [words] if words else []
        return []


# ---- who may not -----------------------------------------------------------------------------


def wait_refused(sidecar, peer, cause):
    """Until the log says that something of that peer was refused for that cause."""
    def found():
        return [event for event in sidecar.events() if event.get("cause") == cause
                and peer in str(event.get("peer"))]
    return wait_until(found, f"a line about {peer} and {cause}")


@pytest.fixture(scope="module")
def member(standing_lab):
    """A cluster of one."""
    return standing_lab.cluster("sidecar", key=make_key(), name="member")[0]


def test_a_node_with_another_key_does_not_join_and_the_log_names_it(member):
    stranger = member.lab.serf(member.lab.host(), "stranger", key=make_key())
    assert not stranger.try_to_join(member)
    wait_refused(member.host.sidecar, stranger.host.ipv4, "no_key_fits")
    wait_members([member])
    wait_members([stranger])


def test_a_sidecar_with_another_key_does_not_join(member):
    stranger, = member.lab.cluster("sidecar", key=make_key(), name="stranger")
    assert not stranger.try_to_join(member)
    wait_refused(member.host.sidecar, stranger.host.ipv4, "no_key_fits")
    wait_members([member])


def test_a_node_without_a_key_does_not_join_and_the_log_names_it(member):
    stranger = member.lab.serf(member.lab.host(), "stranger")
    assert not stranger.try_to_join(member)
    wait_refused(member.host.sidecar, stranger.host.ipv4, "plaintext")
    wait_members([member])


class Doorstep:
    """A node behind a sidecar, and a peer without one that says what it likes."""

    def __init__(self, lab):
        self.key = make_key()
        self.inner, self.outer = lab.host(), lab.host()
        self.sidecar = lab.sidecar(self.inner, [self.key])

    @contextlib.contextmanager
    def counts(self, **expected):
        """These counters grow by that much, and no other that is named here."""
        names = ("opened", "replayed", "clear_in")
        before = self.sidecar.counters()
        yield
        after = self.sidecar.counters()
        assert {name: after[name] - before[name] for name in names} == {
            name: expected.get(name, 0) for name in names}


@pytest.fixture(scope="module")
def doorstep(standing_lab):
    return Doorstep(standing_lab)


def test_a_packet_that_is_repeated_reaches_the_node_once(doorstep):
    packet = sealed(doorstep.key, b"\x08 once")
    with doorstep.counts(opened=1, replayed=2):
        with Ears(doorstep.inner) as node, Ears(doorstep.outer) as peer:
            for _ in range(3):
                peer.datagrams.sendto(packet, (doorstep.inner.ipv4, PORT))
            assert node.heard(1) == [b"\x08 once"]


def flipped(packet, place):
    changed = bytearray(packet)
    changed[place] ^= 1
    return bytes(changed)


def test_no_packet_that_was_tampered_with_reaches_the_node(doorstep):
    packet = sealed(doorstep.key, b"\x08 whole")
    forged = [flipped(packet, place) for place in range(len(packet))]
    forged += [packet[:length] for length in range(len(packet))]
    forged += [packet + b"\0", b"\x08 whole", sealed(make_key(), b"\x08 whole"),
               sealed(doorstep.key, b"\x08 whole", label=b"other")[7:]]
    with doorstep.counts(opened=1):
        with Ears(doorstep.inner) as node, Ears(doorstep.outer) as peer:
            for one in [*forged, packet]:
                peer.datagrams.sendto(one, (doorstep.inner.ipv4, PORT))
            assert node.heard(1) == [b"\x08 whole"]


USER_MESSAGE = b"\x08\x81\xaaUserMsgLen\x05hello"
NO_FRAMES = {
    "plaintext": USER_MESSAGE, "http": b"GET / HTTP/1.1\r\n\r\n", "nothing": b"",
    "too long": b"\x0a\xff\xff\xff\xff", "too short": b"\x0a\0\0\0\x01\x01",
    "other key": sealed_frame(bytes(32), USER_MESSAGE)}


def test_no_conn_that_says_something_else_reaches_the_node(doorstep):
    frame = sealed_frame(doorstep.key, USER_MESSAGE)
    wrong = [*NO_FRAMES.values(), flipped(frame, 20), flipped(frame, len(frame) - 1)]
    with Ears(doorstep.inner) as node, contextlib.ExitStack() as stack:
        for words in [*wrong, frame]:
            with doorstep.outer.inside():
                conn = socket.create_connection((doorstep.inner.ipv4, PORT), 5)
            stack.enter_context(conn).sendall(words)
        assert node.heard(1) == [USER_MESSAGE]


# ---- with no more than it needs ----------------------------------------------------------------


def test_net_raw_is_enough_when_somebody_else_installs_the_rules(lab):
    key = make_key()
    host = lab.host()
    lab.sidecar(host, [key], rules="external", before=without_privileges("net_raw"))
    wire = lab.wire()
    native = lab.serf(lab.host(), "native", key=key)
    inner = lab.serf(host, "inner", join=native)
    wait_members([inner, native])
    assert inner.query("load", PAYLOAD, seconds=1)[0] == ["inner", "native"]
    assert wire.stop().unsealed([key]) == []


# ---- while the sidecar is dead -----------------------------------------------------------------


def test_while_the_instance_is_dead_nothing_passes_in_either_direction(lab):
    key = make_key()
    inner, outer = lab.host(), lab.host()
    sidecar = lab.sidecar(inner, [key])
    wire = lab.wire()
    with Ears(inner) as node, Ears(outer) as peer:
        sidecar.kill()
        node.say(outer, b"\x08 secret of the node")
        peer.say(inner, b"\x08 forged by a peer")
        assert peer.heard() == []
        assert node.heard() == []
        assert wire.so_far().marks_found("secret of the node") == []

        sidecar.run()
        node.datagrams.sendto(b"\x08 secret of the node", (outer.ipv4, PORT))
        packet, = peer.heard(1)
        assert opened([key], packet) == b"\x08 secret of the node"
    assert wire.stop().marks_found("secret of the node") == []


def test_an_instance_leaves_its_rules_so_that_the_node_stays_silent(lab):
    """Without a word about rules, that is."""
    host, outer = lab.host(), lab.host()
    before = [host.run(*words).stdout for words in STATE_OF_RULES]
    sidecar = lab.sidecar(host, [make_key()], rules=None)
    sidecar.stop()
    assert sidecar.events("rules_removed") == []
    with Ears(host) as node, Ears(outer) as peer:
        node.say(outer, b"\x08 secret of the node")
        assert peer.heard() == []
    host.run("sh", text=sidecar.verb("gossip", "rules", "--remove", "-c", sidecar.config_path).stdout)
    assert [host.run(*words).stdout for words in STATE_OF_RULES] == before


def test_an_instance_that_ends_in_order_takes_its_rules_back_and_says_so(lab):
    host = lab.host()
    before = [host.run(*words).stdout for words in STATE_OF_RULES]
    sidecar = lab.sidecar(host, [make_key()])
    assert [host.run(*words).stdout for words in STATE_OF_RULES] != before
    sidecar.stop()
    sidecar.wait_event("rules_removed", level="warn")
    assert [host.run(*words).stdout for words in STATE_OF_RULES] == before


def test_while_the_gossip_process_is_stopped_nothing_passes(lab):
    """As it is between its death and its successor: the sockets are there, and nobody reads."""
    inner, outer = lab.host(), lab.host()
    sidecar = lab.sidecar(inner, [make_key()])
    wire = lab.wire()
    with Ears(inner) as node, Ears(outer) as peer:
        os.kill(sidecar.child(), signal.SIGSTOP)
        try:
            node.say(outer, b"\x08 secret of the node")
            peer.say(inner, b"\x08 forged by a peer")
            assert peer.heard() == []
            assert node.heard() == []
        finally:
            os.kill(sidecar.child(), signal.SIGCONT)
    assert wire.stop().marks_found("secret of the node") == []


def test_without_a_sidecar_all_of_it_passes(lab):
    """The control of the two above."""
    inner, outer = lab.host(), lab.host()
    with Ears(inner) as node, Ears(outer) as peer:
        assert node.say(outer, b"\x08 secret of the node")
        assert peer.say(inner, b"\x08 forged by a peer")
        assert peer.heard(2) == [b"\x08 secret of the node"] * 2
        assert node.heard(2) == [b"\x08 forged by a peer"] * 2
