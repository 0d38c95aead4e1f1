"""The values that the shared options pass to commands."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl.cli import options, times
from orderctl.cli.app import App, pass_app
from orderctl.cli.boundary import guard
from orderctl.cli.commands import relay
from orderctl.cli.lazy import Command
from orderctl.cli.main import root
from orderctl.cli.options import Consent, Paging, Period, Selection
from orderctl.errors import InvalidInput, OrderctlError
from orderctl.relay import tokens

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
HANOI = ZoneInfo("Asia/Ho_Chi_Minh")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("10m", NOW - timedelta(minutes=10)),
        ("2h30m", NOW - timedelta(hours=2.5)),
        ("1w ago", NOW - timedelta(days=7)),
        ("-90s", NOW - timedelta(seconds=90)),
        ("NOW", NOW),
        ("today", datetime(2026, 4, 30, 17, tzinfo=UTC)),
        ("yesterday", datetime(2026, 4, 29, 17, tzinfo=UTC)),
        ("2026-05-01", datetime(2026, 4, 30, 17, tzinfo=UTC)),
        ("2026-05-01 14:30", datetime(2026, 5, 1, 7, 30, tzinfo=UTC)),
        ("2026-05-01T14:30:00Z", datetime(2026, 5, 1, 14, 30, tzinfo=UTC)),
        ("2026-05-01T14:30:00+02:00", datetime(2026, 5, 1, 12, 30, tzinfo=UTC)),
        ("9:05", datetime(2026, 5, 1, 2, 5, tzinfo=UTC)),
        ("@0", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_moment_as_people_write_it(written, meant):
    assert times.moment(written, now=NOW, zone=HANOI) == meant


@pytest.mark.parametrize(
    "written", ["", "soon", "10", "10x", "2026-13-01", "25:00", "@x", "999999999w", "10m later", "-"]
)
def test_a_text_that_is_not_a_time_is_refused_with_examples(written):
    with pytest.raises(ValueError, match="needs a time such as 10m"):
        times.moment(written, now=NOW, zone=HANOI)


@given(st.text())
def test_any_text_is_a_moment_or_a_value_error(written):
    with suppress(ValueError):
        assert times.moment(written, now=NOW, zone=HANOI).tzinfo is UTC


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("45s", 45), ("1.5h", 5400), ("1d12h", 129600), ("30", 30), ("0", 0), ("1W", 604800)],
)
def test_a_length_of_time(written, seconds):
    assert times.span(written) == timedelta(seconds=seconds)


@pytest.mark.parametrize("written", ["", "m", "-5m", "1 h", "5x", "٣m", "999999999w", "1e3"])
def test_a_text_that_is_not_a_length_of_time_is_refused(written):
    with pytest.raises(ValueError, match=r"needs a length of time|is too long"):
        times.span(written)


def calling(*decorators):
    """Return a command with these options, which returns the values that it received."""
    got = SimpleNamespace()

    @pass_app
    def body(app: App, **values):
        got.app, got.values = app, values

    for decorate in decorators:
        body = decorate(body)
    command = click.command(cls=Command)(body)

    def call(*arguments):
        with command.make_context("x", list(arguments), obj=App()) as ctx:
            command.invoke(ctx)
        return got

    return call


def test_a_selection_reaches_the_command_as_one_value():
    got = calling(options.selection)(
        "--failed", "--order", "DH1", "--error-type", "network", "--fingerprint", "ab", "--max", "5"
    )

    assert got.values == {
        "selection": Selection(failed=True, order="DH1", error_type="NETWORK", fingerprint="ab", max=5)
    }


def test_an_empty_selection_is_refused():
    with pytest.raises(InvalidInput, match="without a selection nothing is changed"):
        Selection().with_ids(())
    with pytest.raises(InvalidInput, match="without a selection nothing is changed"):
        Selection(max=5).with_ids(())


def test_ids_and_selectors_exclude_each_other():
    with pytest.raises(InvalidInput, match="not both"):
        Selection(failed=True).with_ids((1,))

    assert Selection().with_ids((2, 1, 2)).task_ids == (2, 1)


def test_consent_reaches_the_command_as_one_value():
    assert calling(options.audited_consent)("--yes", "--reason", " because ").values == {
        "consent": Consent(yes=True, reason="because")
    }
    assert calling(options.audited_consent)("--dry-run", "--reason", " ").values == {
        "consent": Consent(dry_run=True)
    }


def test_only_commands_that_write_the_audit_log_take_a_reason():
    """Stopping a supervisor and dropping a rejected job write none."""
    from orderctl.cli.commands import tasks, worker
    from orderctl.cli.rejected_jobs import drop

    def taking(*commands: click.Command) -> list[str | None]:
        return [one.name for one in commands for param in one.params if param.name == "reason"]

    assert taking(tasks.retry, tasks.cancel, worker.stop, drop) == ["retry", "cancel"]


def answering(monkeypatch, answer: str | None, *, terminal: bool = True) -> App:
    monkeypatch.setattr(App, "interactive", terminal)
    monkeypatch.setattr(click, "confirm", lambda *_a, **_k: answer == "y")
    return App()


def test_consent_asks_on_a_terminal(monkeypatch):
    Consent().ask(answering(monkeypatch, "y"), "Retry 3 tasks?")

    with pytest.raises(OrderctlError, match="nothing was changed") as caught:
        Consent().ask(answering(monkeypatch, "n"), "Retry 3 tasks?")
    assert caught.value.exit_status == 1


def test_without_a_terminal_and_without_yes_it_refuses(monkeypatch):
    app = answering(monkeypatch, None, terminal=False)

    with pytest.raises(
        InvalidInput, match=r'^cannot ask "Retry 3 tasks\?": standard input is not a terminal$'
    ):
        Consent().ask(app, "Retry 3 tasks?")
    Consent(yes=True).ask(app, "Retry 3 tasks?")
    Consent(dry_run=True).ask(app, "Retry 3 tasks?")
    Consent().ask(app, "Retry 1 task?", needed=False)


def test_pages_and_periods():
    assert calling(options.paging)().values == {"page": Paging(limit=50)}
    assert calling(options.paging)("-L", "0").values == {"page": Paging(limit=0)}
    assert calling(options.paging)("-L", "7", "--after", "abc").values == {"page": Paging(7, "abc")}
    got = calling(options.period)("--since", "@0", "-U", "2026-05-01T00:00Z").values["period"]
    assert got == Period(datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("decorator", "arguments"),
    [
        (options.paging, ["-L", "-1"]),
        (options.period, ["--since", "soon"]),
        (options.selection, ["--max", "0"]),
        (options.selection, ["--error-type", "NOPE"]),
        (options.setting("worker.concurrency", "--concurrency", help="x."), ["--concurrency", "zero"]),
    ],
)
def test_wrong_values_are_usage_errors(decorator, arguments, capsys):
    assert guard(lambda: calling(decorator)(*arguments)) == 2
    assert capsys.readouterr().err.startswith("orderctl: invalid value for")


def test_an_option_overrides_its_setting(monkeypatch):
    monkeypatch.setenv("ORDERCTL_WORKER_CONCURRENCY", "3")
    call = calling(options.setting("worker.concurrency", "--concurrency", help="x."))

    assert call().app.settings.worker.concurrency == 3
    assert call("--concurrency", "4").app.settings.worker.concurrency == 4


def test_words_are_a_set_in_any_case():
    words = options.TASK_STATUSES

    assert words.convert("FAILED, pending,failed", None, None) == ("failed", "pending")
    assert [item.value for item in words.shell_complete(None, None, "failed,c")] == [
        "failed,completed",
        "failed,cancelled",
    ]
    assert words.convert("Shipped,FAILED", None, None) == (
        "Shipped",
        "failed",
    )  # the shop's own, as it is written
    with pytest.raises(click.BadParameter, match="one or more of pending"):
        words.convert(",", None, None)


def test_times_are_meant_in_the_configured_zone(monkeypatch):
    monkeypatch.setenv("ORDERCTL_DISPLAY_TIME_ZONE", "Asia/Ho_Chi_Minh")

    got = calling(options.period)("--since", "2026-05-01").values["period"]

    assert got.since == datetime(2026, 4, 30, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    ("path", "option", "wrong"),
    [
        ("relay token", "--ttl", ["0", "0.5s", "366d", "36500d", "999999999d"]),
        ("relay probe", "--timeout", ["0", "0.05s", "25h", "36500d"]),
        (
            "migrate up",
            "--lock-timeout",
            ["25d", "36500d", "999999999d"],
        ),  # in ms, more than SQLite's 32 bits
    ],
)
def test_a_length_of_time_without_a_meaning_is_refused(path: str, option: str, wrong: list[str]):
    command = root
    for name in path.split():
        command = command.get_command(click.Context(root), name)
    [param] = [param for param in command.params if option in param.opts]

    for value in wrong:
        with pytest.raises(click.BadParameter, match=r"needs a length of time from \S+ to \S+\Z"):
            param.type.convert(value, param, click.Context(command))


def test_the_command_and_the_tokens_agree_on_the_longest_time():
    assert times.span(relay._LONGEST_TTL).total_seconds() == tokens.MAX_TTL
