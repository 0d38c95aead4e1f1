"""Generates the manual pages and the completion scripts: ``python -m orderctl.cli.manual``.

They depend on the commands only, and not on the date, the machine or its settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Final

import click

from orderctl import __version__
from orderctl.cli.commands import help as topics
from orderctl.cli.commands.completion import SHELLS, script
from orderctl.cli.lazy import Described
from orderctl.cli.main import COMMANDS, PROGRAM, root
from orderctl.errors import ExitStatus

SCRIPTS: Final = {"bash": f"{PROGRAM}.bash", "zsh": f"_{PROGRAM}", "fish": f"{PROGRAM}.fish"}


def documents() -> dict[str, str]:
    """Return the path in the source tree and the content of every generated file."""
    made = {f"completions/{SCRIPTS[shell]}": script(shell) for shell in SHELLS}
    made[f"man/{PROGRAM}.1"] = _program_page()
    with click.Context(root, info_name=PROGRAM) as ctx:
        for name in COMMANDS:
            command = root.get_command(ctx, name)
            if isinstance(command, Described):
                made[f"man/{PROGRAM}-{name}.1"] = _command_page(command, ctx, name)
    return made


def write(folder: Path) -> None:
    """Write every file into a folder, and remove manual pages of commands that no longer exist."""
    made = documents()
    for stale in set(folder.glob("man/*.1")) - {folder / name for name in made}:
        stale.unlink()
    for name, text in made.items():
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        target.write_text(text, encoding="utf-8")


def _program_page() -> str:
    parts = [_title(PROGRAM), _name(PROGRAM, root), ".SH SYNOPSIS\n"]
    parts.append(f".B {PROGRAM}\n[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]\n")
    with click.Context(root, info_name=PROGRAM) as ctx:
        parts += [".SH DESCRIPTION\n", _prose(root.help or ""), ".SH OPTIONS\n", *_options(root, ctx)]
    parts.append(".SH COMMANDS\n")
    parts += [_tagged(f"\\fB{PROGRAM}\\-{name}\\fR(1)", entry.help) for name, entry in COMMANDS.items()]
    parts += [".SH OUTPUT\n", _verbatim(topics.OUTPUT), ".SH TIMES\n", _verbatim(topics.TIMES)]
    parts += [_exit_status(), ".SH ENVIRONMENT\n", _verbatim(topics.variables())]
    parts += [".SH FILES\n", *_files(), _example(root)]
    pages = ", ".join(f"\\fB{PROGRAM}\\-{name}\\fR(1)" for name in COMMANDS)
    return "".join([*parts, f".SH SEE ALSO\n{pages}\n"])


def _command_page(command: Described, parent: click.Context, name: str) -> str:
    parts = [_title(f"{PROGRAM}-{name}"), _name(f"{PROGRAM}-{name}", command)]
    with click.Context(command, info_name=name, parent=parent) as ctx:
        parts += [".SH SYNOPSIS\n", _synopsis(command, ctx), ".SH DESCRIPTION\n", _prose(command.help or "")]
        if isinstance(command, click.Group):
            parts += [".SH COMMANDS\n", *_subcommands(command, ctx)]
        else:
            parts += [".SH OPTIONS\n", *_options(command, ctx)]
    parts += [_example(command), ".SH SEE ALSO\n"]
    parts.append(
        f"\\fB{PROGRAM}\\fR(1) lists the options, exit codes and variables that all commands share.\n"
    )
    return "".join(parts)


def _subcommands(group: click.Group, ctx: click.Context, before: str = "") -> Iterator[str]:
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        if not isinstance(command, Described) or command.hidden:
            continue
        with click.Context(command, info_name=name, parent=ctx) as inner:
            yield f".SS {_escape(before + name)}\n"
            yield _synopsis(command, inner)
            yield ".PP\n" + _prose(command.help or "")
            yield from _options(command, inner)
            yield ".PP\nExample:\n" + _verbatim(command.example)
            if isinstance(command, click.Group):
                yield from _subcommands(command, inner, f"{before}{name} ")


def _title(page: str) -> str:
    return f'.TH "{page.upper()}" "1" "" "{PROGRAM} {__version__}" "User commands"\n'


def _name(page: str, command: click.Command) -> str:
    about = command.get_short_help_str().removesuffix(".")
    return f".SH NAME\n{_escape(page)} \\- {_escape(about[:1].lower() + about[1:])}\n"


def _synopsis(command: click.Command, ctx: click.Context) -> str:
    pieces = " ".join(command.collect_usage_pieces(ctx))
    return f"\\fB{_escape(ctx.command_path)}\\fR {_escape(pieces)}\n"


def _options(command: click.Command, ctx: click.Context) -> Iterator[str]:
    for param in command.params:
        if isinstance(param, click.Option):
            shown = param.get_help_record(ctx)
            if shown is not None:
                yield _tagged(f"\\fB{_escape(shown[0])}\\fR", shown[1])


def _exit_status() -> str:
    rows = [_tagged(f"\\fB{int(status)}\\fR", topics.EXIT_CODES[status]) for status in ExitStatus]
    return ".SH EXIT STATUS\n" + "".join(rows)


def _files() -> Iterator[str]:
    yield _tagged("\\fI/etc/orderctl/config.toml\\fR", "Settings for all users of this machine.")
    yield _tagged("\\fI~/.config/orderctl/config.toml\\fR", "Settings of this user.")
    yield _tagged(
        "\\fI~/.local/state/orderctl\\fR",
        "The embedded database, the embedded Redis and the downloads.",
    )


def _example(command: Described) -> str:
    return ".SH EXAMPLES\n" + _verbatim(command.example)


def _tagged(tag: str, text: str) -> str:
    return f".TP\n{tag}\n{_escape(' '.join(text.split()))}\n"


def _prose(text: str) -> str:
    paragraphs = (" ".join(part.split()) for part in dedent(text).split("\n\n"))
    return "\n.PP\n".join(map(_escape, paragraphs)) + "\n"


def _verbatim(text: str) -> str:
    return ".PP\n.nf\n.RS 4\n" + "\n".join(map(_escape, text.strip("\n").split("\n"))) + "\n.RE\n.fi\n"


def _escape(text: str) -> str:
    """Escape text so that roff shows it unchanged, and takes no line for a request."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("^", "\\(ha")
    escaped = escaped.replace("~", "\\(ti").replace("`", "\\(ga")
    return f"\\&{escaped}" if escaped.startswith(".") else escaped


if __name__ == "__main__":
    write(Path.cwd())
