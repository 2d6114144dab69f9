"""`sallyport keyring`: files of keys, what an instance confirms of them, and a rotation over several
nodes, which are folders here: `--via` is a script that runs the binary with the paths of one.

SPDX-License-Identifier: Apache-2.0
"""

import base64
import hashlib
import json
import os
import pathlib
import pty
import re
import shutil
import socket
import stat
import subprocess
import tempfile
import threading

import pytest
from conftest import PATIENCE, SANITIZER_SIGNS, free_port, sanitizer_settings, wait_until

KEYS = [bytes([value]) * size for value, size in ((1, 16), (2, 24), (3, 32))]
TEXTS = [base64.b64encode(key).decode() for key in KEYS]
NODES = ["a", "b", "c"]


def id_of(text):
    return hashlib.sha256(b"sallyport keyring\0" + base64.b64decode(text)).hexdigest()[:16]


IDS = [id_of(text) for text in TEXTS]


def keys_in(path):
    """The keys of a file of either form, in order."""
    text = pathlib.Path(path).read_text()
    return json.loads(text) if text.lstrip().startswith("[") else [
        line for line in text.split("\n") if line and not line.startswith("#")]


def ids_in(path):
    return [id_of(text) for text in keys_in(path)]


class Instance:
    """Answers `keyrings` on an admin socket, as an instance whose cluster has that file would."""

    def __init__(self, socket_path, ring):
        self.ring = ring
        self.is_frozen = False  # loads nothing new
        self.error = None
        self.opened_ago = {}    # by id
        self.asked = 0
        self.loads_after = 0    # questions that are still answered with the old ring
        self.loaded = ids_in(ring)
        self.address = f"unix:{socket_path}"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(socket_path))
        self.listener.listen(16)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            with conn:
                assert conn.recv(64) == b"keyrings\n"
                conn.sendall(json.dumps(self.answer()).encode() + b"\n")

    def answer(self):
        self.asked += 1
        if not self.is_frozen and self.asked > self.loads_after:
            self.loaded = ids_in(self.ring)
        keys = [{"id": name, "bits": 256, "is_primary": index == 0, "sealed": 7, "opened": 5,
                 "last_opened_seconds": self.opened_ago.get(name)}
                for index, name in enumerate(self.loaded)]
        return {"gossip": [
            {"name": "other", "keyring": "/nowhere", "generation": 1, "error": None, "keys": []},
            {"name": "cluster", "keyring": str(self.ring), "generation": 1, "error": self.error,
             "keys": keys}]}

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture
def folder():
    """A short path: that of a socket has little room."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="keyring-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def instance(folder):
    """instance(ring) → an Instance, closed at the end."""
    running = []

    def begin(ring):
        running.append(Instance(ring.parent / "admin.sock", ring))
        return running[-1]

    yield begin
    for one in running:
        one.close()


@pytest.fixture
def keyring(binary, folder):
    """keyring(*argv, input=text) → CompletedProcess. No key is ever in what it says."""
    def run(*argv, input="", env=None):
        done = subprocess.run([str(binary), "keyring", *map(str, argv)], input=input, text=True,
                              capture_output=True, timeout=PATIENCE, cwd=folder,
                              env={**os.environ, **sanitizer_settings(), **(env or {})})
        said = done.stdout + done.stderr
        for sign in SANITIZER_SIGNS:
            assert sign not in said, said
        rings = [path for path in folder.rglob("*ring*") if path.is_file()]
        for key in {*TEXTS, *(key for path in rings for key in re.findall(r"[\w+/]{22,}=*",
                                                                          path.read_text()))}:
            assert key not in said
        return done

    return run


@pytest.fixture
def ring(folder):
    """A file with the three keys."""
    path = folder / "ring"
    path.write_text("".join(f"{text}\n" for text in TEXTS))
    path.chmod(0o600)
    return path


# ---- one file ----------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [128, 192, 256])
def test_creates_a_file_for_its_owner_alone(keyring, folder, bits):
    done = keyring("create", "ring", "--bits", bits)
    assert done.returncode == 0, done.stderr
    [text] = keys_in(folder / "ring")
    assert len(base64.b64decode(text)) * 8 == bits
    assert stat.S_IMODE((folder / "ring").stat().st_mode) == 0o600
    assert done.stdout == f"{id_of(text)} encrypts ({bits} bits)\n"


def test_creates_nothing_over_a_file_or_behind_a_dangling_link(keyring, folder, ring):
    before = ring.read_bytes()
    (folder / "link-ring").symlink_to("nowhere")
    for name in ("ring", "link-ring"):
        done = keyring("create", name)
        assert done.returncode == 2 and "exists already" in done.stderr
    assert ring.read_bytes() == before and not (folder / "nowhere").exists()


def test_creates_from_a_key_or_a_whole_keyring(keyring, folder):
    assert keyring("create", "ring1", "--from", "-", input=TEXTS[2] + "\n").returncode == 0
    assert keys_in(folder / "ring1") == [TEXTS[2]]
    (folder / "serf-ring").write_text(json.dumps(TEXTS))
    assert keyring("create", "ring2", "--from", "serf-ring").returncode == 0
    assert json.loads((folder / "ring2").read_text()) == TEXTS


def test_the_form_and_the_comments_stay_with_their_keys(keyring, folder):
    path = folder / "ring"
    path.write_text(f"# cluster\n{TEXTS[0]}\n# of May\n{TEXTS[1]}\n")
    path.chmod(0o640)
    assert keyring("use", "ring", IDS[1][:4]).returncode == 0
    assert keyring("add", "ring", "-", input=TEXTS[2]).returncode == 0
    assert path.read_text() == f"# cluster\n# of May\n{TEXTS[1]}\n{TEXTS[0]}\n{TEXTS[2]}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(entry.name for entry in folder.iterdir()) == ["ring"]


def test_a_key_is_added_once_from_standard_input_or_a_file(keyring, folder, ring):
    ring.write_text(TEXTS[0] + "\n")
    (folder / "key").write_text(TEXTS[1])
    assert keyring("add", ring, "key").stdout == f"{IDS[1]} is added, and decrypts\n"
    done = keyring("add", ring, "-", input=TEXTS[1])
    assert (done.returncode, done.stdout) == (0, f"{IDS[1]} is there already\n")
    assert keyring("add", ring).returncode == 0
    assert keys_in(ring)[:2] == TEXTS[:2] and len(keys_in(ring)) == 3


@pytest.mark.parametrize("text, said", [
    ("not a key", "standard input: line 1: 9 characters that are no key in base64"),
    ("", "standard input: line 1: there is no key"),
    (TEXTS[0][:-2], "standard input: line 1: 22 characters"),
    (f"{TEXTS[0]}\n{TEXTS[1]}", "2 keys; expected one"),
    ("#" * 5000, "standard input: line 1: this is too long"),
])
def test_refuses_what_is_no_key(keyring, ring, text, said):
    before = ring.read_bytes()
    done = keyring("add", ring, "-", input=text)
    assert done.returncode == 2 and said in done.stderr
    assert ring.read_bytes() == before


def test_a_key_in_the_arguments_is_refused_and_not_repeated(keyring, ring):
    for verb in (["add", ring, TEXTS[0]], ["create", "new", "--from", TEXTS[0]],
                 ["use", ring, TEXTS[0]], ["remove", ring, TEXTS[0]]):
        done = keyring(*verb)
        assert done.returncode in (1, 2) and "expected" in done.stderr


@pytest.mark.parametrize("argv, status, said", [
    (["use", "@ring", IDS[2]], 0, f"{IDS[2]} encrypts now\n"),
    (["use", "@ring", IDS[0]], 0, f"{IDS[0]} encrypts already\n"),
    (["remove", "@ring", IDS[1].upper()], 0, f"{IDS[1]} is removed\n"),
    (["remove", "@ring", IDS[0]], 1, f"{IDS[0]} encrypts, so it cannot be removed"),
    (["use", "@ring", "0" * 16], 1, "has no such key"),
    (["remove", "@ring", IDS[1][:3]], 1, "has no such key"),
    (["use", "nowhere", IDS[0]], 3, "nowhere: cannot be opened"),
    (["list", "/"], 3, "/: cannot be read"),
    (["use", "@ring"], 2, "expected FILE and the ID of a key"),
    (["list", "@ring", "more"], 2, "expected one FILE"),
    (["list", "@ring", "-c", "nowhere"], 2, "nowhere"),
    (["use", "@ring", IDS[2], "-c", "nowhere"], 2, "nowhere"),
    (["use", "@ring", IDS[2], "--timeout", "soon"], 2, "this is no duration"),
    (["lst", "@ring"], 2, "did you mean `list`?"),
    ([], 2, "Usage: sallyport keyring create"),
    (["rotate", "--help"], 0, "--settle DURATION"),
])
def test_says_what_it_did_or_why_not(keyring, ring, argv, status, said):
    before = ring.read_bytes()
    done = keyring(*(str(ring) if word == "@ring" else word for word in argv))
    assert done.returncode == status, done.stderr
    assert said in (done.stdout if status == 0 else done.stderr)
    assert status == 0 or ring.read_bytes() == before


def test_the_seventeenth_key_is_refused(keyring, ring):
    for _ in range(13):
        assert keyring("add", ring).returncode == 0
    done = keyring("add", ring)
    assert done.returncode == 1 and "is full; expected at most 16 keys" in done.stderr
    assert len(keys_in(ring)) == 16


def test_lists_fingerprints_for_people_and_programs(keyring, ring):
    assert keyring("list", ring).stdout == (
        f"{IDS[0]}  128 bits  encrypts\n{IDS[1]}  192 bits  decrypts\n"
        f"{IDS[2]}  256 bits  decrypts\n")
    listing = json.loads(keyring("list", ring, "--json").stdout)
    assert listing["is_loaded"] is None and listing["keyring"] == str(ring)
    assert [(key["id"], key["bits"], key["is_primary"], key["is_loaded"])
            for key in listing["keys"]] == [
        (IDS[0], 128, True, None), (IDS[1], 192, False, None), (IDS[2], 256, False, None)]


# ---- with an instance --------------------------------------------------------------------------


def test_an_edit_ends_when_the_instance_has_loaded_it(keyring, ring, instance):
    running = instance(ring)
    running.loads_after = 5
    done = keyring("use", ring, IDS[1], "--admin", running.address)
    assert done.returncode == 0, done.stderr
    assert running.asked == 6 and running.loaded[0] == IDS[1]


def test_the_config_names_the_instance(keyring, ring, instance, folder):
    running = instance(ring)
    (folder / "sallyport.yaml").write_text(
        'listeners: [{name: web, address: "127.0.0.1:8080", mode: redirect}]\n'
        f'admin: {{address: "{running.address}"}}\n')
    done = keyring("remove", ring, IDS[1], "-c", folder / "sallyport.yaml")
    assert done.returncode == 0, done.stderr
    assert running.loaded == [IDS[0], IDS[2]]


@pytest.mark.parametrize("trouble, said", [
    ({"is_frozen": True}, "its cluster `cluster` has not loaded what is in the file"),
    ({"error": "line 3: odd"}, "its cluster `cluster` could not load the file: line 3: odd"),
    ({"ring": "/nowhere-else"}, "none of its gossip clusters has this keyring"),
])
def test_an_edit_that_is_not_confirmed_says_so(keyring, ring, instance, trouble, said):
    running = instance(ring)
    loaded = running.loaded
    for name, value in trouble.items():
        setattr(running, name, value)
    running.is_frozen = True
    done = keyring("add", ring, "--admin", running.address, "--timeout", "200ms")
    assert done.returncode == 1
    assert "is written, but the instance has not confirmed within 0.2 s" in done.stderr
    assert said in done.stderr and running.loaded == loaded
    assert len(keys_in(ring)) == 4


def test_the_same_keys_with_another_primary_are_another_ring(keyring, ring, instance):
    running = instance(ring)
    running.is_frozen = True
    done = keyring("use", ring, IDS[2], "--admin", running.address, "--timeout", "100ms")
    assert done.returncode == 1 and "has not loaded" in done.stderr


def test_list_shows_what_each_key_did_last(keyring, ring, instance):
    running = instance(ring)
    running.opened_ago = {IDS[0]: 3, IDS[1]: 7300}
    lines = keyring("list", ring, "--admin", running.address).stdout.splitlines()
    assert lines[0].endswith("encrypts  loaded, last opened something 3 s ago")
    assert lines[1].endswith("loaded, last opened something 2 hours ago")
    assert lines[2].endswith("loaded, has opened nothing") and len(lines) == 3
    listing = json.loads(keyring("list", ring, "--json", "--admin", running.address).stdout)
    assert listing["is_loaded"] is True and listing["why_not"] is None
    assert [key["last_opened_seconds"] for key in listing["keys"]] == [3, 7300, None]
    assert listing["keys"][0]["sealed"] == 7 and listing["keys"][0]["opened"] == 5


def test_list_tells_of_a_ring_that_is_not_loaded(keyring, ring, instance):
    running = instance(ring)
    running.is_frozen = True
    running.loaded = [IDS[0], IDS[2]]
    done = keyring("list", ring, "--admin", running.address)
    assert done.returncode == 0 and f"{IDS[1]}  192 bits  decrypts  not loaded\n" in done.stdout
    assert "does not confirm this ring: its cluster `cluster` has not loaded" in done.stdout
    listing = json.loads(keyring("list", ring, "--json", "--admin", "unix:/nowhere").stdout)
    assert listing["is_loaded"] is False and "nobody answers" in listing["why_not"]


# ---- rotation ----------------------------------------------------------------------------------


VIA = """#!/bin/sh
# NODE sallyport keyring VERB ...: runs it with the paths of that node.
node=$1
shift
echo "$node $*" >>@folder@/calls
[ "$1" = sallyport ] || exit 90
shift
verb=$2
[ -e "@folder@/$node/unreachable" ] && exit 255
[ -e "@folder@/$node/refuses-$verb" ] && exit 255
if [ -e "@folder@/$node/lies-$verb" ]; then
    cat >/dev/null
    exit 0
fi
for word; do
    set -- "$@" "$(echo "$word" | sed "s|/NODE|@folder@/$node|")"
    shift
done
exec @binary@ "$@"
"""


class Cluster:
    """Three nodes with the same ring of two keys, each with its instance."""

    def __init__(self, keyring, instance, folder, binary):
        self.keyring = keyring
        self.folder = folder
        self.via = folder / "via"
        self.via.write_text(VIA.replace("@folder@", str(folder)).replace("@binary@", str(binary)))
        self.via.chmod(0o755)
        self.instances = {}
        for node in NODES:
            self.ring(node).parent.mkdir()
            self.ring(node).write_text(f"{TEXTS[2]}\n{TEXTS[0]}\n")
            self.instances[node] = instance(self.ring(node))
        self.old = IDS[2]

    def ring(self, node):
        return self.folder / node / "ring"

    def rings(self):
        return [ids_in(self.ring(node)) for node in NODES]

    def new(self):
        """The key that the rotation made."""
        [found] = {name for ring in self.rings() for name in ring} - set(IDS)
        return found

    def trouble(self, node, what):
        (self.folder / node / what).touch()

    def rotate(self, *argv):
        return self.keyring("rotate", "/NODE/ring", "--nodes", ",".join(NODES), "--via",
                            f"{self.via} {{}}", "--admin", "unix:/NODE/admin.sock", "--settle",
                            "0", "--timeout", "400ms", *argv)

    def on(self, node, *argv):
        """A command that a person types there."""
        done = self.keyring(argv[0], self.ring(node), *argv[1:], "--admin",
                            self.instances[node].address)
        assert done.returncode == 0, done.stderr

    def calls(self):
        """(node, verb), in order."""
        lines = (self.folder / "calls").read_text().splitlines()
        return [(line.split()[0], line.split()[3]) for line in lines]


@pytest.fixture
def cluster(keyring, instance, folder, binary):
    return Cluster(keyring, instance, folder, binary)


def test_rotates_all_nodes_one_step_after_the_other(cluster):
    done = cluster.rotate()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    new = cluster.new()
    assert cluster.rings() == [[new, IDS[0]]] * 3
    assert all(one.loaded == [new, IDS[0]] for one in cluster.instances.values())
    edits = [call for call in cluster.calls() if call[1] != "list"]
    assert edits == [(node, verb) for verb in ("add", "use", "remove") for node in NODES]
    verbs = "".join(verb[0] for _, verb in cluster.calls())
    assert re.fullmatch("l{3}a{3}l{3}u{3}l{3}l{3}r{3}l{3}", verbs)


def test_the_key_is_in_no_argument(cluster):
    assert cluster.rotate().returncode == 0
    calls = (cluster.folder / "calls").read_text()
    for key in keys_in(cluster.ring("a")):
        assert key not in calls
    assert " add /NODE/ring - " in calls


def test_the_new_key_has_the_size_asked_for_and_the_old_one_may_stay(cluster):
    assert cluster.rotate("--bits", "128", "--keep-old").returncode == 0
    assert cluster.rings() == [[cluster.new(), cluster.old, IDS[0]]] * 3
    assert len(base64.b64decode(keys_in(cluster.ring("b"))[0])) == 16


def go_on_after_add(cluster, new):
    for node in NODES:
        if new in ids_in(cluster.ring(node)):
            cluster.on(node, "remove", new)
    assert cluster.rings() == [[cluster.old, IDS[0]]] * 3


def go_on_after_use(cluster, new):
    for node in NODES:
        cluster.on(node, "use", new)
    go_on_after_remove(cluster, new)


def go_on_after_remove(cluster, new):
    for node in NODES:
        if cluster.old in ids_in(cluster.ring(node)):
            cluster.on(node, "remove", cluster.old)
    assert cluster.rings() == [[new, IDS[0]]] * 3


@pytest.mark.parametrize("how, why", [
    ("refuses", "`keyring {verb}` ended with status 255"),
    ("lies", "`keyring {verb}` ended well, but its file shows no trace of it"),
    ("frozen", "`keyring {verb}` ended with status 1"),
])
@pytest.mark.parametrize("verb, doing, advice, go_on", [
    ("add", "adding the new key", "Every node still encrypts with the old key", go_on_after_add),
    ("use", "putting the new key to use", "Every node has both keys", go_on_after_use),
    ("remove", "removing the old key", "Every node encrypts with the new key", go_on_after_remove),
])
def test_a_node_that_fails_stops_the_rotation(cluster, verb, doing, advice, go_on, how, why):
    if how == "frozen":
        # Its instance does not load what this step writes.
        freeze_when_loaded(cluster.instances["b"], {"add": 0, "use": 1, "remove": 2}[verb])
    else:
        cluster.trouble("b", f"{how}-{verb}")
    done = cluster.rotate()
    assert done.returncode == 1
    new = cluster.new()
    assert (f"stopped while {doing} (new key {new}, old key {cluster.old}): b: "
            f"{why.format(verb=verb)}") in done.stderr
    for node in NODES:
        assert re.search(f"^  {node}: (has|does not have|encrypts)", done.stderr, re.M)
    assert advice in done.stderr
    # All understand each other: what one encrypts with, each has loaded.
    for one in cluster.instances.values():
        for other in cluster.instances.values():
            assert one.loaded[0] in other.loaded
    later = {"add": ("use", "remove"), "use": ("remove",), "remove": ()}[verb]
    assert not [call for call in cluster.calls() if call[1] in later]
    mend(cluster)
    go_on(cluster, new)


def freeze_when_loaded(running, changes):
    """Loads as many changes of its file as that, and none after."""
    seen = []
    original = running.answer

    def answer():
        now = ids_in(running.ring)
        if not seen or now != seen[-1]:
            seen.append(now)
        running.is_frozen = len(seen) > changes + 1
        return original()

    def thaw():
        running.answer = original
        running.is_frozen = False

    running.answer, running.thaw = answer, thaw


def mend(cluster):
    for path in cluster.folder.glob("*/*-*"):
        path.unlink()
    for running in cluster.instances.values():
        getattr(running, "thaw", lambda: None)()


def test_nothing_is_begun_when_a_node_does_not_answer(cluster):
    before = cluster.rings()
    cluster.trouble("c", "unreachable")
    done = cluster.rotate()
    assert done.returncode == 1
    assert "nothing was changed: c is not ready for it: `keyring list` ended" in done.stderr
    assert cluster.rings() == before


def test_nothing_is_begun_when_an_instance_has_another_ring(cluster):
    before = cluster.rings()
    cluster.instances["b"].is_frozen = True
    cluster.instances["b"].loaded = [cluster.old]
    done = cluster.rotate()
    assert done.returncode == 1 and "nothing was changed: b is not ready" in done.stderr
    assert "its instance has another ring: its cluster `cluster` has not loaded" in done.stderr
    assert cluster.rings() == before


def test_nothing_is_begun_when_nodes_encrypt_with_different_keys(cluster):
    cluster.on("c", "use", IDS[0])
    before = cluster.rings()
    done = cluster.rotate()
    assert done.returncode == 1
    assert f"a encrypts with {IDS[2]}, and c with {IDS[0]}" in done.stderr
    assert cluster.rings() == before


def test_a_forgotten_member_keeps_the_old_key_alive(cluster):
    cluster.instances["c"].opened_ago = {cluster.old: 0}
    done = cluster.rotate("--settle", "100ms")
    assert done.returncode == 1
    assert "c: 0 s ago it received something sealed with the old key" in done.stderr
    assert cluster.rings() == [[cluster.new(), cluster.old, IDS[0]]] * 3


@pytest.mark.parametrize("argv, said", [
    (["/f", "--node", "-oProxyCommand=x"], "this is no name of a node"),
    (["/f", "--node", "a;b"], "this is no name of a node"),
    (["/f", "--node", "a$(b)"], "this is no name of a node"),
    (["f", "--node", "a"], "FILE to begin with /"),
    (["/f;g", "--node", "a"], "paths of letters, digits and"),
    (["/f", "--node", "a", "-c", "/a b"], "paths of letters, digits and"),
    (["/f", "--nodes", "a,b,a"], "a node is named twice"),
    (["/f", "--nodes", "a,,b"], "a node without a name"),
    (["/f", "--node", "a", "--via", "ssh"], "--via does not say where the node's name goes"),
    (["/f", "--via", "ssh {}"], "--via and --remote-command without nodes"),
])
def test_refuses_what_a_shell_could_take_apart(keyring, argv, said):
    done = keyring("rotate", *argv)
    assert done.returncode == 2 and said in done.stderr


def test_a_command_that_is_not_there_is_told(keyring):
    done = keyring("rotate", "/f", "--node", "a", "--via", "/nowhere/ssh {}")
    assert done.returncode == 1
    assert "`/nowhere/ssh` cannot be started: No such file or directory" in done.stderr


def test_the_remote_command_may_have_another_name(cluster):
    cluster.via.write_text(cluster.via.read_text().replace(
        '[ "$1" = sallyport ] || exit 90', '[ "$1 $2" = "sudo sp" ] || exit 90; shift'))
    assert cluster.rotate("--remote-command", "sudo  sp").returncode == 0
    assert cluster.rings() == [[cluster.new(), IDS[0]]] * 3


def test_rotates_this_machine_alone(keyring, ring, instance):
    running = instance(ring)
    done = keyring("rotate", ring, "--admin", running.address, "--settle", "0")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert running.loaded[1:] == IDS[1:] and running.loaded[0] not in IDS


def test_tells_its_progress_on_a_terminal(binary, ring, instance):
    running = instance(ring)
    ours, theirs = pty.openpty()
    subprocess.run([str(binary), "keyring", "rotate", str(ring), "--admin", running.address,
                    "--settle", "0"], stdout=theirs, stdin=subprocess.DEVNULL, check=True,
                   timeout=PATIENCE, env={**os.environ, **sanitizer_settings()})
    os.close(theirs)
    said = os.read(ours, 4096).decode().replace("\r\n", "\n")
    os.close(ours)
    assert said == (f"new key {running.loaded[0]}, old key {IDS[0]}\n"
                    "this machine: adding the new key\nall confirm it\n"
                    "this machine: putting the new key to use\nall confirm it\n"
                    "waiting 0.0 s for what is on its way\n"
                    "this machine: removing the old key\nall confirm it\n")


# ---- serf --------------------------------------------------------------------------------------


@pytest.fixture
def serf(folder, start):
    """serf(keyring) → a function that runs `serf keys` at an agent with that keyring."""
    program = shutil.which("serf")
    if program is None:
        pytest.skip("serf is not installed")

    def begin(path):
        rpc = f"127.0.0.1:{free_port()}"
        agent = start("serf", [program, "agent", "-node", "one", "-bind",
                               f"127.0.0.1:{free_port()}", "-rpc-addr", rpc, "-keyring-file", path])

        def keys(*argv):
            return subprocess.run([program, "keys", *argv, f"-rpc-addr={rpc}"], text=True,
                                  capture_output=True, timeout=PATIENCE)

        agent.wait_for(lambda: keys("-list").returncode == 0, "an answer of serf")
        return keys

    return begin


def test_serf_reads_what_we_write_and_we_what_it_writes(keyring, folder, serf):
    path = folder / "serf-ring"
    path.write_text(json.dumps(TEXTS[:1]))
    assert keyring("add", path, "-", input=TEXTS[1]).returncode == 0
    assert keyring("use", path, IDS[1]).returncode == 0
    keys = serf(path)
    assert sorted(re.findall(r"[\w+/]{22,}=*", keys("-list").stdout)) == sorted(TEXTS[:2])
    assert keys("-install", TEXTS[2]).returncode == 0
    wait_until(lambda: len(keys_in(path)) == 3, "serf to write the new key")
    listing = json.loads(keyring("list", path, "--json").stdout)
    assert {key["id"] for key in listing["keys"]} == set(IDS)
    assert listing["keys"][0]["id"] == IDS[1]
