"""A network of hosts for the tests of gossip: network namespaces on one bridge, and what was said
on it.

    network = Network()                  # skips the test, loudly, where namespaces are impossible
    one, other = network.host(), network.host()
    one.run("ping", "-c1", other.ipv4)
    network.lose_packets(20)             # per cent, of all that passes the bridge
    one.cut_off()                        # the cable is out, the interface stays
    network.close()                      # kills what runs in the namespaces, and removes them

A bridge stands in a namespace of its own, so that nothing of the machine's network is touched and a
capture on it sees what leaves any host, once, as a wire would.

SPDX-License-Identifier: Apache-2.0
"""

import collections
import contextlib
import ctypes
import dataclasses
import itertools
import os
import pathlib
import signal
import socket
import struct
import subprocess
import warnings

import pytest
from conftest import wait_until
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PREFIX = "sallyport-lab"
networks = itertools.count(1)


def skip_loudly(reason):
    warnings.warn(f"gossip is NOT tested: {reason}")
    pytest.skip(f"NOT TESTED: {reason}")


# ---- namespaces --------------------------------------------------------------------------------


def words(*argv):
    return [str(word) for word in argv]


def ip(*argv, check=True):
    done = subprocess.run(words("ip", *argv), stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=30)
    if check and done.returncode != 0:
        pytest.fail(f"ip {' '.join(words(*argv))}: {done.stderr}", pytrace=False)
    return done


def namespaces():
    return [line.split()[0] for line in ip("netns", "list", check=False).stdout.splitlines()]


def processes_in(name):
    return [int(word) for word in ip("netns", "pids", name, check=False).stdout.split()]


def remove_namespace(name):
    """Everything in it is killed first, or the namespace would live on without a name."""
    for pid in processes_in(name):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    ip("netns", "del", name, check=False)


def remove_leftovers():
    """Namespaces of test processes that were killed before they could clean up."""
    for name in namespaces():
        if name.startswith(PREFIX):
            owner = name.removeprefix(f"{PREFIX}-").split("-")[0]
            if not pathlib.Path(f"/proc/{owner}").exists():
                remove_namespace(name)


class Network:
    def __init__(self):
        if os.geteuid() != 0:
            skip_loudly("network namespaces need root")
        self.name = f"{PREFIX}-{os.getpid()}-{next(networks)}"
        self.switch = f"{self.name}-switch"
        self.hosts = []
        remove_leftovers()
        made = ip("netns", "add", self.switch, check=False)
        if made.returncode != 0:
            skip_loudly(f"network namespaces cannot be made here: {made.stderr.strip()}")
        # Learnt groups and the spanning tree would delay the first packets.
        ip("-n", self.switch, "link", "add", "name", "br0", "type", "bridge", "stp_state", "0",
           "mcast_snooping", "0")
        ip("-n", self.switch, "link", "set", "br0", "up")

    def host(self):
        host = Host(self, len(self.hosts) + 1)
        self.hosts.append(host)
        return host

    def run(self, *argv, **keywords):
        """A command in the bridge's namespace."""
        return run_in(self.switch, *argv, **keywords)

    def lose_packets(self, per_cent):
        """That share of all IP packets gets lost on the bridge; 0: none."""
        self.run("nft", "flush", "ruleset")
        if per_cent == 0:
            return
        done = self.run("nft", "-f", "-", check=False, text=f"""
            table bridge lab {{
              chain forward {{
                type filter hook forward priority 0; policy accept;
                ether type {{ ip, ip6 }} numgen random mod 100 < {per_cent} counter drop
              }}
            }}
            """)
        if done.returncode != 0:
            skip_loudly(f"this kernel's bridge cannot lose packets: {done.stderr.strip()}")

    def lost_packets(self):
        text = self.run("nft", "list", "ruleset").stdout
        return int(text.partition("counter packets ")[2].split()[0])

    def close(self):
        for host in self.hosts:
            remove_namespace(host.namespace)
        remove_namespace(self.switch)


def run_in(namespace, *argv, check=True, text=None, patience=30):
    done = subprocess.run(words("ip", "netns", "exec", namespace, *argv), input=text or "",
                          capture_output=True, text=True, timeout=patience)
    if check and done.returncode != 0:
        pytest.fail(f"{' '.join(words(*argv))} ended with {done.returncode}\n{done.stdout}"
                    f"{done.stderr}", pytrace=False)
    return done


class Host:
    """One namespace with eth0 on the bridge: 10.77.0.N/24 and fd77::N/64."""

    def __init__(self, network, number):
        self.network = network
        self.number = number
        self.namespace = f"{network.name}-{number}"
        self.port = f"port{number}"
        self.ipv4 = f"10.77.0.{number}"
        self.ipv6 = f"fd77::{number}"
        self.sidecar = None  # whoever starts one here says so
        ip("netns", "add", self.namespace)
        ip("-n", network.switch, "link", "add", self.port, "type", "veth", "peer", "name", "eth0",
           "netns", self.namespace)
        ip("-n", network.switch, "link", "set", self.port, "master", "br0", "up")
        ip("-n", self.namespace, "link", "set", "lo", "up")
        ip("-n", self.namespace, "link", "set", "eth0", "up")
        ip("-n", self.namespace, "addr", "add", f"{self.ipv4}/24", "dev", "eth0")
        ip("-n", self.namespace, "addr", "add", f"{self.ipv6}/64", "dev", "eth0", "nodad")

    def words(self, *argv):
        """What runs a program in here; it keeps the process id."""
        return words("ip", "netns", "exec", self.namespace, *argv)

    def run(self, *argv, **keywords):
        return run_in(self.namespace, *argv, **keywords)

    def address(self, version=4):
        return self.ipv4 if version == 4 else f"[{self.ipv6}]"

    def set_mtu(self, mtu):
        ip("-n", self.network.switch, "link", "set", self.port, "mtu", mtu)
        ip("-n", self.namespace, "link", "set", "eth0", "mtu", mtu)

    def cut_off(self):
        ip("-n", self.network.switch, "link", "set", self.port, "nomaster")

    def plug_in(self):
        ip("-n", self.network.switch, "link", "set", self.port, "master", "br0")

    def inside(self):
        """Sockets that this thread opens meanwhile are the host's."""
        return inside(self.namespace)


@contextlib.contextmanager
def inside(namespace):
    here = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter(there)
        yield
    finally:
        enter(here)
        os.close(there)
        os.close(here)


def enter(descriptor):
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, 0x40000000) != 0:  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), "setns")


# ---- what was said on the wire -----------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Datagram:
    source: tuple
    target: tuple
    payload: bytes
    fragments: int


MARK_KIND = 0x88b5  # IEEE 802 leaves this one to experiments
BROADCAST = b"\xff" * 6
FROM_NOBODY = b"\x02" + bytes(5)


class Wire:
    """What passes the bridge, from start to stop, by tcpdump."""

    def __init__(self, network, start, folder, number):
        self.path = folder / f"wire-{number}.pcap"
        self.process = start("tcpdump", [
            "ip", "netns", "exec", network.switch, "tcpdump", "-i", "br0", "-w", self.path, "-U",
            "-s0", "-B", "16384", "-n", "--immediate-mode", "-Z", "root",
            f"ip or ip6 or ether proto {MARK_KIND}"])
        self.process.wait_for(lambda: "listening on" in self.process.err, "the capture")
        with inside(network.switch):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.socket.bind(("br0", 0))

    def _catch_up(self):
        """Sends a frame that says nothing: when it is in the file, all that was before is."""
        mark = os.urandom(16)
        self.socket.send(BROADCAST + FROM_NOBODY + struct.pack(">H", MARK_KIND) + mark + bytes(30))
        self.process.wait_for(lambda: mark in self.path.read_bytes(), "a mark in the capture")

    def stop(self):
        """What was caught, as a Catch."""
        self._catch_up()
        self.socket.close()
        self.process.signal(signal.SIGINT)
        self.process.wait()
        return Catch(self.path.read_bytes())

    def so_far(self):
        """What was caught until now; the capture goes on."""
        self._catch_up()
        return Catch(self.path.read_bytes())

    def wait_until(self, condition, what, patience=None):
        """Until the condition holds of what was caught."""
        return wait_until(lambda: condition(self.so_far()), f"{what} on the wire", patience, 0.2)


class Catch:
    """The frames of a capture, and what they are put together: datagrams and streams."""

    def __init__(self, pcap):
        self.frames = list(frames_of(pcap))
        self.datagrams = []
        self.streams = {}  # (source, target) -> bytes, one direction of one conn each
        self._fragments = collections.defaultdict(dict)
        self._segments = collections.defaultdict(dict)
        for frame in self.frames:
            self._add_frame(frame)
        for ends, segments in self._segments.items():
            self.streams[ends] = joined(segments)

    def _add_frame(self, frame):
        kind = struct.unpack_from(">H", frame, 12)[0]
        if kind == 0x0800:
            self._add_ipv4(frame[14:])
        elif kind == 0x86dd:
            self._add_ipv6(frame[14:])

    def _add_ipv4(self, packet):
        total, identity, flags = struct.unpack_from(">HHH", packet, 2)
        source, target = (socket.inet_ntop(socket.AF_INET, packet[n:n + 4]) for n in (12, 16))
        body = packet[(packet[0] & 15) * 4:total]
        self._add_body(source, target, packet[9], body, identity, (flags & 0x1fff) * 8,
                       bool(flags & 0x2000))

    def _add_ipv6(self, packet):
        length, following = struct.unpack_from(">HB", packet, 4)
        source, target = (socket.inet_ntop(socket.AF_INET6, packet[n:n + 16]) for n in (8, 24))
        body = packet[40:40 + length]
        identity, offset, more = 0, 0, False
        if following == 44:
            following, _, place, identity = struct.unpack_from(">BBHI", body)
            offset, more, body = place & 0xfff8, bool(place & 1), body[8:]
        self._add_body(source, target, following, body, identity, offset, more)

    def _add_body(self, source, target, protocol, body, identity, offset, more):
        count = 1
        if offset or more:
            pieces = self._fragments[source, target, protocol, identity]
            pieces[offset] = (body, more)
            body = whole(pieces)
            if body is None:
                return
            count = len(pieces)
            del self._fragments[source, target, protocol, identity]
        if protocol == socket.IPPROTO_UDP:
            ports = struct.unpack_from(">HH", body)
            self.datagrams.append(
                Datagram((source, ports[0]), (target, ports[1]), body[8:], count))
        elif protocol == socket.IPPROTO_TCP:
            self._add_segment(source, target, body)

    def _add_segment(self, source, target, segment):
        source_port, target_port, sequence = struct.unpack_from(">HHI", segment)
        payload = segment[(segment[12] >> 4) * 4:]
        if payload:
            held = self._segments[(source, source_port), (target, target_port)]
            held[sequence] = max(held.get(sequence, b""), payload, key=len)

    def marks_found(self, *marks):
        """Which of these words stand somewhere on the wire as they are."""
        texts = ([datagram.payload for datagram in self.datagrams] + list(self.streams.values())
                 + self.frames)
        marks = [mark.encode() if isinstance(mark, str) else mark for mark in marks]
        return sorted({mark for mark in marks for text in texts if mark in text})

    def unsealed(self, keys, ports=(7946,), label=b""):
        """What went to or from these ports and is not sealed with one of the keys (and with that
        label), as texts. Words that are compressed cannot be searched for; this cannot be deceived
        by compression."""
        found = [f"UDP {d.source} > {d.target}: {d.payload[:40]!r}" for d in self.datagrams
                 if has_port(d.source, d.target, ports)
                 and opened(keys, d.payload, label) is None]
        found += [f"TCP {source} > {target}: {text[:40]!r}"
                  for (source, target), text in self.streams.items()
                  if has_port(source, target, ports) and not is_sealed_stream(keys, text, label)]
        return found

    def count_sealed(self, key, ports=(7946,), label=b"", source=None):
        """How many datagrams (of that address) are sealed with this key."""
        return sum(has_port(d.source, d.target, ports) and source in (None, d.source[0])
                   and opened([key], d.payload, label) is not None for d in self.datagrams)


def frames_of(pcap):
    """A file that is still written to may end within a frame."""
    order = "<" if pcap[:4] == b"\xd4\xc3\xb2\xa1" else ">"
    place = 24
    while place + 16 <= len(pcap):
        length = struct.unpack_from(order + "I", pcap, place + 8)[0]
        frame = pcap[place + 16:place + 16 + length]
        if len(frame) == length:
            yield frame
        place += 16 + length


def whole(pieces):
    """The packet of these fragments {offset: (bytes, more)}, or None while one is missing."""
    body = b""
    while True:
        piece, more = pieces.get(len(body), (None, True))
        if piece is None:
            return None
        body += piece
        if not more:
            return body


def joined(segments):
    """A stream of its segments {sequence: bytes}; what was sent twice counts once."""
    # Sequence numbers may go round.
    is_round = max(segments) - min(segments) > 0x7fffffff
    first = min(s for s in segments if s > 0x7fffffff or not is_round)
    text = bytearray()
    for sequence in sorted(segments, key=lambda s: (s - first) & 0xffffffff):
        offset = (sequence - first) & 0xffffffff
        text[offset:offset + len(segments[sequence])] = segments[sequence]
    return bytes(text)


def has_port(source, target, ports):
    return source[1] in ports or target[1] in ports


def sealed(key, message, label=b""):
    """A packet as a member with that key sends it."""
    nonce = os.urandom(12)
    return label_header(label) + b"\1" + nonce + AESGCM(key).encrypt(nonce, message, label)


def sealed_frame(key, message):
    """The same for a conn."""
    nonce = os.urandom(12)
    header = struct.pack(">BI", 10, 29 + len(message))
    return header + b"\1" + nonce + AESGCM(key).encrypt(nonce, message, header)


def opened(keys, packet, label=b""):
    """The message of `[244 length label] version nonce ciphertext tag`, or None if no key fits."""
    header = label_header(label)
    return unsealed_text(keys, packet[len(header):], label) if packet.startswith(header) else None


def label_header(label):
    return bytes([244, len(label)]) + label if label else b""


def unsealed_text(keys, sealed, beside):
    if len(sealed) < 29 or sealed[0] > 1:
        return None
    for key in keys:
        with contextlib.suppress(InvalidTag):
            return AESGCM(key).decrypt(sealed[1:13], sealed[13:], beside)
    return None


def is_sealed_stream(keys, text, label=b""):
    """One frame, whose key fits if it is there as a whole: a conn may have been cut. The label is
    before what the opener says, and not before the answer."""
    text = text.removeprefix(label_header(label))
    if len(text) < 5 or text[0] != 10:
        return False
    length = struct.unpack_from(">I", text, 1)[0]
    frame = text[5:5 + length]
    if len(frame) < length:
        return frame[:1] in (b"", b"\0", b"\1")
    return len(text) == 5 + length and unsealed_text(keys, frame, text[:5] + label) is not None
