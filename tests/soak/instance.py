# tests/soak/instance.py
#
# What both soak programs share: a release Sallyport with a configuration and a certificate of its
# own in a folder, looked at from outside (status, memory, descriptors) and stopped at the end.
#
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json
import os
import pathlib
import resource
import ssl
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "bench"))
from proxies import free_port, memory_of  # noqa: E402

NAME = "soak.example"
START_SECONDS = 15
PREFIX = "sallyport: "


@dataclasses.dataclass(frozen=True)
class Child:
    """One process as `sallyport status --json` tells it."""
    role: str
    pid: int
    restarts: int
    counters: dict


def raise_file_limit():
    """This process and all that it starts may have as many descriptors as the machine allows."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def client_tls(folder):
    """A client's side that verifies, and takes an end without close_notify for what it is."""
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    settings.load_verify_locations(folder / "chain.pem")
    settings.set_alpn_protocols(["http/1.1"])
    return settings


class Instance:
    """Sallyport, running from start() to stop()."""

    def __init__(self, binary, folder, configuration, **values):
        self.binary = binary
        self.folder = folder
        self.port = free_port()
        self.log = folder / "log"
        self.process = None
        self.admin = f"unix:{folder}/admin.sock"
        self.file = folder / "sallyport.yaml"
        self.file.write_text(configuration.format(folder=folder, port=self.port, **values))

    def start(self, to_pipe=False):
        """Its log goes to the file `log`, or comes out of process.stderr."""
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-sha256", "-days", "30",
             "-keyout", self.folder / "key.pem", "-out", self.folder / "chain.pem", "-subj",
             f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-addext",
             "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=serverAuth"],
            check=True, stderr=subprocess.DEVNULL)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([self.binary, "run", "-c", self.file],
                                            stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.PIPE if to_pipe else log,
                                            start_new_session=True)
        end = time.monotonic() + START_SECONDS
        while self.status() is None or not self.status()["ready"]:
            if self.process.poll() is not None or time.monotonic() > end:
                sys.exit(f"Sallyport did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self):
        """Ends what start() began; its exit status, or None when it had to be killed."""
        if self.process is None or self.process.poll() is not None:
            return None if self.process is None else self.process.returncode
        self.process.terminate()
        try:
            return self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None

    def status(self):
        done = subprocess.run([self.binary, "status", "--admin", self.admin, "--json"],
                              capture_output=True, text=True)
        try:
            return json.loads(done.stdout)
        except ValueError:
            return None

    def children(self):
        """Role → process, those that run."""
        status = self.status() or {"processes": []}
        return {row["role"]: Child(row["role"], row["pid"], row["restarts"], row)
                for row in status["processes"] if row["pid"] is not None}

    def workers(self):
        return [child for child in self.children().values() if child.role.startswith("worker")]

    def counter_sums(self):
        """What all workers have open, and what they have done."""
        names = ("conns", "tunnels", "exchanges_open", "conns_total", "exchanges")
        rows = [worker.counters for worker in self.workers()]
        return {name: sum(row[name] for row in rows) for name in names}

    def wait_until_closed(self, seconds):
        """Waits until nothing is open any more; the sums, whatever they are then."""
        end = time.monotonic() + seconds
        while True:
            sums = self.counter_sums()
            is_closed = sums["conns"] == sums["tunnels"] == sums["exchanges_open"] == 0
            if is_closed or time.monotonic() > end:
                return sums
            time.sleep(0.2)

    def events(self):
        """All lines of the log that are JSON."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                pass
        return found


def children_of(pid):
    """Role → pid, read from the system: asking Sallyport would take longer than from kill to kill."""
    found = {}
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            title = pathlib.Path(f"/proc/{child}/cmdline").read_bytes().rstrip(b"\0").decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if title.startswith(PREFIX):
            found[title.removeprefix(PREFIX)] = int(child)
    return found


def memory_of_all(children):
    return sum(memory_of(child.pid) for child in children)


def descriptors_of(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def release_binary(path):
    if not os.access(path, os.X_OK):
        sys.exit(f"{path} is not there: cmake --preset release && cmake --build --preset release")
    return path
