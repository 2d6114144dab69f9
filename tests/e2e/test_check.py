"""`sallyport check` and `sallyport config`: what an operator sees before anything is started.

SPDX-License-Identifier: Apache-2.0
"""

import json

import pytest

GOOD = """
    certificates: [{name: web, chain: @chain@, key: @key@}]
    listeners:
      - {name: web, address: "127.0.0.1:8443", default_backend: app}
      - {name: plain, address: "127.0.0.1:8080", mode: redirect}
    backends: {app: {servers: ["http://127.0.0.1:8065"]}}
"""
PLAINTEXT = GOOD.replace("http://127.0.0.1:8065", "http://192.0.2.7:8065")
WAIVED = PLAINTEXT + """
    enforcement:
      mode: @mode@
      waivers: [{hop: backend/app/0, reason: "until the move", expires: @expires@}]
"""


@pytest.fixture
def check(run_sallyport, authority):
    """check(config, *argv) → CompletedProcess of `sallyport check`."""
    chain, key = authority.local

    def run(config, *argv, **values):
        values = {"chain": chain, "key": key, **values}
        return run_sallyport("check", *argv, config=config, **values)

    return run


def test_a_good_file_is_fine_and_its_hops_are_listed(check):
    done = check(GOOD)
    assert (done.returncode, done.stderr) == (0, "")
    for hop in ("listener/web", "listener/plain", "backend/app/0", "admin"):
        assert hop in done.stdout
    assert "0 violations" in done.stdout


def test_plaintext_to_another_machine_is_a_violation(check):
    done = check(PLAINTEXT)
    assert done.returncode == 1
    assert "1 violation" in done.stdout
    assert ":6:" in done.stderr and "hop backend/app/0: plaintext that leaves" in done.stderr


@pytest.mark.parametrize("mode, expires, status", [
    ("strict", "2099-12-31", 0), ("report", "2099-12-31", 0),
    ("strict", "2020-12-31", 1), ("report", "2020-12-31", 1)])
def test_a_waiver_holds_until_its_day_in_either_mode(check, mode, expires, status):
    done = check(WAIVED, "--json", mode=mode, expires=expires)
    assert done.returncode == status
    posture = json.loads(done.stdout)
    hop = next(hop for hop in posture["hops"] if hop["name"] == "backend/app/0")
    assert posture["violations"] == status
    assert hop["verdict"] == ("violation" if status else "waived")
    assert hop["protection"] == "plaintext"
    assert hop["waiver"] == {"reason": "until the move", "expires": expires,
                             "expired": bool(status)}


@pytest.mark.parametrize("extra, sentence", [
    ("enforcement: {minimum_tls: '1.1'}", "can never be allowed"),
    ("enforcement: {waivers: [{hop: backend/ap/0, reason: r, expires: 2099-12-31}]}",
     "did you mean 'backend/app/0'?"),
    ("enforcement: {waivers: [{hop: backend/app/0, reason: r, expires: 2099-02-30}]}",
     "is not a day of the calendar"),
    ("timeuots: {}", "did you mean 'timeouts'?"),
    ("gossip: []", "is not available yet"),
])
def test_bad_input_is_told_with_its_place(check, extra, sentence):
    done = check(GOOD + f"    {extra}\n")
    assert (done.returncode, done.stdout) == (2, "")
    line = done.stderr.strip()
    assert "verb.yaml:7:" in line and sentence in line
    assert len(line.splitlines()) == 1


def test_all_mistakes_are_told_at_once(check):
    done = check(GOOD + "    workers: many\n    timeouts: {idle: 5, drain: 1x}\n")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 3


def test_a_key_of_another_certificate_is_told_at_the_key(check, authority):
    _, key = authority.issue()
    done = check(GOOD, key=key)
    assert done.returncode == 2
    assert "verb.yaml:2:" in done.stderr and "is not the key of the certificate" in done.stderr


def test_an_expired_certificate_of_ours_is_a_violation(check, authority):
    chain, key = authority.issue(days=(-30, -1))
    done = check(GOOD, chain=chain, key=key)
    assert done.returncode == 1
    assert "hop listener/web: our certificate 'web'" in done.stderr
    assert "expired on" in done.stderr


def test_a_missing_file_is_bad_input(run_sallyport):
    done = run_sallyport("check", "-c", "nowhere.yaml")
    assert done.returncode == 2
    assert done.stderr == "nowhere.yaml: 'nowhere.yaml' does not exist; expected a YAML file\n"


def test_the_reference_and_the_schema_know_the_same_keys(run_sallyport):
    reference = run_sallyport("config", "reference")
    schema = run_sallyport("config", "schema")
    assert (reference.returncode, schema.returncode) == (0, 0)
    for key in json.loads(schema.stdout)["properties"]:
        assert f"\n## {key}\n" in reference.stdout


def test_config_says_what_it_expects(run_sallyport):
    done = run_sallyport("config", "refrence")
    assert done.returncode == 2 and "did you mean `reference`?" in done.stderr
