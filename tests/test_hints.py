"""Commands in messages can be pasted: what another person has named, a code or a file, is quoted in them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import orderctl
from orderctl.cli.main import COMMANDS

SOURCE = Path(orderctl.__file__).parent
#: A command with its options, up to where a value follows.
COMMAND = re.compile(rf"\borderctl ({'|'.join(COMMANDS)})( [a-z-]+)* (-- )?\Z")
#: Values that need no quotes: ids that orderctl has given, and amounts.
PLAIN = re.compile(r"(\w+(\[0\])?\.)*(\w+_)?ids?(\[0\])?|used|left\[0\]|.*amount(\.normalize\(\))?")
#: Values that are made of quoted ones elsewhere, with the reason.
MADE = {
    "database": "the name of a lock, no command",
    "hashlib.sha256(database.encode()).hexdigest()[:32]": "likewise",
    "' '.join(left)": "ids of tasks",
    "shown": "options of list, or an id",
    "'-- ' * job_id.startswith('-')": "a constant",
    "to": "quoted, or a placeholder",
    "sign.port": "a number",
    "selection": "options with words of orderctl's own",
}


def test_values_in_commands_are_quoted() -> None:
    found = [
        f"{path.relative_to(SOURCE)}:{node.lineno}: {text}"
        for path in sorted(SOURCE.rglob("*.py"))
        for source in [path.read_text(encoding="utf-8")]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.JoinedStr)
        for text in _unquoted(node, source)
    ]

    assert found == []


@pytest.mark.parametrize(
    ("written", "unquoted"),
    [
        ('f"hint: orderctl orders show {order.code}"', ["order.code"]),
        ('f"orderctl orders pay {code} --amount {n}"', ["code", "n"]),
        ('f"orderctl tasks show {task.id}"', []),
        ('f"orderctl orders show {shlex.quote(code)}"', []),
        ('f"{code} is none; orderctl orders list"', []),
    ],
)
def test_the_test_finds_them(written: str, unquoted: list[str]) -> None:
    [node] = [one for one in ast.walk(ast.parse(written)) if isinstance(one, ast.JoinedStr)]

    assert list(_unquoted(node, written)) == unquoted


def _unquoted(node: ast.JoinedStr, source: str) -> Iterator[str]:
    """Return the values that stand within a command, and are not quoted."""
    before = ""
    for part in node.values:
        if isinstance(part, ast.Constant):
            before += str(part.value)
        elif isinstance(part, ast.FormattedValue):
            if COMMAND.search(before) and not _is_safe(part.value, source):
                yield ast.unparse(part.value)
            before += "x"


def _is_safe(value: ast.expr, source: str) -> bool:
    if isinstance(value, ast.IfExp):
        return _is_safe(value.body, source) and _is_safe(value.orelse, source)
    text = ast.unparse(value)
    name = re.sub(r"\A' '\.join\((\w+)\)\Z", r"\1", text)
    quoted = name.isidentifier() and re.search(rf"\b{name} = .*shlex\.(quote|join)\(", source)
    return (
        isinstance(value, ast.Constant)
        or "shlex." in text
        or "texts.arguments(" in text
        or text in MADE
        or bool(PLAIN.fullmatch(text) or quoted)
    )
