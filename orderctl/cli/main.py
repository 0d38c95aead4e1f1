"""The program: the list of its commands, and its start and end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from typing import Final, NoReturn

import click

from orderctl import __version__, environment
from orderctl.cli import collector, global_options, streams
from orderctl.cli.app import App
from orderctl.cli.boundary import guard
from orderctl.cli.lazy import CommandEntry, LazyGroup
from orderctl.cli.streams import abandon
from orderctl.errors import ExitStatus

PROGRAM: Final = "orderctl"

PACKAGE: Final = "orderctl.cli.commands"
#: The commands. Each has an entry here and a module of the same name, which is imported when it is called.
COMMANDS: Final[dict[str, CommandEntry]] = {
    "orders": CommandEntry("List, show, add, pay and cancel orders.", "Orders"),
    "payments": CommandEntry("List and show payments, and decide about those that paid no order.", "Orders"),
    "tasks": CommandEntry("List, show, retry and cancel tasks.", "Orders"),
    "logs": CommandEntry(
        "Search the audit log. 'orderctl logs ORDER' is 'orderctl logs show ORDER'.", "Orders"
    ),
    "tail": CommandEntry("Watch a task, an order or everything live.", "Orders"),
    "why": CommandEntry("Say why an order or a task hangs, and print the command that repairs it.", "Orders"),
    "outbox": CommandEntry(
        "List and show mails, webhooks and completion messages, and send them again.", "Orders"
    ),
    "ops": CommandEntry(
        "List, show, follow and stop operations: bulk changes that supervisors carry out.", "Orders"
    ),
    "status": CommandEntry("Show whether all is well, on one screen.", "Running"),
    "worker": CommandEntry("Run, list, pause and stop workers.", "Running"),
    "relay": CommandEntry("Run the relay for dashboards and make tokens for it.", "Running"),
    "doctor": CommandEntry("Check the installation: what is wrong, and what repairs it.", "Running"),
    "reconcile": CommandEntry("Repair what crashes and outages have left behind.", "Running"),
    "migrate": CommandEntry("Create the tables, or adopt a shop's existing ones.", "Setting up"),
    "embedded": CommandEntry("Show whether the embedded Redis runs, and stop it.", "Setting up"),
    "demo": CommandEntry("Demonstrate orderctl with a temporary shop.", "Setting up"),
    "config": CommandEntry("Show, check and create the configuration.", "Setting up"),
    "completion": CommandEntry("Print the completion script for a shell.", "Setting up"),
    "help": CommandEntry("Explain exit codes, environment variables, output and times.", "Setting up"),
}


@click.group(
    cls=LazyGroup,
    entries=COMMANDS,
    package=PACKAGE,
    params=global_options.options(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="'orderctl COMMAND --help' explains a command, 'orderctl help' what all commands share.",
)
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
def root() -> None:
    """Follow, control and audit a shop's orders after they are paid.

    Example:
        orderctl orders list --paid
        orderctl tail order DH123456
    """


def run(arguments: Sequence[str] | None = None, app: App | None = None) -> int:
    """Run one command line.

    Args:
        arguments: The arguments after the program's name; those of the process when None.
        app: The application that the command works with; for tests.

    Returns:
        The exit code.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)

    def program() -> object:
        with closing(app or App()) as used:
            used.arguments = tuple(given)
            with root.make_context(PROGRAM, given, obj=used) as ctx:
                return root.invoke(ctx)

    return guard(program)


def main() -> NoReturn:
    """Run the program ``orderctl`` and exit."""
    collector.rest()
    streams.prepare()
    if asked := environment.ambient().completion:
        _complete(asked)
    try:
        status = run()
    except KeyboardInterrupt:  # a second Ctrl-C, while the first was being reported
        status = ExitStatus.INTERRUPTED
    if status == ExitStatus.INTERRUPTED:
        import signal

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a third Ctrl-C cannot end it any sooner
    sys.exit(status)


def _complete(asked: str) -> NoReturn:
    import os

    from orderctl.cli import shells

    try:
        answer = shells.answer(root, PROGRAM, asked, {"obj": App()})
        sys.stdout.write("" if answer is None else answer + "\n")
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - a traceback would appear in the line that the user is typing
        abandon(sys.stdout)
        os._exit(1)
    os._exit(0 if answer is not None else 1)  # a thread may wait for a store that does not answer
