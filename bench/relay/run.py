"""Compare the relay with other servers under the same load, in one run with interleaved rounds.

    python bench/relay/run.py                       every scenario, three rounds
    python bench/relay/run.py --rounds 1 one sharded idle
    python bench/relay/run.py --peers relay_socketio,node rate
    OTHER=../other/.venv/bin/orderctl python bench/relay/run.py --peers relay_plain,relay_plain_other one idle

The server runs on core 0, the load generator and Redis on core 1. One message has 150 bytes. Read ``cpu``
first (the server's CPU seconds for a million delivered frames): it hardly depends on other load. Node.js with
socket.io and ioredis is taken from NODE_PATH, or fetched once into the cache folder. Without Node.js that
peer is left out, and so are the peers ``..._other`` without OTHER, the program of another checkout. Peers
alternate within a round, and each second round begins with the last one.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the wheel does not contain bench and tests

from bench.relay import http_load
from tests.script import SCRIPT
from tests.servers.redis import find_redis

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "orderctl-bench")
SOCKETIO = "/socket.io/?EIO=4&transport=websocket"

OTHER = os.environ.get("OTHER")
START = ["relay", "start", "--port", "{PORT}", "--max-connections-per-address", "0"]
PEERS = {
    "relay_plain": {"command": [SCRIPT, *START], "mode": "json", "path": "/ws"},
    "relay_plain_other": {"command": [OTHER, *START], "mode": "json", "path": "/ws"},
    "relay_socketio": {"command": [SCRIPT, *START], "mode": "sio", "path": SOCKETIO},
    "relay_socketio_other": {"command": [OTHER, *START], "mode": "sio", "path": SOCKETIO},
    "broadcast": {"command": [sys.executable, HERE / "broadcast.py"], "mode": "json", "path": "/"},
    "node": {"command": ["node", HERE / "socketio_node.cjs"], "mode": "sio", "path": SOCKETIO},
}
SCENARIOS = {
    "one": ("1,000 clients on one task, one message in flight", "-n 1000 -t 1 -k 1 -w 1 -d 4"),
    "saturated": ("1,000 clients on one task, 32 messages in flight", "-n 1000 -t 1 -k 1 -w 32 -d 5"),
    "sharded": ("1,000 clients, 10 of 1,000 tasks each, saturated", "-n 1000 -t 1000 -k 10 -w 256 -d 5"),
    "rate": ("1,000 clients, 10 of 1,000 tasks each, 2,000 messages/s", "-n 1000 -t 1000 -k 10 -r 2000 -d 5"),
    "calm": ("200 clients on one task, 50 messages/s", "-n 200 -t 1 -k 1 -r 50 -d 6"),
    "flood": ("1,000 clients on one task, 1,000 messages/s", "-n 1000 -t 1 -k 1 -r 1000 -d 5"),
    "stalled": (
        "200 clients, 20 never read, 800 messages/s of 1,500 bytes",
        "-n 200 -S 20 -t 1 -k 1 -s 1500 -r 800 -d 6",
    ),
    "idle": ("5,000 idle clients", "-n 5000 -t 5000 -k 1 -I 4"),
    "health": ("GET /healthz, one request after the other", "/healthz"),
    "orders": ("GET 20 of 40 paid orders, one request after the other", "/api/admin/orders/paid?limit=20"),
}
#: Scenarios without WebSocket clients, for the relay only.
HTTP = {"health", "orders"}
#: How figures may differ from those of the other checkout.
NO_WORSE = {
    "cpu": ("<=", 1.05),
    "fps": (">=", 0.95),
    "kib_each": ("<=", 1.05),
    "accepted_per_s": (">=", 0.95),
    "requests_per_s": (">=", 0.95),
}
#: Goals: scenario, number, relation and value. RATIOS are relative to Node.js in the same run, GOALS are
#: absolute.
RATIOS = [
    ("one", "fps", ">=", 1.8),
    ("sharded", "fps", ">=", 3.0),
    ("rate", "cpu", "<=", 0.65),
    ("calm", "p99_ms", "<=", 0.5),
]
GOALS = [
    ("calm", "p99_ms", "<=", 3.0),
    ("flood", "lost", "<=", 0),
    ("flood", "p99_ms", "<=", 100.0),
    ("stalled", "lost", "<=", 0),
    ("stalled", "p99_ms", "<=", 50.0),
    ("idle", "kib_each", "<=", 20.0),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port: int, process: subprocess.Popen) -> None:
    for _ in range(400):
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            if process.poll() is not None:
                raise SystemExit(f"a server has ended with {process.returncode}") from None
            time.sleep(0.05)
        else:
            return
    raise SystemExit("a server does not listen")


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> int:
    """Return the resident set size in KiB."""
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0])


def pinned(core: int) -> list[str]:
    """Return the beginning of a command line that runs on one core."""
    return ["taskset", "-c", str(core)] if os.cpu_count() > 1 and shutil.which("taskset") else []


def build() -> Path:
    program, source = CACHE / "wsload", HERE / "wsload.c"
    CACHE.mkdir(parents=True, exist_ok=True)
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["cc", "-O2", "-w", "-o", program, source], check=True)
    return program


def node_path() -> str | None:
    """Return the folder of socket.io and ioredis; None without Node.js."""
    if os.environ.get("NODE_PATH"):
        return os.environ["NODE_PATH"]
    npm = shutil.which("npm")
    if not shutil.which("node") or not npm:
        return None
    modules = CACHE / "node_modules"
    if not (modules / "ioredis").exists():
        options = ["--no-audit", "--no-fund", "--no-save", "--ignore-scripts", f"--prefix={CACHE}"]
        done = subprocess.run([npm, "install", *options, "socket.io@4.8", "ioredis"], check=False)
        if done.returncode:
            return None
    return str(modules)


def run(peer: str, scenario: str, modules: str | None) -> dict:
    """Run one scenario against one server and return its figures."""
    chosen, port, redis_port = PEERS[peer], free_port(), free_port()
    folder, processes = tempfile.mkdtemp(prefix="relay-bench."), []

    def start(core: int, command: list, **more) -> subprocess.Popen:
        processes.append(subprocess.Popen([*pinned(core), *map(str, command)], **more))
        return processes[-1]

    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
        wait_for(redis_port, start(1, [find_redis(), "--port", redis_port, *options], **quiet))
        command = [str(word).replace("{PORT}", str(port)) for word in chosen["command"]]
        env = os.environ | {
            "PORT": str(port),
            "REDIS_PORT": str(redis_port),
            "ORDERCTL_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "ORDERCTL_STATE_DIR": folder,
            "NODE_PATH": modules or "",
        }
        if scenario in HTTP:
            http_load.prepare(command[0], env, folder)
        server = start(0, command, env=env, **quiet)
        wait_for(port, server)
        time.sleep(0.3)
        if scenario in HTTP:
            found = http_load.measure(port, SCENARIOS[scenario][1], partial(cpu, server.pid), pinned(1))
            return {"scenario": scenario, "peer": peer, **found}
        arguments = ["-p", port, "-m", chosen["mode"], "-u", chosen["path"], "-X", f"redis:{redis_port}"]
        arguments += SCENARIOS[scenario][1].split()
        before, spent = memory(server.pid), cpu(server.pid)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        load = start(1, [CACHE / "wsload", *arguments], **pipes)
        measure = measure_idle if scenario == "idle" else measure_load
        return {"scenario": scenario, "peer": peer, **measure(load, server.pid, before, spent)}
    finally:
        for process in reversed(processes):
            process.kill()
            process.communicate()
        shutil.rmtree(folder, ignore_errors=True)


def measure_idle(load: subprocess.Popen, pid: int, before: int, spent: float) -> dict:
    got = json.loads(load.stdout.readline())
    accepting = cpu(pid) - spent
    time.sleep(1)
    return {
        "kib_each": round((memory(pid) - before) / got["clients"], 1),
        "accepted_per_s": got["conn_per_s"],
        "accept_ms_cpu": round(1000 * accepting / got["clients"], 3),
    }


def measure_load(load: subprocess.Popen, pid: int, before: int, _spent: float) -> dict:
    line = load.stderr.readline()
    if "MEASURE" not in line:
        raise SystemExit(f"the load generator says {line}{load.stderr.read()}")
    spent = cpu(pid)
    load.stdin.write("g")
    load.stdin.flush()
    got = json.loads(load.stdout.readline())
    used, after = cpu(pid) - spent, memory(pid)
    return {
        "fps": got["fps"],
        "cpu": round(used / max(got["received"], 1) * 1e6, 3),
        "p50_ms": got["p50"] / 1000,
        "p99_ms": got["p99"] / 1000,
        "frames_per_read": got["frames_per_read"],
        "lost": got["expected"] - got["received"],
        "cut": got["closed"],
        "rss_mib": after // 1024,
        "rss_grown_mib": (after - before) // 1024,
    }


def medians(rows: list[dict]) -> dict:
    numbers = [name for name, value in rows[0].items() if not isinstance(value, str)]
    return {name: statistics.median(row[name] for row in rows) for name in numbers}


def report(rows: list[dict]) -> None:
    table = {}
    for scenario, (text, _) in SCENARIOS.items():
        peers = {row["peer"] for row in rows if row["scenario"] == scenario}
        if peers:
            print(f"\n{scenario}: {text}")
        for peer in (peer for peer in PEERS if peer in peers):
            found = medians([row for row in rows if (row["scenario"], row["peer"]) == (scenario, peer)])
            table[scenario, peer] = found
            print(f"  {peer:20}", "  ".join(f"{name} {value:g}" for name, value in found.items()))
    print()
    for peer in ("relay_plain", "relay_socketio"):
        for scenario, name, sign, goal in RATIOS:
            if (scenario, peer) in table and (scenario, "node") in table:
                ratio = table[scenario, peer][name] / table[scenario, "node"][name]
                judge(f"{scenario} {peer} {name} of Node.js", ratio, sign, goal)
        for scenario, name, sign, goal in GOALS:
            if (scenario, peer) in table:
                judge(f"{scenario} {peer} {name}", table[scenario, peer][name], sign, goal)
        compare(table, peer)


def compare(table: dict, peer: str) -> None:
    """Judge a peer by the same one of the other checkout."""
    for scenario in SCENARIOS:
        mine, other = (table.get((scenario, name), {}) for name in (peer, f"{peer}_other"))
        for name in (name for name in NO_WORSE if name in mine and name in other):
            judge(f"{scenario} {peer} {name} of the other", mine[name] / other[name], *NO_WORSE[name])


def judge(what: str, value: float, sign: str, goal: float) -> None:
    good = value >= goal if sign == ">=" else value <= goal
    print(f"{'ok  ' if good else 'MISS'} {what}: {value:.2f}, goal {sign} {goal:g}")


def can_run(peer: str, modules: str | None) -> bool:
    return bool(modules) if peer == "node" else bool(OTHER) or not peer.endswith("_other")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenarios", nargs="*", choices=[[], *SCENARIOS], metavar="SCENARIO")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", default=",".join(PEERS))
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    build()
    modules = node_path()
    peers = [peer for peer in asked.peers.split(",") if can_run(peer, modules)]
    rows = []
    for number in range(asked.rounds):
        for scenario in asked.scenarios or SCENARIOS:
            able = [peer for peer in peers if scenario not in HTTP or peer.startswith("relay_plain")]
            for peer in able[:: -1 if number % 2 else 1]:
                try:
                    rows.append(run(peer, scenario, modules))
                except SystemExit as error:
                    print(f"# {peer} {scenario}: {error}", file=sys.stderr)
                    continue
                print(json.dumps(rows[-1]), flush=True)
    report(rows)


if __name__ == "__main__":
    main()
