"""Certificates whose end is near: told at the start and while running, by `check`, `status` and
`posture`, for our own, for authorities and for what servers show; an expired one can end readiness.

SPDX-License-Identifier: Apache-2.0
"""

import json

import pytest
from conftest import Authority, server_settings
from test_process import HELLO, REQUEST

CONFIG = """
certificates: [{name: web, chain: @chain@, key: @key@}]
listeners:
  - {name: web, address: "127.0.0.1:@web@", tls: {certificates: [web]},
     routes: [{host: "*", path: /, backend: app}]}
backends: {app: {servers: ["http://127.0.0.1:@app@"]}}
workers: 1
"""
SECOND = 1 / 86400  # of a day
HALF = 0.5  # a day more, so that no test depends on the second


@pytest.fixture
def check(run_sallyport):
    def run(text=CONFIG, *argv, **values):
        return run_sallyport("check", *argv, config=text, web=0, app=1, **values)
    return run


@pytest.mark.parametrize("days, words", [
    (200, None), (20, "in 20 days"), (10, "in 10 days"), (1, "in 1 day"), (0, "in less than a day"),
])
def test_check_shows_the_days_left_and_warns(check, authority, days, words):
    chain, key = authority.issue("localhost", days=(-1, days + HALF))
    done = check(chain=chain, key=key)
    assert done.returncode == 0
    assert f"certificate: web ({days} day" in done.stdout
    warnings = [line for line in done.stdout.splitlines() if line.startswith("WARNING: ")]
    if words is None:
        assert warnings == []
    else:
        assert len(warnings) == 1
        assert f"our certificate 'web' ({chain}) expires on " in warnings[0]
        assert warnings[0].endswith(words)


def test_check_tells_programs(check, authority):
    chain, key = authority.issue("localhost", days=(-1, 10 + HALF))
    answer = json.loads(check(CONFIG, "--json", chain=chain, key=key).stdout)
    assert answer["near"] == 1
    certificate, = answer["certificates"]
    assert (certificate["kind"], certificate["name"], certificate["file"]) == (
        "own", "web", str(chain))
    assert (certificate["days_left"], certificate["within_days"]) == (10, 14)
    hop = next(hop for hop in answer["hops"] if hop["name"] == "listener/web")
    assert hop["verdict"] == "ok" and "expires on" in hop["reason"]


def test_spans_are_a_setting(check, authority):
    chain, key = authority.issue("localhost", days=(-1, 10 + HALF))
    policy = "enforcement: {expiry: {warn: @warn@}}\n"
    for warn, near in (("[5d]", 0), ("[5d, 12d]", 1), ("400d", 1), ("[]", 0)):
        done = check(CONFIG + policy.replace("@warn@", warn), "--json", chain=chain, key=key)
        assert json.loads(done.stdout)["near"] == near, warn
    done = check(CONFIG + policy.replace("@warn@", "[soon]"), chain=chain, key=key)
    assert done.returncode == 2 and "expected a duration" in done.stderr


def short_authority(tmp_path, name):
    """One that ends in 30 days, as those of the tests do."""
    return Authority(tmp_path / name, name)


def test_authorities_are_looked_at_too(check, authority, tmp_path):
    chain, key = authority.issue("localhost", days=(-1, 300 + HALF))
    staff, inner = short_authority(tmp_path, "staff"), short_authority(tmp_path, "inner")
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(staff.path.read_bytes() + authority.path.read_bytes())
    text = CONFIG.replace("certificates: [web]", 'certificates: [web], client_ca: @staff@, '
                          'client_auth: required').replace(
        'servers: ["http://127.0.0.1:@app@"]', 'servers: ["https://127.0.0.1:1"], tls: {ca: @inner@}')
    done = check(text, chain=chain, key=key, staff=bundle, inner=inner.path)
    assert done.returncode == 0
    warnings = [line for line in done.stdout.splitlines() if line.startswith("WARNING: ")]
    assert len(warnings) == 3
    assert any("authority CN=staff for clients of listener 'web'" in line for line in warnings)
    assert any("authority CN=test CA for clients of listener 'web'" in line for line in warnings)
    assert any(f"authority CN=inner for backend 'app' ({inner.path})" in line for line in warnings)


def test_the_log_tells_at_the_start(sallyport, backend, authority):
    chain, key = authority.issue("localhost", days=(-1, 2 + HALF))
    proxy = sallyport(CONFIG, chain=chain, key=key, app=backend(HELLO).port)
    event = proxy.wait_event("certificate_expires", certificate="web", kind="own")[0]
    assert (event["days_left"], event["within_days"], event["level"]) == (2, 3, "error")
    assert event["file"] == str(chain)


def test_the_log_says_nothing_of_a_certificate_that_lasts(sallyport, backend, authority):
    chain, key = authority.issue("localhost", days=(-1, 200 + HALF))
    proxy = sallyport(CONFIG, chain=chain, key=key, app=backend(HELLO).port)
    proxy.wait_event("ready")
    assert not proxy.events("certificate_expires")


def test_status_and_posture_show_it(sallyport, backend, run_sallyport, authority):
    chain, key = authority.issue("localhost", days=(-1, 10 + HALF))
    proxy = sallyport(CONFIG, chain=chain, key=key, app=backend(HELLO).port)
    proxy.wait_event("ready")
    status = json.loads(run_sallyport("status", "--json", "-c", proxy.config_path).stdout)
    near, = status["expiring"]
    assert (near["kind"], near["name"], near["days_left"], near["within_days"]) == (
        "own", "web", 10, 14)
    text = run_sallyport("status", "-c", proxy.config_path).stdout
    assert f"expires soon: own web ({chain})" in text and "in 10 days" in text
    text = run_sallyport("posture", "-c", proxy.config_path).stdout
    assert f"WARNING: own web ({chain})" in text


@pytest.mark.parametrize("unready", ["yes", "no"])
def test_an_expired_certificate_is_told_while_running_and_can_end_readiness(
        sallyport, backend, run_sallyport, authority, raw, unready):
    chain, key = authority.issue("localhost", days=(-1, 8 * SECOND))
    proxy = sallyport(CONFIG + f"enforcement: {{expiry: {{unready: {unready}}}}}\n",
                      chain=chain, key=key, app=backend(HELLO).port)
    proxy.wait_event("ready")
    assert proxy.events("certificate_expires")
    assert run_sallyport("status", "-c", proxy.config_path).returncode == 0
    assert proxy.wait_event("certificate_expired", certificate="web")[0]["level"] == "error"
    done = run_sallyport("status", "--json", "-c", proxy.config_path)
    status = json.loads(done.stdout)
    assert status["ready"] is (unready == "no")
    assert status["state"] == ("expired" if unready == "yes" else "ready")
    assert done.returncode == (1 if unready == "yes" else 0)
    posture = json.loads(run_sallyport("posture", "--json", "-c", proxy.config_path).stdout)
    assert posture["violations"] == 1
    with raw.tls(proxy.port("web")) as conn:  # it goes on serving those who take it
        assert conn.send(REQUEST).response().body == b"hello"


@pytest.mark.parametrize("days, level", [(2, "error"), (20, "warn"), (200, None)])
def test_what_a_server_shows_is_told_and_counted(
        sallyport, backend, run_sallyport, authority, days, level):
    app = backend(HELLO, tls=server_settings(*authority.issue("localhost", days=(-1, days + HALF))))
    chain, key = authority.issue("localhost", days=(-1, 200 + HALF))
    proxy = sallyport(CONFIG.replace('"http://127.0.0.1:@app@"]', '"https://localhost:@app@"], '
                                     'tls: {ca: @ca@}'), chain=chain, key=key, app=app.port)
    proxy.wait_event("ready")
    for _ in range(3):
        with proxy.tls("web") as conn:
            assert conn.send(REQUEST).response().body == b"hello"
    told = [event for event in proxy.events("certificate_expires") if event["kind"] == "backend"]
    status = json.loads(run_sallyport("status", "--json", "-c", proxy.config_path).stdout)
    count = next(row["server_certificates_near"] for row in status["processes"]
                 if row["role"] == "worker 1")
    if level is None:
        assert (told, count) == ([], 0)
        return
    assert len(told) == count == 1  # once a day, however many conns
    assert (told[0]["certificate"], told[0]["level"]) == ("app", level)
    assert told[0]["file"] == f"https://localhost:{app.port}"
    assert told[0]["days_left"] == days
