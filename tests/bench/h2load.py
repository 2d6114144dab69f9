# tests/bench/h2load.py
#
# The load of the HTTP/2 scenarios: h2load of nghttp2 is run for a fixed number of requests, and what
# it says is checked. h2load does not know the proxy's processes, so their processor time is taken
# here, just before it starts and just after it ends; a few handshakes are in it (README.md).
#
# SPDX-License-Identifier: Apache-2.0
import ctypes
import dataclasses
import re
import socket
import ssl
import subprocess
import time
import urllib.request

from proxies import NAME, NotStarted, find

SMALL_BYTES = 128               # of the backend's small answer
LARGE_BYTES = 64 * 1024 * 1024  # of one body, as bench_load moves
EXPECTED = ("TLS Protocol: TLSv1.3", "Cipher: TLS_AES_256_GCM_SHA384",
            "Server Temp Key: X25519", "Application protocol: h2")


@dataclasses.dataclass(frozen=True)
class Http2Load:
    path: str
    clients: int
    streams: int            # at a time on each connection
    trial: int              # requests of the first run, which warms up and shows the rate
    answer: int             # bytes of the body of one right answer
    unit: int = 1           # units a request: 1, or the bytes of its large body
    more: tuple = ()
    is_upload: bool = False

    def count_for(self, requests_per_second, seconds):
        """How many requests take about that long; the same number for each connection, and on a
        busy machine not so few that the handshakes would be seen."""
        each = round(requests_per_second * seconds / self.clients)
        return max(self.trial, each * self.clients)


SMALL = Http2Load("/small", 10, 10, 5000, SMALL_BYTES)
STREAMS = Http2Load("/small", 1, 100, 5000, SMALL_BYTES)
# Windows as large as browsers give, instead of the 1 GiB that h2load gives unasked.
DOWNLOAD = Http2Load(f"/download?bytes={LARGE_BYTES}", 4, 1, 8, LARGE_BYTES, LARGE_BYTES,
                     ("-w", "24", "-W", "26"))
# The backend compares what arrives, and says "wrong" instead of "received" when it differs: so the
# length of the answers tells both apart.
UPLOAD = Http2Load("/upload", 4, 1, 8, len(f"received {LARGE_BYTES}\n"), LARGE_BYTES,
                   is_upload=True)


class Wrong(Exception):
    """A run that is no figure; the text says why."""


def speaks_http2(port, chain):
    """Whether ALPN chooses HTTP/2. Checks the certificate, which h2load does not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(chain)
    context.set_alpn_protocols(["h2", "http/1.1"])
    try:
        with socket.create_connection(("127.0.0.1", port), 15) as plain, \
                context.wrap_socket(plain, server_hostname=NAME) as tls:
            return tls.selected_alpn_protocol() == "h2"
    except (ssl.SSLError, OSError) as failure:
        raise NotStarted(f"no TLS connection to it: {failure}") from None


def cpu_seconds(pids):
    """User and system time of the processes so far, as report.c takes it: to the nanosecond."""
    libc = ctypes.CDLL(None, use_errno=True)
    clock = ctypes.c_int()
    total = 0.0
    for pid in pids:
        if libc.clock_getcpuclockid(pid, ctypes.byref(clock)) != 0:
            raise Wrong("a process of the proxy ended while it was measured")
        total += time.clock_gettime(clock.value)
    return total


def make_body(bench):
    """The file that is uploaded: what the backend sends is also what it expects."""
    path = bench.folder / "body"
    if not path.exists():
        url = f"http://127.0.0.1:{bench.backend_port}/download?bytes={LARGE_BYTES}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            path.write_bytes(answer.read())
    return path


def command_of(bench, proxy, load, count):
    command = [find("h2load"), "-n", count, "-c", load.clients, "-m", load.streams, *load.more,
               "--tls13-ciphers=TLS_AES_256_GCM_SHA384", "--groups=X25519",
               f"--connect-to=127.0.0.1:{proxy.port}"]
    if load.is_upload:
        command += ["-d", make_body(bench)]
    return [str(word) for word in command] + [f"https://{NAME}:{proxy.port}{load.path}"]


def number_in(pattern, text):
    match = re.search(pattern, text)
    if match is None:
        raise Wrong(f"h2load did not say {pattern}:\n{text}")
    return float(match.group(1))


def check(text, load, count):
    """Every request answered with 200 and as many bytes of body as is right, over what was asked
    for; otherwise Wrong."""
    for line in EXPECTED:
        if line not in text:
            raise Wrong(f"h2load did not say \"{line}\":\n{text}")
    succeeded = number_in(r"requests: .* (\d+) succeeded", text)
    ok = number_in(r"status codes: (\d+) 2xx", text)
    body = number_in(r"traffic: .* \((\d+)\) data", text)
    if not (succeeded == ok == count and body == count * load.answer):
        summary = re.search(r"requests: .*\n.*\n.*", text).group()
        raise Wrong(f"not {count} right answers of {load.answer} bytes each:\n{summary}")


def run_once(bench, proxy, load, count, seconds):
    """One run of h2load: a round, as the table wants it."""
    pids = proxy.pids()
    command = command_of(bench, proxy, load, count)
    before = cpu_seconds(pids)
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=4 * seconds + 60,
                              preexec_fn=bench.pin_load)
    except subprocess.TimeoutExpired:
        raise Wrong("h2load did not end in time: an answer did not come") from None
    used = cpu_seconds(pids) - before
    if done.returncode != 0:
        raise Wrong(f"h2load ended with {done.returncode}:\n{done.stdout}")
    check(done.stdout, load, count)
    rate = number_in(r"finished in .*, ([\d.]+) req/s", done.stdout)
    return {"rate": rate * load.unit, "cost": used / count / load.unit,
            "busy": used * rate / count, "requests": count}


def measure(bench, proxy, cell):
    """A round of the cell. The first finds out how many requests fill the wanted time."""
    load = cell.scenario.http2
    seconds = bench.options.seconds
    try:
        if cell.requests is None:
            trial = run_once(bench, proxy, load, load.trial, seconds)
            cell.requests = load.count_for(trial["rate"] / load.unit, seconds)
        cell.rounds.append(run_once(bench, proxy, load, cell.requests, seconds))
    except (Wrong, OSError) as failure:
        cell.errors.append(f"{failure}{proxy.log_end()}")
    except NotStarted as missing:
        cell.errors.append(str(missing))
