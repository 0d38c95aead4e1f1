"""The frame of the checks: what is skipped, what an error becomes, the exit code, and how it is shown."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import redis

from orderctl.cli import check_lines
from orderctl.cli.main import run
from orderctl.doctor import examination, refusals
from orderctl.doctor.checks import Area, Check, Verdict
from orderctl.doctor.examination import EXAMINATIONS, Examination
from orderctl.doctor.surroundings import Need, Opened, Surroundings
from orderctl.errors import (
    DatabaseUnavailable,
    ExitStatus,
    Misconfigured,
    NotMigrated,
    OrderctlError,
    RedisUnavailable,
)
from orderctl.settings import load
from orderctl.terminal.render import View
from orderctl.terminal.widths import width
from tests.doctor.conftest import Examined


def around(**more) -> Surroundings:
    return Surroundings(load({}, environ={}), **more)


def raising(error: Exception) -> Callable[[Surroundings], Iterator[Check]]:
    def make(_: Surroundings) -> Iterator[Check]:
        yield Check(Area.MAIL, "first", Verdict.WELL, "it is well")
        raise error

    return make


def second(_: Surroundings) -> Iterator[Check]:
    yield Check(Area.MAIL, "second", Verdict.WARNING, "it may hurt")


REFUSED = Misconfigured(
    "Redis denies access: NOPERM User viewer has no permissions to run the 'info' command"
)


@pytest.mark.parametrize(
    ("error", "verdict", "repair", "status"),
    [
        (OrderctlError("odd", hint="orderctl x"), "fault", "orderctl x", 1),
        (DatabaseUnavailable("gone"), "fault", None, 69),
        (NotMigrated("no table", hint="orderctl migrate up"), "fault", "orderctl migrate up", 78),
        (REFUSED, "skipped", "redis-cli ACL SETUSER viewer +info", 0),
        (redis.ConnectionError("gone"), "fault", "orderctl config show", 69),
        (redis.exceptions.NoPermissionError("NOPERM User a has no permissions to run the 'config|get' command"), "skipped",
         "redis-cli ACL SETUSER a '+config|get'", 0),
    ],
)  # fmt: skip
def test_an_error_ends_one_examination_and_is_a_check(error, verdict, repair, status):
    examinations = (Examination(Area.MAIL, raising(error)), Examination(Area.MAIL, second))

    first, failed, other = examination.run(around(), examinations=examinations)

    assert (first.name, other.name) == ("first", "second")
    assert (failed.name, failed.verdict, failed.repair) == ("examined", verdict, repair)
    assert examination.status([failed]) == status


@pytest.mark.parametrize("error", [ZeroDivisionError("canary"), UnicodeError("canary")])
@pytest.mark.parametrize("ahead", [False, True])
def test_a_bug_is_named_and_does_not_end_the_other_checks(error, ahead, caplog: pytest.LogCaptureFixture):
    caplog.set_level("DEBUG", "orderctl.doctor.examination")

    def fail(_):
        raise error

    broken = Examination(Area.MAIL, second, ahead=fail) if ahead else Examination(Area.MAIL, raising(error))
    found = list(examination.run(around(), examinations=[broken, Examination(Area.MAIL, second)]))

    bug, other = found[-2:]
    assert (bug.name, bug.verdict, other.name) == ("examined", Verdict.FAULT, "second")
    assert f"{type(error).__name__}: " in bug.text
    assert "canary" in bug.text
    assert examination.status([bug]) == 1
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_what_cannot_be_looked_at_is_skipped_with_one_line_for_an_area():
    twice = [Examination(Area.AUDIT, second, (Need.TABLES,))] * 2
    down = around(database=Opened(fault=DatabaseUnavailable("no answer")))

    [skipped] = examination.run(down, examinations=twice)

    assert (skipped.area, skipped.verdict) == (Area.AUDIT, Verdict.SKIPPED)
    assert skipped.text == "not looked at: the database does not answer"


def test_the_fault_behind_what_is_skipped_is_named_where_its_area_was_not_asked_for():
    down = around(redis=Opened(fault=RedisUnavailable("no answer")))

    fault, skipped = examination.run(
        down, [Area.CHANNELS], [Examination(Area.CHANNELS, second, (Need.REDIS,))] * 2
    )

    assert (fault.area, fault.name, fault.exit_status) == (Area.REDIS, "reachable", 69)
    assert skipped.verdict is Verdict.SKIPPED


def test_an_account_that_may_not_read_gets_the_grant():
    from pymysql.err import OperationalError
    from sqlalchemy.exc import OperationalError as Wrapped

    text = "SELECT command denied to user 'viewer'@'10.0.0.%' for table `shop`.`orders`"
    error = Misconfigured(f"the account lacks a right: {text}")
    error.__cause__ = Wrapped("SELECT", (), OperationalError(1142, text))

    assert refusals.grant(error) == "GRANT SELECT ON `shop`.`orders` TO 'viewer'@'10.0.0.%'"
    assert refusals.grant(OrderctlError("another one")) is None


@pytest.mark.parametrize(
    ("code", "text", "statement"),
    [
        (
            1142,
            "SELECT command denied to user 'viewer'@'127.0.0.1' for table 'orders'",
            "SELECT ON `shop`.`orders`",
        ),
        (1227, "Access denied; you need (at least one of) the SUPER privilege(s)", "SUPER ON *.*"),
        (1370, "execute command denied", "SELECT, INSERT, UPDATE, DELETE ON `shop`.*"),
    ],
)
def test_a_grant_names_the_account_and_not_where_the_client_is(code, text, statement):
    from pymysql.err import OperationalError
    from sqlalchemy.exc import OperationalError as Wrapped

    error = Misconfigured(f"the account lacks a right: {text}")
    error.__cause__ = Wrapped("SELECT", (), OperationalError(code, text))

    login = refusals.Login("'viewer'@'%'", "shop")

    assert refusals.grant(error, login) == f"GRANT {statement} TO 'viewer'@'%'"


def test_the_areas_of_the_examinations_stand_in_their_order():
    areas = [one.area for one in EXAMINATIONS]

    assert list(dict.fromkeys(areas)) == [area for area in Area if area in areas]
    assert areas == sorted(areas, key=list(Area).index)


def test_the_weightiest_fault_decides_the_exit_code():
    def fault(status: ExitStatus, verdict: Verdict = Verdict.FAULT) -> Check:
        return Check(Area.MAIL, "x", verdict, "x", exit_status=status)

    assert examination.status([]) == 0
    assert examination.status([fault(ExitStatus.UNAVAILABLE, Verdict.WARNING)]) == 0
    assert examination.status([fault(ExitStatus.FAILED), fault(ExitStatus.CONFIGURATION)]) == 78
    assert examination.status([fault(ExitStatus.CONFIGURATION), fault(ExitStatus.UNAVAILABLE)]) == 69


FOUND = (
    Check(Area.MAIL, "a", Verdict.WELL, "it is well", explanation="never shown"),
    Check(
        Area.MAIL,
        "b",
        Verdict.FAULT,
        "it fails \x1b[31m" + "word " * 30,
        "orderctl fix --now",
        "Because. " * 12,
    ),
    Check(Area.AUDIT, "c", Verdict.SKIPPED, "not looked at"),
)


@pytest.mark.parametrize("columns", [40, 60, 100])
def test_lines_fit_the_terminal_and_have_no_control_characters(columns):
    text = "".join(check_lines.lines(FOUND, View(width=columns)))

    assert "\x1b" not in text
    assert "        orderctl fix --now\n" in text
    assert [line for line in text.splitlines() if width(line) > columns] == []
    assert text.startswith("mail\n  ok    it is well\n  FAULT it fails")
    assert text.endswith("audit\n  skip  not looked at\n")


def test_a_wrong_setting_is_a_fault_and_everything_else_is_skipped(
    doctor: Callable[..., Examined], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ORDERCTL_RELAY_PORT", "x")

    found = doctor()

    fault, *others = found.checks
    assert (found.status, fault["name"], fault["verdict"]) == (78, "valid", "fault")
    assert {check["verdict"] for check in others} == {"skipped"}
    assert doctor("--only", "audit").status == 78


def test_checks_are_shown_when_they_are_made_and_only_what_is_wrong_with_quiet(
    call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("ORDERCTL_DATABASE_URL", "mysql://shop:geheim@127.0.0.1:1/shop")

    status = run(("doctor", "--only", "settings,database,audit"))
    loud, said = capsys.readouterr()
    quiet = call("-q", "doctor", "--only", "settings,database,audit")[1]

    assert status == 69
    assert "geheim" not in loud
    assert loud.startswith("settings\n  ok    ")
    assert "audit\n  skip  not looked at: the database does not answer\n" in loud
    assert quiet.startswith("database\n  FAULT the database does not answer")
    assert "settings" not in quiet
    marks = Counter(re.findall(r"^  (ok|note|warn|FAULT|skip) ", loud, re.MULTILINE))
    assert marks["FAULT"] == marks["skip"] == 1
    made = f"{marks.total() - 1} checks, 1 fault, {marks['warn']} warning{'s' * (marks['warn'] != 1)}"
    assert said.splitlines()[-1] == f"{made}, 1 skipped"
    assert (
        json.loads(call("doctor", "--only", "audit", "-o", "jsonl")[1].splitlines()[0])["area"] == "database"
    )
