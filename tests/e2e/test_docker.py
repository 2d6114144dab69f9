"""The container image and the compose file, with a real docker daemon: the machine's, or one
started here for the time of the test. Where neither can be had the tests are skipped, loudly.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import time
import warnings

import pytest
import websockets
from conftest import Conn, free_port, listening_ports, wait_until

TOP = pathlib.Path(__file__).resolve().parents[2]
WORK = TOP / "build" / "docker"  # kept between runs, so that the second build is quick
BASE = "debian:trixie-slim"
COMPOSE_FILE = TOP / "deploy" / "compose" / "compose.yaml"
GOSSIP_FILE = TOP / "deploy" / "compose" / "gossip.yaml"
NET_RAW = 1 << 13

pytestmark = pytest.mark.timeout(900)


def skip_loudly(reason):
    warnings.warn(f"the container image is NOT tested: {reason}")
    pytest.skip(f"NOT TESTED: {reason}")


class Docker:
    """The docker command, pointed at one daemon."""

    def __init__(self, host=None):
        self.env = {**os.environ, "DOCKER_BUILDKIT": "0", "COMPOSE_DOCKER_CLI_BUILD": "0"}
        if host is not None:
            self.env["DOCKER_HOST"] = host

    def __call__(self, *argv, check=True, patience=600, env=None):
        done = subprocess.run([str(word) for word in argv], env={**self.env, **(env or {})},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=patience, cwd=TOP)
        if check and done.returncode != 0:
            pytest.fail(f"{' '.join(map(str, argv))} ended with {done.returncode}\n"
                        f"{done.stdout[-8000:]}\n{done.stderr[-8000:]}", pytrace=False)
        return done

    def answers(self):
        try:
            return self("docker", "info", check=False, patience=30).returncode == 0
        except (OSError, subprocess.TimeoutExpired):
            return False


def start_daemon():
    """A dockerd with folders of its own, without touching the machine's packet filter."""
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        skip_loudly("no docker daemon answers, and none can be started (needs root and dockerd)")
    WORK.mkdir(parents=True, exist_ok=True)
    log = open(WORK / "dockerd.log", "wb")
    socket_path = WORK / "docker.sock"
    daemon = subprocess.Popen(
        ["dockerd", "--host", f"unix://{socket_path}", "--data-root", WORK / "root",
         "--exec-root", WORK / "exec", "--pidfile", WORK / "dockerd.pid", "--iptables=false",
         "--ip6tables=false", "--ip-masq=false"],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    docker = Docker(f"unix://{socket_path}")
    deadline = time.monotonic() + 60
    while not docker.answers():
        if daemon.poll() is not None or time.monotonic() > deadline:
            daemon.terminate()
            tail = (WORK / "dockerd.log").read_text(errors="replace")[-2000:]
            skip_loudly(f"dockerd does not start here:\n{tail}")
    return docker, daemon


@pytest.fixture(scope="module")
def docker():
    """A docker daemon with the base image."""
    if shutil.which("docker") is None:
        skip_loudly("there is no docker command")
    one, daemon = Docker(), None
    if not one.answers():
        one, daemon = start_daemon()
    yield one
    if daemon is not None:
        daemon.terminate()
        daemon.wait(60)


def apt_proxy():
    """The build arguments with which apt in the image goes the way that it goes here."""
    shell = subprocess.run(
        ["apt-config", "shell", "http", "Acquire::http::Proxy", "https", "Acquire::https::Proxy"],
        capture_output=True, text=True).stdout
    found = dict(line.split("=", 1) for line in shell.splitlines() if "=" in line)
    pairs = {f"{name}_proxy": found.get(name, "").strip("'") or os.environ.get(f"{name}_proxy")
             for name in ("http", "https")}
    return [word for name, value in pairs.items() if value
            for word in ("--build-arg", f"{name}={value}")]


@pytest.fixture(scope="module")
def images(docker):
    """The image and those of the examples, built."""
    if docker("docker", "image", "inspect", BASE, check=False).returncode != 0:
        if docker("docker", "pull", BASE, check=False, patience=300).returncode != 0:
            docker("deploy/docker/base-image", BASE)
    for target, tag in (("demo", "sallyport-demo"), ("sallyport", "sallyport"),
                        ("serf", "sallyport-serf")):
        docker("docker", "build", "--network", "host", "-f", "deploy/docker/Dockerfile",
               "--target", target, "-t", tag, *apt_proxy(), ".", patience=800)


@pytest.fixture
def compose(docker, images):
    """compose(*argv) on a project of its own; what it started is removed at the end."""
    yield from open_project(docker, COMPOSE_FILE, "sallyport-test")


@pytest.fixture
def gossip(docker, images):
    """As compose, of the gossip example."""
    yield from open_project(docker, GOSSIP_FILE, "sallyport-gossip-test")


def open_project(docker, file, name):
    words = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
    words += ["-f", file, "-p", name]
    env = {"SALLYPORT_PORT": str(free_port()), "SALLYPORT_HOST": "localhost"}

    def run(*argv, **keywords):
        return docker(*words, *argv, env=env, **keywords)

    run.port = int(env["SALLYPORT_PORT"])
    yield run
    run("down", "--volumes", "--timeout", "10", check=False)


def container_of(compose, service):
    return compose("ps", "-q", service).stdout.strip()


def health(docker, container):
    return docker("docker", "inspect", "-f", "{{.State.Health.Status}}", container).stdout.strip()


def wait_healthy(docker, compose, container):
    def found():
        status = health(docker, container)
        if status == "unhealthy":
            pytest.fail(compose("logs", check=False).stdout, pytrace=False)
        return status == "healthy"
    wait_until(found, "the sidecar to be healthy", patience=60)


async def talk(port, ca_text):
    trust = ssl.create_default_context(cadata=ca_text)
    async with websockets.connect(f"wss://localhost:{port}/ws", ssl=trust) as socket:
        hello = json.loads(await socket.recv())
        await socket.send("through the sidecar")
        while (message := json.loads(await socket.recv()))["type"] != "echo":
            pass
        return hello["received"], message["text"]


def test_the_compose_file_puts_an_app_behind_its_sidecar(docker, compose):
    compose("up", "-d", "--no-build")
    sidecar = container_of(compose, "sallyport")
    wait_healthy(docker, compose, sidecar)
    wait_until(lambda: compose.port in listening_ports(), "the published port")
    ca_text = docker("docker", "exec", sidecar, "cat",
                     "/var/lib/sallyport/local-ca/ca.pem").stdout

    received, text = asyncio.run(asyncio.wait_for(talk(compose.port, ca_text), 30))
    assert text == "through the sidecar"
    assert received["headers"]["x-forwarded-proto"] == "https"
    with Conn.tls(compose.port, version="1.3") as conn:
        assert conn.sock.cipher()[0] == "TLS_AES_256_GCM_SHA384"

    details = json.loads(docker("docker", "inspect", sidecar).stdout)[0]
    assert details["Config"]["User"].split(":")[0] not in ("", "0", "root")
    assert details["HostConfig"]["ReadonlyRootfs"] is True
    process = docker("docker", "exec", sidecar, "cat", "/proc/1/cmdline").stdout
    assert "sallyport" in process.split("\0")[0]


def test_the_sidecar_ends_by_sigterm_within_ten_seconds(docker, compose):
    compose("up", "-d", "--no-build")
    sidecar = container_of(compose, "sallyport")
    wait_healthy(docker, compose, sidecar)
    begin = time.monotonic()
    docker("docker", "stop", "--time", "30", sidecar)
    assert time.monotonic() - begin < 10
    state = json.loads(docker("docker", "inspect", sidecar).stdout)[0]["State"]
    assert state["ExitCode"] == 0, docker("docker", "logs", sidecar, check=False).stderr


def test_an_image_without_settings_ends_as_bad_input(docker, images):
    done = docker("docker", "run", "--rm", "--read-only", "--network", "none", "sallyport",
                  check=False, patience=60)
    assert done.returncode == 2
    for word in ("--to", "SALLYPORT_TO", "-c FILE"):
        assert word in done.stderr


def members(gossip, service):
    done = gossip("exec", "-T", service, "serf", "members", "-format", "json", check=False)
    if done.returncode != 0:
        return {}
    return {one["name"]: one["status"] for one in json.loads(done.stdout)["members"]}


def test_the_gossip_example_is_a_cluster_whose_sidecars_have_net_raw_alone(docker, gossip):
    gossip("up", "-d", "--no-build")
    everybody = dict.fromkeys(("node1", "node2", "native"), "alive")
    for service in everybody:
        wait_until(lambda service=service: members(gossip, service) == everybody,
                   f"{service} to see all members", patience=60, pause=0.5)
    done = gossip("exec", "-T", "node1", "serf", "query", "-format", "json", "-timeout=2s", "load")
    acks = json.loads(done.stdout[done.stdout.index('{\n  "Acks"'):])["Acks"]
    assert sorted(acks) == sorted(everybody)

    for service in ("sidecar1", "sidecar2"):
        sidecar = container_of(gossip, service)
        state = docker("docker", "exec", sidecar, "cat", "/proc/1/status").stdout
        held = {line.split()[0]: int(line.split()[1], 16) for line in state.splitlines()
                if line.startswith("Cap")}
        assert held["CapEff:"] == held["CapBnd:"] == NET_RAW
        counters, = json.loads(docker("docker", "exec", sidecar, "sallyport", "status",
                                      "--json").stdout)["gossip"]
        assert counters["sealed"] > 0 and counters["opened"] > 0
        assert counters["clear_in"] == counters["clear_out"] == 0
