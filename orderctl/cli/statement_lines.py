"""What ``payments reconcile`` says about a bank's statement, beside the table of differences."""

from __future__ import annotations

import json
import shlex
import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Self

from orderctl import money
from orderctl.cli import statement_input
from orderctl.counting import counted
from orderctl.states import PaymentOutcome
from orderctl.terminal import render

if TYPE_CHECKING:
    from types import TracebackType

    from orderctl.cli.app import App
    from orderctl.payments.reconciliation import Difference, Report
    from orderctl.payments.statements import Statement

#: Numbers of lines that a message lists.
_MOST_LISTED: Final = 10
#: Lines of which most are not unknown by chance.
_LONG: Final = 50
#: Seconds before the first message about progress, and between two.
_PATIENCE: Final = 1.0
_EVERY: Final = 0.2


def say_reading(app: App, statement: Statement) -> None:
    """Say what the reader has assumed and left out, and warn of what the file lacks."""
    if statement.part is not None:
        _warn_part(app, statement.part, statement.path)
    for remark in statement.remarks:
        app.say(f"note: {remark}")
    if statement.skipped:
        number = counted(len(statement.skipped), "record")
        app.say(f"note: {number} without a transfer, such as totals, skipped: {_lines(statement.skipped)}")
    if statement.repeated:
        number = counted(len(statement.repeated), "line")
        repeats = "repeats an earlier one" if len(statement.repeated) == 1 else "repeat earlier ones"
        app.say(f"note: {number} left out, which {repeats}: {_lines(statement.repeated)}")


def _warn_part(app: App, part: str, path: Sequence[str]) -> None:
    """Warn that payments of the other pages look as if the bank had no transfer of them."""
    app.warn(
        f"warning: the statement is {part}: what is not in it counts as without-transfer; give all pages in one file"
    )
    lists = "".join(f"[{json.dumps(name, ensure_ascii=False)}]" for name in path)
    every = shlex.quote(f"map(.{lists}[])")
    app.warn(f"hint: jq -s {every} page*.json | orderctl payments reconcile --statement -")


def warn_accounts(app: App, statement: Statement, given: Collection[str]) -> None:
    """Warn if the accounts that the statement names are others than those of ``--account``.

    It is not refused: a bank may keep an account within another one.
    """
    from orderctl.payments import likeness

    named = dict.fromkeys(line.account for line in statement.lines if line.account)
    known = set(map(likeness.key, named))
    others = [account for account in given if likeness.key(account) not in known]
    if named and others:
        listed = ", ".join([*named][:_MOST_LISTED])
        app.warn(
            f"warning: the statement is of account {listed}, not {', '.join(others)}:"
            " payments of both are compared with it; leave --account out if that is wrong"
        )


def _lines(numbers: Sequence[int]) -> str:
    listed = ", ".join(f"{number:,}" for number in numbers[:_MOST_LISTED])
    more = len(numbers) - _MOST_LISTED
    return f"line{'s' if len(numbers) > 1 else ''} {listed}{f' and {more:,} more' if more > 0 else ''}"


def say_summary(app: App, report: Report, shown: Sequence[Difference]) -> None:
    """Say how many lines were compared, and what was found.

    Args:
        app: The application.
        report: All that was found.
        shown: The differences of the kinds that were asked for.
    """
    outgoing = f" ({report.outgoing:,} outgoing not)" if report.outgoing else ""
    kinds = Counter(difference.kind for difference in shown)
    found = ", ".join(f"{number:,} {kind}" for kind, number in kinds.items()) or "no difference"
    others = len(report.differences) - len(shown)
    hidden = f"; {counted(others, 'difference')} of other kinds not shown" if others else ""
    app.say(f"{counted(report.compared, 'incoming line')} compared{outgoing}: {found}{hidden}.")
    if report.undecided:
        wait = "waits" if report.undecided == 1 else "wait"
        number = counted(report.undecided, "payment")
        app.say(f"{number} of these lines {wait} for a decision: orderctl payments list --open")


def say_next(app: App) -> None:
    """Say the command that records what is missing: the user's own, with ``--apply``."""
    given = [word for word in app.arguments if word not in {"--dry-run", "--"}]
    added = [] if "--apply" in given else ["--apply"]
    from_pipe = statement_input.STDIN in given or f"--statement={statement_input.STDIN}" in given
    if from_pipe and not {"--yes", "-y"} & {*given}:
        added.append("--yes")
    before = "... | " if from_pipe else ""
    app.say(f"next: {before}{shlex.join(['orderctl', *given, *added])}")


def warn_unknown(app: App, missing: int, compared: int) -> None:
    """Warn if most lines of a statement are missing: it may be another account's."""
    if missing > compared / 2:
        _warn_unknown(app, missing, compared)


def warn_early(app: App, unknown: int, compared: int) -> None:
    """Warn if most lines of a long statement are unknown, before it is found out what each would be."""
    if is_long(compared) and unknown > compared / 2:
        _warn_unknown(app, unknown, compared)


def is_long(compared: int) -> bool:
    """Whether :func:`warn_early` warns of a statement of this number of lines."""
    return compared >= _LONG


def _warn_unknown(app: App, unknown: int, compared: int) -> None:
    of_lines = f"{unknown:,} of {counted(compared, 'line')} {'is' if compared == 1 else 'are'}"
    app.warn(f"warning: {of_lines} unknown to orderctl: is this the right account?")


def summed(missing: Iterable[Difference], currency: str) -> str:
    """Return the sum of the amounts, for each currency.

    Args:
        missing: The differences.
        currency: The shop's currency.
    """
    sums: dict[str, Decimal] = {}
    for difference in missing:
        name = (difference.currency or currency).upper()
        sums[name] = money.EXACT.add(sums.get(name, Decimal(0)), difference.amount or Decimal(0))
    if {*sums} <= {currency.upper()}:
        return ", ".join(map(render.amount, sums.values()))
    return " and ".join(f"{render.amount(total)} {name}" for name, total in sums.items())


def outcomes(missing: Iterable[Difference]) -> str:
    """Return how many payments would have which outcome."""
    numbers = Counter(difference.outcome or PaymentOutcome.UNMATCHED for difference in missing)
    order = [*PaymentOutcome, *numbers]
    return ", ".join(_outcome(outcome, numbers.pop(outcome)) for outcome in order if outcome in numbers)


def _outcome(outcome: str, number: int) -> str:
    if outcome == PaymentOutcome.PAID:
        return f"{number:,} pays its order" if number == 1 else f"{number:,} pay their orders"
    return f"{number:,} {outcome}"


def offer(missing: Collection[Difference], currency: str) -> str:
    """Return what would be recorded: the number of payments, their sum, and their outcomes."""
    number = counted(len(missing), "missing payment")
    return f"{number} ({summed(missing, currency)} in all): {outcomes(missing)}"


class Progress:
    """Says on a terminal how far a comparison is, if it takes long; elsewhere nothing.

    Args:
        app: The application.
    """

    def __init__(self, app: App) -> None:
        self._stream = app.err
        self._draws = app.err.isatty() and not app.quiet and app.ambient.terminal != "dumb"
        self._due = time.monotonic() + _PATIENCE
        self._drawn = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawn:
            self._write("")

    def __call__(self, done: int, total: int) -> None:
        """Draw the progress if it is time.

        Args:
            done: The number of lines that are compared.
            total: The number of all lines.
        """
        now = time.monotonic()
        if self._draws and now >= self._due:
            self._due = now + _EVERY
            self._drawn = True
            self._write(f"{done:,} of {counted(total, 'line')} compared")

    def _write(self, text: str) -> None:
        self._stream.write(f"\r\x1b[K{text}")
        self._stream.flush()
