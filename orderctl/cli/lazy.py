"""Groups of commands that import a command only when it is called.

So ``orderctl --help`` and the TAB key import only Click. The libraries of the stores take ten times as long.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from inspect import cleandoc
from textwrap import dedent, indent
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.exceptions import NoSuchCommand

from orderctl import texts
from orderctl.cli import global_options
from orderctl.cli.app import App

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class CommandEntry(NamedTuple):
    """What the root group knows of a command without importing it."""

    help: str  #: One line.
    section: str  #: Heading under which ``--help`` lists it.


class Described(click.Command):
    """A command whose help ends with the example at the end of its docstring."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        described, _, example = cleandoc(self.help or "").partition("\nExample:\n")
        self.help = described.strip()
        self.example = dedent(example).strip("\n")

    def get_short_help_str(self, limit: int = 45) -> str:  # noqa: ARG002
        """Return the whole first line, which lists of commands wrap."""
        return (self.help or "").partition("\n")[0]

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example without wrapping its lines."""
        if self.example:
            with formatter.section("Example"):
                formatter.write(indent(self.example, "  ") + "\n")
        super().format_epilog(ctx, formatter)


class Command(Described):
    """A command that also takes the options of the whole program, which may be given before or after it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += global_options.options(
            hidden=True, taken={name for item in self.params for name in item.opts}
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; refuse a text that no store can hold: bytes that are not UTF-8."""
        rest = super().parse_args(ctx, args)
        for item in self.params:
            value = ctx.params.get(str(item.name))
            for text in value if isinstance(value, tuple) else (value,):
                if isinstance(text, str) and not texts.is_storable(text):
                    shown = f"{texts.shown(text)} is not text in UTF-8 without NUL characters"
                    raise click.BadParameter(shown, ctx, item)
        return rest

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, unless it changes something and that is not allowed here."""
        from orderctl.cli import effects

        name = ctx.command_path.partition(" ")[2]
        if effects.changes(name, ctx.params):
            ctx.ensure_object(App).require_writable(name)
        return super().invoke(ctx)


class Group(Described, click.Group):
    """A group that lists its commands in the order of its module.

    Args:
        default: The command that is meant where none of the group's is named: ``logs DH1`` is ``logs show DH1``.
    """

    command_class = Command

    def __init__(self, *args: Any, default: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.default = default

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names of the commands in order."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or suggest commands that only read."""
        try:
            found = super().resolve_command(ctx, args)
        except NoSuchCommand as error:
            meant = self._meant(ctx, error.command_name)
            if self.default is None or (meant and not any(map(str.isdigit, error.command_name))):
                raise self._unknown(ctx, error.command_name, meant) from None
            found = None, None, args[1:]
        if self.default is not None and found[1] is None:  # at the TAB key, too
            return self.default, self.get_command(ctx, self.default), args
        return found

    def _meant(self, ctx: click.Context, typed: str) -> list[str]:
        from orderctl.cli import effects

        return effects.suggestions(ctx.command_path.partition(" ")[2], typed, self.list_commands(ctx))

    def _unknown(self, ctx: click.Context, typed: str, meant: list[str]) -> NoSuchCommand:
        choice = " or ".join(repr(name) for name in meant)
        question = f" Did you mean {choice}?" if meant else ""
        return NoSuchCommand(typed, f"No such command {texts.shown(typed)}.{question}", ctx=ctx)


class LazyGroup(Group):
    """The root group, whose commands are entries of a table.

    The module of a command has the command's name; in it, the command is called ``cli``.
    """

    def __init__(self, *args: Any, entries: Mapping[str, CommandEntry], package: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.entries = entries
        self.package = package

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names of the commands in the order of the table."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return the command with this name."""
        if cmd_name not in self.entries:
            return None
        command: click.Command = import_module(f"{self.package}.{cmd_name}").cli
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands of the table by section."""
        wide = max(map(len, self.entries), default=0)
        for section in dict.fromkeys(entry.section for entry in self.entries.values()):
            with formatter.section(section):
                rows = [
                    (name.ljust(wide), item.help)
                    for name, item in self.entries.items()
                    if item.section == section
                ]
                formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[Any]]:
        """Complete the names of commands from the table, and options as Click does."""
        from click.shell_completion import CompletionItem

        found = [
            CompletionItem(name, help=entry.help)
            for name, entry in self.entries.items()
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)
