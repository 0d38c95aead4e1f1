"""Every cause stands in docs/oncall.md, and is planted by a test."""

import ast
import re
from pathlib import Path

import orderctl.why

CODE = Path(orderctl.why.__file__).parent
#: `status` has some of the causes, too.
FILES = (*CODE.glob("*.py"), CODE.parent / "health" / "redis_causes.py")
HERE = Path(__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "oncall.md"
#: Words of the code that are spelled like a cause, and are none.
OTHERS: set[str] = {"q-sign-time"}


def documented() -> set[str]:
    """Return the words of the table of causes."""
    part = PAGE.read_text().partition("\n## why\n")[2].partition("\n## ")[0].partition("| cause |")[2]
    return set(re.findall(r"^\| ([a-z-]+) \|", part, re.MULTILINE))


def in_code() -> set[str]:
    """Return the literals of the code that are spelled like a cause of several words."""
    found = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(re.findall(r"\A[a-z]+(?:-[a-z]+)+\Z", node.value))
    return found - OTHERS


def test_each_cause_of_the_code_is_documented() -> None:
    assert in_code() - documented() == set()


def test_each_documented_cause_is_one_of_the_code() -> None:
    text = "".join(path.read_text() for path in FILES)
    assert {word for word in documented() if f'"{word}"' not in text} == set()


def test_each_documented_cause_is_planted() -> None:
    text = "".join(path.read_text() for path in HERE.glob("test_*.py") if path != Path(__file__))
    assert {word for word in documented() if f'"{word}"' not in text} == set()
