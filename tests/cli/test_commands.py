"""Rules that hold for every command."""

import ast
import re
import shlex
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from pkgutil import iter_modules

import click
import pytest

from orderctl.cli import commands, effects
from orderctl.cli.lazy import Command, Described
from orderctl.cli.main import COMMANDS, PROGRAM, root
from tests.cli.conftest import Program

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "orderctl"
#: Words that texts for users do not contain, because plainer ones exist.
AVOIDED = re.compile(
    r"\b(?:so (?:many|much)|(?:un)?mend(?:s|ed|ing)?|told(?!_at)|somebody|whoever|nobody|1 (?:workers|tasks|orders|jobs)"
    r"|(?<!there )is no [a-z])",
    re.IGNORECASE,
)  #: The manual pages, the documentation, and the dashboard.
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/*.md", "man/*", "orderctl/relay/page/*")
    for page in ROOT.glob(pattern)
    if page.name != "CHANGELOG.md"  # it quotes what has changed
)


def every_command(command: click.Command, path: tuple[str, ...] = ()):
    yield path, command
    if isinstance(command, click.Group):
        with click.Context(command, info_name=PROGRAM) as ctx:
            for name in command.list_commands(ctx):
                yield from every_command(command.get_command(ctx, name), (*path, name))


ALL = list(every_command(root))
LEAVES = [(path, command) for path, command in ALL if not isinstance(command, click.Group)]


def name_of(value: object) -> str | None:
    return " ".join(value) or PROGRAM if isinstance(value, tuple) else None


@pytest.mark.parametrize(("path", "command"), ALL, ids=name_of)
def test_help_ends_in_an_example_that_calls_the_command(path, command):
    assert isinstance(command, Described)
    assert command.help
    assert command.example
    assert all(PROGRAM in line or line.lstrip().startswith("#") for line in command.example.splitlines())
    if path:
        assert " ".join([PROGRAM, *path]) in command.example or isinstance(command, click.Group)


@pytest.mark.parametrize(("path", "command"), ALL, ids=name_of)
def test_every_option_and_command_says_what_it_is_for(path, command):
    assert all(param.help for param in command.params if isinstance(param, click.Option))
    assert "\n" not in command.get_short_help_str()
    assert command.get_short_help_str().endswith(".")


@pytest.mark.parametrize(("path", "command"), LEAVES, ids=name_of)
def test_every_command_takes_the_options_of_the_whole_program(path, command, inside: Program):
    assert isinstance(command, Command)

    ended = inside(*path, "--state-dir", "/tmp/x", "-q", "--help")

    assert ended.status == 0
    assert "--state-dir" not in ended.out
    assert ended.out.startswith(f"Usage: {PROGRAM} {' '.join(path)}")


def test_each_module_of_the_package_is_a_command_of_the_program():
    assert {module.name for module in iter_modules(commands.__path__)} == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_line_of_the_root_is_that_of_the_command(name):
    with click.Context(root, info_name=PROGRAM) as ctx:
        assert root.get_command(ctx, name).get_short_help_str() == COMMANDS[name].help


@pytest.mark.parametrize(("path", "command"), ALL, ids=name_of)
def test_help_is_in_plain_words(path, command, inside: Program):
    assert AVOIDED.findall(inside(*path, "--help").out) == []


@pytest.mark.parametrize("topic", ["exit-codes", "environment", "output", "times"])
def test_a_topic_is_in_plain_words(topic, inside: Program):
    assert AVOIDED.findall(inside("help", topic).out) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_in_plain_words(page):
    assert AVOIDED.findall(page.read_text()) == []


def test_no_text_in_the_program_has_a_word_that_is_avoided():
    found = [
        f"{module.relative_to(ROOT)}:{line}: {text!r}"
        for module in sorted(PACKAGE.rglob("*.py"))
        for line, text in _texts(ast.parse(module.read_text()))
        if AVOIDED.search(text)
    ]

    assert found == []


def _texts(node: ast.AST) -> Iterator[tuple[int, str]]:
    """The lines and texts of the string literals that are not docstrings; an f-string has X for each value."""
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else "X" for part in node.values]
        yield node.lineno, "".join(map(str, parts))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.lineno, node.value
    for child in ast.iter_child_nodes(node):
        is_docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        is_part = isinstance(node, ast.JoinedStr) and isinstance(child, ast.Constant)
        if not is_docstring and not is_part:
            yield from _texts(child)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("'DH 1' is no order code", True),
        ("At most so many rows.", True),
        ("Mend what crashes have left", True),
        ("1 workers", True),
        ("11 workers", False),
        ("there is no order 5", False),
        ("we recommend it", False),
    ],
)
def test_the_words_that_are_avoided(text, found):
    assert bool(AVOIDED.search(text)) is found


def test_the_examples_in_help_parse(subtests):
    for _, command in LEAVES:
        for line in command.example.splitlines():
            with subtests.test(line=line):
                _parse(line)


def _parse(line: str) -> None:
    words = list(takewhile(lambda word: word not in {"|", "||", ">", "<"}, shlex.split(line, comments=True)))
    if not words or words[0] != PROGRAM:
        return
    command, rest = root, words[1:]
    parent = None
    while True:
        ctx = command.make_context(command.name or PROGRAM, list(rest), parent=parent)
        if not isinstance(command, click.Group):
            return
        _, command, rest = command.resolve_command(ctx, [*ctx._protected_args, *ctx.args])
        parent = ctx


def test_each_command_is_marked_as_one_that_reads_or_one_that_changes():
    leaves = {" ".join(path) for path, _ in LEAVES}
    groups = {" ".join(path) for path, command in ALL if path and isinstance(command, click.Group)}

    assert effects.CHANGING.isdisjoint(effects.READING)
    assert leaves | groups == effects.CHANGING | effects.READING
    assert groups <= effects.READING


@pytest.mark.parametrize(
    ("line", "typed", "meant"),
    [
        ("worker status", "status", " Did you mean 'list'?"),
        ("orders ls", "ls", " Did you mean 'list'?"),
        ("tasks rety 41", "rety", ""),
        ("orders delete", "delete", ""),
        ("worker strat", "strat", ""),
        ("worker stopp", "stopp", ""),
        ("migrate upp", "upp", ""),
        ("reconcil", "reconcil", ""),
        ("order list", "order", " Did you mean 'orders' or 'worker'?"),
        ("jobs", "jobs", " Did you mean 'worker'?"),
    ],
)
def test_a_mistyped_command_never_suggests_one_that_changes_something(
    line: str, typed: str, meant: str, inside: Program
):
    ended = inside(*line.split())

    said = f"orderctl: no such command '{typed}'.{meant}".removesuffix(".")
    assert (ended.status, ended.out, ended.err.splitlines()[0]) == (2, "", said)
