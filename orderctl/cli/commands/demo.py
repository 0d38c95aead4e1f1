"""``orderctl demo``: a tour through the ordinary commands with a temporary shop."""

from __future__ import annotations

import json
import shlex
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from itertools import pairwise
from typing import TYPE_CHECKING, NoReturn

import click

from orderctl.cli.app import App, pass_app
from orderctl.cli.lazy import Command
from orderctl.errors import ExitStatus, SubjectFailed

if TYPE_CHECKING:
    from orderctl.demo import Shop

#: Characters in a line of a command, before the backslash: all fit terminals of 60 columns.
_WIDEST = 54


@click.command(cls=Command)
@click.option("--keep", is_flag=True, help="Keep the shop running afterwards, until Ctrl-C.")
@pass_app
def cli(app: App, keep: bool) -> None:
    """Demonstrate orderctl with a temporary shop.

    The demo shows four orders, of which one is paid by a POST as a bank sends it, their downloads, a failure and its
    retry, and the audit log. It uses only a temporary folder and the loopback address; your own settings and stores
    are not touched. It ends after about 20 seconds and removes everything that it created.

    Example:
        orderctl demo
        orderctl demo --keep
    """
    from orderctl.demo import Shop

    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    shop = Shop()
    try:
        _tour(app, shop)
        if keep:
            _wait(app, shop)
    finally:
        shop.close()


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _tour(app: App, shop: Shop) -> None:
    from orderctl.demo import BROKEN_ORDER, BY_POST

    port = _free_port()
    _run(app, shop, "migrate", "up", "--quiet")
    # The processes are forked before the course server starts a thread.
    _start(app, shop, "worker", "start", "--concurrency", "3")
    accept = ("--accept-payments", "--payments-without-secret")
    _start(app, shop, "relay", "start", "--port", str(port), *accept)
    shop.courses.start()
    _add_and_pay(app, shop, port)
    _run(app, shop, "tail", "order", BY_POST)
    _run(app, shop, "orders", "list", "--paid")
    _run(app, shop, "tasks", "list", "--failed")
    app.write("\n# The course server is repaired; the failed task is retried.\n")
    shop.courses.repair()
    _run(app, shop, "tasks", "retry", "--failed", "--yes", "--reason", "server repaired")
    _run(app, shop, "tail", "order", BROKEN_ORDER, "--exit-status")
    _run(app, shop, "orders", "show", BROKEN_ORDER)
    _run(app, shop, "logs", "show", BROKEN_ORDER)
    _run(app, shop, "orders", "stats")
    app.write(f"\nThe dashboard was at http://127.0.0.1:{port}/\nIt goes on with: orderctl demo --keep\n")


def _add_and_pay(app: App, shop: Shop, port: int) -> None:
    """Add all orders, and pay all but the last."""
    from orderctl.demo import AMOUNT, BY_HAND, BY_POST, CUSTOMER, FILE

    quiet, amount = ("--quiet", "-o", "name"), ("--amount", str(AMOUNT))
    courses = [word for url in shop.addresses(BY_POST) for word in ("--course", url)]
    _run(app, shop, "orders", "add", "--code", BY_POST, "--email", CUSTOMER, *amount, *courses, *quiet)
    shop.write_orders()
    app.write("\n# A file has three more orders; one of them is never paid.\n")
    _run(app, shop, "orders", "add", "--json", FILE, *quiet)
    for number, code in enumerate(BY_HAND, 1):
        bank = ("--bank", "ACB", "--transaction", f"FT2601{number}")
        _run(app, shop, "orders", "pay", code, *amount, *bank)
    # Last, so that its progress is still to come when it is shown.
    _pay_by_post(app, shop, port, {"code": BY_POST, "transferAmount": AMOUNT})


def _run(app: App, shop: Shop, *arguments: str) -> None:
    """Print a command and run it; it writes to the same terminal.

    Raises:
        SubjectFailed: When the command fails, which ends the demo.
    """
    app.write(f"\n$ {_wrapped(arguments)}\n")
    argv, environ = shop.command(*arguments), shop.environ()
    code = subprocess.run(argv, env=environ, cwd=shop.folder, check=False).returncode  # noqa: S603
    if code != ExitStatus.DONE:
        raise SubjectFailed(f"the demo's command ended with exit code {code}")


def _pay_by_post(app: App, shop: Shop, port: int, document: Mapping[str, object]) -> None:
    """Print what a bank would send to the relay, send it, and print the answer.

    Raises:
        SubjectFailed: When the relay does not take it, which ends the demo.
    """
    from orderctl.demo import WEBHOOK

    url = f"http://127.0.0.1:{port}{WEBHOOK}"
    app.write(f"\n# A bank tells the relay of a transfer.\nPOST {url}\n{json.dumps(document)}\n")
    try:
        status, answer = shop.post(port, document)
    except OSError as error:
        said = shop.last_words("relay")
        raise SubjectFailed(
            f"the demo's relay did not answer: {error}{f'; it said: {said}' if said else ''}"
        ) from error
    app.write(f"-> {status} {answer}\n")
    if status != HTTPStatus.OK:
        raise SubjectFailed(f"the demo's relay did not take the payment: HTTP status {status}")


def _start(app: App, shop: Shop, *arguments: str) -> None:
    app.write(f"\n$ {_wrapped(arguments)} &\n")
    shop.start(*arguments)


def _wrapped(arguments: Sequence[str]) -> str:
    """Return a command for a shell, on several lines if it is long; an option's value stays beside it."""
    pieces = ["orderctl"]
    for before, word in pairwise(("", *arguments)):
        glued = before.startswith("--") and not word.startswith("-")
        pieces[-1:] = [f"{pieces[-1]} {shlex.quote(word)}"] if glued else [pieces[-1], shlex.quote(word)]
    lines = [pieces[0]]
    for piece in pieces[1:]:
        if len(lines[-1]) + len(piece) > _WIDEST:
            lines.append(f"   {piece}")
        else:
            lines[-1] += f" {piece}"
    return " \\\n ".join(lines)


def _wait(app: App, shop: Shop) -> None:
    exports = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in shop.overrides.items())
    app.write(
        f"\nThe shop runs until Ctrl-C. To use it from another terminal:\n\n{exports}\norderctl orders list\n"
    )
    signal.pause()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
