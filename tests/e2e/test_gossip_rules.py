"""The rules of mode `transparent`, as `sallyport gossip rules` prints them, in a network namespace of
their own: what they let through, and that nothing passes while nobody listens.

SPDX-License-Identifier: Apache-2.0
"""

import contextlib
import ctypes
import os
import re
import socket
import struct
import subprocess
import threading

import pytest

from conftest import BINARY, PATIENCE

PORT, OWN_PORT, OTHER_PORT, MARKER_PORT = 7946, 15946, 9999, 5353
OWN_MARK = 0x6753
SECRET = b"secret of the cluster"
MARKER = b"that was all"
CLONE_NEWNET = 0x40000000
IP_TRANSPARENT, IPV6_TRANSPARENT, IP_RECVORIGDSTADDR, IPV6_RECVORIGDSTADDR = 19, 75, 20, 74
IPV6_HDRINCL, SO_ORIGINAL_DST = 36, 80
ETH_P_ALL = 3
FAMILIES = pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["v4", "v6"])
ADDRESSES = {  # node, peer
    socket.AF_INET: ("10.99.0.1", "10.99.0.2"),
    socket.AF_INET6: ("fd99::1", "fd99::2"),
}
EVERYWHERE = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}
CONFIG = "gossip: [{name: serf, keyring: none, ports: [7946, 7947]}]\n"


# ---- namespaces ------------------------------------------------------------------------------


class Space:
    """A network namespace; its sockets work from here."""

    def __init__(self, name):
        self.name = name

    def run(self, *words, check=True, text=None):
        return subprocess.run(["ip", "netns", "exec", self.name, *words], input=text, check=check,
                              text=True, capture_output=True, timeout=PATIENCE)

    def inside(self, make):
        """What `make` returns when a thread of this namespace calls it."""
        result = []

        def work():
            libc = ctypes.CDLL(None, use_errno=True)
            with open(f"/run/netns/{self.name}") as space:
                if libc.setns(space.fileno(), CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            try:
                result.append(make())
            except OSError as error:
                result.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if isinstance(result[0], OSError):
            raise result[0]
        return result[0]

    def socket(self, *kind):
        made = self.inside(lambda: socket.socket(*kind))
        made.settimeout(PATIENCE)
        return made

    def udp(self, family, port=0, address=None):
        made = self.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((address or EVERYWHERE[family], port))
        return made

    def listen(self, family, port):
        made = self.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((EVERYWHERE[family], port))
        made.listen()
        return made

    def rules(self):
        """Everything that the script may have changed."""
        asked = (["nft", "list", "ruleset"], ["ip", "-4", "rule"], ["ip", "-6", "rule"],
                 ["ip", "-4", "route", "show", "table", "all"],
                 ["ip", "-6", "route", "show", "table", "all"])
        return [self.run(*words).stdout for words in asked]


def ip(*words):
    return subprocess.run(["ip", *words], capture_output=True, text=True, timeout=PATIENCE)


@pytest.fixture
def spaces():
    """A node and a peer, joined by a wire."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    names = [f"sp{os.getpid()}-{role}" for role in ("node", "peer")]
    if ip("netns", "add", names[0]).returncode != 0:
        pytest.skip("this machine lets nobody make a network namespace")
    try:
        assert ip("netns", "add", names[1]).returncode == 0
        assert ip("link", "add", "wire", "netns", names[0], "type", "veth",
                  "peer", "name", "wire", "netns", names[1]).returncode == 0
        for name, v4, v6 in zip(names, *ADDRESSES.values()):
            # Without an address of its own choice, whose routes would come some time later.
            for words in (["link", "set", "wire", "addrgenmode", "none"],
                          ["link", "set", "lo", "up"], ["link", "set", "wire", "up"],
                          ["addr", "add", f"{v4}/24", "broadcast", "10.99.0.255", "dev", "wire"],
                          ["addr", "add", f"{v6}/64", "dev", "wire", "nodad"]):
                done = ip("-n", name, *words)
                assert done.returncode == 0, done.stderr
        yield [Space(name) for name in names]
    finally:
        for name in names:
            ip("netns", "del", name)


def script(tmp_path, *options, config=CONFIG):
    path = tmp_path / "gossip.yaml"
    path.write_text(config)
    done = subprocess.run([BINARY, "gossip", "rules", "-c", path, *options], capture_output=True,
                          text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def install(node, tmp_path):
    node.run("sh", text=script(tmp_path))


# ---- what is seen ----------------------------------------------------------------------------


class Wire:
    """Listens at the peer's end of the wire."""

    def __init__(self, spaces):
        self.node, self.peer = spaces
        self.socket = self.peer.inside(
            lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.settimeout(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def has_seen(self, secret=SECRET):
        """Whether the node has sent it: all frames up to a marker that it sends now are looked at."""
        with self.node.udp(socket.AF_INET) as marker:
            marker.sendto(MARKER, (ADDRESSES[socket.AF_INET][1], MARKER_PORT))
        seen = False
        while True:
            frame, sender = self.socket.recvfrom(1 << 16)
            if sender[2] == socket.PACKET_OUTGOING:
                continue
            seen = seen or secret in frame
            if MARKER in frame and b"\x45" in frame[14:15]:
                return seen


def has_got(receiver, sender, address):
    """Whether the secret came, when `sender` says the marker to a port that nobody steers: on one
    wire nothing overtakes."""
    family = receiver.family
    with sender.udp(family) as speaker:
        speaker.sendto(MARKER, (address, MARKER_PORT))
    receiver.setblocking(False)
    got = b""
    with contextlib.suppress(BlockingIOError):
        while True:
            got += receiver.recv(1 << 16)
    return SECRET in got


def wait_for_marker(node, peer, family, action):
    """Does it, then waits until the node has a packet that the peer has sent behind it."""
    with node.udp(family, MARKER_PORT) as marker, peer.udp(family) as speaker:
        action()
        speaker.sendto(MARKER, (ADDRESSES[family][0], MARKER_PORT))
        assert marker.recv(100) == MARKER


BOTH_WAYS = pytest.mark.parametrize("is_ruled", [False, True], ids=["without_rules", "with_rules"])


# ---- the script ------------------------------------------------------------------------------


def test_running_it_twice_is_the_same_and_removing_leaves_nothing(spaces, tmp_path):
    node, _ = spaces
    before = node.rules()
    node.run("sh", text=script(tmp_path))
    once = node.rules()
    assert "table inet sallyport-gossip-serf" in once[0]
    assert all(was != now for was, now in zip(before, once))
    node.run("sh", text=script(tmp_path))
    assert node.rules() == once
    node.run("sh", text=script(tmp_path, "--remove"))
    assert node.rules() == before
    node.run("sh", text=script(tmp_path, "--remove"))
    assert node.rules() == before


def test_clusters_share_nothing_that_one_of_them_removes(spaces, tmp_path):
    node, _ = spaces
    both = CONFIG[:-2] + ", {name: b, keyring: none, ports: 8074, own_port: 18074}]\n"
    node.run("sh", text=script(tmp_path, "--cluster", "b", config=both))
    alone = node.rules()
    node.run("sh", text=script(tmp_path, config=both))
    assert node.rules() != alone
    node.run("sh", text=script(tmp_path, "--cluster", "serf", "--remove", config=both))
    assert node.rules() == alone


@pytest.mark.parametrize("name", ["a", "-", "..", "0", "table", "ip.2-x_", "A" * 64])
def test_every_name_of_a_cluster_is_one_of_a_table(spaces, tmp_path, name):
    node, _ = spaces
    node.run("sh", text=script(tmp_path, config=CONFIG.replace("serf", f"'{name}'")))
    tables = node.run("nft", "list", "tables").stdout
    assert tables == f"table inet sallyport-gossip-{name}\n"


def test_a_node_without_ip6_gets_rules_too(spaces, tmp_path):
    node, _ = spaces
    node.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
    install(node, tmp_path)
    assert "fwmark" in node.run("ip", "-4", "rule").stdout
    assert "fwmark" not in node.run("ip", "-6", "rule").stdout


@pytest.mark.parametrize("options, config, sentence", [
    (["--cluster", "sorf"], CONFIG, "there is no gossip cluster 'sorf'; did you mean 'serf'?"),
    ([], "listeners: [{name: w, address: '[::]:80', mode: redirect}]\n",
     "has no gossip cluster of mode transparent"),
    (["--frob"], CONFIG, "unrecognized option"),
    (["more"], CONFIG, "`more` is not understood"),
    ([], "gossip: [{name: x}]\n", "cluster 'x' has no key"),
])
def test_what_cannot_be_printed_is_told(tmp_path, options, config, sentence):
    path = tmp_path / "gossip.yaml"
    path.write_text(config)
    done = subprocess.run([BINARY, "gossip", "rules", "-c", path, *options], capture_output=True,
                          text=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr


# ---- nobody listens: nothing passes ----------------------------------------------------------


@FAMILIES
@BOTH_WAYS
@pytest.mark.parametrize("size", [1, 1400, 20000])
@pytest.mark.parametrize("ports", [(PORT, PORT), (PORT, OTHER_PORT), (OTHER_PORT, 7947)])
def test_no_packet_of_the_node_is_seen(spaces, tmp_path, family, is_ruled, size, ports):
    node, peer = spaces
    if is_ruled:
        install(node, tmp_path)
    with Wire(spaces) as wire, node.udp(family, ports[0]) as speaker:
        speaker.sendto(SECRET + bytes(size), (ADDRESSES[family][1], ports[1]))
        assert wire.has_seen() == (not is_ruled)
        speaker.setblocking(False)
        with pytest.raises(BlockingIOError):  # nor does it come back from the way that it was steered
            speaker.recv(100)


@FAMILIES
@BOTH_WAYS
@pytest.mark.parametrize("size", [1, 1400, 20000])
def test_no_packet_of_a_peer_reaches_the_node(spaces, tmp_path, family, is_ruled, size):
    node, peer = spaces
    if is_ruled:
        install(node, tmp_path)
    with node.udp(family, PORT) as receiver, peer.udp(family, PORT) as speaker:
        wait_for_marker(node, peer, family, lambda: speaker.sendto(
            SECRET + bytes(size), (ADDRESSES[family][0], PORT)))
        assert has_got(receiver, peer, ADDRESSES[family][0]) == (not is_ruled)


@BOTH_WAYS
@pytest.mark.parametrize("target", ["10.99.0.255", "255.255.255.255", "224.0.0.1", "ff02::1"])
def test_no_packet_to_everybody_passes(spaces, tmp_path, is_ruled, target):
    node, peer = spaces
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    if is_ruled:
        install(node, tmp_path)
    for sender, receiver in ((peer, node), (node, peer)):
        with receiver.udp(family, PORT) as ear, sender.udp(family, OTHER_PORT) as speaker:
            speaker.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            speaker.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"wire")
            there = ADDRESSES[family][0 if receiver is node else 1]
            with receiver.udp(family, MARKER_PORT) as marker:
                with contextlib.suppress(PermissionError):  # the node is told at once
                    speaker.sendto(SECRET, (target, PORT))
                with sender.udp(family) as other:
                    other.sendto(MARKER, (there, MARKER_PORT))
                assert marker.recv(100) == MARKER
            assert has_got(ear, sender, there) == (not is_ruled)


@FAMILIES
@BOTH_WAYS
def test_no_conn_is_made_either_way(spaces, tmp_path, family, is_ruled):
    node, peer = spaces
    if is_ruled:
        install(node, tmp_path)
    for sender, receiver, address in ((node, peer, ADDRESSES[family][1]),
                                      (peer, node, ADDRESSES[family][0])):
        with receiver.listen(family, PORT), sender.socket(family, socket.SOCK_STREAM) as conn:
            if is_ruled:
                with pytest.raises(ConnectionRefusedError):
                    conn.connect((address, PORT))
            else:
                conn.connect((address, PORT))


@FAMILIES
@BOTH_WAYS
@pytest.mark.parametrize("is_dialled_by_node", [True, False], ids=["out", "in"])
@pytest.mark.parametrize("is_tracked", [True, False], ids=["tracked", "untracked"])
def test_a_conn_older_than_the_rules_carries_nothing_more(spaces, tmp_path, family, is_ruled,
                                                          is_dialled_by_node, is_tracked):
    """NAT takes a conn for new when nobody has tracked it before, and else leaves it alone."""
    node, peer = spaces
    if is_tracked:
        node.run("nft", "-f", "-", text="table inet before { chain in { type filter hook input "
                                        "priority 0; ct state established accept; }; }")
    dialler, listener = (node, peer) if is_dialled_by_node else (peer, node)
    address = ADDRESSES[family][1 if is_dialled_by_node else 0]
    with listener.listen(family, PORT) as ear, \
            dialler.socket(family, socket.SOCK_STREAM) as conn:
        conn.connect((address, PORT))
        accepted, _ = ear.accept()
        of_node, of_peer = (conn, accepted) if is_dialled_by_node else (accepted, conn)
        if is_ruled:  # without conntrack's help: by the guards alone
            node.run("sh", text=script(tmp_path).replace("command -v conntrack", "false"))
        with Wire(spaces) as wire, accepted:
            of_node.send(SECRET)
            assert wire.has_seen() == (not is_ruled)
            wait_for_marker(node, peer, family, lambda: of_peer.send(SECRET))
            of_node.setblocking(False)
            if is_ruled and is_dialled_by_node:
                return  # the node cannot confirm what it gets: it ends by itself
            if is_ruled:
                with pytest.raises((BlockingIOError, ConnectionError)):
                    of_node.recv(100)
            else:
                assert of_node.recv(100) == SECRET


@FAMILIES
def test_packets_stay_when_the_routing_rule_is_gone(spaces, tmp_path, family):
    """As after a restart of networkd, which removes the rules that it does not know."""
    node, _ = spaces
    install(node, tmp_path)
    version = "-4" if family == socket.AF_INET else "-6"
    mark = re.search(r"fwmark (0x\w+)", node.run("ip", version, "rule").stdout).group(1)
    node.run("ip", version, "rule", "del", "fwmark", mark)
    with Wire(spaces) as wire, node.udp(family, PORT) as speaker:
        with contextlib.suppress(PermissionError):  # the guard of the way out says so
            speaker.sendto(SECRET, (ADDRESSES[family][1], PORT))
        assert not wire.has_seen()


# ---- what we deliver -------------------------------------------------------------------------


def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff or 0xffff


def packet(family, source, target, port, body):
    """An IP packet with UDP from the source's port, as if it came from there."""
    source, target = socket.inet_pton(family, source), socket.inet_pton(family, target)
    length = 8 + len(body)
    udp = struct.pack("!HHHH", port, port, length, 0) + body
    total = checksum(source + target + struct.pack("!II", length, 17) + udp)
    udp = udp[:6] + struct.pack("!H", total) + udp[8:]
    if family == socket.AF_INET:
        return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, 1, 0, 64, 17, 0, source,
                           target) + udp
    return struct.pack("!IHBB16s16s", 6 << 28, length, 17, 64, source, target) + udp


def deliver(node, family, body):
    """As the sidecar does: from the peer's address and port, to the node's, marked as ours."""
    there, here = ADDRESSES[family][1], ADDRESSES[family][0]
    with node.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, OWN_MARK)
        if family == socket.AF_INET6:
            raw.setsockopt(socket.IPPROTO_IPV6, IPV6_HDRINCL, 1)
        raw.sendto(packet(family, there, here, PORT, body), (here, 0))


@FAMILIES
@BOTH_WAYS
def test_what_we_deliver_reaches_the_node_from_its_peer(spaces, tmp_path, family, is_ruled):
    node, _ = spaces
    if is_ruled:
        install(node, tmp_path)
    with node.udp(family, PORT) as receiver:
        deliver(node, family, SECRET)
        got, sender = receiver.recvfrom(100)
        assert (got, sender[:2]) == (SECRET, (ADDRESSES[family][1], PORT))


@FAMILIES
@BOTH_WAYS
@pytest.mark.parametrize("reflect", [0, 1])
def test_a_node_that_does_not_listen_gives_nothing_away(spaces, tmp_path, family, is_ruled,
                                                        reflect):
    """The kernel answers with an ICMP error, which quotes the packet."""
    node, _ = spaces
    version = "ipv4" if family == socket.AF_INET else "ipv6"
    node.run("sysctl", "-qw", f"net.{version}.fwmark_reflect={reflect}")
    if is_ruled:
        install(node, tmp_path)
    with Wire(spaces) as wire:
        deliver(node, family, SECRET)
        assert wire.has_seen() == (not is_ruled)


# ---- somebody listens ------------------------------------------------------------------------


def original_target(ancillary):
    for level, kind, value in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, IP_RECVORIGDSTADDR):
            return socket.inet_ntop(socket.AF_INET, value[4:8]), *struct.unpack("!H", value[2:4])
        if (level, kind) == (socket.IPPROTO_IPV6, IPV6_RECVORIGDSTADDR):
            return socket.inet_ntop(socket.AF_INET6, value[8:24]), *struct.unpack("!H", value[2:4])
    return None


def sidecar_udp(node, family):
    made = node.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET:
        made.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
        made.setsockopt(socket.IPPROTO_IP, IP_RECVORIGDSTADDR, 1)
    else:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
        made.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, 1)
    made.bind((EVERYWHERE[family], OWN_PORT))
    return made


@FAMILIES
@pytest.mark.parametrize("size", [1, 1400, 20000])
def test_packets_of_both_directions_come_to_us(spaces, tmp_path, family, size):
    node, peer = spaces
    here, there = ADDRESSES[family]
    install(node, tmp_path)
    with sidecar_udp(node, family) as ours, node.udp(family, PORT) as of_node, \
            peer.udp(family, PORT) as of_peer:
        of_node.sendto(SECRET + bytes(size), (there, PORT))
        got, ancillary, _, sender = ours.recvmsg(1 << 16, 1000)
        assert got == SECRET + bytes(size)
        assert (sender[:2], original_target(ancillary)) == ((here, PORT), (there, PORT))
        of_peer.sendto(SECRET + bytes(size), (here, PORT))
        got, ancillary, _, sender = ours.recvmsg(1 << 16, 1000)
        assert got == SECRET + bytes(size)
        assert (sender[:2], original_target(ancillary)) == ((there, PORT), (here, PORT))


@pytest.mark.parametrize("everybody", ["10.99.0.255", "224.0.0.1"])
def test_packets_to_everybody_do_not_come_to_us(spaces, tmp_path, everybody):
    node, peer = spaces
    family = socket.AF_INET
    install(node, tmp_path)
    with sidecar_udp(node, family) as ours:
        for sender, target in ((node, ADDRESSES[family][1]), (peer, ADDRESSES[family][0])):
            with sender.udp(family, OTHER_PORT) as speaker:
                speaker.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                own = ADDRESSES[family][0 if sender is node else 1]
                speaker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(own))
                with contextlib.suppress(PermissionError):
                    speaker.sendto(SECRET, (everybody, PORT))
                speaker.sendto(MARKER, (target, PORT))
                assert ours.recv(100) == MARKER


@FAMILIES
def test_conns_of_both_directions_come_to_us(spaces, tmp_path, family):
    node, peer = spaces
    install(node, tmp_path)
    level, size = (socket.IPPROTO_IP, 16) if family == socket.AF_INET else (socket.IPPROTO_IPV6, 28)
    with node.listen(family, OWN_PORT) as ours:
        for dialler, target in ((node, ADDRESSES[family][1]), (peer, ADDRESSES[family][0])):
            with dialler.socket(family, socket.SOCK_STREAM) as conn:
                conn.connect((target, PORT))
                accepted, _ = ours.accept()
                with accepted:
                    wanted = accepted.getsockopt(level, SO_ORIGINAL_DST, size)
                    assert struct.unpack("!H", wanted[2:4])[0] == PORT
                    ip_bytes = wanted[4:8] if family == socket.AF_INET else wanted[8:24]
                    assert socket.inet_ntop(family, ip_bytes) == target
                    accepted.sendall(SECRET)
                    assert conn.recv(100) == SECRET


@FAMILIES
def test_what_we_send_passes(spaces, tmp_path, family):
    node, peer = spaces
    here, there = ADDRESSES[family]
    install(node, tmp_path)
    with peer.listen(family, PORT) as ear, node.socket(family, socket.SOCK_STREAM) as conn, \
            peer.udp(family, PORT) as packets, node.udp(family) as speaker:
        for ours in (conn, speaker):
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, OWN_MARK)
        conn.connect((there, PORT))
        ear.accept()[0].close()
        speaker.sendto(SECRET, (there, PORT))
        assert packets.recv(100) == SECRET
    with node.listen(family, PORT) as ear, node.socket(family, socket.SOCK_STREAM) as conn:
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, OWN_MARK)
        conn.connect((here, PORT))
        ear.accept()[0].close()


@FAMILIES
@BOTH_WAYS
def test_our_own_port_is_nobodys_service(spaces, tmp_path, family, is_ruled):
    node, peer = spaces
    if is_ruled:
        install(node, tmp_path)
    with node.listen(family, OWN_PORT) as ear, sidecar_udp(node, family) as packets:
        for caller in (peer, node):
            with caller.udp(family) as speaker, \
                    caller.socket(family, socket.SOCK_STREAM) as conn:
                conn.setblocking(False)
                conn.connect_ex((ADDRESSES[family][0], OWN_PORT))
                with contextlib.suppress(PermissionError):
                    speaker.sendto(SECRET, (ADDRESSES[family][0], OWN_PORT))
                with node.udp(family, MARKER_PORT) as marker, caller.udp(family) as other:
                    other.sendto(MARKER, (ADDRESSES[family][0], MARKER_PORT))
                    assert marker.recv(100) == MARKER
                ear.setblocking(False)
                packets.setblocking(False)
                if is_ruled:
                    with pytest.raises(BlockingIOError):
                        ear.accept()
                    with pytest.raises(BlockingIOError):
                        packets.recv(100)
                else:
                    ear.accept()[0].close()
                    assert packets.recv(100) == SECRET


@FAMILIES
def test_what_stays_on_the_machine_and_other_ports_are_untouched(spaces, tmp_path, family):
    node, peer = spaces
    here, there = ADDRESSES[family]
    install(node, tmp_path)
    with node.udp(family, PORT) as one, node.udp(family, 7947) as other:
        one.sendto(SECRET, (here, 7947))
        assert other.recv(100) == SECRET
    with peer.udp(family, OTHER_PORT) as ear, node.udp(family, OTHER_PORT) as speaker:
        speaker.sendto(SECRET, (there, OTHER_PORT))
        assert ear.recv(100) == SECRET
        ear.sendto(SECRET, (here, OTHER_PORT))
        assert speaker.recv(100) == SECRET
