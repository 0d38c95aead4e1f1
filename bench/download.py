"""Download a large file over loopback with curl and with the http handler, and compare.

    python bench/download.py [--bytes N] [--rounds N] [--directory FOLDER] [--sha256]

Each round runs one download with each, from a server that sends from memory; the medians are compared. Goals:
throughput >= 0.8x curl's, CPU time <= 1.5x curl's. Both write to the folder, which is in /dev/shm by default,
so that the speed of the disk does not hide the difference. The handler syncs the file, curl does not.
"""

import argparse
import hashlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic

SHM = "/dev/shm"
OURS = """
import json, resource, sys, time
from orderctl.downloads import Context, Enrollment, RemoteFile
from orderctl.downloads.http import HttpHandler
from orderctl.settings import load

url, folder, size, sha256 = sys.argv[1:5]
flags = {"download.directory": folder, "download.allow_private_hosts": "true"}
context = Context(1, 1, "BENCH", 1, None, url, load(flags), lambda *_: None, lambda: None)
enrollment = Enrollment("bench", (RemoteFile("file", url, int(size), sha256 or None),))
before, started = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
HttpHandler().download(context, enrollment)
after = resource.getrusage(resource.RUSAGE_SELF)
cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
print(time.monotonic() - started, cpu, after.ru_maxrss)
"""


def serve(listener: socket.socket, path: Path) -> None:
    """Answer each request with the file."""
    size = path.stat().st_size
    head = f'HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nETag: "1"\r\nConnection: close\r\n\r\n'.encode()
    while True:
        connection, _ = listener.accept()
        with connection, path.open("rb") as file:
            connection.recv(65536)
            connection.sendall(head)
            offset = 0
            try:
                while offset < size:
                    offset += os.sendfile(connection.fileno(), file.fileno(), offset, size - offset)
            except ConnectionError:
                continue


def run_curl(url: str, folder: str, *, sha256: bool) -> tuple[float, float, int]:
    """Download once with curl (and run sha256sum); return seconds, CPU seconds and peak memory in KiB."""
    started = monotonic()
    command = 'curl -s -f -o "$0" "$1"' + (' && sha256sum "$0" >/dev/null' if sha256 else "")
    process = subprocess.Popen(["sh", "-c", command, f"{folder}/curl", url])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    if status:
        raise SystemExit("curl failed")
    return monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def run_ours(url: str, folder: str, size: int, sha256: str) -> tuple[float, float, int]:
    """Download once with the handler, in its own process; return the same, without Python's start."""
    command = [sys.executable, "-c", OURS, url, folder, str(size), sha256]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, cpu, memory = text.split()
    return float(seconds), float(cpu), int(memory)


def write_source(path: Path, size: int) -> str:
    """Write the file to serve and return its SHA-256."""
    digest = hashlib.sha256()
    block = os.urandom(1 << 20)
    with path.open("wb") as file:
        while size:
            piece = block[: min(len(block), size)]
            file.write(piece)
            digest.update(piece)
            size -= len(piece)
    return digest.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bytes", type=int, default=2**30)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", default=SHM if Path(SHM).is_dir() else None)
    parser.add_argument("--sha256", action="store_true", help="verify a checksum, too (curl: by sha256sum)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as folder:
        compare(Path(folder), options.bytes, options.rounds, sha256=options.sha256)


def compare(folder: Path, size: int, rounds: int, *, sha256: bool) -> None:
    """Run the rounds and print the medians."""
    digest = write_source(folder / "source", size)
    listener = socket.create_server(("127.0.0.1", 0))
    server = os.fork()
    if server == 0:
        serve(listener, folder / "source")
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/file"
    curl, ours = [], []
    try:
        for _ in range(rounds):
            curl.append(run_curl(url, str(folder), sha256=sha256))
            (folder / "curl").unlink()
            ours.append(run_ours(url, str(folder), size, digest if sha256 else ""))
            (folder / "BENCH/1/file").unlink()
    finally:
        os.kill(server, 9)
        os.waitpid(server, 0)
    report(size, curl, ours)


def report(size: int, curl: list[tuple[float, float, int]], ours: list[tuple[float, float, int]]) -> None:
    medians = {}
    for name, runs in (("curl", curl), ("orderctl", ours)):
        seconds, cpu, memory = (statistics.median(column) for column in zip(*runs, strict=True))
        medians[name] = size / seconds, cpu
        print(
            f"{name:9} {size / seconds / 2**20:7.0f} MiB/s  {cpu:6.3f} s CPU  {memory / 1024:6.1f} MiB peak"
        )
    throughput = medians["orderctl"][0] / medians["curl"][0]
    cpu = medians["orderctl"][1] / medians["curl"][1]
    print(f"throughput {throughput:.2f}x curl's (goal >= 0.8), CPU {cpu:.2f}x (goal <= 1.5)")


if __name__ == "__main__":
    main()
