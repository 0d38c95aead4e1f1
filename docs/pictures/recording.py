"""Records the main job: an order is added and paid, its downloads are watched, and what failed is found."""

from __future__ import annotations

import shlex
import subprocess
import time

from docs.pictures import drawing, stand_ins
from docs.pictures.recorder import Terminal
from orderctl.demo import Shop

_COLUMNS, _ROWS = 80, 24
_PAUSE, _END = 1.6, 6.0


def record() -> str:
    """Return the recording as an SVG."""
    shop = Shop()
    try:
        env = shop.environ() | {"TERM": "xterm-256color", "LANG": "C.UTF-8"}
        terminal = Terminal(_COLUMNS, _ROWS)
        _prepare(shop, env)
        shown = stand_ins.replacing(shop.courses.url.removeprefix("http://"))
        for command in _commands(shop.courses.url):
            terminal.type(shown(command))  # else half of an address is typed, for which nothing stands
            words = shlex.split(command.replace("\\\n", " "))
            terminal.run(shop.command(*words[1:]), env, shop.folder)
            terminal.rest(_PAUSE)
        terminal.rest(_END)
    finally:
        shop.close()
    return drawing.animation(terminal.frames, _COLUMNS, _ROWS, shown)


def _prepare(shop: Shop, env: dict[str, str]) -> None:
    subprocess.run(shop.command("migrate", "up", "--quiet"), env=env, check=True)
    shop.start("worker", "start", "--concurrency", "3")
    shop.courses.start()
    while not subprocess.run(
        shop.command("worker", "list", "-o", "name"), env=env, check=True, capture_output=True
    ).stdout:
        time.sleep(0.2)


def _commands(url: str) -> list[str]:
    add = (
        "orderctl orders add --code DH123456 --email customer@example.com \\\n"
        f"    --amount 300000 --course {url}/algebra/course.json \\\n"
        f"    --course {url}/geometry/course.json \\\n"
        f"    --course {url}/statistics/course.json"
    )
    return [
        add,
        "orderctl orders pay DH123456 --amount 300000 --bank ACB",
        "orderctl tail order DH123456",
        "orderctl tasks list --failed",
        "orderctl orders show DH123456",
    ]
