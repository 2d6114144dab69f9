"""Enforcement: every hop judged, a violation stops the start, exceptions are dated and visible.

SPDX-License-Identifier: Apache-2.0
"""

import datetime
import json
import subprocess
import textwrap

import pytest
from conftest import wait_until

TODAY = datetime.datetime.now(datetime.timezone.utc).date()
LATER = TODAY + datetime.timedelta(days=30)
BEFORE = TODAY - datetime.timedelta(days=1)


def config(enforcement="{}", listener="{name: web, address: \"127.0.0.1:@web@\"}",
           servers='["http://127.0.0.1:@app@"]', certificate="{name: web, chain: @chain@, key: @key@}",
           tls=""):
    return textwrap.dedent(f'''
        enforcement: {enforcement}
        certificates: [{certificate}]
        listeners: [{listener[:-1]}, routes: [{{backend: app}}]}}]
        backends: {{app: {{servers: {servers}{tls}}}}}
    ''')


PUBLIC_PLAIN = '{name: web, address: "0.0.0.0:@web@", tls: off}'
LOCAL_PLAIN = '{name: web, address: "127.0.0.1:@web@", tls: off}'
REMOTE = '["http://192.0.2.10:8065"]'


def waiver(hop, expires=LATER):
    return f'{{waivers: [{{hop: {hop}, reason: "moves soon", expires: {expires}}}]}}'


@pytest.fixture
def check(run_sallyport, authority):
    """check(yaml, **values) → (exit status, what --json printed, the table)"""
    def run(text, **values):
        chain, key = authority.local
        values = {"chain": chain, "key": key, "app": 1, **values}
        table = run_sallyport("check", config=text, **values)
        done = run_sallyport("check", "--json", config=text, **values)
        assert table.returncode == done.returncode
        return done.returncode, json.loads(done.stdout), table.stdout + table.stderr
    return run


def hops(posture):
    return {hop["name"]: hop for hop in posture["hops"]}


# name → config, violating hops
VIOLATIONS = {
    "plaintext_listener": (config(listener=PUBLIC_PLAIN), {"listener/web"}),
    "plaintext_backend": (config(servers=REMOTE), {"backend/app/0"}),
    "second_server": (config(servers='["http://127.0.0.1:1", "http://192.0.2.10:1"]'),
                      {"backend/app/1"}),
    "both": (config(listener=PUBLIC_PLAIN, servers=REMOTE), {"listener/web", "backend/app/0"}),
    "loopback_when_never": (config("{plaintext: never}"), {"backend/app/0"}),
    "expired_waiver": (config(waiver("backend/app/0", BEFORE), servers=REMOTE),
                       {"backend/app/0"}),
}

FINE = {
    "tls_and_loopback": config(),
    "plaintext_on_loopback": config(listener=LOCAL_PLAIN),
    "unix_backend": config(servers='["unix:/run/app.sock"]'),
    "verified_backend": config(servers='["https://app.example:8065"]'),
    "any_plaintext": config("{plaintext: any}", listener=PUBLIC_PLAIN, servers=REMOTE),
    "waived": config(waiver("backend/app/0"), servers=REMOTE),
    "waived_until_today": config(waiver("backend/app/0", TODAY), servers=REMOTE),
    "not_asked_who_it_is": config("{verify_backends: no}", servers='["https://192.0.2.10:1"]'),
    "redirect_listener": config(listener='{name: web, address: "0.0.0.0:@web@"}'),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_check_finds_the_violation(check, name):
    text, expected = VIOLATIONS[name]
    status, posture, table = check(text)
    found = {hop for hop, facts in hops(posture).items() if facts["verdict"] == "violation"}
    assert (status, found, posture["violations"]) == (1, expected, len(expected))
    for hop in expected:
        assert hop in table
    assert "VIOLATION" in table


@pytest.mark.parametrize("name", FINE)
def test_check_is_content(check, name):
    status, posture, table = check(FINE[name])
    assert (status, posture["violations"]) == (0, 0)
    assert "VIOLATION" not in table


def test_check_says_all_there_is_to_a_hop(check):
    _, posture, table = check(config(waiver("backend/app/0"), servers=REMOTE))
    by_name = hops(posture)
    assert {"listener/web", "backend/app/0", "admin"} <= set(by_name)
    listener, backend = by_name["listener/web"], by_name["backend/app/0"]
    assert listener["from"] == "client" and listener["protection"] == "tls"
    assert "AES-256-GCM" in listener["evidence"] and listener["waiver"] is None
    assert backend["protection"] == "plaintext" and backend["verdict"] == "waived"
    assert backend["to"] == "http://192.0.2.10:8065"
    assert backend["waiver"]["reason"] == "moves soon"
    assert backend["waiver"]["expires"] == str(LATER)
    assert posture["waived"] == 1
    assert "moves soon" in table and str(LATER) in table


BAD = {
    "tls_11": config('{minimum_tls: "1.1"}'),
    "small_rsa": config("{minimum_rsa_bits: 1024}"),
    "weak_suite": config("{ciphers: [DES-CBC3-SHA]}"),
    "waiver_for_nothing": config(waiver("backend/nobody/0")),
    "waiver_without_reason": config(f"{{waivers: [{{hop: admin, expires: {LATER}}}]}}"),
    "waiver_with_bad_date": config(waiver("backend/app/0", "2027-13-45")),
    "waiver_for_ever": config("{waivers: [{hop: backend/app/0, reason: x}]}"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_the_policy_can_never_mean_is_bad_input(run_sallyport, authority, name):
    chain, key = authority.local
    for verb in (["check"], ["run"]):
        done = run_sallyport(*verb, config=BAD[name], chain=chain, key=key, app=1)
        assert done.returncode == 2, done.stderr
        assert "verb.yaml:" in done.stderr and ":3" in done.stderr.replace(":2", ":3")


@pytest.mark.parametrize("name", VIOLATIONS)
def test_strict_mode_refuses_to_start_and_says_why(run_sallyport, authority, name):
    text, expected = VIOLATIONS[name]
    chain, key = authority.local
    done = run_sallyport("run", config=text, chain=chain, key=key, app=1)
    assert done.returncode == 1, done.stderr
    for hop in expected:
        assert hop in done.stderr


WEAK = {
    "expired": {"days": (-10, -1)},
    "not_yet_valid": {"days": (1, 10)},
}


@pytest.mark.parametrize("name", WEAK)
def test_own_certificate_that_is_not_valid_is_a_violation(check, authority, name):
    chain, key = authority.issue("localhost", **WEAK[name])
    status, posture, _ = check(config(), chain=chain, key=key)
    assert status == 1 and hops(posture)["listener/web"]["verdict"] == "violation"


def test_own_rsa_key_below_the_minimum_is_a_violation(check, run_sallyport, authority):
    status, posture, _ = check(config("{minimum_rsa_bits: 4096}"))
    assert status == 1 and "2048 bits" in hops(posture)["listener/web"]["reason"]
    chain, key = authority.issue("localhost", bits=1024)
    done = run_sallyport("check", config=config(), chain=chain, key=key, app=1)
    assert done.returncode != 0 and "1024 bits" in done.stdout + done.stderr


def test_report_mode_runs_and_says_so(sallyport, backend, run_sallyport):
    proxy = sallyport(config("{mode: report, plaintext: never}", listener=LOCAL_PLAIN),
                      app=backend().port)
    ready, = proxy.wait_event("ready")
    assert ready["mode"] == "report" and ready["violations"] == 2
    assert {e["hop"] for e in proxy.events("hop") if e["verdict"] == "violation"} == {
        "listener/web", "backend/app/0"}
    with proxy.tcp("web") as conn:
        conn.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert conn.response().status == 200
    done = run_sallyport("status", "-c", proxy.config_path)
    assert done.returncode == 0 and "report" in done.stdout and "2 violation" in done.stdout
    machine = run_sallyport("status", "--json", "-c", proxy.config_path)
    status = json.loads(machine.stdout)
    assert (status["mode"], status["violations"], status["ready"]) == ("report", 2, True)
    check = run_sallyport("check", "-c", proxy.config_path)
    assert check.returncode == 1, "report mode lets run start; check still tells"


def test_status_tells_the_instance(sallyport, backend, run_sallyport):
    proxy = sallyport(config(), app=backend().port)
    with proxy.tls("web") as conn:
        conn.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert conn.response().status == 200
    status = wait_until(lambda: json.loads(run_sallyport("status", "--json", "-c",
                                                         proxy.config_path).stdout), "the status")
    assert (status["mode"], status["violations"], status["state"]) == ("strict", 0, "ready")
    assert status["pid"] == proxy.pid
    assert {child["role"].split()[0] for child in status["processes"]} >= {"worker", "keyholder"}
    assert status["certificates"][0]["days_left"] in (28, 29, 30)


def test_status_of_nobody_is_a_system_failure(run_sallyport, authority):
    chain, key = authority.local
    done = run_sallyport("status", config=config(), chain=chain, key=key, app=1)
    assert done.returncode == 3 and done.stderr


def test_stop_ends_the_instance(sallyport, backend, run_sallyport):
    proxy = sallyport(config(), app=backend().port)
    done = run_sallyport("stop", "-c", proxy.config_path)
    assert done.returncode == 0, done.stderr
    assert proxy.process.wait(10) == 0


def test_admin_socket_is_for_its_owner_only(sallyport, backend, tmp_path):
    sallyport(config(), app=backend().port)
    mode = subprocess.run(["stat", "-c", "%a", tmp_path / "admin.sock"], capture_output=True,
                          text=True, check=True).stdout.strip()
    assert mode == "600"
