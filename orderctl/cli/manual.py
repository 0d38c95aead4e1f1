"""Generates the manual pages and the completion scripts: ``python -m orderctl.cli.manual``.

They depend on the commands and the settings that exist only, and not on the date, the machine or its settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from orderctl.cli import reference_pages, roff, topics
from orderctl.cli.commands.completion import SHELLS, script
from orderctl.cli.lazy import Described
from orderctl.cli.main import COMMANDS, PROGRAM, root
from orderctl.cli.reference_pages import CONFIG, EXIT_CODES
from orderctl.errors import ExitStatus

SCRIPTS: Final = {"bash": f"{PROGRAM}.bash", "zsh": f"_{PROGRAM}", "fish": f"{PROGRAM}.fish"}
#: A line may end after the bar between two choices.
_BREAK: Final = "|\\:"
#: What pages of commands say of the exit code; the others are on a page of their own.
_COMMON: Final = (ExitStatus.DONE, ExitStatus.FAILED, ExitStatus.USAGE)
#: Variables that pages of commands name; the others are on the page of the settings.
_SHARED: Final = ("ORDERCTL_CONFIG", "ORDERCTL_STATE_DIR", "ORDERCTL_DATABASE_URL", "ORDERCTL_REDIS_URL")


def documents() -> dict[str, str]:
    """Return the path in the source tree and the content of every generated file."""
    made = {f"completions/{SCRIPTS[shell]}": script(shell) for shell in SHELLS}
    made[f"man/{PROGRAM}.1"] = _program_page()
    with click.Context(root, info_name=PROGRAM) as ctx:
        for name in COMMANDS:
            command = root.get_command(ctx, name)
            if isinstance(command, Described):
                made[f"man/{PROGRAM}-{name}.1"] = _command_page(command, ctx, name)
    made[f"man/{CONFIG}.5"] = reference_pages.config()
    made[f"man/{EXIT_CODES}.7"] = reference_pages.exit_codes()
    return made


def write(folder: Path) -> None:
    """Write every file into a folder, and remove manual pages of commands that no longer exist."""
    made = documents()
    for stale in set(folder.glob("man/*.[157]")) - {folder / name for name in made}:
        stale.unlink()
    for name, text in made.items():
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        target.write_text(text, encoding="utf-8")


def _program_page() -> str:
    parts = [roff.title(PROGRAM, 1, _about(root)), ".SH SYNOPSIS\n"]
    parts.append(f".B {PROGRAM}\n[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]\n")
    with click.Context(root, info_name=PROGRAM) as ctx:
        parts += [".SH DESCRIPTION\n", roff.prose(root.help or ""), ".SH OPTIONS\n", *_options(root, ctx)]
    parts.append(".SH COMMANDS\n")
    parts += [roff.tagged(roff.link(f"{PROGRAM}-{name}", 1), entry.help) for name, entry in COMMANDS.items()]
    parts += [".SH OUTPUT\n", roff.topic(topics.OUTPUT), ".SH TIMES\n", roff.topic(topics.TIMES)]
    parts += [".SH EXIT STATUS\n", roff.topic(topics.exit_codes())]
    parts += [".SH ENVIRONMENT\n", roff.topic(topics.variables())]
    parts += [reference_pages.files(), _example(root)]
    pages = [roff.link(f"{PROGRAM}-{name}", 1) for name in COMMANDS]
    return "".join([*parts, _see_also(*pages)])


def _command_page(command: Described, parent: click.Context, name: str) -> str:
    parts = [roff.title(f"{PROGRAM}-{name}", 1, _about(command))]
    with click.Context(command, info_name=name, parent=parent) as ctx:
        parts += [".SH SYNOPSIS\n", _synopsis(command, ctx)]
        parts += [".SH DESCRIPTION\n", roff.prose(command.help or "")]
        if isinstance(command, click.Group):
            parts += [".SH COMMANDS\n", *_subcommands(command, ctx)]
        else:
            parts += [".SH OPTIONS\n", *_options(command, ctx)]
    parts.append(f".PP\n{roff.link(PROGRAM, 1)} has the options that all commands share.\n")
    parts += [*_exit_status(), *_environment(), reference_pages.files(), _example(command)]
    return "".join([*parts, _see_also(roff.link(PROGRAM, 1))])


def _subcommands(group: click.Group, ctx: click.Context, before: str = "") -> Iterator[str]:
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        if not isinstance(command, Described) or command.hidden:
            continue
        with click.Context(command, info_name=name, parent=ctx) as inner:
            yield f".SS {roff.escape(before + name)}\n"
            yield _synopsis(command, inner)
            yield ".PP\n" + roff.prose(command.help or "")
            yield from _options(command, inner)
            yield ".PP\nExample:\n" + roff.commands(command.example)
            if isinstance(command, click.Group):
                yield from _subcommands(command, inner, f"{before}{name} ")


def _about(command: click.Command) -> str:
    about = command.get_short_help_str().removesuffix(".")
    return about[:1].lower() + about[1:]


def _synopsis(command: click.Command, ctx: click.Context) -> str:
    pieces = " ".join(command.collect_usage_pieces(ctx))
    return f"{roff.bold(ctx.command_path)} {roff.escape(pieces)}\n"


def _options(command: click.Command, ctx: click.Context) -> Iterator[str]:
    for param in command.params:
        if isinstance(param, click.Option):
            shown = param.get_help_record(ctx)
            if shown is not None:
                yield roff.tagged(roff.bold(shown[0]).replace("|", _BREAK), shown[1])


def _exit_status() -> Iterator[str]:
    yield ".SH EXIT STATUS\n"
    for status in _COMMON:
        yield roff.tagged(roff.bold(str(int(status))), topics.EXIT_CODES[status])
    yield f".PP\nThe others are in {roff.link(EXIT_CODES, 7)}.\n"


def _environment() -> Iterator[str]:
    yield ".SH ENVIRONMENT\n"
    for block in topics.blocks(topics.variables()):
        if isinstance(block, topics.Row) and block.term in _SHARED:
            yield roff.tagged(roff.bold(block.term), block.about)
    yield f".PP\nEvery setting has a variable: {roff.link(CONFIG, 5)}.\n"


def _example(command: Described) -> str:
    return ".SH EXAMPLES\n" + roff.commands(command.example)


def _see_also(*pages: str) -> str:
    every = [*pages, roff.link(CONFIG, 5), roff.link(EXIT_CODES, 7)]
    return f".SH SEE ALSO\n{', '.join(every)}\n"


if __name__ == "__main__":
    write(Path.cwd())
