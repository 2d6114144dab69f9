"""Reload in the running workers: what changes, what goes on, and that a failed one changes nothing.

The large version (2,000 WebSockets, 200 streams, 100 reloads) is tests/soak/reload.

SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import PATIENCE, Conn, fill, free_port, server_settings, wait_until
from http2_client import Http2
from test_process import children
from test_websocket import SWITCHING, UPGRADE
from test_websocket_http2 import open_client, switch

HEAD = """
certificates: [{name: web, chain: @chain@, key: @key@}]
"""
WEB = """
listeners:
  - {name: web, address: "127.0.0.1:@web@", tls: {certificates: [web]},
     routes: [{path: /, backend: app}]}
"""
APP = """
backends: {app: {servers: ["http://127.0.0.1:@app@"]}}
workers: 2
"""
CONFIG = HEAD + WEB + APP
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def get(path):
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def saying(text):
    body = text.encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


class Reloading:
    """A running proxy whose configuration can be written anew."""

    def __init__(self, proxy, run, values):
        self.proxy, self.run, self.values = proxy, run, values

    def write(self, text, **values):
        known = {**self.values, **self.proxy.ports, **values}
        filled, ports = fill(text, self.values["folder"], known)
        self.proxy.ports.update(ports)
        self.proxy.config_path.write_text(filled)

    def reload(self):
        """→ CompletedProcess of `sallyport reload`."""
        return self.run("reload", "--admin", f"unix:{self.values['folder']}/admin.sock")

    def take(self, text, **values):
        self.write(text, **values)
        done = self.reload()
        assert done.returncode == 0, done.stderr
        return done

    def refuse(self, text, **values):
        """A reload that fails → exit status, what it said."""
        before = self.status()["generation"]
        self.write(text, **values)
        done = self.reload()
        assert done.returncode != 0 and "nothing has changed" in done.stderr
        assert self.status()["generation"] == before
        return done.returncode, done.stderr

    def status(self):
        done = self.run("status", "--json", "--admin", f"unix:{self.values['folder']}/admin.sock")
        return json.loads(done.stdout)

    def serial(self, name="web"):
        """The serial number of the certificate that a new handshake gets."""
        with self.proxy.tls(name) as conn:
            return certificate_serial(conn.sock.getpeercert(binary_form=True))


def certificate_serial(der):
    from cryptography import x509
    return x509.load_der_x509_certificate(der).serial_number


@pytest.fixture
def reloading(sallyport, run_sallyport, authority, tmp_path):
    def start(text=CONFIG, **values):
        chain, key = authority.local
        values = {"chain": chain, "key": key, "ca": authority.path, "folder": tmp_path, **values}
        return Reloading(sallyport(text, **values), run_sallyport, values)
    return start


# ---- routes, listeners, backends --------------------------------------------------------------


def test_a_new_route_is_reachable_and_a_removed_one_is_not_on_the_same_conn(reloading, backend):
    one, other = backend(saying("one")), backend(saying("other"))
    both = """
listeners:
  - {name: web, address: "127.0.0.1:@web@", tls: {certificates: [web]},
     routes: [{path: /one, backend: app}, {path: /other, backend: other}]}
backends:
  app: {servers: ["http://127.0.0.1:@app@"]}
  other: {servers: ["http://127.0.0.1:@other@"]}
workers: 2
"""
    running = reloading(HEAD + both.replace(", {path: /other, backend: other}", ""),
                        app=one.port, other=other.port)
    with running.proxy.tls("web") as conn:
        assert conn.send(get("/one")).response().body == b"one"
        assert conn.send(get("/other")).response().status == 404
        done = running.take(HEAD + both)
        assert "generation 2 is in use" in done.stdout
        assert conn.send(get("/other")).response().body == b"other"
        running.take(HEAD + both.replace("{path: /one, backend: app}, ", ""))
        assert conn.send(get("/one")).response().status == 404
        assert conn.send(get("/other")).response().body == b"other"
    assert running.status()["generation"] == 3
    assert [e["generation"] for e in running.proxy.events("reloaded")] == [2, 3]


def test_a_stream_that_runs_ends_where_it_began(reloading, backend):
    goes_on = threading.Event()

    def slowly(conn):
        while conn.request() is not None:
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
            assert goes_on.wait(PATIENCE)
            conn.send(b"again")

    slow, quick = backend(slowly), backend(saying("quick"))
    running = reloading(app=slow.port)
    with Http2(running.proxy.tls("web", alpn=["h2"])) as client:
        before = client.request("/")
        slow.wait_received(b"GET")
        running.take(CONFIG, app=quick.port)
        assert client.get("/").body == b"quick"
        goes_on.set()
        assert client.reply(before).body == b"firstagain"


def test_a_removed_listener_closes_and_its_download_finishes(reloading, backend):
    goes_on = threading.Event()

    def slowly(conn):
        while conn.request() is not None:
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
            assert goes_on.wait(PATIENCE)
            conn.send(b"again")

    more = WEB + """\
  - {name: more, address: "127.0.0.1:@more@", tls: {certificates: [web]},
     routes: [{path: /, backend: app}]}
"""
    running = reloading(HEAD + more + APP, app=backend(slowly).port)
    idle, busy = running.proxy.tls("more"), running.proxy.tls("more")
    with idle, busy:
        busy.send(GET)
        assert busy.read_until(b"first").endswith(b"first")
        running.take(CONFIG)
        with pytest.raises(ConnectionRefusedError):
            running.proxy.tls("more")
        assert idle.read_to_end() == b""
        goes_on.set()
        assert busy.read_to_end() == b"again"
    running.take(HEAD + more + APP)
    with running.proxy.tls("more") as conn:
        assert conn.send(GET).response().body == b"firstagain"


def test_an_address_may_grow_to_all_addresses(reloading, backend):
    running = reloading(app=backend(saying("app")).port)
    running.take(CONFIG.replace("127.0.0.1:@web@", "0.0.0.0:@web@"))
    with running.proxy.tls("web") as conn:
        assert conn.send(GET).response().body == b"app"


def test_a_unix_socket_that_stays_is_not_removed(reloading, backend, tmp_path):
    path = tmp_path / "web.sock"
    text = CONFIG.replace("127.0.0.1:@web@", f"unix:{path}").replace("{certificates: [web]}", "off")
    running = reloading(text, app=backend(saying("one")).port)
    running.take(text, app=backend(saying("two")).port)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(str(path))
        assert Conn(sock).send(GET).response().body == b"two"
    running.take(CONFIG)
    assert not path.exists()


def test_conns_that_the_new_policy_would_not_let_in_end_after_their_exchange(reloading, backend):
    running = reloading(app=backend(saying("app")).port)
    with running.proxy.tls("web", version="1.2") as old:
        assert old.send(GET).response().body == b"app"
        running.take(CONFIG + 'enforcement: {minimum_tls: "1.3"}\n')
        assert old.read_to_end() == b""
    with pytest.raises((ssl.SSLError, ConnectionError)):
        running.proxy.tls("web", version="1.2")


def test_a_conn_in_plaintext_does_not_outlive_the_change_to_tls(reloading, backend):
    plain = CONFIG.replace("{certificates: [web]}", "off")
    running = reloading(plain, app=backend(saying("app")).port)
    with running.proxy.tcp("web") as old:
        assert old.send(GET).response().body == b"app"
        running.take(CONFIG)
        assert old.read_to_end() == b""
    with running.proxy.tls("web") as new:
        assert new.send(GET).response().body == b"app"


def test_logs_change_their_form_and_the_access_log_begins(reloading, backend):
    log = "log: {access: off, format: auto, level: info, destination: stderr}\n"
    running = reloading(CONFIG + log, app=backend(saying("app")).port)
    with running.proxy.tls("web") as conn:
        assert conn.send(get("/before")).response().status == 200
        running.take(CONFIG + log.replace("access: off", "access: json"))
        assert conn.send(get("/after")).response().status == 200
        assert [e["path"] for e in running.proxy.wait_event("access")] == ["/after"]
        running.take(CONFIG + log.replace("access: off", "access: errors_only")
                     .replace("auto", "text"))
        running.proxy.process.wait_for(lambda: re.search(r"reloaded.* generation=3",
                                                         running.proxy.process.err), "text")
        running.write(CONFIG + log)
        assert running.reload().returncode == 0
        assert running.status()["generation"] == 4
    assert not running.proxy.events("child_lost")


# ---- failures change nothing ------------------------------------------------------------------


def test_mistakes_are_told_all_at_once_and_change_nothing(reloading, backend):
    running = reloading(app=backend(saying("app")).port)
    with running.proxy.tls("web") as conn:
        status, said = running.refuse(CONFIG.replace("backend: app", "backend: nobody")
                                      + "nonsense: 1\n")
        assert status == 2
        assert "nobody" in said and "nonsense" in said
        assert re.search(r"sallyport-0\.yaml:\d+:\d+: ", said)
        assert running.refuse("a: [\n")[0] == 2
        done = running.run("reload", "-c", running.proxy.config_path)
        assert done.returncode == 2 and "nothing has changed" in done.stderr
        assert conn.send(GET).response().body == b"app"
    assert running.proxy.events("reload_failed")[0]["effect"] == "nothing has changed"


def test_a_certificate_that_is_none_fails_the_reload(reloading, backend, tmp_path):
    running = reloading(app=backend(saying("app")).port)
    bad = tmp_path / "bad.pem"
    bad.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    status, said = running.refuse(CONFIG, chain=bad)
    assert status == 2 and "bad.pem" in said
    with running.proxy.tls("web") as conn:
        assert conn.send(GET).response().body == b"app"


def test_a_violation_fails_the_reload_with_one(reloading, backend):
    running = reloading(app=backend(saying("app")).port)
    status, said = running.refuse(CONFIG.replace("http://127.0.0.1:@app@", "http://192.0.2.1:80"))
    assert status == 1 and "backend/app/0: plaintext that leaves this machine" in said


def test_an_address_in_use_fails_the_reload_and_opens_nothing(reloading, backend):
    running = reloading(app=backend(saying("app")).port)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        more = WEB + """\
  - {name: free, address: "127.0.0.1:@free@", tls: off, routes: [{backend: app}]}
  - {name: taken, address: "127.0.0.1:@taken@", tls: off, routes: [{backend: app}]}
"""
        status, said = running.refuse(HEAD + more + APP, taken=taken.getsockname()[1])
    assert status == 3 and "in use" in said and "taken" in said
    with pytest.raises(ConnectionRefusedError):
        running.proxy.tcp("free")


def test_what_cannot_change_in_place_is_named(reloading, backend, tmp_path):
    running = reloading(app=backend(saying("app")).port)
    status, said = running.refuse(
        CONFIG.replace("workers: 2", "workers: 3")
        + f"log: {{destination: {tmp_path}/other.log}}\nuser: nobody\n"
        + f'admin: {{address: "unix:{tmp_path}/other.sock"}}\n', )
    assert status == 2
    for name in ("number of workers", "destination of the log", "`user`", "admin address"):
        assert name in said, said


def test_a_worker_that_dies_while_it_prepares_fails_the_reload(reloading, backend):
    running = reloading(app=backend(saying("app")).port)
    victim = children(running.proxy.pid)["worker 1"]
    os.kill(victim, signal.SIGSTOP)
    outcome = {}
    asking = threading.Thread(target=lambda: outcome.update(done=running.reload()))
    asking.start()
    time.sleep(0.5)
    assert not outcome
    os.kill(victim, signal.SIGKILL)
    asking.join(PATIENCE)
    assert outcome["done"].returncode == 3 and "worker 1 ended" in outcome["done"].stderr
    wait_until(lambda: running.status()["ready"], "the worker's successor")
    assert running.status()["generation"] == 1
    assert running.reload().returncode == 0
    with running.proxy.tls("web") as conn:
        assert conn.send(GET).response().body == b"app"


def test_what_a_slow_worker_says_of_an_attempt_that_failed_is_about_nothing(reloading, backend):
    """Its answer to the first one comes while the second one is under way, which it must refuse."""
    text = CONFIG.replace("workers: 2", "workers: 1\nsandbox: exact")
    running = reloading(text, app=backend(saying("app")).port)
    worker, keyholder = (children(running.proxy.pid)[role] for role in ("worker 1", "keyholder"))
    os.kill(worker, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor() as asking:
            first = asking.submit(running.reload)
            time.sleep(0.5)  # it is at the worker by now; a slower one would only show less
            os.kill(keyholder, signal.SIGKILL)
            assert "keyholder ended" in first.result(PATIENCE).stderr
            wait_until(lambda: any(p["role"] == "keyholder" and p["restarts"] == 1 and p["ready"]
                                   for p in running.status()["processes"]), "a new keyholder")
            running.write(text, app=free_port())  # more than the sandbox allows
            second = asking.submit(running.reload)
            time.sleep(0.5)  # likewise
            os.kill(worker, signal.SIGCONT)
            assert "sandbox: exact" in second.result(PATIENCE).stderr
    finally:
        os.kill(worker, signal.SIGCONT)
    assert running.status()["generation"] == 1
    running.write(text)
    assert running.reload().returncode == 0
    assert running.status()["generation"] > 3  # no number is used twice


# ---- children that are started again ----------------------------------------------------------


def test_a_worker_that_is_started_again_has_the_new_generation(reloading, backend):
    running = reloading(app=backend(saying("one")).port)
    running.take(CONFIG, app=backend(saying("two")).port)
    for role in ("worker 1", "worker 2"):
        os.kill(children(running.proxy.pid)[role], signal.SIGKILL)
    wait_until(lambda: running.status()["ready"]
               and all(p["restarts"] == 1 for p in running.status()["processes"]
                       if p["role"].startswith("worker")), "two new workers")
    for _ in range(6):
        with running.proxy.tls("web") as conn:
            assert conn.send(GET).response().body == b"two"


def test_a_keyholder_that_is_started_again_has_the_new_keys(reloading, backend, authority):
    running = reloading(app=backend(saying("app")).port)
    chain, key = authority.issue("localhost", kind="ec")
    running.take(CONFIG, chain=chain, key=key)
    before = running.serial()
    os.kill(children(running.proxy.pid)["keyholder"], signal.SIGKILL)
    wait_until(lambda: any(p["role"] == "keyholder" and p["restarts"] == 1 and p["ready"]
                           for p in running.status()["processes"]), "a new keyholder")
    assert running.serial() == before


def test_sessions_are_resumed_across_a_reload(reloading, backend):
    running = reloading(app=backend(saying("app")).port)
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    settings.check_hostname, settings.verify_mode = False, ssl.CERT_NONE
    with Conn.tls(running.proxy.port("web"), settings=settings) as conn:
        assert conn.send(GET).response().status == 200
        session = conn.sock.session
    running.take(CONFIG)
    with Conn.tls(running.proxy.port("web"), settings=settings, session=session) as conn:
        assert conn.send(GET).response().status == 200
        assert conn.sock.session_reused


def test_our_certificate_for_a_backend_is_shown_across_reloads(reloading, backend, authority):
    """The key that signs for it is another one in each generation."""
    own, other = (authority.issue("sallyport", usage="client") for _ in range(2))
    shown = []

    def tell(conn):
        shown.append(certificate_serial(conn.sock.getpeercert(binary_form=True)))
        while conn.request() is not None:
            conn.send(saying("app"))

    app = backend(tell, tls=server_settings(*authority.issue("localhost"), authority.path))
    text = """
certificates:
  - {name: web, chain: @chain@, key: @key@}
  - {name: own, chain: @own@, key: @own_key@}
backends: {app: {servers: ["https://localhost:@app@"], tls: {ca: @ca@, certificate: own}}}
workers: 1
""" + WEB
    running = reloading(text, app=app.port, own=own[0], own_key=own[1])
    for chain, key in (own, other, own):
        running.take(text, own=chain, own_key=key)
        with running.proxy.tls("web") as conn:
            assert conn.send(GET).response().body == b"app"
    assert len(set(shown)) == 2 and shown[0] != shown[1] and shown[0] == shown[2]


# ---- files that change ------------------------------------------------------------------------


def put(path, source):
    """Replaces a file as tools do: written beside it, then renamed."""
    beside = path.with_suffix(".new")
    shutil.copy(source, beside)
    beside.rename(path)


@pytest.fixture
def own_files(tmp_path, authority):
    folder = tmp_path / "own"
    folder.mkdir()
    chain, key = authority.issue("localhost")
    shutil.copy(chain, folder / "chain.pem")
    shutil.copy(key, folder / "key.pem")
    return folder / "chain.pem", folder / "key.pem"


def test_a_replaced_certificate_is_served_without_a_command(reloading, backend, authority,
                                                            own_files):
    chain, key = own_files
    running = reloading(app=backend(saying("app")).port, chain=chain, key=key)
    before = running.serial()
    with running.proxy.tls("web") as old:
        running.write("a: [\n")  # not looked at
        new_chain, new_key = authority.issue("localhost")
        put(key, new_key)
        running.proxy.wait_event("reload_failed")  # the key does not fit the chain, yet
        assert running.serial() == before
        put(chain, new_chain)
        running.proxy.wait_event("reloaded", cause="files")
        assert running.serial() != before
        assert old.send(GET).response().body == b"app"
    assert running.status()["generation"] == 2
    chain.touch()
    shutil.copy(new_chain, chain)  # the same bytes
    time.sleep(0.5)
    assert running.status()["generation"] == 2


def test_a_revoked_client_is_refused_as_soon_as_the_list_is_there(reloading, backend, authority,
                                                                  tmp_path):
    one = authority.issue("one", usage="client")
    other = authority.issue("other", usage="client")
    crl = tmp_path / "crl.pem"
    authority.revocation_list(crl, other)
    text = CONFIG.replace("{certificates: [web]}", "{certificates: [web], client_ca: @ca@, "
                          "client_crl: @crl@, client_auth: required}")
    running = reloading(text, app=backend(saying("app")).port, crl=crl)
    with running.proxy.tls("web", client=one) as conn:
        assert conn.send(GET).response().status == 200
        authority.revocation_list(crl, one, other)
        running.proxy.wait_event("reloaded", cause="files")
        assert conn.read_to_end() == b""
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
        with running.proxy.tls("web", client=one) as conn:
            conn.send(GET).response()


def test_a_certificate_behind_links_is_followed(reloading, backend, authority, tmp_path):
    for number in ("1", "2"):
        (tmp_path / number).mkdir()
        chain, key = authority.issue("localhost")
        shutil.copy(chain, tmp_path / number / "chain.pem")
        shutil.copy(key, tmp_path / number / "key.pem")
    (tmp_path / "present").symlink_to("1")
    live = tmp_path / "live"
    live.mkdir()
    for name in ("chain.pem", "key.pem"):
        (live / name).symlink_to(f"../present/{name}")
    running = reloading(app=backend(saying("app")).port, chain=live / "chain.pem",
                        key=live / "key.pem")
    before = running.serial()
    for name in ("chain.pem", "key.pem"):
        (live / "beside").symlink_to(f"../2/{name}")
        (live / "beside").rename(live / name)
    running.proxy.wait_event("reloaded", cause="files")
    assert running.serial() != before


@pytest.mark.parametrize("layout", ["mounted", "linked_folder", "moved_folder"])
def test_a_link_in_the_middle_of_the_way_is_followed(reloading, backend, authority, tmp_path,
                                                     layout):
    """Kubernetes' ..data, a linked folder, and a folder that is put in another one's place."""
    for number in ("1", "2"):
        (tmp_path / number / "deep").mkdir(parents=True)
        chain, key = authority.issue("localhost")
        shutil.copy(chain, tmp_path / number / "deep" / "chain.pem")
        shutil.copy(key, tmp_path / number / "deep" / "key.pem")
    way = tmp_path / "mount" / "..data"
    way.parent.mkdir()
    folder = way / "deep"
    if layout == "mounted":
        folder = tmp_path / "mount"
        for name in ("chain.pem", "key.pem"):
            (folder / name).symlink_to(f"..data/deep/{name}")
    if layout == "moved_folder":
        (tmp_path / "1").rename(way)
    else:
        way.symlink_to("../1")
    running = reloading(app=backend(saying("app")).port, chain=folder / "chain.pem",
                        key=folder / "key.pem")
    before = running.serial()
    if layout == "moved_folder":
        way.rename(tmp_path / "1")
        (tmp_path / "2").rename(way)
    else:
        (way.parent / "beside").symlink_to("../2")
        (way.parent / "beside").rename(way)
    running.proxy.wait_event("reloaded", cause="files")
    assert running.serial() != before


def test_where_a_swapped_link_leads_is_watched_even_if_it_leads_to_nonsense_first(
        reloading, backend, authority, tmp_path):
    for number in ("1", "2"):
        (tmp_path / number).mkdir()
    chain, key = authority.issue("localhost")
    shutil.copy(chain, tmp_path / "1" / "chain.pem")
    shutil.copy(key, tmp_path / "1" / "key.pem")
    live = tmp_path / "live"
    live.symlink_to("1")
    running = reloading(app=backend(saying("app")).port, chain=live / "chain.pem",
                        key=live / "key.pem")
    before = running.serial()
    (tmp_path / "2" / "chain.pem").write_text("not yet")
    (tmp_path / "beside").symlink_to("2")
    (tmp_path / "beside").rename(live)
    running.proxy.wait_event("reload_failed")
    chain, key = authority.issue("localhost")
    put(tmp_path / "2" / "chain.pem", chain)
    put(tmp_path / "2" / "key.pem", key)
    running.proxy.wait_event("reloaded", cause="files")
    assert running.serial() != before


# ---- WebSockets -------------------------------------------------------------------------------


def echo(conn):
    """Upgrades, then sends back what comes."""
    while (head := conn.request()) is not None:
        if b"pgrade: websocket" not in head:
            conn.send(saying("plain"))
            continue
        conn.send(SWITCHING)
        while data := conn.sock.recv(4096):
            conn.send(data)


def upgraded(conn, path):
    conn.send(f"GET {path} HTTP/1.1\r\n".encode() + UPGRADE + b"\r\n")
    assert conn.response().status == 101
    return conn


def echoes(conn, data=b"\x82\x03abc"):
    conn.send(data)
    return conn.read_exactly(len(data)) == data


CHATS = HEAD + """
listeners:
  - {name: web, address: "127.0.0.1:@web@", tls: {certificates: [web]},
     routes: [{path: /stays, backend: app}, {path: /goes, backend: app}]}
backends: {app: {servers: ["http://127.0.0.1:@app@"]}}
workers: 2
timeouts: {drain: 1s}
"""


@pytest.mark.parametrize("scheme", ["tls", "plain"])
def test_a_websocket_whose_route_is_gone_is_told_so_at_the_deadline(reloading, backend, scheme):
    text = CHATS if scheme == "tls" else CHATS.replace("{certificates: [web]}", "off")
    running = reloading(text, app=backend(echo).port)
    connect = running.proxy.tls if scheme == "tls" else running.proxy.tcp
    with connect("web") as stays, connect("web") as goes, connect("web") as torn:
        for conn, path in ((stays, "/stays/1"), (goes, "/goes"), (torn, "/goes/2")):
            assert echoes(upgraded(conn, path))
        torn.send(b"\x82\x7f" + b"\0\0\0\0\0\0\1\0" + b"part")  # the echo is inside of a frame
        torn.read_exactly(14)
        running.take(text.replace(", {path: /goes, backend: app}", ""))
        assert echoes(goes) and echoes(stays)
        began = time.monotonic()
        assert goes.read_to_end() == b"\x88\x02\x03\xe9"  # close, 1001
        assert 0.5 < time.monotonic() - began < 10
        assert torn.read_to_end() == b""
        assert echoes(stays)
        running.take(text)
        assert echoes(stays)
    lines = {e["path"]: e for e in running.proxy.wait_event("access", count=3)}
    assert lines["/goes"]["fault"] == lines["/goes/2"]["fault"] == "drain_deadline"
    assert lines["/stays/1"].get("fault") != "drain_deadline"
    workers = [p for p in running.status()["processes"] if p["role"].startswith("worker")]
    assert sum(p["tunnels"] for p in workers) == 0 and sum(p["conns"] for p in workers) == 0


def test_reloads_that_follow_do_not_put_the_deadline_off(reloading, backend):
    """Each of two tunnels ends its own second after the reload that took its route away."""
    text = CHATS.replace("drain: 1s", "drain: 3s")
    both = ", {path: /goes, backend: app}, {path: /later, backend: app}"
    text = text.replace(", {path: /goes, backend: app}", both)
    running = reloading(text, app=backend(echo).port)
    with running.proxy.tls("web") as goes, running.proxy.tls("web") as later:
        for conn, path in ((goes, "/goes"), (later, "/later")):
            assert echoes(upgraded(conn, path))
        without = text.replace(both, ", {path: /later, backend: app}")
        running.take(without)
        began = time.monotonic()
        ended = {}

        def wait_for_end(conn, name):
            ended[name] = conn.read_to_end(), time.monotonic()

        waiting = [threading.Thread(target=wait_for_end, args=(conn, name))
                   for conn, name in ((goes, "goes"), (later, "later"))]
        for thread in waiting:
            thread.start()
        removed = None
        while "goes" not in ended and time.monotonic() - began < PATIENCE:
            running.take(text.replace(both, "") if removed else without)
            removed = removed or (time.monotonic() if time.monotonic() - began > 1.5 else None)
            time.sleep(0.2)
        for thread in waiting:
            thread.join(PATIENCE)
    assert {name: data for name, (data, _) in ended.items()} == {
        "goes": b"\x88\x02\x03\xe9", "later": b"\x88\x02\x03\xe9"}
    assert 2.5 < ended["goes"][1] - began < 6
    assert ended["later"][1] - ended["goes"][1] > 0.5
    assert ended["later"][1] - removed < 6


def test_a_websocket_goes_on_while_its_server_is_still_one_of_the_routes(reloading, backend):
    app, other = backend(echo), backend(echo)
    running = reloading(CHATS, app=app.port)
    with running.proxy.tls("web") as conn:
        upgraded(conn, "/stays")
        two = CHATS.replace('"http://127.0.0.1:@app@"',
                            '"http://127.0.0.1:@other@", "http://127.0.0.1:@app@"')
        running.take(two, other=other.port)
        time.sleep(1.5)  # longer than the drain takes
        assert echoes(conn)
        running.take(CHATS, app=other.port)
        assert conn.read_to_end() == b"\x88\x02\x03\xe9"


def test_a_websocket_over_http2_is_reset_when_its_route_is_gone(reloading, backend):
    def quiet(conn):
        switch(conn)
        while conn._more():
            conn.send(conn.pending)
            conn.pending = b""

    running = reloading(CHATS, app=backend(quiet).port)
    with open_client(running.proxy) as peer:
        stays, goes = peer.connect("/stays"), peer.connect("/goes")
        assert stays.status == goes.status == 200
        running.take(CHATS.replace(", {path: /goes, backend: app}", ""))
        goes.send(b"still here")
        assert goes.read(10) == b"still here"
        assert goes.wait_reset() == 8  # CANCEL
        stays.send(b"still here")
        assert stays.read(10) == b"still here"


# ---- all at once ------------------------------------------------------------------------------


def test_many_reloads_close_nothing_and_fail_no_request(binary):
    """Memory means nothing here, with sanitizers: the large version judges it."""
    soak = pathlib.Path(__file__).parents[1] / "soak" / "reload"
    done = subprocess.run(
        ["/usr/bin/python3", soak, "--sallyport", pathlib.Path(binary).resolve(), "--count", "100",
         "--streams", "40", "--reloads", "20", "--pause", "0.02", "--settle", "0", "--no-memory"],
        capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr


# ---- gossip -----------------------------------------------------------------------------------


def cluster(name, own, peer, keyring):
    """A relay on loopback addresses: no privilege and no rules."""
    return (f"  - {{name: {name}, keyring: {keyring}, ports: [{own[1]}], mode: relay,\n"
            f"     node: {{virtual: \"127.77.0.1:{own[1]}\", address: \"127.78.0.1:{own[0]}\"}},\n"
            f"     peers: [{{virtual: \"127.77.0.2:{own[1]}\", address: \"127.78.0.2:{peer}\"}}]}}\n")


def gossip_pids(proxy):
    return {role: pid for role, pid in children(proxy.pid).items() if role.startswith("gossip")}


def test_only_the_gossip_process_whose_settings_changed_is_started_anew(reloading, backend,
                                                                        tmp_path):
    keyring = tmp_path / "keyring"
    keyring.write_text('["' + "A" * 43 + '="]\n')
    keyring.chmod(0o600)
    ports = [free_port() for _ in range(8)]
    one = cluster("one", ports[0:2], ports[2], keyring)
    two = cluster("two", ports[3:5], ports[5], keyring)
    running = reloading(CONFIG + "gossip:\n" + one + two, app=backend(saying("app")).port)
    before = gossip_pids(running.proxy)
    assert set(before) == {"gossip 1", "gossip 2"}

    changed = cluster("two", ports[3:5], ports[6], keyring)
    running.take(CONFIG + "gossip:\n" + one + changed)
    wait_until(lambda: gossip_pids(running.proxy).get("gossip 2") not in (None, before["gossip 2"])
               and running.status()["ready"], "another process of the second")
    assert gossip_pids(running.proxy)["gossip 1"] == before["gossip 1"]

    second = gossip_pids(running.proxy)["gossip 2"]
    running.take(CONFIG + "gossip:\n" + changed)  # the first is gone, the second runs on
    wait_until(lambda: set(gossip_pids(running.proxy).values()) == {second}, "the end of the first")
    assert [g["name"] for g in running.status()["gossip"]] == ["two"]
    os.kill(second, signal.SIGKILL)  # its successor is the first cluster now
    wait_until(lambda: "gossip 1" in gossip_pids(running.proxy) and running.status()["ready"],
               "a successor")

    running.take(CONFIG)
    wait_until(lambda: not gossip_pids(running.proxy), "no gossip process")
    running.take(CONFIG + "gossip:\n" + one)
    wait_until(lambda: set(gossip_pids(running.proxy)) == {"gossip 1"}
               and running.status()["ready"], "the first again")


def test_a_keyring_that_cannot_be_used_fails_the_reload(reloading, backend, tmp_path):
    keyring = tmp_path / "keyring"
    keyring.write_text("nonsense\n")
    keyring.chmod(0o600)
    ports = [free_port() for _ in range(3)]
    running = reloading(app=backend(saying("app")).port)
    status, said = running.refuse(CONFIG + "gossip:\n"
                                  + cluster("one", ports[0:2], ports[2], keyring))
    assert status == 2 and "keyring" in said
