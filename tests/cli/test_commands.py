"""What holds for every command."""

import shlex
from itertools import takewhile
from pkgutil import iter_modules

import click
import pytest

from orderctl.cli import commands
from orderctl.cli.lazy import Command, Described
from orderctl.cli.main import COMMANDS, PROGRAM, root
from tests.cli.conftest import Program


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
