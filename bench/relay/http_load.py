"""Ask a relay by HTTP, one request after the other, on one connection as long as the relay keeps it.

python bench/relay/http_load.py PORT PATH SECONDS      prints figures as JSON
python bench/relay/http_load.py --fill ROOT URL        fills a database with the domain of the checkout at ROOT
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ORDERS = 40
#: How long one measurement takes.
SECONDS = 3


def ask(port: int, path: str, seconds: float) -> dict:
    """Send requests for some seconds; return their number, the connections that they took, and their times."""
    asked = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    times, connections, line = [], 0, None
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        if line is None:
            line, connections = socket.create_connection(("127.0.0.1", port)), connections + 1
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.sendall(asked)
        if not read(line):
            line.close()
            line = None
        times.append(time.perf_counter() - began)
    times.sort()
    return {
        "requests": len(times),
        "connections": connections,
        "p50_ms": round(times[len(times) // 2] * 1000, 3),
        "p99_ms": round(times[len(times) * 99 // 100] * 1000, 3),
    }


def read(line: socket.socket) -> bool:
    """Read an answer; return whether the connection is kept."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += more(line)
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise SystemExit(f"the relay answers {data[:300]!r}")
    head = head.lower()
    missing = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]) - len(body)
    while missing > 0:
        missing -= len(more(line))
    return b"connection: close" not in head


def more(line: socket.socket) -> bytes:
    data = line.recv(65_536)
    if not data:
        raise SystemExit("the relay closed the connection without an answer")
    return data


def prepare(program: str, env: dict[str, str], folder: str) -> None:
    """Give a relay of any checkout a database with orders, by the programs of that checkout."""
    path = Path(program).absolute()
    env["ORDERCTL_DATABASE_URL"] = url = f"sqlite:///{folder}/shop.db"
    subprocess.run([program, "migrate", "up"], env=env, check=True, capture_output=True)
    command = [path.with_name("python"), __file__, "--fill", path.parents[2], url]
    subprocess.run(command, env=env, check=True)


def measure(port: int, path: str, cpu: Callable[[], float], pinned: Sequence[str]) -> dict:
    """Measure a relay with a client in a process of its own.

    Args:
        port: The relay's.
        path: What is asked for.
        cpu: Returns the CPU seconds that the relay has used.
        pinned: Beginning of the client's command line.
    """
    before = cpu()
    command = [*pinned, sys.executable, __file__, str(port), path, str(SECONDS)]
    said = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if said.returncode:
        raise SystemExit("a request was not answered with 200")
    got = json.loads(said.stdout)
    return {
        "requests_per_s": round(got["requests"] / SECONDS),
        "requests_per_connection": round(got["requests"] / got["connections"], 1),
        "request_ms_cpu": round(1000 * (cpu() - before) / got["requests"], 3),
        "p50_ms": got["p50_ms"],
        "p99_ms": got["p99_ms"],
    }


def fill(root: str, url: str) -> None:
    """Put paid orders of three tasks each into a migrated database; ROOT may be another checkout."""
    sys.path.insert(0, root)
    from orderctl import database  # noqa: PLC0415 - of the chosen checkout
    from tests.shop import Shop  # noqa: PLC0415

    engine = database.connect(url)
    shop = Shop(engine)
    for number in range(ORDERS):
        shop.paid(f"DH{number}", 3)
    engine.dispose()


if __name__ == "__main__":
    if sys.argv[1] == "--fill":
        fill(*sys.argv[2:])
    else:
        print(json.dumps(ask(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))))
