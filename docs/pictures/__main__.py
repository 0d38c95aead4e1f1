"""Makes docs/demo.svg, docs/dashboard.png and docs/screens: ``python -m docs.pictures [demo|dashboard|screens ...]``."""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path

from docs.pictures import recording, screens, seed, stand_ins

DOCS = Path(__file__).parents[1]
EVERY = ("demo", "screens", "dashboard")


def main() -> None:
    """Make the pictures that are named, or all."""
    wanted = sys.argv[1:] or EVERY
    if unknown := set(wanted) - set(EVERY):
        raise SystemExit(f"no picture has the name {', '.join(sorted(unknown))}: {', '.join(EVERY)}")
    if "demo" in wanted:
        _say("recording the main job")
        (DOCS / "demo.svg").write_text(recording.record(), encoding="utf-8")
    if {"screens", "dashboard"} & set(wanted):
        _shop(wanted)


def _shop(wanted: list[str] | tuple[str, ...]) -> None:
    port = _free_port()
    _say("filling a shop")
    shop = seed.shop(port)
    try:
        if "dashboard" in wanted:
            from docs.pictures.dashboard import photograph  # noqa: PLC0415 - needs playwright and Chromium

            _say("photographing the dashboard")
            pairs = stand_ins.pairs(shop.courses.host)  # type: ignore[attr-defined]
            photograph(f"http://127.0.0.1:{port}/", seed.RUNNING, DOCS / "dashboard.png", pairs)
        if "screens" in wanted:
            _say("writing the screens")
            shown = stand_ins.replacing(shop.courses.host)  # type: ignore[attr-defined]
            for place in screens.write(DOCS / "screens", shop, shown):
                _say(f"too long a line: {place}")
    finally:
        shop.close()


def _say(text: str) -> None:
    print(f"pictures: {text} ({time.strftime('%H:%M:%S')})", file=sys.stderr)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
