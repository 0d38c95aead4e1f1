"""Measure how smoothly the dashboard scrolls 1,000 orders, and how soon it shows a published message.

    python bench/page.py

Needs Chromium and playwright. Without them it prints that and exits. Goals: 95 % of the frames are as quick
as those of an empty page; a publication is visible within a second.
"""

from __future__ import annotations

import logging
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from orderctl import broker, clock, database, embedded, migrate, publications
from orderctl.channels import task_progress
from orderctl.schema import download_tasks, orders

ORDERS = 1_000
PUBLISHED = 50
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")

#: Scrolls from top to end at 10,000 px/s; returns the time of each frame in ms.
SCROLL = """async () => {
    const frames = [];
    const far = document.documentElement.scrollHeight - innerHeight;
    const began = performance.now();
    let last = began;
    for (let share = 0; share < 1; ) {
        const now = await new Promise(requestAnimationFrame);
        frames.push(now - last);
        last = now;
        share = (now - began) / (far / 10);
        scrollTo(0, far * Math.min(1, share));
    }
    return frames;
}"""
#: Notes when each text of the first row's percent appears, in seconds since the epoch.
WATCH = """() => {
    const percent = document.querySelector(".row-percent");
    window.seen = {};
    const note = () => (seen[percent.textContent] ??= (performance.timeOrigin + performance.now()) / 1000);
    new MutationObserver(note).observe(percent, { childList: true, characterData: true, subtree: true });
}"""


def main() -> None:
    logging.disable()
    program = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - it may not be installed
    except ImportError:
        program = None
    if program is None:
        print("Chromium or playwright is missing, so nothing was measured")
        return
    with shop() as (url, redis_url), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        page = browser.new_page(viewport={"width": 1360, "height": 850})
        page.set_content(f"<style>main {{ height: {62 * ORDERS}px }}</style><main></main>")
        show("frames of an empty page", page.evaluate(SCROLL))
        page.goto(url)
        page.locator(".row").first.wait_for()
        while page.locator(".row").count() < ORDERS:
            page.mouse.wheel(0, 20_000)
            page.wait_for_timeout(50)
        page.evaluate("scrollTo(0, 0)")
        page.wait_for_timeout(1000)
        show(f"frames of {ORDERS} orders", page.evaluate(SCROLL))
        page.evaluate("scrollTo(0, 0)")
        page.wait_for_timeout(1000)
        show("from publication to sight", latencies(page, redis_url))
        browser.close()


def latencies(page: Any, redis_url: str) -> list[float]:
    page.evaluate(WATCH)
    published = {}
    client = broker.brisk(redis_url, name="bench")
    for percent in range(1, 1 + PUBLISHED):
        published[f"{percent} %"] = time.time()
        data = {"taskId": ORDERS, "percent": percent, "timestamp": clock.milliseconds()}
        publications.publish(client, task_progress(ORDERS), data)
        page.wait_for_timeout(40)
    seen = page.evaluate("window.seen")
    return [(seen[shown] - at) * 1000 for shown, at in published.items() if shown in seen]


@contextmanager
def shop() -> Iterator[tuple[str, str]]:
    """Start a relay over a database of :data:`ORDERS` orders; return its URL and that of its Redis."""
    with tempfile.TemporaryDirectory(prefix="orderctl-bench-") as folder:
        state = Path(folder) / "state"
        redis_url, database_url = embedded.ensure(state), f"sqlite:///{folder}/orders.db"
        fill(database.connect(database_url))
        env = os.environ | {"ORDERCTL_REDIS_URL": redis_url, "ORDERCTL_DATABASE_URL": database_url}
        command = [str(Path(sys.executable).parent / "orderctl"), "relay", "start", "--port", "0"]
        relay = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
        try:
            assert relay.stderr is not None
            line = next(line for line in relay.stderr if line.startswith("Listening on"))
            yield line.split()[2], redis_url
        finally:
            relay.kill()
            relay.communicate()
            embedded.stop(state)


def fill(engine: Engine) -> None:
    migrate.up(engine)
    now = {"created_at": database.utc_now()}
    with engine.begin() as connection:
        for number in range(1, 1 + ORDERS):
            order = {
                "id": number, "order_code": f"DH{number:05}", "user_email": "a@example.com", "round": 0,
                "order_status": "processing", "payment_status": "paid", "total_amount": 300_000,
            }  # fmt: skip
            task = {
                "id": number, "order_id": number, "course_url": "http://courses.example/", "title": "Go",
                "status": "downloading", "managed": 0, "attempt": 1, "max_attempts": 3,
            }  # fmt: skip
            connection.execute(orders.insert().values(**order, **now))
            connection.execute(download_tasks.insert().values(**task, **now))
    engine.dispose()


def show(what: str, times: list[float]) -> None:
    cuts = statistics.quantiles(times, n=100)
    summary = f"median {cuts[49]:6.1f} ms   p95 {cuts[94]:6.1f} ms   p99 {cuts[98]:6.1f} ms"
    print(f"{what:30} {len(times):5}   {summary}   worst {max(times):6.1f} ms")


if __name__ == "__main__":
    main()
