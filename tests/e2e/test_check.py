"""`sallyport check` and `sallyport config`: what an operator sees before anything is started.

SPDX-License-Identifier: Apache-2.0
"""

import datetime
import json
import pathlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

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
    ("secrets: {}", "is not available yet"),
    ("limits: {streams: 0}", "expected a whole number, from 1 to 1000"),
])
def test_bad_input_is_told_with_its_place(check, extra, sentence):
    done = check(GOOD + f"    {extra}\n")
    assert (done.returncode, done.stdout) == (2, "")
    line = done.stderr.strip()
    assert "verb.yaml:7:" in line and sentence in line
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize("url, sentence", [
    ("tcp://127.0.0.1:8065", "has a scheme that is not available yet"),
    ("udp://127.0.0.1:8065", "has a scheme that is not available yet"),
    ("h3://127.0.0.1:8065", "has an unknown scheme"),
])
def test_a_scheme_that_is_not_spoken_is_told_with_those_that_are(check, url, sentence):
    done = check(GOOD.replace("http://127.0.0.1:8065", url))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"servers: '{url}' {sentence}; expected http://HOST:PORT, https://HOST:PORT, " \
        "h2://HOST:PORT, h2c://HOST:PORT or unix:/PATH" in done.stderr


@pytest.mark.parametrize("url, protection, status", [
    ("h2c://127.0.0.1:8065", "plaintext", 0), ("h2c://192.0.2.7:8065", "plaintext", 1),
    ("h2://192.0.2.7:8065", "tls", 0)])
def test_http2_to_a_server_is_judged_by_its_protection(check, url, protection, status):
    done = check(GOOD.replace("http://127.0.0.1:8065", url), "--json")
    assert done.returncode == status
    hop = next(hop for hop in json.loads(done.stdout)["hops"] if hop["name"] == "backend/app/0")
    assert (hop["to"], hop["protection"]) == (url, protection)
    assert hop["verdict"] == ("violation" if status else "ok")


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


# ---- what the files hold -----------------------------------------------------------------------


def test_a_too_small_rsa_key_of_ours_is_a_violation(check, authority):
    chain, key = authority.issue(bits=1024)
    done = check(GOOD, chain=chain, key=key)
    assert done.returncode == 1
    assert "hop listener/web" in done.stderr and "1024" in done.stderr


BACKEND_TLS = """
    certificates: [{name: web, chain: @chain@, key: @key@, ocsp: @ocsp@}]
    listeners:
      - {name: web, address: "127.0.0.1:8443", default_backend: app,
         tls: {client_auth: required, client_ca: @client_ca@, client_crl: @client_crl@}}
    backends:
      app:
        servers: ["https://localhost:1"]
        tls: {ca: @backend_ca@, crl: @backend_crl@}
"""


def revocation_list(authority):
    now = datetime.datetime.now(datetime.timezone.utc)
    return (x509.CertificateRevocationListBuilder().issuer_name(authority.name)
            .last_update(now).next_update(now + datetime.timedelta(days=1))
            .sign(authority.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


@pytest.fixture
def files(authority, tmp_path):
    """Values of BACKEND_TLS that are fine; `broken` and `stolen` are paths of files that are not."""
    (tmp_path / "list.pem").write_bytes(revocation_list(authority))
    (tmp_path / "broken").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n"
                                     "-----END CERTIFICATE-----\n")
    (tmp_path / "stolen").write_bytes(authority.path.read_bytes() +
                                      authority.local[1].read_bytes())
    return {"ocsp": "off", "client_ca": authority.path, "backend_ca": authority.path,
            "client_crl": tmp_path / "list.pem", "backend_crl": tmp_path / "list.pem"}


def test_good_authorities_and_lists_are_fine(check, files):
    done = check(BACKEND_TLS, **files)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("kind", ["broken", "stolen"])
@pytest.mark.parametrize("name, line", [("ocsp", 2), ("client_ca", 5), ("client_crl", 5),
                                        ("backend_ca", 9), ("backend_crl", 9)])
def test_a_broken_file_is_told_at_its_place_by_check_and_run(check, run_sallyport, files, authority,
                                                             tmp_path, name, line, kind):
    files[name] = tmp_path / kind
    done = check(BACKEND_TLS, **files)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert f"verb.yaml:{line}:" in done.stderr and f"{tmp_path / kind}" in done.stderr
    assert ("holds a private key" in done.stderr) is (kind == "stolen")
    assert run_sallyport("run", "-c", tmp_path / "verb.yaml").stderr == done.stderr


def test_a_key_in_the_chain_file_beside_another_key_file_is_refused(check, authority, tmp_path):
    chain, key = authority.local
    both = tmp_path / "both.pem"
    both.write_bytes(chain.read_bytes() + key.read_bytes())
    done = check(GOOD, chain=both, key=key)
    assert done.returncode == 2
    assert "verb.yaml:2:" in done.stderr and "holds a private key" in done.stderr


# ---- without a file ----------------------------------------------------------------------------


def bare(tmp_path, **variables):
    """An environment in which nothing is configured and nothing is at home yet."""
    return {"HOME": str(tmp_path / "home"), "STATE_DIRECTORY": str(tmp_path / "state"),
            **variables}


def test_check_judges_what_run_would_run_without_a_file(run_sallyport, tmp_path):
    done = run_sallyport("check", "--to", "http://127.0.0.1:8065", "--listen", "127.0.0.1:8443",
                         env=bare(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "listener/web" in done.stdout and "0 violations" in done.stdout
    assert not (tmp_path / "state").exists() and not (tmp_path / "home").exists()


def test_check_reads_the_environment(run_sallyport, tmp_path):
    done = run_sallyport("check", "--json",
                         env=bare(tmp_path, SALLYPORT_TO="http://192.0.2.7:8065"))
    assert done.returncode == 1
    assert json.loads(done.stdout)["violations"] == 1


@pytest.mark.parametrize("verb", ["run", "check"])
@pytest.mark.parametrize("words, sentence", [
    (["--to", "http://127.0.0.1:8065", "-c", "x.yaml"], "-c and --to exclude each other"),
    (["--listen", "127.0.0.1:1"], "--listen needs --to"),
    (["--to"], "--to takes a value"),
    (["--two=1"], "there is no option `--two`"),
    (["--to", "ftp://127.0.0.1"], "--to: "),
])
def test_bad_options_are_told_alike(run_sallyport, tmp_path, verb, words, sentence):
    done = run_sallyport(verb, *words, env=bare(tmp_path))
    assert done.returncode == 2
    assert sentence in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(pathlib.Path("/etc/sallyport/sallyport.yaml").exists(),
                    reason="this machine has a configuration")
@pytest.mark.parametrize("verb", ["run", "check"])
def test_without_any_word_it_says_what_it_needs(run_sallyport, tmp_path, verb):
    done = run_sallyport(verb, env=bare(tmp_path))
    assert done.returncode == 2
    for word in ("--to", "SALLYPORT_TO", "-c FILE", "/etc/sallyport/sallyport.yaml"):
        assert word in done.stderr
