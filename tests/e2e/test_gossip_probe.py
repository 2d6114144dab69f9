"""`sallyport gossip probe` against real members in every state that an operator has to tell apart:
serf agents that encrypt, with this key, with another one and in plaintext, members behind Sallyport,
firewalls, other services, and nobody.

Debian 12's memberlist knows no labels, so that the member with a label is a double (LabelledMember),
which does what memberlist 0.5 does with a stream or a packet; where the library knows labels, a real
one is probed as well.

SPDX-License-Identifier: Apache-2.0
"""

import contextlib
import json
import os
import re
import socket
import threading

import pytest
from conftest import sanitizer_settings
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from gossip_lab import PORT, base64_of, environment, make_key, need_labels, open_lab

TIMEOUT = "1s"
LABEL = "prod-eu-1"


@pytest.fixture
def lab(request, binary, tmp_path):
    yield from open_lab(request, binary, tmp_path)


class Prober:
    """A host from which is probed, with a keyring."""

    def __init__(self, lab, *keys, host=None):
        self.lab = lab
        self.host = host or lab.host()
        self.keyring = lab.folder / f"keyring-{lab.number()}"
        self.keyring.write_text("".join(f"{base64_of(key)}\n" for key in keys))

    def run(self, *argv):
        with environment(sanitizer_settings()):
            return self.host.run(self.lab.binary, "gossip", "probe", *argv, check=False)

    def probe(self, peer, *argv):
        """(verdict, the answer as JSON); the exit status agrees with it."""
        done = self.run(peer, "--keyring", self.keyring, "--timeout", TIMEOUT, "--json", *argv)
        assert done.stderr == "", done
        told = json.loads(done.stdout)
        assert done.returncode == (0 if told["verdict"] == "fine" else 1)
        return told["verdict"], told


def answers(told):
    return told["tcp"]["answer"], told["udp"]["answer"]


def firewall(host, *rules, hook="input"):
    """nft rules of the host, in the place of those before."""
    host.run("nft", "flush", "ruleset")
    host.run("nft", "-f", "-", text=f"""table inet lab {{
      chain {hook} {{
        type filter hook {hook} priority 0; policy accept;
        {"; ".join(rules)}
      }}
    }}""")


# ---- members ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [16, 24, 32])
def test_is_fine_where_a_member_has_the_key(lab, size):
    key = make_key(size)
    agent = lab.serf(lab.host(), "native", key=key)
    verdict, told = Prober(lab, key).probe(agent.bind)
    assert (verdict, answers(told)) == ("fine", ("ack", "ack"))
    assert told["peer"] == f"{agent.bind}:{PORT}"
    assert told["tcp"]["is_first_key"] and told["udp"]["is_first_key"]


def test_is_fine_over_ipv6(lab):
    key = make_key()
    host = lab.host()
    lab.node(host, "native", keys=[key], version=6)
    prober = Prober(lab, key)
    verdict, told = prober.probe(f"[{host.ipv6}]:{PORT}")
    assert (verdict, told["peer"]) == ("fine", f"[{host.ipv6}]:{PORT}")
    assert prober.probe(host.ipv6)[0] == "fine"


def test_speaks_no_plaintext_and_leaves_no_trace(lab):
    key = make_key()
    agent = lab.serf(lab.host(), "native", key=key)
    wire = lab.wire()
    assert Prober(lab, key).probe(agent.bind)[0] == "fine"
    assert wire.stop().marks_found("SeqNo", "sallyport-probe") == []
    assert agent.members() == {"native": "alive"}
    assert "ERR" not in agent.process.out + agent.process.err


def test_tells_another_key(lab):
    agent = lab.serf(lab.host(), "native", key=make_key())
    verdict, told = Prober(lab, make_key()).probe(agent.bind)
    assert (verdict, answers(told)) == ("other_key", ("other_key", "silent"))


def test_tells_a_rotation_on_the_way(lab):
    old, new = make_key(), make_key()
    ring = lab.folder / "serf-keyring"
    ring.write_text(json.dumps([base64_of(new), base64_of(old)]))
    rotated = lab.serf(lab.host(), "rotated", keyring_file=ring)
    verdict, told = Prober(lab, old, new).probe(rotated.bind)
    assert (verdict, told["tcp"]["is_first_key"]) == ("fine", False)
    # It reads the old key, and answers with the new one, which we do not have.
    assert Prober(lab, old).probe(rotated.bind)[0] == "other_key"
    alone = lab.serf(lab.host(), "alone", key=new)
    verdict, told = Prober(lab, old, new).probe(alone.bind)
    assert (verdict, told["tcp"]["answer"]) == ("other_key", "lacks_key")
    assert "could decrypt" in told["tcp"]["says"]


@pytest.mark.parametrize("compression", [True, False])
def test_tells_plaintext(lab, compression):
    agent = lab.serf(lab.host(), "plain", compression=compression)
    verdict, told = Prober(lab, make_key()).probe(agent.bind)
    assert (verdict, answers(told)) == ("plaintext", ("plaintext", "silent"))
    assert told["tcp"]["says"] == "Remote state is encrypted and encryption is not configured"


# ---- labels -------------------------------------------------------------------------------------


def test_tells_a_member_without_a_label(lab):
    key = make_key()
    agent = lab.serf(lab.host(), "native", key=key)
    verdict, told = Prober(lab, key).probe(agent.bind, "--label", LABEL)
    assert (verdict, answers(told)) == ("other_label", ("other_label", "silent"))


class LabelledMember:
    """Takes what carries its label, and closes or drops what does not, without a word."""

    def __init__(self, host, key, label):
        self.key = AESGCM(key)
        self.label = label.encode()
        self.header = bytes([0xf4, len(self.label)]) + self.label
        with host.inside():
            self.listener = socket.create_server((host.ipv4, PORT))
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind((host.ipv4, PORT))
        for serve in (self._serve_streams, self._serve_packets):
            threading.Thread(target=serve, daemon=True).start()

    def close(self):
        self.listener.close()
        self.udp.close()

    def open(self, sealed, associated):
        return self.key.decrypt(sealed[1:13], sealed[13:], associated)

    def seal(self, plain, associated):
        nonce = os.urandom(12)
        return b"\x01" + nonce + self.key.encrypt(nonce, plain, associated)

    def ack(self, ping):
        return b"\x02\x82\xa7Payload\xc0\xa5SeqNo" + re.search(b"SeqNo(\xce....)", ping, re.S)[1]

    def _serve_packets(self):
        with contextlib.suppress(OSError):
            while True:
                packet, peer = self.udp.recvfrom(65536)
                if packet.startswith(self.header):
                    with contextlib.suppress(InvalidTag):
                        ping = self.open(packet[len(self.header):], self.label)
                        self.udp.sendto(self.header + self.seal(self.ack(ping), self.label), peer)

    def _serve_streams(self):
        with contextlib.suppress(OSError):
            while True:
                conn, _ = self.listener.accept()
                with conn, contextlib.suppress(ConnectionError):
                    conn.settimeout(5)
                    self._serve_stream(conn)

    def _serve_stream(self, conn):
        """Waits for a label only where the first byte is of one; what is behind is closed unread."""
        heard = conn.makefile("rb")
        label = b""
        first = heard.peek(1)[:1]
        if first == b"\xf4":
            label = heard.read(heard.read(2)[1])
        if label != self.label:
            return
        head = heard.read(5)
        ping = self.open(heard.read(int.from_bytes(head[1:], "big")), head + label)
        plain = self.ack(ping)
        head = b"\x0a" + (len(plain) + 29).to_bytes(4, "big")
        conn.sendall(head + self.seal(plain, head + label))


@pytest.fixture
def labelled(lab):
    key = make_key()
    host = lab.host()
    member = LabelledMember(host, key, LABEL)
    yield host, key
    member.close()


def test_is_fine_where_a_member_has_the_label(lab, labelled):
    host, key = labelled
    verdict, told = Prober(lab, key).probe(host.ipv4, "--label", LABEL)
    assert (verdict, answers(told)) == ("fine", ("ack", "ack"))


@pytest.mark.parametrize("argv", [("--label", "another"), ()], ids=["another", "none"])
def test_tells_another_label(lab, labelled, argv):
    host, key = labelled
    verdict, told = Prober(lab, key).probe(host.ipv4, *argv)
    assert (verdict, answers(told)) == ("other_label", ("other_label", "silent"))


def test_tells_labels_of_the_real_library(lab):
    need_labels()
    key = make_key()
    host = lab.host()
    lab.node(host, "labelled", keys=[key], label=LABEL)
    prober = Prober(lab, key)
    assert prober.probe(host.ipv4, "--label", LABEL)[0] == "fine"
    assert prober.probe(host.ipv4, "--label", "another")[0] == "other_label"
    assert prober.probe(host.ipv4)[0] == "other_label"


# ---- firewalls ----------------------------------------------------------------------------------


@pytest.fixture
def native(lab):
    key = make_key()
    return lab.serf(lab.host(), "native", key=key), Prober(lab, key)


@pytest.mark.parametrize("verb, answer", [("drop", "silent"), ("reject", "refused")])
def test_tells_that_udp_is_blocked(native, verb, answer):
    agent, prober = native
    firewall(agent.host, f"udp dport {PORT} {verb}")
    verdict, told = prober.probe(agent.bind)
    assert (verdict, answers(told)) == ("udp_blocked", ("ack", answer))


def test_tells_that_answers_over_udp_are_blocked(native):
    agent, prober = native
    firewall(prober.host, f"udp sport {PORT} drop")
    assert prober.probe(agent.bind)[0] == "udp_blocked"


def test_tells_that_udp_is_blocked_on_this_machine(native):
    agent, prober = native
    firewall(prober.host, f"udp dport {PORT} drop", hook="output")
    verdict, told = prober.probe(agent.bind)
    assert (verdict, told["udp"]["error"]) == ("udp_blocked", "Operation not permitted")


@pytest.mark.parametrize("verb, answer", [("drop", "no_connection"),
                                          ("reject with tcp reset", "refused")])
def test_tells_that_tcp_is_blocked(native, verb, answer):
    agent, prober = native
    firewall(agent.host, f"tcp dport {PORT} {verb}")
    verdict, told = prober.probe(agent.bind)
    assert (verdict, answers(told)) == ("tcp_blocked", (answer, "ack"))


# ---- nobody, and others ---------------------------------------------------------------------------


def test_tells_that_nothing_is_there(lab):
    prober, empty, gone = Prober(lab, make_key()), lab.host(), lab.host()
    assert answers(prober.probe(empty.ipv4)[1]) == ("refused", "refused")
    assert prober.probe(empty.ipv4)[0] == "nothing_there"
    firewall(empty, "drop")
    verdict, told = prober.probe(empty.ipv4)
    assert (verdict, answers(told)) == ("nothing_there", ("no_connection", "silent"))
    gone.cut_off()
    assert prober.probe(gone.ipv4)[0] == "nothing_there"
    verdict, told = prober.probe("192.0.2.1")
    assert (verdict, answers(told)) == ("nothing_there", ("unreachable", "unreachable"))


def serve(host, answer):
    """A TCP service that answers so to whatever it hears; None: it hears and says nothing."""
    with host.inside():
        listener = socket.create_server((host.ipv4, PORT))

    def run():
        with contextlib.suppress(OSError):
            while True:
                conn, _ = listener.accept()
                if answer is None:
                    held.append(conn)
                    continue
                with conn:
                    heard = conn.recv(4096)
                    conn.sendall(answer(heard))

    held = []
    threading.Thread(target=run, daemon=True).start()
    return listener


@pytest.mark.parametrize("answer", [
    lambda _: b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
    lambda _: b"\x15\x03\x01\x00\x02\x02\x32",
    lambda heard: heard,
    lambda _: b"",
    None,
], ids=["http", "tls-alert", "echo", "closes", "silent"])
def test_tells_what_is_no_gossip(lab, answer):
    host = lab.host()
    with serve(host, answer):
        assert Prober(lab, make_key()).probe(host.ipv4)[0] == "not_gossip"


# ---- Sallyport on either side ---------------------------------------------------------------------


def test_probes_a_member_behind_sallyport(lab):
    key = make_key()
    host = lab.host()
    lab.sidecar(host, [key])
    agent = lab.serf(host, "plain")
    verdict, told = Prober(lab, key).probe(agent.bind)
    assert (verdict, answers(told)) == ("fine", ("ack", "ack"))
    verdict, told = Prober(lab, make_key()).probe(agent.bind)
    assert (verdict, answers(told)) == ("other_key", ("other_key", "silent"))


def test_tells_another_label_of_a_sallyport(lab):
    key = make_key()
    host = lab.host()
    lab.sidecar(host, [key], label=LABEL)
    agent = lab.serf(host, "plain")
    prober = Prober(lab, key)
    for argv in ([], ["--label", "another"]):
        verdict, told = prober.probe(agent.bind, *argv)
        assert (verdict, answers(told)) == ("other_label", ("other_label", "silent"))


def test_probes_from_a_host_with_interception_by_its_configuration(lab):
    key = make_key()
    host = lab.host()
    sidecar = lab.sidecar(host, [key])
    lab.serf(host, "plain")
    agent = lab.serf(lab.host(), "native", key=key)
    prober = Prober(lab, key, host=host)
    verdict, told = prober.probe(agent.bind)
    assert (verdict, told["is_marked"]) == ("fine", True)
    for more in ([], ["--cluster", "cluster"]):
        done = prober.run(agent.bind, "-c", sidecar.config_path, "--timeout", TIMEOUT, *more)
        assert done.returncode == 0, done
        assert "fine: " in done.stdout


# ---- the command line ---------------------------------------------------------------------------


@pytest.fixture
def call(run_sallyport):
    return lambda *argv: run_sallyport("gossip", *argv)


def test_refuses_what_it_does_not_understand(call, tmp_path):
    keyring = tmp_path / "keyring"
    keyring.write_text(f"{base64_of(make_key())}\n")
    broken = tmp_path / "broken"
    broken.write_text("c2hvcnQ=\n")
    config = tmp_path / "sallyport.yaml"
    config.write_text(f"gossip: [{{name: one, keyring: {keyring}}}, "
                      f"{{name: two, keyring: {keyring}, ports: [7947], own_port: 15950}}]\n")
    good = ["--keyring", keyring]
    for argv, sentence in [
        ([], "expected one PEER"),
        (["a", "b", *good], "expected one PEER"),
        (["127.0.0.1"], "expected the keys"),
        (["127.0.0.1:0", *good], "what is \"127.0.0.1:0\"?"),
        (["127.0.0.1:65536", *good], "Expected PEER"),
        (["[::1", *good], "Expected PEER"),
        (["[::1]7946", *good], "Expected PEER"),
        (["", *good], "Expected PEER"),
        (["127.0.0.1", *good, "--timeout", "soon"], "--timeout takes"),
        (["127.0.0.1", *good, "--timeout", "0"], "--timeout takes"),
        (["127.0.0.1", *good, "--label", "x" * 256], "--label takes"),
        (["127.0.0.1", *good, "--cluster", "one"], "--cluster goes with"),
        (["127.0.0.1", "--keyring", tmp_path / "none"], str(tmp_path / "none")),
        (["127.0.0.1", "--keyring", broken], "line 1"),
        (["127.0.0.1", "-c", config], "2 gossip clusters"),
        (["127.0.0.1", "-c", config, "--cluster", "three"], "no gossip cluster `three`"),
    ]:
        done = call("probe", *argv)
        assert (done.returncode, done.stdout) == (2, ""), argv
        assert sentence in done.stderr, done.stderr
        assert base64_of(b"short") not in done.stderr


def test_fails_where_a_name_does_not_resolve(call, tmp_path):
    keyring = tmp_path / "keyring"
    keyring.write_text(f"{base64_of(make_key())}\n")
    done = call("probe", "nobody.invalid", "--keyring", keyring)
    assert (done.returncode, done.stdout) == (3, "")
    assert "nobody.invalid" in done.stderr


def test_says_what_it_can_do(call):
    done = call("probe", "--help")
    assert done.returncode == 0
    assert "--keyring FILE" in done.stdout
    assert "probe" in call("--help").stdout
