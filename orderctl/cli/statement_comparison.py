"""Compares a bank's statement, shows the differences, and records what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from orderctl.cli import statement_input, statement_lines
from orderctl.cli.app import App
from orderctl.cli.columns import DIFFERENCES
from orderctl.errors import ExitStatus, InvalidInput
from orderctl.terminal.render import Column, Format, Where

if TYPE_CHECKING:
    from orderctl.cli.options import Consent
    from orderctl.payments.amounts import Rules
    from orderctl.payments.reconciliation import Difference, Report, Scope
    from orderctl.payments.statements import Statement

#: Formats that people read before they answer a question.
_FOR_PEOPLE: Final = frozenset({Format.TABLE, Format.WIDE, Format.MARKDOWN})


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be compared.

    Attributes:
        path: The statement's file, or ``-``.
        notation: How it is written.
        scope: What of it counts.
        only: The kinds of differences that are wanted; None: all.
    """

    path: str
    notation: statement_input.Notation
    scope: Scope
    only: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A statement, and the differences that are wanted."""

    statement: Statement
    report: Report
    differences: Sequence[Difference]

    @property
    def missing(self) -> list[Difference]:
        """The transfers that the ledger does not have."""
        from orderctl.payments.reconciliation import Kind

        return [one for one in self.differences if one.kind == Kind.MISSING]


def show(app: App, request: Request) -> ExitStatus:
    """Compare a statement and show the differences.

    Args:
        app: The application.
        request: What is to be compared.
    """
    found = _compare(app, request, _rules(app))
    _render(app, found.differences)
    _summarise(app, found)
    if found.missing:
        statement_lines.say_next(app)
    return ExitStatus.FAILED if found.differences else ExitStatus.DONE


def apply(app: App, request: Request, consent: Consent) -> ExitStatus:
    """Compare a statement, and record what is missing.

    Args:
        app: The application.
        request: What is to be compared.
        consent: Whether it may be recorded.

    Returns:
        FAILED if something is left that recording does not repair.

    Raises:
        InvalidInput: The kinds that are wanted are others.
        OrderctlError: The user does not consent, or the database does not answer.
    """
    from orderctl.payments.reconciliation import Kind

    if request.only is not None and Kind.MISSING not in request.only:
        raise InvalidInput("--apply records what is missing: add 'missing' to --only, or leave --only out")
    rules = _rules(app)
    found = _compare(app, request, rules)
    if not found.missing:
        _render(app, found.differences)
        _summarise(app, found)
        return ExitStatus.FAILED if found.differences else ExitStatus.DONE
    is_shown = consent.dry_run or (not consent.yes and app.format in _FOR_PEOPLE)
    if is_shown:
        _render(app, found.differences)
    _summarise(app, found)
    offer = statement_lines.offer(found.missing, app.settings.display.currency)
    if not statement_lines.is_long(found.report.compared):  # otherwise it is said before
        statement_lines.warn_unknown(app, len(found.missing), found.report.compared)
    if consent.dry_run:
        app.say(f"Would record {offer}; nothing was changed.")
        statement_lines.say_next(app)
        return ExitStatus.FAILED
    consent.ask(app, f"Record {offer}?")
    return _record(app, found, rules, shown=is_shown)


def _record(app: App, found: Comparison, rules: Rules, *, shown: bool) -> ExitStatus:
    from orderctl.audit import Origin
    from orderctl.cli import statement_records
    from orderctl.states import Source

    origin = Origin(Source.CLI, app.actor)
    recorder = statement_records.Recorder(app, found.statement, found.report.matched, rules, origin)
    try:
        recorder.record(found.missing)
    finally:  # what is recorded is shown, whatever has ended it
        result = recorder.result(found.differences)
        if not shown:
            _render(app, result.differences, applied=True)
    if result.waits:
        app.say("next: orderctl payments list --open")
    return ExitStatus.FAILED if result.left else ExitStatus.DONE


def _rules(app: App) -> Rules:
    from orderctl.payments.amounts import Rules

    return Rules.of(app.settings)


def _compare(app: App, request: Request, rules: Rules) -> Comparison:
    from orderctl.payments import reconciliation

    statement = statement_input.read(app, request.path, request.notation)
    statement_lines.say_reading(app, statement)
    statement_lines.warn_accounts(app, statement, request.scope.accounts)
    with app.reading() as connection, statement_lines.Progress(app) as progress:
        report = reconciliation.compare(
            connection, statement, rules, request.scope, progress, partial(statement_lines.warn_early, app)
        )
    if not report.compared + report.outgoing:
        app.warn("warning: no line of the statement is in the period of --since and --until")
    wanted = [one for one in report.differences if request.only is None or one.kind in request.only]
    return Comparison(statement, report, wanted)


def _summarise(app: App, found: Comparison) -> None:
    statement_lines.say_summary(app, found.report, found.differences)


def _render(app: App, differences: Sequence[Difference], *, applied: bool = False) -> None:
    app.render(differences, [_placed(column, applied=applied) for column in DIFFERENCES])


def _placed(column: Column, *, applied: bool) -> Column:
    """Return a column; a table says what was recorded only where that was wanted."""
    if column.name == "applied" and applied:
        return replace(column, where=Where.TABLE)
    return column
