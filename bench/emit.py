"""Measure the cost of a progress message: one atomic round trip, and all messages of a download.

    python -m bench.emit

Goals: one message over a unix socket takes 80 us (median); progress messages cost a download less than 0.1 %.
"""

from __future__ import annotations

import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from orderctl import broker, embedded, messages, publications, setting_sections, settings
from orderctl.progress import ProgressEmitter

ROUNDS = 5_000
CHUNK = 64 * 1024
CHUNKS = 16_384  # 1 GiB
#: Duration of a download of 1 GiB at 100 MB/s.
DOWNLOAD_SECONDS = 10.7


def main() -> None:
    logging.disable()
    with tempfile.TemporaryDirectory(prefix="orderctl-bench-") as folder:
        state_dir = Path(folder) / "state"
        url = embedded.ensure(state_dir)
        try:
            for what, cpus in placements():
                print(what)
                os.sched_setaffinity(0, cpus[0])
                os.sched_setaffinity(embedded.status(state_dir).pid, cpus[1])
                measure(state_dir, url)
        finally:
            embedded.stop(state_dir)


def placements() -> list[tuple[str, tuple[set[int], set[int]]]]:
    """Return the placements on cores to measure: a round trip's cost depends on where the processes run."""
    first, *others = sorted(os.sched_getaffinity(0))
    together = [("Emitter and Redis on one core:", ({first}, {first}))]
    return together + [("On two cores, which wake each other:", ({first}, {other})) for other in others[:1]]


def measure(state_dir: Path, url: str) -> None:
    client = broker.hasty(url)
    progress = messages.TaskProgress(1, 42.5, "lesson 1.mp4", 1e6, 1_700_000_000_000, 1, 1)
    show("PING, for comparison", timed(client.ping))
    for count in (0, 3, 20):
        siblings = dict.fromkeys(range(1, 1 + count))
        call = partial(publications.publish_progress, client, progress, 9, siblings)
        show(f"publish_progress, {count} siblings", timed(call))
    every = emitter(state_dir, url, 0)
    show(
        "emit_progress, each one sent, 3 tasks",
        timed(lambda: every.emit_progress(1, 9, 42.5, "lesson 1.mp4", 1e6)),
    )
    throttled = emitter(state_dir, url, 5)
    show("emit_progress, throttled", timed(lambda: throttled.emit_progress(1, 9, 42.5, "lesson 1.mp4", 1e6)))
    download("download of 1 GiB, an emit each 64 KiB", emitter(state_dir, url, 5))
    download("the same, Redis dead", emitter(state_dir, "redis://127.0.0.1:1/0", 5))


def emitter(state_dir: Path, url: str, interval: float) -> ProgressEmitter:
    loaded = settings.load({"state_dir": str(state_dir), "redis.url": url}, environ={})
    loaded = replace(loaded, progress=setting_sections.Progress(interval_seconds=interval))
    return ProgressEmitter(loaded, siblings=lambda _: {1: None, 2: None, 3: 100.0}, attempt=1)


def timed(call: Callable[[], object]) -> list[float]:
    for _ in range(200):
        call()
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        call()
        times.append((time.perf_counter() - began) * 1e6)
    return times


def show(what: str, times: list[float]) -> None:
    p99 = statistics.quantiles(times, n=100)[98]
    print(f"{what:45} median {statistics.median(times):7.1f} us   p99 {p99:7.1f} us")


def download(what: str, used: ProgressEmitter) -> None:
    began, cpu = time.perf_counter(), os.times()
    for chunk in range(CHUNKS):
        used.emit_progress(1, 9, 100 * (chunk + 1) / CHUNKS, "lesson 1.mp4", 1e6)
    spent, after = time.perf_counter() - began, os.times()
    share = 100 * spent / DOWNLOAD_SECONDS
    print(f"{what:45} {spent * 1000:7.1f} ms ({after.user - cpu.user:.3f} s CPU), {share:.3f} % at 100 MB/s")


if __name__ == "__main__":
    main()
