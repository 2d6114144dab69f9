"""Prometheus Alertmanager, which cannot encrypt its gossip with a key: three of them behind sidecars
share their silences.

SPDX-License-Identifier: Apache-2.0
"""

import datetime
import http.client
import json

import pytest
from conftest import wait_until
from gossip_lab import make_key, need_program, open_lab

pytestmark = pytest.mark.alone

GOSSIP_PORT = 9094
WEB_PORT = 9093
PROGRAM = "prometheus-alertmanager"
SETTINGS = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"


@pytest.fixture
def lab(request, binary, tmp_path):
    yield from open_lab(request, binary, tmp_path)


class Alertmanager:
    def __init__(self, lab, host, peer=None):
        need_program(PROGRAM, PROGRAM)
        self.host = host
        folder = lab.folder / f"alertmanager-{host.number}"
        folder.mkdir()
        (folder / "settings.yaml").write_text(SETTINGS)
        peers = [] if peer is None else [f"--cluster.peer={peer.host.ipv4}:{GOSSIP_PORT}"]
        self.process = lab.start_on(
            host, "alertmanager", PROGRAM, f"--config.file={folder}/settings.yaml",
            f"--storage.path={folder}", f"--web.listen-address=127.0.0.1:{WEB_PORT}",
            f"--cluster.listen-address={host.ipv4}:{GOSSIP_PORT}", "--cluster.settle-timeout=2s",
            *peers)
        self.process.wait_for(self._answers, "the API")

    def _answers(self):
        try:
            return self.call("GET", "/api/v2/status") is not None
        except OSError:
            return False

    def call(self, method, path, body=None):
        with self.host.inside():
            conn = http.client.HTTPConnection("127.0.0.1", WEB_PORT, timeout=5)
            conn.connect()
        conn.request(method, path, body and json.dumps(body),
                     {"Content-Type": "application/json"})
        answer = conn.getresponse()
        text = answer.read()
        conn.close()
        assert answer.status == 200, text
        return json.loads(text)

    def peers(self):
        return sorted(peer["address"] for peer in
                      self.call("GET", "/api/v2/status")["cluster"].get("peers", ()))

    def silence(self, name):
        now = datetime.datetime.now(datetime.timezone.utc)
        return self.call("POST", "/api/v2/silences", {
            "matchers": [{"name": "alertname", "value": name, "isRegex": False}],
            "startsAt": now.isoformat(), "createdBy": "test", "comment": f"comment-on-{name}",
            "endsAt": (now + datetime.timedelta(hours=1)).isoformat()})["silenceID"]

    def silences(self):
        return {silence["id"] for silence in self.call("GET", "/api/v2/silences")}


def test_silences_reach_all_alertmanagers_and_none_is_readable_on_the_wire(lab):
    key = make_key()
    wire = lab.wire()
    crowd = []
    for _ in range(3):
        host = lab.host()
        lab.sidecar(host, [key], ports=[GOSSIP_PORT])
        crowd.append(Alertmanager(lab, host, peer=crowd[0] if crowd else None))
    addresses = sorted(f"{one.host.ipv4}:{GOSSIP_PORT}" for one in crowd)
    for one in crowd:
        wait_until(lambda one=one: one.peers() == addresses, "all peers", pause=0.1)
    made = {one.silence(f"alert-{number}") for number, one in enumerate(crowd)}
    assert len(made) == 3
    for one in crowd:
        wait_until(lambda one=one: one.silences() == made, "all silences", pause=0.1)

    wire.wait_until(lambda catch: catch.count_sealed(key, [GOSSIP_PORT]) > 10, "sealed packets")
    catch = wire.stop()
    assert catch.unsealed([key], [GOSSIP_PORT]) == []
    assert catch.marks_found("comment-on-alert", "SourceAddr", "alertname") == []
