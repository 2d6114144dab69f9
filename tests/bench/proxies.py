# tests/bench/proxies.py
#
# The proxies under test: how each is configured, started, watched and stopped. All get the same
# certificate, suite, group and backend, one worker, keep-alive to the backend, no access log, and
# X-Forwarded-For and X-Forwarded-Proto for the backend, as Sallyport adds them unasked. All offer
# HTTP/2 and HTTP/1.1; the load program chooses.
#
# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import time

NAME = "bench.example"
START_SECONDS = 15

# HTTP/2 is a parameter of listen: the nginx of Debian 12 does not know "http2 on", which later ones
# prefer.
NGINX = """
daemon off;
user root;
pid {folder}/nginx.pid;
worker_processes 1;
worker_rlimit_nofile {files};
error_log stderr crit;
events {{ worker_connections {connections}; multi_accept on; }}
http {{
    access_log off;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    keepalive_timeout 600s;
    keepalive_requests 100000000;
    client_max_body_size 0;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    upstream app {{
        server 127.0.0.1:{backend};
        keepalive 256;
        keepalive_requests 100000000;
        keepalive_timeout 600s;
    }}
    server {{
        listen 127.0.0.1:{port} ssl http2 backlog=4096;
        http2_max_concurrent_streams 256;
        server_name {name};
        ssl_certificate {chain};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ciphers ECDHE-RSA-AES256-GCM-SHA384;
        ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;
        ssl_ecdh_curve X25519;
        ssl_prefer_server_ciphers on;
        location / {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto https;
            proxy_request_buffering off;
            proxy_max_temp_file_size 0;
            proxy_read_timeout 3600s;
        }}
        {more}
    }}
}}
"""

HAPROXY = """
global
    nbthread 1
    maxconn {half}
    ssl-default-bind-options ssl-min-ver TLSv1.2 ssl-max-ver TLSv1.3
    ssl-default-bind-ciphersuites TLS_AES_256_GCM_SHA384
    ssl-default-bind-ciphers ECDHE-RSA-AES256-GCM-SHA384
    tune.h2.max-concurrent-streams 256
    {more}
defaults
    mode http
    maxconn {half}
    http-reuse always
    option forwardfor
    option http-ignore-probes
    timeout connect 10s
    timeout client 600s
    timeout server 600s
    timeout http-keep-alive 600s
    timeout tunnel 3600s
frontend web
    bind 127.0.0.1:{port} backlog 4096 ssl crt {pem} curves X25519 alpn h2,http/1.1
    http-request set-header X-Forwarded-Proto https
    default_backend app
backend app
    server one 127.0.0.1:{backend} pool-max-conn 256
"""

# Only for the HTTP/2 scenarios. The defaults would add Via, rewrite Server, fetch OCSP responses,
# and close backend connections after two idle seconds.
NGHTTPX = """
frontend=127.0.0.1,{port};tls
backend=127.0.0.1,{backend}
private-key-file={key}
certificate-file={chain}
workers=1
backlog=4096
ciphers=ECDHE-RSA-AES256-GCM-SHA384
tls13-ciphers=TLS_AES_256_GCM_SHA384
ecdh-curves=X25519
no-ocsp=yes
frontend-http2-max-concurrent-streams=256
frontend-http2-read-timeout=600s
frontend-read-timeout=600s
frontend-keep-alive-timeout=600s
backend-read-timeout=600s
backend-keep-alive-timeout=600s
add-x-forwarded-for=yes
no-via=yes
no-server-rewrite=yes
rlimit-nofile={files}
{more}
"""

# Only for handshakes: it knows no HTTP.
HITCH = """
frontend = "[127.0.0.1]:{port}"
backend = "[127.0.0.1]:{backend}"
pem-file = "{pem}"
workers = 1
backlog = 4096
tls-protos = TLSv1.2 TLSv1.3
ciphers = "ECDHE-RSA-AES256-GCM-SHA384"
ciphersuites = "TLS_AES_256_GCM_SHA384"
ecdh-curve = "X25519"
daemon = off
quiet = on
{more}
"""

SALLYPORT = """
workers: 1
log: {{access: off, level: warn, destination: stderr}}
admin: {{address: "unix:{folder}/admin.sock"}}
certificates: [{{name: bench, chain: {chain}, key: {key}}}]
listeners:
  - {{name: web, address: "127.0.0.1:{port}", tls: {{certificates: [bench]}}, default_backend: app}}
backends: {{app: {{servers: ["http://127.0.0.1:{backend}"]}}}}
limits: {{connections: {connections}, requests_per_connection: off}}
"""

# What is changed for bulk, where other buffers than the default may serve better. Both are
# measured and the better is quoted.
BIG_BUFFERS = {
    "nginx": "proxy_buffer_size 64k; proxy_buffers 16 64k; proxy_busy_buffers_size 512k;"
             " client_body_buffer_size 512k; http2_chunk_size 64k; http2_body_preread_size 512k;",
    "haproxy": "tune.bufsize 65536\n    tune.h2.initial-window-size 1048576",
    "nghttpx": "frontend-http2-window-size=1048576\n"
               "frontend-http2-connection-window-size=4194304\n"
               "backend-request-buffer=512K\nbackend-response-buffer=512K",
}

PEERS = ("nginx", "haproxy", "nghttpx", "hitch")
HTTP2_PEERS = ("nghttpx",)  # measured with HTTP/2 only
HANDSHAKE_PEERS = ("hitch",)  # measured with handshakes only
PACKAGES = {"nghttpx": "nghttp2-proxy", "h2load": "nghttp2-client"}  # where not of the same name


class NotStarted(Exception):
    """A proxy is missing or did not get ready; the text says why, with the end of its log."""


def free_port():
    """Below the range from which the kernel takes ports of outgoing connections: thousands of
    those come and go here, and one could sit on the port before the proxy does."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def kind_of(name):
    """nginx+big and haproxy-again are kinds of nginx and haproxy."""
    return name.split("+")[0].split("-")[0]


def children_of(pid):
    """The process and all that descend from it."""
    found = [pid]
    for parent in found:
        for task in pathlib.Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(word) for word in task.read_text().split()]
            except OSError:
                pass
    return found


def memory_of(pid):
    """Bytes, pages shared with other processes divided among them; where a process does not let
    itself be looked into, all its resident pages."""
    try:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        label = "Pss:"
    except PermissionError:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
        label = "VmRSS:"
    return sum(int(line.split()[1]) * 1024 for line in text.splitlines()
               if line.startswith(label))


class Proxy:
    """One proxy, running from start() to stop()."""

    def __init__(self, name, bench):
        self.name = name
        self.bench = bench
        self.port = free_port()
        self.log = bench.folder / f"{name}.log"
        self.process = None

    def _values(self):
        connections = self.bench.files - 2000
        more = BIG_BUFFERS[kind_of(self.name)] if self.name.endswith("+big") else ""
        return dict(folder=self.bench.folder, port=self.port, backend=self.bench.backend_port,
                    chain=self.bench.chain, key=self.bench.key, pem=self.bench.pem, name=NAME,
                    files=self.bench.files, connections=connections, half=connections // 2,
                    more=more)

    def _command(self):
        path = self.bench.folder / f"{self.name}.conf"
        kind = kind_of(self.name)
        if kind == "nginx":
            path.write_text(NGINX.format(**self._values()))
            return [find("nginx"), "-p", str(self.bench.folder), "-c", str(path)]
        if kind == "haproxy":
            path.write_text(HAPROXY.format(**self._values()))
            return [find("haproxy"), "-db", "-f", str(path)]
        if kind == "nghttpx":
            path.write_text(NGHTTPX.format(**self._values()))
            return [find("nghttpx"), f"--conf={path}"]
        if kind == "hitch":
            path.write_text(HITCH.format(**self._values()))
            return [find("hitch"), "--user=nobody", f"--config={path}"]
        path.write_text(SALLYPORT.format(**self._values()))
        return [find(self.bench.sallyport), "run", "-c", str(path)]

    def start(self):
        command = self._command()
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True,
                                            preexec_fn=self.bench.pin_proxy)
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise NotStarted(f"{self.name} ended with {self.process.returncode}"
                                 f"{self.log_end()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                time.sleep(0.2)  # for its last children
                return
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise NotStarted(f"{self.name} did not listen within {START_SECONDS} s{self.log_end()}")

    def log_end(self):
        """The last lines of its log, to be put behind a sentence about an error."""
        lines = self.log.read_text(errors="replace").splitlines()[-12:]
        return "".join(f"\n    {line}" for line in lines) or " (its log is empty)"

    def memory(self):
        return sum(memory_of(pid) for pid in self.pids())

    def pids(self):
        """The process and its children: of Sallyport master, keyholder and worker."""
        return children_of(self.process.pid)

    def stop(self):
        """Ends what start() began, and nothing else."""
        if self.process is None or self.process.poll() is not None:
            return
        pids = self.pids()
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            pass
        for pid in pids:
            try:
                if os.getsid(pid) == self.process.pid:  # still ours, not a later process's number
                    os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()


def find(program):
    path = shutil.which(str(program))
    if path is not None:
        return path
    if "/" in str(program):
        raise NotStarted(f"{program} is not there: cmake --preset release &&"
                         " cmake --build --preset release")
    package = PACKAGES.get(str(program), program)
    raise NotStarted(f"{program} is not installed: sudo apt-get install {package}")
