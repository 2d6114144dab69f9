"""Writes tests/vectors/serf.json: what real agents without a key send each other over UDP and TCP
while they join, tell events, ask, die and leave. Needs serf, tcpdump and root:

    tests/vectors/generators/serf_record.py > tests/vectors/serf.json

Names and tags are random or made up; nothing of the machine is in it but the addresses 127.0.17.x.

SPDX-License-Identifier: Apache-2.0
"""

import collections
import json
import pathlib
import subprocess
import sys
import tempfile
import time

PORT = 17946
COMMON_MAX = 4  # of the many pings and acks


def rpc(number):
    return f"-rpc-addr=127.0.17.{number}:17373"


def start(number, *more):
    return subprocess.Popen(
        ["serf", "agent", f"-node=n{number}", f"-bind=127.0.17.{number}:{PORT}", rpc(number),
         "-profile=local", f"-tag=role=web{number}", *more],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def serf(*words):
    subprocess.run(["serf", *words], stdout=subprocess.DEVNULL, check=True, timeout=30)


def live(agents):
    """One short life of a cluster."""
    agents.append(start(1))
    time.sleep(1)
    for number in (2, 3):
        agents.append(start(number, f"-join=127.0.17.1:{PORT}"))
        time.sleep(1)
    time.sleep(2)
    serf("event", rpc(1), "deploy", "0123456789abcdef" * 16)
    serf("event", rpc(2), "small", "x")
    serf("query", rpc(2), "-timeout=2s", "ask", "payload")
    serf("reachability", rpc(1))
    agents[2].kill()
    time.sleep(8)
    agents.append(start(4, f"-join=127.0.17.2:{PORT}"))
    time.sleep(4)
    serf("leave", rpc(2))
    time.sleep(4)


def packets_of(capture):
    """(protocol, source, destination, transport segment) of each IPv4 packet of a pcap file."""
    at = 24
    while at < len(capture):
        kept = int.from_bytes(capture[at + 8:at + 12], "little")
        frame = capture[at + 16:at + 16 + kept]
        at += 16 + kept
        if frame[12:14] != b"\x08\x00":
            continue
        packet = frame[14:14 + int.from_bytes(frame[16:18], "big")]
        yield packet[9], packet[12:16], packet[16:20], packet[(packet[0] & 15) * 4:]


def messages_of(capture):
    streams = collections.defaultdict(dict)
    for protocol, source, destination, segment in packets_of(capture):
        if protocol == 17:
            yield "packet", segment[8:]
        elif protocol == 6:
            content = segment[(segment[12] >> 4) * 4:]
            if content:
                streams[source, destination, segment[:4]][segment[4:8]] = content
    for stream in streams.values():
        yield "stream", b"".join(stream[at] for at in sorted(stream))


def main():
    agents = []
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "lo.pcap"
        with subprocess.Popen(["tcpdump", "-i", "lo", "-w", path, "-s", "0", "-U", "-Z", "root",
                               f"port {PORT}"], stderr=subprocess.DEVNULL) as tcpdump:
            time.sleep(1)
            try:
                live(agents)
            finally:
                for agent in agents:
                    agent.kill()
                    agent.wait()
                tcpdump.terminate()
        capture = path.read_bytes()
    kept = []
    seen = collections.Counter()
    for over, message in dict.fromkeys(messages_of(capture)):
        seen[over, message[0]] += 1
        if message[0] in (0, 2) and seen[over, message[0]] > COMMON_MAX:
            continue
        kept.append(json.dumps({"over": over, "wire": message.hex()}))
    sys.stdout.write("[\n" + ",\n".join(kept) + "\n]\n")


if __name__ == "__main__":
    main()
