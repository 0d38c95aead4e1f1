"""Every test that docs/reliability.md names exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_test_that_the_promises_name_is_there():
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"\btest_[a-z0-9_]+(?!\.py)\b", page)) - set(re.findall(r"(test_\w+)\.py", page))
    assert len(named) > 15
    assert {name for name in named if f"def {name}(" not in sources} == set()
