"""`status --metrics`, read with Prometheus's own parser of the text format: what happened can be seen in it,
and what is in it can be trusted.

SPDX-License-Identifier: Apache-2.0
"""

import datetime
import json
import os
import signal
import ssl
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from conftest import Authority, wait_until
from test_process import HELLO, REQUEST, children

CONFIG = """
certificates: [{name: web, chain: @chain@, key: @key@}]
listeners:
  - {name: web, address: "127.0.0.1:@web@",
     tls: {certificates: [web], client_ca: '@odd@', client_auth: optional},
     routes: [{host: "*", path: /, backend: app}]}
backends:
  app: {servers: ["http://127.0.0.1:@app@"]}
  gone: {servers: ["https://localhost:1"], tls: {ca: @ca@}}
workers: 2
tickets: {single_use: yes}
"""
HALF = 0.5  # a day more, so that no test depends on the second


class Metrics:
    """One scrape; `value("name", label="x")`, which fails when there is not exactly one."""

    def __init__(self, text):
        self.text = text
        self.kinds = {}
        self.samples = {}
        for family in text_string_to_metric_families(text):
            assert family.documentation, family.name
            assert family.name not in self.kinds, family.name
            self.kinds[family.name] = family.type
            for sample in family.samples:
                key = (sample.name, tuple(sorted(sample.labels.items())))
                assert key not in self.samples, key  # Prometheus would refuse the whole
                self.samples[key] = sample.value

    def value(self, name, /, **labels):
        wanted = set(labels.items())
        found = [value for (other, pairs), value in self.samples.items()
                 if other == name and wanted <= set(pairs)]
        assert len(found) == 1, (name, labels, found)
        return found[0]

    def total(self, name):
        return sum(value for (other, _), value in self.samples.items() if other == name)


@pytest.fixture
def scrape(run_sallyport):
    def run(proxy):
        done = run_sallyport("status", "--metrics", "-c", proxy.config_path)
        assert done.returncode == 0 and done.stderr == ""
        return Metrics(done.stdout)
    return run


@pytest.fixture
def odd(tmp_path):
    """A file whose path and whose authority's name need escapes in a label."""
    path = tmp_path / 'st"a\\ff.pem'
    path.write_bytes(Authority(tmp_path, 'st"a\\ff, "').path.read_bytes())
    return path


@pytest.fixture
def instance(sallyport, backend, authority, odd):
    def run(text=CONFIG, days=200, **keywords):
        chain, key = authority.issue("localhost", days=(-1, days + HALF))
        proxy = sallyport(text, chain=chain, key=key, ca=authority.path, odd=odd,
                          app=backend(HELLO).port, **keywords)
        proxy.wait_event("ready")
        return proxy
    return run


def visit(proxy, session=None, request=REQUEST):
    settings = ssl.create_default_context(cafile=str(proxy.authority.path))
    settings.minimum_version = ssl.TLSVersion.TLSv1_3
    with proxy.tls("web", settings=settings, session=session) as conn:
        conn.send(request).response()
        return conn.sock.session


def test_every_family_is_as_its_name_says(instance, scrape):
    metrics = scrape(instance())
    assert metrics.text.endswith("\n")
    for name, kind in metrics.kinds.items():
        assert name.startswith("sallyport_"), name
        assert kind in ("counter", "gauge"), name
        assert (f"# TYPE {name}_total counter" in metrics.text) is (kind == "counter"), name
    assert "\\x" not in metrics.text.replace("\\\\", "")


def test_what_happens_is_counted(instance, scrape):
    proxy = instance()
    before = scrape(proxy)
    settings = ssl.create_default_context(cafile=str(proxy.authority.path))
    settings.minimum_version = settings.maximum_version = ssl.TLSVersion.TLSv1_3
    session = None
    with proxy.tls("web", settings=settings) as conn:
        conn.send(REQUEST).response()
        session = conn.sock.session
    for is_resumed in (True, False):
        with proxy.tls("web", settings=settings, session=session) as conn:
            conn.send(REQUEST).response()
            assert conn.sock.session_reused is is_resumed
    visit(proxy, request=b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    after = scrape(proxy)

    def grew(name, **labels):
        if labels:
            return after.value(name, **labels) - before.value(name, **labels)
        return after.total(name) - before.total(name)

    assert grew("sallyport_conns_accepted_total") == 4
    assert grew("sallyport_tls_handshakes_resumed_total") == 1
    assert grew("sallyport_tls_handshakes_full_total") == 3
    assert grew("sallyport_tickets_spent_total") == 1
    assert grew("sallyport_tickets_reused_total") == 1
    assert grew("sallyport_tickets_no_room_total") == 0
    assert grew("sallyport_faults_total") == 1
    assert after.value("sallyport_tickets_epoch") == int(time.time()) // (12 * 3600)


def test_the_instance_tells_of_itself(instance, scrape, run_sallyport):
    proxy = instance()
    metrics = scrape(proxy)
    assert metrics.value("sallyport_ready") == 1
    assert metrics.value("sallyport_workers") == 2
    assert metrics.value("sallyport_config_generation") == 1
    assert metrics.value("sallyport_process_restarts_total", role="worker 2") == 0
    version = run_sallyport("--version").stdout.split()[1]
    assert metrics.value("sallyport_info", version=version) == 1
    os.kill(children(proxy.pid)["worker 2"], signal.SIGKILL)
    text = proxy.config_path.read_text()
    proxy.wait_event("child_started", child="worker 2")
    wait_until(lambda: scrape(proxy).value("sallyport_ready") == 1, "worker 2")
    proxy.config_path.write_text(text + "limits: {streams: 9}\n")
    assert run_sallyport("reload", "-c", proxy.config_path).returncode == 0
    proxy.config_path.write_text(text + "nonsense: 1\n")
    assert run_sallyport("reload", "--admin", f"unix:{admin_of(text)}").returncode == 2
    proxy.config_path.write_text(text)
    metrics = scrape(proxy)
    assert metrics.value("sallyport_process_restarts_total", role="worker 2") == 1
    assert metrics.value("sallyport_config_generation") == 2
    assert metrics.value("sallyport_config_reloads_total", result="done") == 1
    assert metrics.value("sallyport_config_reloads_total", result="failed") == 1
    assert abs(metrics.value("sallyport_config_timestamp_seconds") - time.time()) < 120


def admin_of(text):
    return next(line for line in text.splitlines() if "admin" in line).split("unix:")[1].strip('"} ')


def test_labels_come_back_as_they_were(instance, scrape, run_sallyport, authority, odd):
    proxy = instance()
    metrics = scrape(proxy)
    assert metrics.value("sallyport_certificate_days_left", kind="own", name="web", subject="") == 200
    posture = json.loads(run_sallyport("posture", "--json", "-c", proxy.config_path).stdout)
    told, = (row for row in posture["certificates"] if row["kind"] == "client_ca")
    assert told["file"] == str(odd) and '"' in told["subject"] and "\\" in told["subject"]
    ends = authority.certificate.not_valid_after.replace(tzinfo=datetime.timezone.utc).timestamp()
    for kind, name, file, subject in (("client_ca", "web", str(odd), told["subject"]),
                                      ("backend_ca", "gone", str(authority.path), "CN=test CA")):
        found = metrics.value("sallyport_certificate_expiry_timestamp_seconds", kind=kind, name=name,
                              file=file, subject=subject)
        assert abs(found - ends) < 7200
    assert metrics.value("sallyport_hops", verdict="violation") == 0
    assert metrics.value("sallyport_hop_violation", hop="listener/web") == 0


def test_violations_are_told(instance, scrape):
    metrics = scrape(instance(CONFIG.replace("http://127.0.0.1:@app@", "http://192.0.2.1:1")
                              + "enforcement: {mode: report}\n"))
    assert metrics.value("sallyport_hops", verdict="violation") == 1
    assert metrics.value("sallyport_hop_violation", hop="backend/app/0") == 1


@pytest.mark.parametrize("days, within, level", [
    (200, None, None), (20, 30, "warn"), (10, 14, "warn"), (2, 3, "error")])
def test_an_end_that_is_near_acts(instance, scrape, run_sallyport, days, within, level):
    """Of each span: metric, log, and the posture's remark."""
    proxy = instance(days=days)
    assert scrape(proxy).value("sallyport_certificate_days_left", kind="own") == days
    events = [event for event in proxy.events("certificate_expires") if event["kind"] == "own"]
    assert [(event["within_days"], event["level"]) for event in events] == (
        [] if within is None else [(within, level)])
    posture = json.loads(run_sallyport("posture", "--json", "-c", proxy.config_path).stdout)
    own, = (row for row in posture["certificates"] if row["kind"] == "own")
    assert own["within_days"] == within
    hop = next(hop for hop in posture["hops"] if hop["name"] == "listener/web")
    assert hop["verdict"] == "ok" and ("expires on" in hop["reason"]) is (within is not None)


def test_the_end_is_a_violation_and_may_end_readiness(instance, scrape, run_sallyport):
    proxy = instance(CONFIG + "enforcement: {expiry: {unready: yes}}\n", days=8 / 86400 - HALF)
    assert scrape(proxy).value("sallyport_ready") == 1
    assert run_sallyport("wait", "--timeout", "1", "-c", proxy.config_path).returncode == 0
    proxy.wait_event("certificate_expired")
    metrics = scrape(proxy)  # which works whatever is ready
    assert metrics.value("sallyport_ready") == 0
    assert metrics.value("sallyport_certificate_days_left", kind="own") == -1
    assert metrics.value("sallyport_hop_violation", hop="listener/web") == 1
    for verb, more in (("status", ()), ("wait", ("--timeout", "0.2"))):
        done = run_sallyport(verb, *more, "-c", proxy.config_path)
        assert done.returncode == 1, verb


def test_only_status_takes_the_option_and_only_an_instance_answers(run_sallyport, tmp_path):
    socket = f"unix:{tmp_path}/none.sock"
    done = run_sallyport("wait", "--metrics", "--admin", socket)
    assert done.returncode == 2 and "no option `--metrics`" in done.stderr
    done = run_sallyport("status", "--metrics", "--admin", socket)
    assert done.returncode == 3 and done.stdout == ""
