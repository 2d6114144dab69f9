"""What `sallyport check` says of gossip clusters: their keyrings are looked at, their hops are judged.

SPDX-License-Identifier: Apache-2.0
"""

import base64
import json

import pytest

CLUSTER = "gossip: [{name: serf, keyring: '@ring@', @more@}]\n"
LONG, OTHER, SHORT = (base64.b64encode(bytes([fill]) * size).decode()
                      for fill, size in ((1, 32), (2, 32), (3, 16)))


@pytest.fixture
def check(run_sallyport, tmp_path):
    """check(keyring's text, keys of the cluster, *argv) → CompletedProcess."""

    def run(ring, more="", *argv, config=CLUSTER, env=None):
        path = tmp_path / "serf.keyring"
        if ring is not None:
            path.write_text(ring)
        return run_sallyport("check", *argv, config=config, ring=path, more=more, env=env)

    return run


def hops(done):
    return {hop["name"]: hop for hop in json.loads(done.stdout)["hops"]}


def test_a_sidecar_alone_is_fine(check):
    done = check(f"{LONG}\n{OTHER}\n", "", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = hops(done)
    assert list(found) == ["gossip/serf/node", "gossip/serf/out", "gossip/serf/in", "admin"]
    assert [found[f"gossip/serf/{leg}"]["protection"] for leg in ("node", "out", "in")] == \
        ["plaintext", "gossip-aes-256-gcm", "gossip-aes-256-gcm"]
    assert "AES-256-GCM, shared key " in found["gossip/serf/out"]["evidence"]
    assert LONG not in done.stdout and OTHER not in done.stdout


@pytest.mark.parametrize("ring, policy, violated", [
    (f"{LONG}\n{SHORT}\n", "", ["in"]), (f"{SHORT}\n{LONG}\n", "", ["out", "in"]),
    (f"{SHORT}\n", "enforcement: {ciphers: modern}\n", [])])
def test_short_keys_are_judged_by_what_they_do(check, ring, policy, violated):
    done = check(ring, "", "--json", config=policy + CLUSTER)
    assert done.returncode == (1 if violated else 0)
    found = hops(done)
    assert [leg for leg in ("out", "in") if found[f"gossip/serf/{leg}"]["verdict"] == "violation"] \
        == violated
    for leg in violated:
        assert f"hop gossip/serf/{leg}: " in done.stderr


def test_plaintext_of_a_move_can_be_waived(check):
    waivers = ("enforcement: {waivers: ["
               "{hop: gossip/serf/in, reason: the move, expires: 2099-12-31}]}\n")
    done = check(LONG, "incoming: any, outgoing: plaintext", "--json", config=waivers + CLUSTER)
    assert done.returncode == 1
    found = hops(done)
    assert found["gossip/serf/in"]["verdict"] == "waived"
    assert found["gossip/serf/out"]["verdict"] == "violation"
    assert found["gossip/serf/in"]["protection"] == "plaintext"


@pytest.mark.parametrize("ring, sentence", [
    (None, "does not exist; expected a keyring"),
    ("", ""), ("# nothing\n", ""), ("c2VjcmV0IHdvcmQ=\n", ""),
    (LONG + "\n" + LONG + "\n", ""), ("x" * 5000, ""),
], ids=["missing", "empty", "comments", "short", "twice", "long"])
def test_a_bad_keyring_is_told_with_its_place_and_without_its_content(check, ring, sentence):
    done = check(ring)
    assert (done.returncode, done.stdout) == (2, "")
    line = done.stderr.strip()
    assert len(line.splitlines()) == 1
    assert ":1:32: " in line and "serf.keyring" in line and sentence in line
    for secret in ("c2VjcmV0IHdvcmQ", LONG[:12]):
        assert secret not in line


def test_a_key_may_come_from_a_file_or_the_environment(check, tmp_path):
    key = tmp_path / "key"
    key.write_text(LONG + "\n")
    config = "gossip: [{name: serf, key: {%s}}]\n"
    done = check(None, config=config % f"file: '{key}'")
    assert (done.returncode, done.stderr) == (0, "")
    done = check(None, config=config % "env: SERF_KEY", env={"SERF_KEY": LONG})
    assert (done.returncode, done.stderr) == (0, "")
    done = check(None, config=config % "env: SERF_KEY", env={"SERF_KEY": "c2VjcmV0IHdvcmQ="})
    assert done.returncode == 2
    assert ":1:" in done.stderr and "SERF_KEY: " in done.stderr
    assert "c2VjcmV0IHdvcmQ" not in done.stderr
