"""What a setting refuses names that setting, where it is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orderctl import setting_sections

SOURCES = Path(setting_sections.__file__).parent
#: How the description of a setting begins that lets something in, or keeps it out.
REFUSES = re.compile(
    r"(maximum|minimum|allow|how long to wait|how long a task is tried|.*that may connect|.*reach the relay)"
)
#: They slow a client or a server down, and refuse nothing.
SLOWS = {"relay.max_messages_per_second", "progress.interval_seconds"}
LIMITS = sorted(
    key for key, item in setting_sections.declared().items() if REFUSES.match(item.about) and key not in SLOWS
)


@pytest.fixture(scope="module")
def texts() -> str:
    """All source texts but the declarations."""
    found = (path for path in SOURCES.rglob("*.py") if path.name != "setting_sections.py")
    return "\n".join(path.read_text(encoding="utf-8") for path in found)


def test_the_limits_are_found():
    assert {
        "download.allow_private_hosts",
        "download.max_bytes",
        "relay.max_connections",
        "relay.origins",
    } <= set(LIMITS)


@pytest.mark.parametrize("key", LIMITS)
def test_a_text_names_the_setting_that_refuses(key: str, texts: str):
    # A section that is written in a placeholder, such as relay.{key}, does not count.
    assert re.search(rf"[ (]{re.escape(key)}\b", texts)
