"""No process but the keyholder has a private key in its memory, whatever form of it one looks for, while
all of its keys are being used. The same search finds them where they are: in the keyholder, and in
a server that uses its key in its own process.

SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import secrets
import threading

import pytest
from conftest import PATIENCE, free_port, server_settings, wait_until
from memory_search import found_in, found_in_file, signs_of_key
from test_process import REQUEST, children, descriptors

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="reads the memory of other users")

CONFIG = """
certificates:
  - {name: rsa, chain: @rsa_chain@, key: @rsa_key@}
  - {name: ec, chain: @ec_chain@, key: @ec_key@}
  - {name: own, chain: @own_chain@, key: @own_key@}
  - {name: sealed, chain: @sealed_chain@, key: @sealed_key@, password: {file: @password@}}
listeners:
  - {name: web, address: "127.0.0.1:@web@", tls: {certificates: [rsa, ec]},
     routes: [{host: "*", path: /, backend: app}]}
backends:
  app: {servers: ["https://localhost:@app@"], tls: {ca: @ca@, certificate: own}}
gossip:
  - {name: alerts, keyring: @keyring@, mode: relay, ports: @gossip@,
     node: {virtual: 127.77.0.1, address: "127.0.0.1:@gossip@"},
     peers: [{virtual: 127.77.0.2, address: "127.0.0.2:@gossip@"}]}
workers: 2
log: {level: info, access: off}
"""

# Each request is a handshake with the server too, which asks for our certificate.
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"

# What a server cannot work without: the primes, as OpenSSL's numbers hold them, or the scalar.
NEEDED = {"rsa": {"p little-endian begin", "q little-endian end"},
          "ec": {"scalar little-endian begin"},
          "own": {"p little-endian begin", "q little-endian end"},
          "sealed": {"p little-endian begin", "q little-endian end"}}
PASSWORD = secrets.token_hex(16).encode()
SUITES = ("ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384")


def together(by_key):
    """Signs of all keys, each named after its key too."""
    return {f"{name}: {sign}": value for name, signs in by_key.items()
            for sign, value in signs.items()}


class Traffic:
    """Full handshakes with either certificate, one request each, until the end of the block."""

    def __init__(self, proxy):
        self.proxy = proxy
        self.done = {suite: 0 for suite in SUITES}
        self.faults = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self.over.is_set():
            for suite in SUITES:
                try:
                    with self.proxy.tls("web", version="1.2", ciphers=suite) as conn:
                        assert conn.send(REQUEST).response().body == b"hello"
                    self.done[suite] += 1
                except (OSError, EOFError, AssertionError) as fault:
                    self.faults.append(fault)

    def wait_for_more(self, count=4):
        """Until as many handshakes more were made with each certificate."""
        before = dict(self.done)
        wait_until(lambda: all(self.done[s] >= before[s] + count for s in SUITES), "handshakes")

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(PATIENCE)


@pytest.fixture
def identities(authority):
    return {"rsa": authority.issue("localhost"), "ec": authority.issue("localhost", kind="ecdsa"),
            "own": authority.issue("sallyport.example", usage="client"),
            "sealed": authority.issue("sealed.example", password=PASSWORD.decode())}


@pytest.fixture
def signs(identities):
    """Of all keys, and of the password of one that is encrypted in its file."""
    return {**{name: signs_of_key(key, PASSWORD if name == "sealed" else None)
               for name, (_, key) in identities.items()},
            "password": {"text": PASSWORD}}


@pytest.fixture
def running(sallyport, backend, authority, identities, run_sallyport, tmp_path):
    """All kinds of processes: two workers, the keyholder, a gossip process; and all kinds of keys."""
    keyring = tmp_path / "cluster.keyring"
    assert run_sallyport("keyring", "create", keyring).returncode == 0
    password = tmp_path / "password"
    password.write_bytes(PASSWORD + b"\n")
    app = backend(HELLO, tls=server_settings(*authority.local, client_ca=authority.path))
    values = {f"{name}_{part}": path for name, pair in identities.items()
              for part, path in zip(("chain", "key"), pair, strict=True)}
    proxy = sallyport(CONFIG, app=app.port, keyring=keyring, password=password, gossip=free_port(), _wait=False,
                      **values)
    proxy.wait_event("ready")
    return proxy


def test_only_the_keyholder_holds_private_keys(running, signs):
    with Traffic(running) as traffic:
        traffic.wait_for_more()
        kids = children(running.pid)
        assert set(kids) == {"keyholder", "worker 1", "worker 2", "gossip 1"}
        for role, pid in {**kids, "master": running.pid}.items():
            found = found_in(pid, together(signs))
            if role == "keyholder":  # found there: the search works
                assert found >= {f"{name}: {sign}" for name in NEEDED for sign in NEEDED[name]}
            else:
                assert not found, role
        traffic.wait_for_more()
    assert not traffic.faults


def test_the_keyholder_keeps_no_file_of_a_key(running, signs):
    """It holds the numbers that it works with; the text that they were read from is gone."""
    with Traffic(running) as traffic:
        traffic.wait_for_more()
        pid = children(running.pid)["keyholder"]
        texts = {sign: value for sign, value in together(signs).items() if "PEM" in sign}
        assert texts and not found_in(pid, texts)


def test_the_master_has_keys_in_a_sealed_file_that_it_does_not_map(running, signs):
    """What the next keyholder is started with. Nobody else has it open."""
    for role, pid in {**children(running.pid), "master": running.pid}.items():
        files = [number for number, what in descriptors(pid).items() if "sallyport-keys" in what]
        assert len(files) == (1 if role == "master" else 0), role
        for number in files:
            for name, key in signs.items():
                found = found_in_file(f"/proc/{pid}/fd/{number}", key)
                assert bool(found) is (name != "sealed"), name  # that one is encrypted in it


def test_the_master_keeps_no_key_that_it_has_made_itself(start, binary, backend, raw, tmp_path):
    """Without a configuration it makes an authority and a certificate before it starts anything."""
    (tmp_path / "state").mkdir()
    proxy = start("zero", [
        binary, "run", "--to", f"http://127.0.0.1:{backend(HELLO).port}", "--listen",
        "127.0.0.1:0", "--admin", f"unix:{tmp_path}/admin.sock"],
        env={"STATE_DIRECTORY": str(tmp_path / "state")})
    proxy.wait_for(lambda: '"event":"ready"' in proxy.err, "ready")
    events = [json.loads(line) for line in proxy.err.splitlines() if line.startswith("{")]
    address = next(e["address"] for e in events if e["event"] == "listener_open")
    with raw.tls(int(address.rpartition(":")[2])) as conn:
        assert conn.send(REQUEST).response().body == b"hello"
    folder = tmp_path / "state/local-ca"
    signs = {name: signs_of_key(folder / f"{name}.key") for name in ("ca", "leaf")}
    for role, pid in {**children(proxy.pid), "master": proxy.pid}.items():
        found = {name.partition(":")[0] for name in found_in(pid, together(signs))}
        assert found == ({"leaf"} if role == "keyholder" else set()), role


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_the_search_finds_the_key_of_a_server_that_has_it_in_process(
        start, identities, signs, raw, kind):
    chain, key = identities[kind]
    port = free_port()
    server = start("s_server", ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert",
                                chain, "-key", key, "-www", "-quiet"])

    def is_answered():
        try:
            with raw.tls(port) as conn:
                return conn.send(b"GET / HTTP/1.0\r\n\r\n").response().status == 200
        except ConnectionRefusedError:
            return False

    wait_until(is_answered, "openssl s_server")
    assert found_in(server.pid, signs[kind]) >= NEEDED[kind]


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_the_search_finds_every_form_of_a_key(start, identities, signs, tmp_path, kind):
    """In a process that has the key's texts and numbers in both byte orders, spread over its memory."""
    program = tmp_path / "holder.py"
    values = list(signs[kind].values())
    program.write_text("import sys\nheld = bytearray(12 << 20)\n"
                       "values = [bytes.fromhex(line) for line in sys.stdin]\n"
                       "for i, value in enumerate(values):\n"
                       "    at = len(held) // len(values) * i + i\n"
                       "    held[at:at + len(value)] = value\n"
                       "print('ready', flush=True)\nsys.stdin.close()\n"
                       "import signal; signal.pause()\n")
    lines = tmp_path / "lines"
    lines.write_text("".join(f"{value.hex()}\n" for value in values))
    with open(lines, "rb") as text:
        holder = start("holder", ["python3", "-S", "-E", program], stdin=text)
    holder.wait_for(lambda: "ready" in holder.out, "its memory")
    assert found_in(holder.pid, signs[kind]) == set(signs[kind])
