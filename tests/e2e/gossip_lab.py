"""What runs on the hosts of a gossip_network: serf agents, members of hashicorp/memberlist that a
test commands (gossip_node), Alertmanager, and the sidecars.

    @pytest.fixture
    def lab(request, binary, tmp_path):
        yield from open_lab(request, binary, tmp_path)

    def test_joins(lab):
        key = make_key()
        plain, native = lab.host(), lab.host()
        lab.sidecar(plain, [key])
        one = lab.serf(plain, "one")
        other = lab.serf(native, "other", key=key, join=one)
        wait_members([one, other])

SPDX-License-Identifier: Apache-2.0
"""

import base64
import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading

import pytest
from conftest import (TOP, Sallyport, sanitizer_settings, starter, stop_all, wait_until)
from gossip_network import Network, Wire, skip_loudly

NODE_SOURCE = TOP / "tests/e2e/gossip_node"
NODE_FOLDER = TOP / "build/gossip"
PORT = 7946
OWN_PORT = 15946
SLOW = 0.1  # between two questions that start a program each
BETWEEN_EVENTS = 0.2
# What a failure may take: the library waits longer, up to 24 s, when no rumour confirms its own view,
# and a rumour is told four times, to whom chance will have it (the dead member too).
TO_NOTICE = 60


def make_key(size=32):
    return os.urandom(size)


def base64_of(key):
    return base64.b64encode(key).decode()


def need_program(name, package):
    if shutil.which(name) is None:
        skip_loudly(f"{name} is missing (apt-get install {package})")


def built_node():
    """The path of gossip_node, built when its source is newer; by one test process at a time."""
    if "SALLYPORT_GOSSIP_NODE" in os.environ:
        return pathlib.Path(os.environ["SALLYPORT_GOSSIP_NODE"])
    NODE_FOLDER.mkdir(parents=True, exist_ok=True)
    with open(NODE_FOLDER / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        program = NODE_FOLDER / "gossip_node"
        newest = max(path.stat().st_mtime for path in NODE_SOURCE.glob("*.go"))
        if not program.exists() or program.stat().st_mtime < newest:
            build_node(program)
    return program


def build_node(program):
    need_program("go", "golang-go")
    if not pathlib.Path("/usr/share/gocode/src/github.com/hashicorp/memberlist").is_dir():
        skip_loudly("memberlist's source is missing"
                    " (apt-get install golang-github-hashicorp-memberlist-dev)")
    done = subprocess.run(
        ["go", "build", "-o", program, "."], cwd=NODE_SOURCE, capture_output=True, text=True,
        timeout=170,
        env={**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": "",
             "GOCACHE": str(NODE_FOLDER / "cache")})
    if done.returncode != 0:
        pytest.fail(f"gossip_node cannot be built\n{done.stderr}", pytrace=False)


def need_labels():
    if subprocess.run([built_node(), "-labels"], timeout=30).returncode != 0:
        skip_loudly("this memberlist knows no labels: Debian 13's does")


# ---- the lab -----------------------------------------------------------------------------------


def open_lab(request, binary, folder):
    """For a fixture of any scope: a Lab with a network of its own, closed at the end, whatever
    happens."""
    # Labs of one scope share the list, for the logs that are shown when a test fails.
    processes = getattr(request.node, "sallyport_processes", [])
    request.node.sallyport_processes = processes
    network = Network()
    lab = Lab(network, binary, folder, processes)
    try:
        yield lab
    finally:
        try:
            stop_all(processes)
        finally:
            lab.close()


class Lab:
    def __init__(self, network, binary, folder, processes):
        self.network = network
        self.binary = binary
        self.folder = folder
        self.processes = processes
        self.start = starter(processes, folder)
        self.started = 0
        self.public_folders = []

    def public_folder(self):
        """One in which programs without privileges may work; removed at the end."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-lab-"))
        self.public_folders.append(folder)
        os.chown(folder, UNPRIVILEGED, UNPRIVILEGED)
        return folder

    def close(self):
        self.network.close()
        for folder in self.public_folders:
            shutil.rmtree(folder)

    def number(self):
        self.started += 1
        return self.started

    def host(self):
        return self.network.host()

    def start_on(self, host, name, *argv, **keywords):
        return self.start(name, host.words(*argv), **keywords)

    def wire(self):
        return Wire(self.network, self.start, self.folder, self.number())

    def serf(self, host, name, **keywords):
        return Serf(self, host, name, **keywords)

    def node(self, host, name, **keywords):
        return Node(self, host, name, **keywords)

    def sidecar(self, host, keys, **settings):
        return Sidecar(self, host, keys, **settings)

    def cluster(self, *kinds, key=None, name="node", settings=None, **keywords):
        """Serf agents NAME1, NAME2... that form a cluster, one a word: "sidecar" (plaintext behind
        Sallyport, with these settings), "native" (encrypts itself), "plain" (neither)."""
        agents = []
        for kind in kinds:
            host = self.host()
            if kind == "sidecar":
                self.sidecar(host, [key], **(settings or {}))
            agents.append(self.serf(host, f"{name}{len(agents) + 1}",
                                    key=key if kind == "native" else None,
                                    join=agents[0] if agents else None, **keywords))
        return agents


# ---- serf --------------------------------------------------------------------------------------


class Serf:
    """`serf agent`, asked over its own RPC. Its events are in a file: one line each of the kind and
    the name, and what came with it."""

    def __init__(self, lab, host, name, key=None, join=None, bind=None, port=PORT, advertise=None,
                 keyring_file=None, profile="lan", compression=True, patience=None,
                 **more):
        need_program("serf", "serf")
        self.lab = lab
        self.host = host
        self.name = name
        self.port = port
        folder = lab.folder / f"serf-{lab.number()}-{name}"
        folder.mkdir()
        self.heard_path = folder / "heard"
        self.heard_path.touch()
        handler = folder / "handler"
        handler.write_text(
            f'#!/bin/sh\nwords=$(cat)\n'
            f'echo "$SERF_EVENT $SERF_USER_EVENT$SERF_QUERY_NAME $words" >>"{self.heard_path}"\n'
            f'[ "$SERF_EVENT" != query ] || printf %s "{name} heard $words"\n')
        handler.chmod(0o755)
        self.bind = bind or host.ipv4
        settings = {"node_name": name, "bind": f"{self.bind}:{port}", "profile": profile,
                    "rpc_addr": "127.0.0.1:7373", "log_level": "debug",
                    "event_handlers": [f"user={handler}", f"query={handler}"],
                    "reconnect_interval": "2s", **more}
        if advertise is not None:
            settings["advertise"] = advertise
        if keyring_file is not None:
            settings["keyring_file"] = str(keyring_file)
        elif key is not None:
            settings["encrypt_key"] = base64_of(key)
        self.settings = folder / "serf.json"
        self.settings.write_text(json.dumps(settings))
        # A setting of this name in the file has no effect.
        self.options = [] if compression else ["-disable-compression"]
        self.process = None
        self.run(patience)
        if join is not None:
            self.join(join)

    def run(self, patience=None):
        self.process = self.lab.start_on(self.host, f"serf-{self.name}", "serf", "agent",
                                         f"-config-file={self.settings}", *self.options)
        self.process.wait_for(lambda: "Serf agent running" in self.process.out, "the agent")

    def call(self, *argv, **keywords):
        """`serf VERB ...` beside the agent."""
        return self.host.run("serf", *argv, **keywords)

    def join(self, other):
        self.call("join", f"{other.bind}:{other.port}")

    def try_to_join(self, other):
        """True if it worked."""
        return self.call("join", f"{other.bind}:{other.port}", check=False).returncode == 0

    def members(self):
        """{name: status} as this one sees it."""
        found = json.loads(self.call("members", "-format", "json").stdout)["members"]
        return {member["name"]: member["status"] for member in found}

    def addresses(self):
        found = json.loads(self.call("members", "-format", "json").stdout)["members"]
        return {member["name"]: member["addr"] for member in found}

    def send_event(self, name, words):
        self.call("event", "-coalesce=false", name, words)

    def heard(self):
        """The events and queries so far, a line each."""
        return self.heard_path.read_text().splitlines()

    def wait_heard(self, name, words, patience=None):
        wait_until(lambda: f"user {name} {words}" in self.heard(),
                   f"{self.name} to hear {name} {words}; it has {self.heard()}", patience)

    def query(self, name, words, seconds=3):
        """(who acknowledged, {name: response})."""
        done = self.call("query", "-format", "json", f"-timeout={seconds}s", name, words)
        found = json.loads(done.stdout[done.stdout.index('{\n  "Acks"'):])
        return sorted(found["Acks"] or ()), found["Responses"] or {}

    def keys(self, *argv):
        """`serf keys ...`; whatever comes of it."""
        return self.call("keys", *argv, check=False)

    def failures(self):
        """Names of members that it took for failed, as often as it did."""
        return re.findall(r"EventMemberFailed: (\S+)", self.process.out)

    def leave(self):
        self.call("leave")
        self.process.wait()

    def kill(self):
        self.process.popen.kill()
        self.process.popen.wait()


def wait_members(agents, alive=None, patience=None, **others):
    """Until every one of these agents sees exactly these members alive (the agents themselves unless
    named), and the others in the state that is given: wait_members([a, b], node3="failed"). Those
    that left are of no interest unless they are named."""
    wanted = {name: "alive" for name in alive or [agent.name for agent in agents]}
    wanted.update(others)
    seen = {}

    def agree():
        for agent in agents:
            seen[agent.name] = {name: state for name, state in agent.members().items()
                                if state != "left" or name in wanted}
        return all(members == wanted for members in seen.values())

    try:
        wait_until(agree, f"members {wanted}", patience, pause=SLOW)
    except pytest.fail.Exception as failure:
        pytest.fail(f"{failure}; seen: {json.dumps(seen, indent=1)}", pytrace=False)


class Talk:
    """Events of each agent all the time, from start to stop; all must reach all."""

    def __init__(self, agents):
        self.agents = agents
        self.said = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._talk, daemon=True)

    def _talk(self):
        while not self.over.wait(BETWEEN_EVENTS):
            agent = self.agents[len(self.said) % len(self.agents)]
            words = f"number-{len(self.said)}"
            if agent.call("event", "-coalesce=false", "talk", words, check=False).returncode == 0:
                self.said.append(words)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def missing(self):
        return {agent.name: sorted(lost) for agent in self.agents
                if (lost := {f"user talk {words}" for words in self.said} - set(agent.heard()))}


# ---- members that the test commands ----------------------------------------------------------------


class Node:
    """gossip_node: hashicorp/memberlist with nothing around it."""

    def __init__(self, lab, host, name, keys=(), join=None, version=4, bind=None, port=PORT,
                 advertise=None, wildcard=False, compress=True, label=""):
        self.lab = lab
        self.host = host
        self.name = name
        self.port = port
        address = host.ipv4 if version == 4 else host.ipv6
        bind = bind or (("0.0.0.0" if version == 4 else "::") if wildcard else address)
        advertise = advertise or (address if wildcard else None)
        argv = [built_node(), "-name", name, "-bind", bind, "-port", port,
                f"-compress={str(compress).lower()}", f"-label={label}"]
        for key in keys:
            argv += ["-key", base64_of(key)]
        if advertise is not None:
            argv += ["-advertise", advertise]
        self.process = lab.start_on(host, f"node-{name}", *argv, stdin=subprocess.PIPE)
        self.wait_told("ready")
        if join is not None:
            self.join(f"{join.host.address(version)}:{join.port}")

    def tell(self, *argv):
        self.process.popen.stdin.write((" ".join(map(str, argv)) + "\n").encode())
        self.process.popen.stdin.flush()

    def told(self, event, **fields):
        """Its lines of that kind, with these fields."""
        lines = [json.loads(line) for line in self.process.out.splitlines(keepends=True)
                 if line.endswith("\n")]
        return [line for line in lines if line["event"] == event
                and all(line.get(name) == value for name, value in fields.items())]

    def wait_told(self, event, patience=None, **fields):
        def found():
            errors = self.told("error")
            if errors:
                pytest.fail(f"{self.name}: {errors}\n{self.process.logs()}", pytrace=False)
            return self.told(event, **fields)
        return self.process.wait_for(found, f"{event} {fields}", patience)

    def join(self, address):
        self.tell("join", address)
        self.wait_told("joined")

    def members(self):
        before = len(self.told("members"))
        self.tell("members")
        return self.process.wait_for(lambda: self.told("members")[before:], "members")[0]["members"]

    def send(self, other, *messages):
        """Sends messages ("best", SIZE), datagrams by best effort, or ("reliable", SIZE), streams,
        of random bytes; what it says of each, in order."""
        before = len(self.told("sent"))
        for way, size in messages:
            self.tell("send", way, other.name, size)
        return self.process.wait_for(
            lambda: len(found := self.told("sent")[before:]) == len(messages) and found, "sending")

    def got(self, sent):
        return self.told("message", size=sent["size"], digest=sent["digest"])

    def leave(self):
        self.tell("leave")
        self.process.wait()


def wait_arrived(node, sent, patience=5):
    """Until all that was sent is there, byte by byte the same."""
    def missing():
        return [one["size"] for one in sent if not node.got(one)]
    try:
        wait_until(lambda: not missing(), "messages", patience)
    except pytest.fail.Exception:
        pytest.fail(f"{node.name} lacks messages of {missing()} bytes", pytrace=False)


def wait_nodes(nodes, patience=None):
    names = sorted(node.name for node in nodes)
    for node in nodes:
        wait_until(lambda node=node: sorted(node.members()) == names,
                   f"{node.name} to see {names}; it sees {node.members()}", patience, pause=SLOW)


# ---- the sidecar ---------------------------------------------------------------------------------


UNPRIVILEGED = 64123  # a user and a group that nothing else is


def without_privileges(*capabilities):
    """Words that run a program as nobody in particular, with these capabilities at most."""
    kept = ",".join(f"+{name}" for name in capabilities)
    words = ["setpriv", f"--reuid={UNPRIVILEGED}", f"--regid={UNPRIVILEGED}", "--clear-groups",
             "--no-new-privs", f"--bounding-set=-all{',' + kept if kept else ''}"]
    return words + ([f"--inh-caps={kept}", f"--ambient-caps={kept}"] if kept else [])


class Sidecar:
    """Sallyport with one gossip cluster, in the namespace of a host. `settings` are further keys of
    the section; `enforcement` is a section of its own; `beside` are further sections; `before` is
    what runs it."""

    def __init__(self, lab, host, keys, enforcement=None, beside=None, before=(), **settings):
        self.lab = lab
        self.host = host
        self.before = before
        self.binary = lab.binary
        self.folder = lab.folder / f"sidecar-{lab.number()}"
        self.folder.mkdir()
        if before:
            self._move_to_public_folder()
        self.keyring = self.folder / "cluster.keyring"
        self.write_keyring(keys)
        self.config_path = self.folder / "sallyport.yaml"
        self.enforcement = enforcement
        self.beside = beside or {}
        self.settings = settings
        self.write_settings()
        self.sallyport = None
        host.sidecar = self
        self.run()

    def _move_to_public_folder(self):
        """What pytest makes is root's alone, and so may be the build."""
        self.folder = self.lab.public_folder()
        self.binary = shutil.copy(self.binary, self.folder / "sallyport")

    def write_keyring(self, keys):
        """In one step, as an editor or the command line does."""
        beside = self.folder / "cluster.keyring.new"
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.writelines(f"{base64_of(key)}\n" for key in keys)
        if self.before:
            os.chown(beside, UNPRIVILEGED, UNPRIVILEGED)
        beside.rename(self.keyring)

    def write_settings(self):
        section = {"name": "cluster", "keyring": str(self.keyring), "ports": [PORT],
                   "mode": "transparent", **self.settings}
        if section["mode"] == "transparent":
            section = {"rules": "manage", "own_port": OWN_PORT, **section}
        section = {name: value for name, value in section.items() if value is not None}
        config = {"gossip": [section],
                  "admin": {"address": f"unix:{self.folder}/admin.sock"},
                  "log": {"access": "json", "level": "debug", "destination": "stderr"},
                  "workers": 1, **self.beside}
        if self.enforcement is not None:
            config["enforcement"] = self.enforcement
        self.config_path.write_text(json.dumps(config, indent=1))  # JSON is YAML

    def run(self):
        if self.settings.get("rules") == "external":
            self.host.run("sh", text=self.verb("gossip", "rules", "-c", self.config_path).stdout)
        process = self.lab.start_on(self.host, f"sidecar-{self.host.number}", *self.before,
                                    self.binary, "run", "-c", self.config_path)
        self.sallyport = Sallyport(process, self.config_path, {}, None)
        self.sallyport.wait_event("ready")

    def change(self, **settings):
        """Other settings, with a start anew."""
        self.stop()
        self.settings.update(settings)
        self.write_settings()
        self.run()

    def change_keyring(self, keys):
        """Writes the keyring, and waits until it is in use."""
        before = len(self.events("keyring_taken"))
        self.write_keyring(keys)
        self.sallyport.process.wait_for(lambda: len(self.events("keyring_taken")) > before,
                                        "the keyring to be taken")

    def verb(self, *argv, **keywords):
        """`sallyport VERB ...` on this host."""
        with environment(sanitizer_settings()):
            return self.host.run(self.binary, *argv, **keywords)

    def keyring_verb(self, deed, *argv, **keywords):
        """`sallyport keyring DEED` with this one's keyring; ends when it is loaded."""
        return self.verb("keyring", deed, self.keyring, *argv, "-c", self.config_path, **keywords)

    def keys(self):
        """What is told of each key, the one that encrypts first."""
        return json.loads(self.keyring_verb("list", "--json").stdout)["keys"]

    def counters(self):
        return self.status()["gossip"][0]

    def status(self):
        return json.loads(self.verb("status", "--json", "-c", self.config_path).stdout)

    def child(self):
        """The process id of the one that carries gossip; None while there is none."""
        for pid in children_of(self.sallyport.pid):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if b"gossip" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
        return None

    def events(self, event=None):
        return self.sallyport.events(event)

    def wait_event(self, event, **fields):
        return self.sallyport.wait_event(event, **fields)

    def kill(self):
        """The whole instance at once, without a chance to take back its rules."""
        self.sallyport.process.signal(signal.SIGSTOP)
        children = children_of(self.sallyport.pid)
        for pid in [self.sallyport.pid, *children]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.sallyport.process.popen.wait()

    def stop(self):
        return self.sallyport.stop()


@contextlib.contextmanager
def environment(more):
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def children_of(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(word) for word in task.read_text().split()]
    return found
