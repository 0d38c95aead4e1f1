"""``orderctl help``: what the commands share, by topic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import click

from orderctl import environment, settings
from orderctl.cli import times
from orderctl.cli.app import App, pass_app
from orderctl.cli.lazy import Command
from orderctl.errors import ExitStatus

#: What each exit code means.
EXIT_CODES: Final[dict[ExitStatus, str]] = {
    ExitStatus.DONE: "What was asked for is done, or was already.",
    ExitStatus.FAILED: "The subject failed, part of a bulk change did, or a verification found something.",
    ExitStatus.USAGE: "The command line or its input is wrong.",
    ExitStatus.NOT_FOUND: "There is no such order, task or worker.",
    ExitStatus.CONFLICT: "The present state does not allow it.",
    ExitStatus.UNAVAILABLE: "The database, Redis or the workers do not answer, and the command needs them.",
    ExitStatus.INTERNAL: "A mistake in orderctl itself; please report it.",
    ExitStatus.TRY_LATER: "Somebody else holds a lock; try later.",
    ExitStatus.CONFIGURATION: "A setting is wrong, or the database is not migrated.",
    ExitStatus.TIMED_OUT: "The time that was given ran out.",
    ExitStatus.INTERRUPTED: "Interrupted with Ctrl-C.",
}

OUTPUT: Final = """\
Data goes to stdout, everything else to stderr. -o chooses the format:

  table     for people, cut to the width of the terminal (the default)
  wide      for people, every column, nothing cut
  json      one document; an empty list is []
  jsonl     one document on each line, each line at once
  csv       for spreadsheets; a text that begins like a formula gets an apostrophe before it
  tsv       for cut and awk; tabs and line breaks as \\t and \\n
  markdown  for tickets
  name      only ids or names, for xargs

--fields NAME,... chooses columns; --fields alone lists them. The keys of JSON are stable, its times are
UTC, its amounts numbers. Without a terminal nothing is cut, coloured or animated; NO_COLOR, TERM=dumb
and CLICOLOR_FORCE are respected. Control characters in texts are shown as escapes.
"""

TIMES: Final = f"""\
Options that take a time (--since, --until, --before) understand {times.MOMENTS}.
A date or a clock without a zone is meant in display.time_zone.

Options that take a length of time (--stale, --timeout) understand {times.SPANS};
a bare number is seconds.

--time-format relative|iso|local chooses how tables show times.
"""


def exit_codes() -> str:
    """The exit codes as a table."""
    return "".join(f"{status:>5}  {text}\n" for status, text in EXIT_CODES.items())


def variables() -> str:
    """The environment variables as a table."""
    lines = ["Every setting has a variable; a list has commas, a yes-or-no is 1, 0, true or false.\n"]
    rows = [("ORDERCTL_CONFIG", "a further configuration file")]
    rows.append((environment.variable("state_dir"), "folder of the embedded database, Redis and downloads"))
    for key, item in settings.declared().items():
        rows.append((environment.variable(key), item.about))
        if item.secret:
            rows.append((environment.variable(f"{key}_file"), "a file that has it"))
    rows += [
        ("ORDERCTL_DEBUG", "1: show the traceback of an internal error"),
        ("NO_COLOR, CLICOLOR_FORCE", "never, or always, colour"),
    ]
    wide = max(len(name) for name, _ in rows)
    return "\n".join([*lines, *(f"  {name.ljust(wide)}  {about}" for name, about in rows)]) + "\n"


TOPICS: Final[dict[str, tuple[str, Callable[[], str]]]] = {
    "exit-codes": ("what the exit codes mean", exit_codes),
    "environment": ("the environment variables", variables),
    "output": ("formats, fields, colours", lambda: OUTPUT),
    "times": ("how times and lengths of time are written", lambda: TIMES),
}


@click.command(cls=Command)
@click.argument("topic", type=click.Choice(list(TOPICS)), required=False)
@pass_app
def cli(app: App, topic: str | None) -> None:
    """Explain exit codes, environment, output, times.

    Without a topic, list the topics.

    Example:
        orderctl help exit-codes
        orderctl help times
    """
    if topic is None:
        app.write("".join(f"  {name:<12} {about}\n" for name, (about, _) in TOPICS.items()))
        return
    app.write(TOPICS[topic][1]())
