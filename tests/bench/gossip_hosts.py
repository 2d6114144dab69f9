# tests/bench/gossip_hosts.py
#
# Where the bench of gossip runs: two hosts (network namespaces) joined by a cable, the sidecar or
# the plain forwarder on one of them, with the same rules of interception.
#
# SPDX-License-Identifier: Apache-2.0
import contextlib
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import time

PREFIX = "sallyport-bench"
NODE, PEER = "10.78.0.1", "10.78.0.2"
MANY_PEERS = "10.79.0.0/16"  # all of them are the peer's
PORT, OWN_PORT = 7946, 15946
PATIENCE = 10


class NotStarted(Exception):
    """With the sentence that says why."""


def quietly(command, **keywords):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, **keywords)
    if done.returncode != 0:
        raise NotStarted(f"{' '.join(map(str, command))} failed: {done.stdout.strip()}")
    return done.stdout


def ip(*words):
    return quietly(["ip", *words])


def remove_leftovers():
    """Hosts of a bench that was killed before it could clean up."""
    for line in ip("netns", "list").splitlines():
        name = line.split()[0]
        if name.startswith(f"{PREFIX}-"):
            owner = name.removeprefix(f"{PREFIX}-").partition("-")[0]
            if not pathlib.Path(f"/proc/{owner}").exists():
                ip("netns", "del", name)


class Pair:
    """node and peer, and a cable between them."""

    def __init__(self, name):
        self.node = f"{PREFIX}-{os.getpid()}-{name}-node"
        self.peer = f"{PREFIX}-{os.getpid()}-{name}-peer"

    def open(self):
        for host in (self.node, self.peer):
            ip("netns", "add", host)
            ip("-n", host, "link", "set", "lo", "up")
        ip("-n", self.node, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0",
           "netns", self.peer)
        for host, address in ((self.node, NODE), (self.peer, PEER)):
            ip("-n", host, "addr", "add", f"{address}/24", "dev", "eth0")
            ip("-n", host, "link", "set", "eth0", "up")
        ip("-n", self.node, "route", "add", MANY_PEERS, "via", PEER)
        ip("-n", self.peer, "route", "add", "local", MANY_PEERS, "dev", "lo")

    def inside(self, *command):
        return ["ip", "netns", "exec", self.node, *map(str, command)]

    def close(self):
        for host in (self.node, self.peer):
            subprocess.run(["ip", "netns", "del", host], check=False, stderr=subprocess.DEVNULL)


class Subject:
    """What stands on the node: started with the first round, stopped with the last."""

    def __init__(self, bench, name):
        self.bench = bench
        self.name = name
        self.folder = bench.folder / name
        self.pair = Pair(name)
        self.process = None
        self.pid = None  # of the one process that packets go through

    def start(self):
        self.folder.mkdir()
        self.pair.open()
        (self.folder / "sallyport.yaml").write_text(json.dumps({
            "gossip": [{"name": "bench", "keyring": str(self.bench.keyring), "ports": [PORT],
                        "own_port": OWN_PORT, "rules": "external"}],
            "admin": {"address": f"unix:{self.folder}/admin.sock"},
            "log": {"destination": "stderr"}, "workers": 1}))
        rules = quietly([self.bench.sallyport, "gossip", "rules", "-c",
                         self.folder / "sallyport.yaml"])
        quietly(self.pair.inside("sh"), input=rules)
        self._run()

    def _run(self):
        raise NotImplementedError

    def _popen(self, command):
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(self.pair.inside(*command), stdout=subprocess.PIPE,
                                            stderr=log, preexec_fn=self.bench.pin_proxy)

    def fail(self, what):
        text = (self.folder / "log").read_text(errors="replace").strip()
        raise NotStarted(f"{self.name} {what}: {text[-400:]}")

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(PATIENCE)
            self.process.kill()
            self.process.wait()
        self.pair.close()


class Forwarder(Subject):
    def _run(self):
        self._popen([self.bench.program("bench_gossip_forwarder"), OWN_PORT])
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        if not ready or self.process.stdout.readline() != b"ready\n":
            self.fail("did not start")
        self.pid = self.process.pid


class Sidecar(Subject):
    def _run(self):
        self._popen([self.bench.sallyport, "run", "-c", self.folder / "sallyport.yaml"])
        until = time.monotonic() + PATIENCE
        while '"ready"' not in (log := (self.folder / "log").read_text()) and " ready" not in log:
            if time.monotonic() > until or self.process.poll() is not None:
                self.fail("did not start")
            time.sleep(0.05)
        self.pid = self._child()

    def _child(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        for pid in map(int, children.read_text().split()):
            if b"gossip" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        return self.fail("has no process for gossip")

    def memory(self):
        """Bytes of the process (its proportional set without shared files), and of the table that
        it shares with the master."""
        totals = pathlib.Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        own = number_of(totals, "Pss") - number_of(totals, "Pss_Shmem")
        maps = pathlib.Path(f"/proc/{self.pid}/smaps").read_text()
        table = maps.partition("memfd:sallyport-peers")[2]
        return own, number_of(table, "Rss")


def number_of(text, name):
    """Bytes of a line `Name:   12 kB`."""
    return int(re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE).group(1)) * 1024
