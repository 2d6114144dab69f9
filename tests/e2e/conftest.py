"""Black-box fixtures: the real binary, real sockets, ports chosen by the kernel, no sleeps.

    def test_serves_a_page(sallyport, backend, authority):
        server = backend(b"HTTP/1.1 200 OK\r\\nContent-Length: 2\r\\n\r\\nok")
        proxy = sallyport('''
            certificates: [{name: web, chain: @chain@, key: @key@}]
            listeners:
              - {name: web, address: "127.0.0.1:@web@", tls: {certificates: [web]},
                 routes: [{host: "*", path: /, backend: app}]}
            backends: {app: {servers: ["http://127.0.0.1:@app@"]}}
        ''', app=server.port)
        with proxy.tls("web") as conn:
            conn.send(b"GET / HTTP/1.1\r\\nHost: localhost\r\\n\r\\n")
            assert conn.response().status == 200

`@name@` in a configuration is a value given by name, or else a port that the kernel chooses:
`proxy.port("web")` tells which. @chain@ and @key@ are of a certificate for localhost.

SPDX-License-Identifier: Apache-2.0
"""

import contextlib
import datetime
import functools
import ipaddress
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import textwrap
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

TOP = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("SALLYPORT_BINARY", TOP / "build/asan/sallyport"))
DEMO = pathlib.Path(
    os.environ.get("SALLYPORT_DEMO", TOP / "build/asan/deploy/demo/sallyport-demo"))
PATIENCE = float(os.environ.get("SALLYPORT_TEST_PATIENCE", "40"))  # seconds, for any one wait

SANITIZER_STATUS = 99
SANITIZER_SIGNS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:",
                   "AddressSanitizer:DEADLYSIGNAL", "LeakSanitizer has encountered a fatal error")


# ---- waiting ---------------------------------------------------------------------------------


def wait_until(condition, what, patience=None, pause=0.01):
    """Asks again every `pause` seconds until `condition` gives something true, and returns it."""
    deadline = time.monotonic() + (patience or PATIENCE)
    while True:
        outcome = condition()
        if outcome:
            return outcome
        if time.monotonic() > deadline:
            pytest.fail(f"waited {patience or PATIENCE:.0f} s in vain for {what}", pytrace=False)
        threading.Event().wait(pause)


def free_port(address="127.0.0.1"):
    """A TCP port that the kernel chose and that nobody listens on now."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def listening_ports():
    """The TCP ports that somebody listens on, without connecting to them."""
    ports = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError):
            for line in pathlib.Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A":
                    ports.add(int(fields[1].rsplit(":", 1)[1], 16))
    return ports


def resident_bytes(pid):
    """Memory of a process that is in use now."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024


def watch_memory(pid):
    """Samples a process's memory until the returned function is called, which gives the peak."""
    peak = [resident_bytes(pid)]
    over = threading.Event()

    def sample():
        while not over.wait(0.02):
            peak[0] = max(peak[0], resident_bytes(pid))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()

    def stop():
        over.set()
        thread.join()
        return peak[0]
    return stop


def cpu_seconds(pid):
    """CPU time of a process so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ---- processes -------------------------------------------------------------------------------


class Process:
    """A started program: its output in files, ended by SIGTERM, its logs shown on failure."""

    def __init__(self, name, argv, folder, env=None, cwd=None, stdin=subprocess.DEVNULL):
        self.name = name
        self.argv = [str(word) for word in argv]
        folder.mkdir(parents=True, exist_ok=True)
        self.out_path = folder / f"{name}.out"
        self.err_path = folder / f"{name}.err"
        # Appending, so that several processes that write here cannot overwrite each other.
        with open(self.out_path, "ab") as out, open(self.err_path, "ab") as err:
            self.popen = subprocess.Popen(
                self.argv, stdin=stdin, stdout=out, stderr=err, cwd=cwd,
                env={**os.environ, **sanitizer_settings(), **(env or {})})
        self.pid = self.popen.pid
        self.may_break_out = False  # a test makes a child do what its sandbox forbids

    @property
    def out(self):
        return self.out_path.read_text(errors="replace")

    @property
    def err(self):
        return self.err_path.read_text(errors="replace")

    def running(self):
        return self.popen.poll() is None

    def wait_for(self, condition, what, patience=None):
        """As wait_until, but gives up at once when the program has ended."""
        def outcome():
            found = condition()
            if not found and not self.running():
                pytest.fail(f"{self.name} ended with status {self.popen.returncode} before "
                            f"{what}\n{self.logs()}", pytrace=False)
            return found
        return wait_until(outcome, f"{self.name}: {what}", patience)

    def wait(self, patience=None):
        """Waits for the program's own end and returns its status."""
        try:
            return self.popen.wait(patience or PATIENCE)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{self.name} did not end\n{self.logs()}", pytrace=False)

    def signal(self, number):
        self.popen.send_signal(number)

    def stop(self, patience=None):
        """SIGTERM, and SIGKILL with a failure when that was not enough. Returns the status."""
        if self.running():
            self.signal(signal.SIGTERM)
        try:
            return self.popen.wait(patience or PATIENCE)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            pytest.fail(f"{self.name} ignored SIGTERM\n{self.logs()}", pytrace=False)

    def sanitizer_reports(self):
        return [sign for sign in SANITIZER_SIGNS if sign in self.err or sign in self.out]

    def logs(self):
        parts = [f"$ {' '.join(self.argv)}"]
        for path in (self.out_path, self.err_path):
            text = path.read_text(errors="replace").strip()
            if text:
                parts.append(f"--- {path.name}\n{text[-20000:]}")
        return "\n".join(parts)


def sanitizer_settings():
    return {
        "ASAN_OPTIONS": f"exitcode={SANITIZER_STATUS}:detect_leaks=1:detect_stack_use_after_return=0"
                        ":strict_string_checks=1:abort_on_error=0",
        "UBSAN_OPTIONS": f"print_stacktrace=1:exitcode={SANITIZER_STATUS}",
        "LSAN_OPTIONS": f"exitcode={SANITIZER_STATUS}",
    }


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: holds another program's real time against us (a"
                            " failure detector, a tenth of a second), so nothing runs beside it")


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Leaves each phase's outcome on the test and adds the logs of its processes on failure."""
    outcome = yield
    report = outcome.get_result()
    setattr(item, f"report_{report.when}", report)
    if report.failed:
        module = item.getparent(pytest.Module)
        for process in (getattr(item, "sallyport_processes", []) +
                        getattr(module, "sallyport_processes", [])):
            report.sections.append((f"logs of {process.name}", process.logs()))


def starter(processes, folder):
    def start_one(name, argv, **keywords):
        process = Process(f"{name}-{len(processes)}", argv, folder, **keywords)
        processes.append(process)
        return process

    return start_one


@pytest.fixture
def start(request, tmp_path):
    """start(name, argv, ...) → Process. Whatever was started is stopped at the end of the test, and
    a sanitizer's report of any of them fails it."""
    processes = request.node.sallyport_processes = []
    yield starter(processes, tmp_path)
    stop_all(processes)


@pytest.fixture(scope="module")
def standing_start(request, tmp_path_factory):
    """As start, until the module's last test."""
    processes = []
    yield starter(processes, tmp_path_factory.mktemp("standing-start"))
    stop_all(processes)


def stop_all(processes):
    problems = []
    for process in reversed(processes):
        try:
            process.stop()
        except pytest.fail.Exception as failure:
            problems.append(str(failure))
        if process.sanitizer_reports() or process.popen.returncode == SANITIZER_STATUS:
            problems.append(f"a sanitizer reports in {process.name}:\n{process.logs()}")
        if "child_forbidden_call" in process.err and not process.may_break_out:
            problems.append(f"the sandbox killed a child of {process.name}:\n{process.logs()}")
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def lean_sanitizer_settings():
    """For tests that measure memory: freed memory is given back soon."""
    settings = sanitizer_settings()
    settings["ASAN_OPTIONS"] += ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64"
    return settings


# ---- certificates ----------------------------------------------------------------------------


class Authority:
    """A CA of the tests' own, made without the program under test."""

    def __init__(self, folder, name="test CA"):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = rsa.generate_private_key(65537, 2048)
        now = datetime.datetime.now(datetime.timezone.utc)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(self.name).issuer_name(self.name).public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(key_usage(ca=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False)
            .sign(self.key, hashes.SHA256()))
        self.path = folder / "ca.pem"
        self.path.write_bytes(pem(self.certificate))

    def issue(self, *names, kind="rsa", days=(-1, 30), bits=2048, stem=None, usage="server",
              password=None):
        """Paths (chain, key) of a certificate for DNS names and IP addresses, valid from days[0] to
        days[1] counted from today. kind: rsa | ecdsa; usage: server | client."""
        names = names or ("localhost", "127.0.0.1", "::1")
        key = (rsa.generate_private_key(65537, bits) if kind == "rsa"
               else ec.generate_private_key(ec.SECP256R1()))
        now = datetime.datetime.now(datetime.timezone.utc)
        wanted = (ExtendedKeyUsageOID.SERVER_AUTH if usage == "server"
                  else ExtendedKeyUsageOID.CLIENT_AUTH)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]))
            .issuer_name(self.name).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=days[0]))
            .not_valid_after(now + datetime.timedelta(days=days[1]))
            .add_extension(x509.SubjectAlternativeName([general_name(n) for n in names]), False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([wanted]), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False)
            .sign(self.key, hashes.SHA256()))
        stem = stem or f"{names[0].replace('*', 'any')}-{certificate.serial_number:x}"
        chain_path, key_path = self.folder / f"{stem}.pem", self.folder / f"{stem}.key"
        chain_path.write_bytes(pem(certificate) + pem(self.certificate))
        seal = (serialization.BestAvailableEncryption(password.encode()) if password
                else serialization.NoEncryption())
        key_path.write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, seal))
        key_path.chmod(0o600)
        return chain_path, key_path

    def revocation_list(self, path, *identities):
        """Writes a CRL that revokes these (chain, key) and returns its path."""
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (x509.CertificateRevocationListBuilder().issuer_name(self.name)
                   .last_update(now - datetime.timedelta(days=1))
                   .next_update(now + datetime.timedelta(days=30)))
        for chain, _ in identities:
            leaf = x509.load_pem_x509_certificate(pathlib.Path(chain).read_bytes())
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(leaf.serial_number)
                .revocation_date(now - datetime.timedelta(days=1)).build())
        path.write_bytes(pem(builder.sign(self.key, hashes.SHA256())))
        return path

    @functools.cached_property
    def local(self):
        """(chain, key) for localhost."""
        return self.issue()


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def general_name(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def key_usage(ca):
    return x509.KeyUsage(
        digital_signature=not ca, content_commitment=False, key_encipherment=not ca,
        data_encipherment=False, key_agreement=False, key_cert_sign=ca, crl_sign=ca,
        encipher_only=False, decipher_only=False)


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


# ---- the proxy -------------------------------------------------------------------------------


class Sallyport:
    """A running proxy: where it listens, what it logged, raw conns to it."""

    def __init__(self, process, config_path, ports, authority):
        self.process = process
        self.config_path = config_path
        self.ports = ports
        self.authority = authority

    def port(self, name):
        return self.ports[name]

    @property
    def pid(self):
        return self.process.pid

    def events(self, event=None):
        """Log lines so far, as dictionaries; those named `event` only, when given."""
        lines = []
        for line in (self.process.err + self.process.out).splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                entry = json.loads(line)
                if isinstance(entry, dict) and (event is None or entry.get("event") == event):
                    lines.append(entry)
        return lines

    def wait_event(self, event, count=1, **fields):
        """Waits until `count` lines with that event name and those fields are there."""
        def found():
            lines = [e for e in self.events(event)
                     if all(e.get(key) == value for key, value in fields.items())]
            return lines if len(lines) >= count else None
        return self.process.wait_for(found, f"event {event} {fields or ''}")

    def workers(self):
        """Process ids of the workers; a child tells its role in its command line."""
        pids = []
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, ValueError):
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.pid and b"worker" in (path / "cmdline").read_bytes():
                    pids.append(int(path.name))
        return sorted(pids)

    def tcp(self, name, **keywords):
        return Conn.tcp(self.port(name), **keywords)

    def tls(self, name, **keywords):
        keywords.setdefault("ca", self.authority.path)
        return Conn.tls(self.port(name), **keywords)

    def stop(self, **keywords):
        return self.process.stop(**keywords)


PLAIN_LOG = "log: {access: json, level: debug, destination: stderr}\n"


def fill(text, folder, values, socket_name="admin.sock"):
    """Replaces each @name@ and returns the text with the ports that were chosen."""
    ports = {}

    def value(match):
        name = match.group(1)
        if name in values:
            return str(values[name])
        return str(ports.setdefault(name, free_port()))

    text = re.sub(r"@([a-z_][a-z0-9_]*)@", value, textwrap.dedent(text))
    if not re.search(r"^admin:", text, re.MULTILINE):
        text += f'\nadmin: {{address: "unix:{folder}/{socket_name}"}}\n'
    if not re.search(r"^workers:", text, re.MULTILINE):
        text += "workers: 1\n"
    if not re.search(r"^log:", text, re.MULTILINE):
        text += PLAIN_LOG
    return text, ports


@pytest.fixture(scope="session")
def binary():
    if not os.access(BINARY, os.X_OK):
        pytest.fail(f"{BINARY} is not there: build it, or set SALLYPORT_BINARY", pytrace=False)
    return BINARY


@pytest.fixture
def sallyport(binary, start, authority, tmp_path):
    """sallyport(yaml, name=value, ...) → a running Sallyport. Options: _args (after the verb),
    _env, _wait=False to get it before it listens, _before (words of a command that runs it),
    _binary (a copy of the program)."""
    return sallyport_starter(binary, start, authority, tmp_path)


@pytest.fixture(scope="module")
def standing(request, binary, authority, tmp_path_factory):
    """As sallyport, for tables of cases: what it starts runs until the module's last test."""
    processes = request.node.sallyport_processes = []
    folder = tmp_path_factory.mktemp("standing")
    yield sallyport_starter(binary, starter(processes, folder), authority, folder)
    stop_all(processes)


def sallyport_starter(binary, start, authority, folder):
    def run(text, _args=(), _env=None, _wait=True, _before=(), _binary=binary, **values):
        chain, key = authority.local
        values = {"chain": chain, "key": key, "ca": authority.path, "folder": folder, **values}
        number = len(list(folder.glob("sallyport-*.yaml")))
        socket_name = f"admin-{number}.sock" if number else "admin.sock"
        text, ports = fill(text, folder, values, socket_name)
        path = folder / f"sallyport-{number}.yaml"
        path.write_text(text)
        process = start("sallyport", [*_before, _binary, "run", "-c", path, *_args], env=_env)
        proxy = Sallyport(process, path, ports, authority)
        if _wait:
            process.wait_for(lambda: set(ports.values()) <= listening_ports(),
                             f"listening on {ports}")
            # A port listens before the start is over; whoever stops too early never sees `ready`.
            if not re.search(r"destination: (?!stderr)|level: *(warn|error)", text):
                process.wait_for(lambda: "ready" in process.err, "the start")
        return proxy

    return run


@pytest.fixture
def run_sallyport(binary, tmp_path):
    """run_sallyport(*argv, config=yaml, **values) → CompletedProcess of a verb that ends by itself.
    With config, `-c FILE` is added and the file's text is filled as for `sallyport`."""
    def run(*argv, config=None, env=None, patience=None, **values):
        argv = [str(binary), *map(str, argv)]
        if config is not None:
            path = tmp_path / "verb.yaml"
            path.write_text(fill(config, tmp_path, {"folder": tmp_path, **values})[0])
            argv += ["-c", str(path)]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=patience or PATIENCE, cwd=tmp_path,
                              env={**os.environ, **sanitizer_settings(), **(env or {})})
        for sign in SANITIZER_SIGNS:
            assert sign not in done.stderr, done.stderr
        return done

    return run


# ---- raw clients -----------------------------------------------------------------------------


class Response:
    """A response as it came: status, fields in order (names in lower case), body, raw head."""

    def __init__(self, head, body):
        lines = head.decode("latin-1").split("\r\n")
        self.head = head
        self.body = body
        self.version, _, rest = lines[0].partition(" ")
        self.status = int(rest[:3])
        self.reason = rest[4:]
        self.fields = [(name.lower(), value.strip()) for name, _, value
                       in (line.partition(":") for line in lines[1:] if line)]

    def field(self, name):
        values = [value for key, value in self.fields if key == name.lower()]
        return ", ".join(values) if values else None


class Conn:
    """A raw conn of a client: bytes out, bytes in. Usable in `with`."""

    def __init__(self, sock):
        self.sock = sock
        self.pending = b""  # read, but not asked for yet
        self.ended = False

    @classmethod
    def tcp(cls, port, address="127.0.0.1", patience=None):
        return cls(socket.create_connection((address, port), patience or PATIENCE))

    @classmethod
    def tls(cls, port, address="127.0.0.1", name="localhost", ca=None, alpn=None, version=None,
            ciphers=None, session=None, settings=None, client=None, patience=None):
        """version: "1.2" or "1.3" for only that one; client: (chain, key); settings: an
        SSLContext to use as it is, with which a session can be resumed."""
        if settings is None:
            settings = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            if ca is None:
                settings.check_hostname, settings.verify_mode = False, ssl.CERT_NONE
            else:
                settings.load_verify_locations(ca)
            if version is not None:
                only = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
                settings.minimum_version = settings.maximum_version = only
            if ciphers is not None:
                settings.set_ciphers(ciphers)
            if alpn is not None:
                settings.set_alpn_protocols(alpn)
            if client is not None:
                settings.load_cert_chain(*client)
        plain = socket.create_connection((address, port), patience or PATIENCE)
        try:
            return cls(settings.wrap_socket(plain, server_hostname=name, session=session))
        except BaseException:
            plain.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def reset(self):
        """Closes with a reset instead of an orderly end."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)
        return self

    def send_end(self):
        """Ends the sending direction (TCP only)."""
        self.sock.shutdown(socket.SHUT_WR)

    def _more(self):
        if self.ended:
            return False
        try:
            data = self.sock.recv(65536)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            data = b""
        self.pending += data
        self.ended = not data
        return bool(data)

    def read_exactly(self, count):
        while len(self.pending) < count:
            if not self._more():
                raise EOFError(f"ended after {len(self.pending)} of {count} bytes")
        data, self.pending = self.pending[:count], self.pending[count:]
        return data

    def read_until(self, mark):
        while mark not in self.pending:
            if not self._more():
                raise EOFError(f"ended before {mark!r}, after {self.pending!r}")
        data, _, self.pending = self.pending.partition(mark)
        return data + mark

    def read_to_end(self):
        """Everything until the peer ends or resets the conn."""
        with contextlib.suppress(ConnectionResetError):
            while self._more():
                pass
        data, self.pending = self.pending, b""
        return data

    def response(self, method="GET", interim=False):
        """The next response, its body by its framing; 1xx are skipped unless `interim`."""
        while True:
            head = self.read_until(b"\r\n\r\n")
            message = Response(head[:-4], b"")
            if message.status < 200 and message.status != 101 and not interim:
                continue
            message.body = self._body(message, method)
            return message

    def _body(self, message, method):
        if method == "HEAD" or message.status < 200 or message.status in (204, 304):
            return b""
        if (message.field("transfer-encoding") or "").lower() == "chunked":
            return self._chunked()
        if message.field("content-length") is not None:
            return self.read_exactly(int(message.field("content-length")))
        return self.read_to_end()

    def _chunked(self):
        body = b""
        while True:
            size = int(self.read_until(b"\r\n").split(b";")[0], 16)
            if size == 0:
                while self.read_until(b"\r\n") != b"\r\n":
                    pass
                return body
            body += self.read_exactly(size)
            assert self.read_exactly(2) == b"\r\n"


@pytest.fixture
def raw():
    """The class of raw conns: raw.tcp(port), raw.tls(port, ca=...)."""
    return Conn


# ---- scripted backends -----------------------------------------------------------------------


class Backend:
    """A TCP server that a test scripts. `answer` is bytes, sent once for each request head that
    arrives; or a function of one BackendConn, run in a thread for each conn. All bytes received are
    recorded, conn by conn, in `received`."""

    def __init__(self, answer, tls=None, address="127.0.0.1", unix=None):
        self.answer = answer
        self.settings = tls
        self.received = []  # one bytearray a conn
        self.faults = []
        self.conns = []
        self.changed = threading.Condition()
        if unix is not None:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(str(unix))
        else:
            self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind((address, 0))
        self.socket.listen(1024)
        self.port = None if unix is not None else self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        record = bytearray()
        with self.changed:
            self.received.append(record)
            self.conns.append(sock)
            self.changed.notify_all()
        try:
            sock.settimeout(PATIENCE)
            if self.settings is not None:
                sock = self.settings.wrap_socket(sock, server_side=True)
            conn = BackendConn(sock, record, self.changed)
            if callable(self.answer):
                self.answer(conn)
            else:
                while conn.request() is not None:
                    conn.send(self.answer)
        except (OSError, EOFError) as fault:
            self.faults.append(fault)
        finally:
            with contextlib.suppress(OSError):
                sock.close()

    def wait_received(self, mark, patience=None):
        """Waits until some conn's bytes contain `mark` and returns that conn's bytes."""
        def found():
            with self.changed:
                return next((bytes(r) for r in self.received if mark in r), None)
        return wait_until(found, f"the backend to receive {mark!r}; it has {self.received}",
                          patience)

    def all_received(self):
        with self.changed:
            return b"".join(bytes(record) for record in self.received)

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for sock in self.conns:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


class BackendConn(Conn):
    """The backend's end of one conn; what it reads is recorded."""

    def __init__(self, sock, record, changed):
        super().__init__(sock)
        self.record = record
        self.changed = changed

    def _more(self):
        before = len(self.pending)
        more = super()._more()
        with self.changed:
            self.record += self.pending[before:]
            self.changed.notify_all()
        return more

    def request(self):
        """Head and body of the next request as bytes (the body of chunked ones decoded); None at
        the end of the conn."""
        try:
            head = self.read_until(b"\r\n\r\n")
        except (EOFError, ConnectionResetError):
            return None
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        if re.search(rb"\r\ntransfer-encoding: *chunked", head, re.IGNORECASE):
            return head + self._chunked()
        return head + self.read_exactly(int(length.group(1))) if length else head


@pytest.fixture
def backend():
    """backend(answer, tls=SSLContext, unix=path) → Backend on a port that the kernel chose."""
    yield from open_backends()


@pytest.fixture(scope="module")
def standing_backend():
    """As backend, until the module's last test."""
    yield from open_backends()


def open_backends():
    backends = []

    def open_one(answer=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", **keywords):
        backends.append(Backend(answer, **keywords))
        return backends[-1]

    yield open_one
    for one in backends:
        one.close()


def server_settings(chain, key, client_ca=None, version=None):
    """An SSLContext for a backend that speaks TLS."""
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    settings.load_cert_chain(chain, key)
    if client_ca is not None:
        settings.load_verify_locations(client_ca)
        settings.verify_mode = ssl.CERT_REQUIRED
    if version is not None:
        only = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
        settings.minimum_version = settings.maximum_version = only
    return settings


# ---- the demo app ----------------------------------------------------------------------------


class Demo:
    def __init__(self, process, port):
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"


@pytest.fixture
def demo(start):
    """demo(*argv) → the demo app on a port that it chose and printed."""
    def run(*argv):
        if not os.access(DEMO, os.X_OK):
            pytest.fail(f"{DEMO} is not there: build it, or set SALLYPORT_DEMO", pytrace=False)
        process = start("demo", [DEMO, "--port", "0", *argv])
        line = process.wait_for(
            lambda: re.search(r"listening on http://[\d.]+:(\d+)", process.out), "its port")
        return Demo(process, int(line.group(1)))

    return run
