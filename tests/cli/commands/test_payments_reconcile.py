"""``orderctl payments reconcile``."""

import io
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orderctl import faultpoints
from orderctl.cli import statement_comparison, statement_input, statement_lines
from orderctl.cli.app import App
from orderctl.cli.columns import DIFFERENCES
from orderctl.payments import differences, reconciliation, statements
from orderctl.payments.differences import Difference
from orderctl.payments.intake import Receipt
from orderctl.payments.statements import Line
from orderctl.payments.transfer import Direction
from orderctl.terminal import formats, render
from tests.cli.commands.test_orders import queued
from tests.cli.conftest import Ended, Program
from tests.cli.test_startup import HEAVY, TAB, completing, offered, typed
from tests.payments.months import BEGIN, Month, Planted
from tests.script import SCRIPT
from tests.shop import RULES, TESTER, Shop

pytestmark = pytest.mark.databases("sqlite")

PAGE = Path(__file__).parents[3] / "docs/payments.md"
LOCAL = timezone(timedelta(hours=7))
NOWHERE = "mysql://shop:geheim@127.0.0.1:1/shop"
KEYS = [
    "kind", "line", "happened_at", "order_id", "order_code", "amount", "expected", "currency", "payment_id",
    "reference", "told_at", "outcome", "text", "applied",
]  # fmt: skip
QUESTION = "Record 3 missing payments (900,000 in all): 1 pays its order, 1 mismatch, 1 unmatched?"


def statement(*rows: str) -> str:
    """Return a statement with these rows, each a reference, an amount and a text, booked today."""
    at = datetime.now(LOCAL)
    return "".join(
        f"{line}\n"
        for line in ["Date,Reference,Amount,Description", *(f"{at:%Y-%m-%d},{row}" for row in rows)]
    )


ROWS = ["FT1,300000,DH1 hoc phi", "FT2,250000,DH2", "FT3,350000,NGUYEN VAN A", "FT4,-1100,phi"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A statement of three transfers that the ledger does not know, and one that went out."""
    path = tmp_path / "bank 11.csv"
    path.write_text(statement(*ROWS))
    return path


@pytest.fixture
def unpaid(shop: Shop) -> Shop:
    """A shop with three unpaid orders."""
    for code in ("DH1", "DH2", "DH3"):
        shop.add(code)
    return shop


@pytest.fixture
def compare(inside: Program, file: Path) -> Program:
    """``compare(*options)`` compares the statement."""

    def call(*options: str, app: App | None = None) -> Ended:
        return inside("payments", "reconcile", "--statement", str(file), *options, app=app)

    return call


def timeless(text: str) -> str:
    """Return an output without what depends on when it was made."""
    text = re.sub(r"\b\d+[smhd] ago\b", "AGO", text)
    return re.sub(r"\b\d+ days\b", "N days", re.sub(r" {2,}|-{2,}", "  ", text))


def outcomes(shop: Shop) -> list[str]:
    return [payment.outcome for payment in shop.ledger()]


# --- What it shows


def test_differences_are_shown_with_the_next_command(unpaid: Shop, compare: Program, file: Path):
    ended = compare()

    assert ended.status == 1
    lines = timeless(ended.out).splitlines()
    assert lines[0] == timeless("KIND  LINE  TIME  ORDER  AMOUNT  EXPECTED  PAYMENT  DIFFERENCE")
    assert lines[1] == "missing  2  AGO  DH1  300,000  300,000  -  it would pay order DH1"
    assert [line.split("  ")[:5] for line in lines[2:]] == [
        ["missing", "3", "AGO", "DH2", "250,000"],
        ["missing", "4", "AGO", "-", "350,000"],
    ]
    assert ended.err == (
        "3 incoming lines compared (1 outgoing not): 3 missing.\n"
        f"next: orderctl payments reconcile --statement '{file}' --apply\n"
    )
    assert unpaid.ledger() == []


def test_no_difference_is_said(shop: Shop, compare: Program, file: Path):
    file.write_text(statement("FT4,-1100,phi"))

    for form, out in (("table", ""), ("json", "[]\n")):
        ended = compare("-o", form)
        assert (ended.status, ended.out) == (0, out)
        assert ended.err == "0 incoming lines compared (1 outgoing not): no difference.\n"


def test_json_has_the_promised_keys(unpaid: Shop, compare: Program):
    ended = compare("-o", "json")

    rows = json.loads(ended.out)
    assert [list(row) for row in rows] == [KEYS] * 3
    assert (
        set(KEYS) == {field.name for field in fields(Difference)} == {column.name for column in DIFFERENCES}
    )
    assert rows[0] == {
        "kind": "missing", "line": 2, "happened_at": rows[0]["happened_at"], "order_id": 1, "order_code": "DH1",
        "amount": 300000, "expected": 300000, "currency": None, "payment_id": None, "reference": "FT1",
        "told_at": None, "outcome": "paid", "text": rows[0]["text"], "applied": False,
    }  # fmt: skip


def test_the_kinds_of_the_option_are_those_that_exist():
    assert statement_input.KINDS.words == tuple(map(str, differences.Kind))


def test_only_some_kinds_are_shown(unpaid: Shop, compare: Program, file: Path):
    unpaid.pay("DH3")
    # What came in the first hour of a statement may be of the day before, also where the test runs after midnight.
    yesterday = datetime.now(LOCAL) - timedelta(days=1)
    file.write_text(f"{file.read_text()}{yesterday:%Y-%m-%d},FT5,-1100,phi\n")
    missing, other = compare("--only", "missing", "-o", "name"), compare("--only", "Without-Transfer,late")

    assert (missing.status, missing.out) == (1, "missing\n" * 3)
    assert "3 missing; 1 difference of other kinds not shown.\n" in missing.err
    assert missing.err.endswith(f"--statement '{file}' --only missing -o name --apply\n")
    assert other.status == 1
    assert other.out.splitlines()[1].startswith("without-transfer ")
    assert other.err.endswith(": 1 without-transfer; 3 differences of other kinds not shown.\n")
    assert compare("--only", "late").status == 0


def test_what_the_reader_leaves_out_is_said(unpaid: Shop, compare: Program, file: Path):
    file.write_text(statement(*ROWS, ROWS[0]) + "Total,,900000,\n")

    ended = compare()

    assert "note: 1 line left out, which repeats an earlier one: line 6\n" in ended.err
    assert "note: 1 record without a transfer, such as totals, skipped: line 7\n" in ended.err
    assert "3 incoming lines compared (1 outgoing not): 3 missing.\n" in ended.err
    quiet = compare("-q")
    assert (quiet.status, quiet.err) == (1, "")


def test_a_page_of_several_is_warned_of(unpaid: Shop, inside: Program, tmp_path: Path):
    path = tmp_path / "page.json"
    records = [{"date": "2026-11-01", "amount": 5, "reference": "FT1"}]
    path.write_text(json.dumps({"data": {"page": 1, "totalPages": 2, "records": records}}))

    ended = inside("payments", "reconcile", "--statement", str(path), "--quiet")

    assert "warning: the statement is page 1 of 2: what is not in it counts as without-transfer" in ended.err
    assert """jq -s 'map(.["data"]["records"][])' page*.json | orderctl""" in ended.err


def test_long_lists_of_lines_are_cut():
    assert statement_lines._lines([1]) == "line 1"
    assert statement_lines._lines(range(1, 13)) == "lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more"


def test_a_column_is_mapped_and_a_zone_given(unpaid: Shop, compare: Program, file: Path):
    file.write_text("A=B,Menge,Was,Am\n300000,7,DH1,2026-11-30 01:00\n")

    ended = compare(
        "--map", "A=B=amount", "--map", "Menge=ignore", "--map", "Was=content", "--map", "Am=date",
        "--time-zone", "+01:00", "-o", "jsonl",
    )  # fmt: skip

    assert ended.status == 1
    assert json.loads(ended.out.splitlines()[0])["happened_at"] == "2026-11-30T00:00:00Z"


@pytest.mark.parametrize(("zone", "found"), [([], 0), (["--time-zone", "UTC"], 1)])
def test_a_period_is_in_the_zone_of_the_statement(zone, found, unpaid: Shop, compare: Program, file: Path):
    file.write_text("Date,Amount,Description\n2026-05-31 20:00:00+00:00,300000,DH1\n")

    assert compare("--until", "2026-06-01", *zone).status == found


def test_a_period_without_any_line_is_no_silent_success(unpaid: Shop, compare: Program, file: Path):
    ended = compare("--since", "2001-01-01", "--until", "2001-02-01", "--quiet")

    said = "warning: no line of the statement is in the period of --since and --until\n"
    assert (ended.status, ended.out, ended.err) == (0, "", said)


def test_the_texts_of_a_bank_are_harmless(unpaid: Shop, compare: Program, file: Path):
    file.write_text(statement('"=cmd()",300000,"x\x1b[2J\u202e"'))

    shown = [compare("-o", form) for form in ("wide", "csv", "json")]

    assert not any("\x1b" in ended.out + ended.err or "\u202e" in ended.out for ended in shown)
    assert ",'=cmd()," in shown[1].out


# --- What it records


def test_what_is_missing_is_recorded_once(unpaid: Shop, compare: Program, redis_url: str):
    first = compare("--apply", "--yes", "-o", "json")
    after = unpaid.ledger(), unpaid.order_rows(), unpaid.events("DH1")
    second = compare("--apply", "--yes", "-o", "json")

    assert (first.status, second.status) == (1, 1)
    rows = json.loads(first.out)
    assert [(row["outcome"], row["applied"], row["payment_id"]) for row in rows] == [
        ("paid", True, 1), ("mismatch", True, 2), ("unmatched", True, 3),
    ]  # fmt: skip
    assert first.err == (
        "3 incoming lines compared (1 outgoing not): 3 missing.\n"
        "warning: 3 of 3 lines are unknown to orderctl: is this the right account?\n"
        "line 2: payment 1 of 300,000 pays order DH1\n"
        "line 3: payment 2 of 250,000 is kept as mismatch of order DH2: 250000 was transferred, the order costs"
        " 300000: 50000 is missing\n"
        "line 4: payment 3 of 350,000 is kept as unmatched: no order's code in the text\n"
        "3 of 3 missing payments recorded.\n"
        "next: orderctl payments list --open\n"
    )
    assert [(row["kind"], row["payment_id"]) for row in json.loads(second.out)] == [("wrong-amount", 2)]
    assert second.err == (
        "3 incoming lines compared (1 outgoing not): 1 wrong-amount.\n"
        "1 payment of these lines waits for a decision: orderctl payments list --open\n"
    )
    assert (unpaid.ledger(), unpaid.order_rows(), unpaid.events("DH1")) == after
    assert unpaid.event("DH1", "payment_received").actor == App().actor
    assert {payment.provider for payment in unpaid.ledger()} == {"statement"}
    assert queued(redis_url) == {"task-1-0"}


def test_all_is_repaired_and_the_exit_code_is_0(unpaid: Shop, compare: Program, file: Path):
    file.write_text(statement(ROWS[0], ROWS[3]))

    first, second = compare("--apply", "--yes"), compare("--apply", "--yes")

    assert (first.status, second.status) == (0, 0)
    assert timeless(first.out).splitlines()[1].endswith("payment 1 of 300,000 pays order DH1  yes")
    assert (second.out, second.err) == ("", "1 incoming line compared (1 outgoing not): no difference.\n")


def test_a_generated_month(shop: Shop, inside: Program, tmp_path: Path):
    month, file = Month(140), tmp_path / "month.csv"
    month.write(shop.engine)
    file.write_text(month.csv())
    words = ["--statement", str(file), "--since", f"{BEGIN:%Y-%m-%dT%H:%M:%SZ}", "-o", "json"]

    found = inside("payments", "reconcile", *words)
    applied = inside("payments", "reconcile", *words, "--apply", "--yes")
    rows = shop.ledger(), shop.order_rows()
    again = inside("payments", "reconcile", *words, "--apply", "--yes")

    def planted(ended: Ended) -> set[Planted]:
        return {
            (row["kind"], row["line"], row["order_code"], row["outcome"]) for row in json.loads(ended.out)
        }

    assert planted(found) == planted(applied) == month.planted
    assert {kind for kind, *_ in month.planted} == set(map(str, differences.Kind))
    assert planted(again) == month.after
    assert (found.status, applied.status, again.status) == (1, 1, 1)
    assert all(row["applied"] is (row["kind"] == "missing") for row in json.loads(applied.out))
    assert (shop.ledger(), shop.order_rows()) == rows


def test_equal_transfers_of_which_a_file_has_only_one_are_no_double(
    unpaid: Shop, compare: Program, file: Path
):
    at = f"{datetime.now(LOCAL):%Y-%m-%d %H:%M}"
    equal = f"{at},5000,nop tien mat\n"
    file.write_text(f"Date,Amount,Description\n{equal}{equal}")
    assert compare("--apply", "--yes").status == 1
    assert outcomes(unpaid) == ["unmatched", "unmatched"]

    file.write_text(f"Date,Amount,Description\n{equal}")
    ended = compare()

    assert (ended.status, "no difference" in ended.err) == (0, True)


def test_another_account_than_the_statement_names_is_warned_of(unpaid: Shop, compare: Program, file: Path):
    assert "warning" not in compare("--account", "999").err
    file.write_text("Account,Date,Amount,Reference\n0071 123,2026-11-01,5,FT1\n")

    said = "warning: the statement is of account 0071 123, not 999: payments of both are compared with it"
    assert said in compare("--account", "999", "--account", "0071123", "--quiet").err
    assert "warning" not in compare("--account", "0071123").err


def test_most_of_many_lines_unknown_is_said_once_and_early(unpaid: Shop, compare: Program, file: Path):
    file.write_text(statement(*(f"FT26334{number:03},5000,nop tien" for number in range(60))))
    said = "warning: 60 of 60 lines are unknown to orderctl: is this the right account?"

    assert compare("--quiet").err.startswith(said)
    assert compare("--apply", "--dry-run").err.count(said) == 1


def test_one_line_is_not_several(unpaid: Shop, compare: Program, file: Path):
    file.write_text(statement(ROWS[0]))

    said = "warning: 1 of 1 line is unknown to orderctl: is this the right account?"
    assert said in compare("--apply", "--dry-run").err


def test_a_dry_run_changes_nothing(unpaid: Shop, compare: Program, file: Path):
    ended = compare("--apply", "--dry-run")

    assert ended.status == 1
    assert len(ended.out.splitlines()) == 4
    assert ended.err.endswith(
        "Would record 3 missing payments (900,000 in all): 1 pays its order, 1 mismatch, 1 unmatched; nothing was changed.\n"
        f"next: orderctl payments reconcile --statement '{file}' --apply\n"
    )
    assert unpaid.ledger() == []


@pytest.mark.parametrize("answer", [True, False])
def test_the_table_is_shown_before_the_question(answer, unpaid: Shop, compare: Program, monkeypatch):
    asked: list[str] = []
    monkeypatch.setattr(App, "interactive", True)
    monkeypatch.setattr("click.confirm", lambda question, **_: asked.append(question) or answer)

    ended = compare("--apply")

    assert asked == [QUESTION]
    assert len(ended.out.splitlines()) == 4
    assert "APPLIED" not in ended.out
    assert outcomes(unpaid) == (["paid", "mismatch", "unmatched"] if answer else [])
    assert ("orderctl: not confirmed: nothing was changed\n" in ended.err) is not answer


def test_without_a_terminal_consent_is_needed(unpaid: Shop, compare: Program):
    ended = compare("--apply")

    assert ended.status == 2
    assert ended.err.endswith(
        f'orderctl: cannot ask "{QUESTION}": standard input is not a terminal\n'
        "hint: add --yes to confirm without a question\n"
    )
    assert unpaid.ledger() == []


def test_the_sum_names_other_currencies(unpaid: Shop):
    def missing(amount: int, currency: str | None) -> Difference:
        return Difference(
            "missing", 1, None, None, None, Decimal(amount), None, currency, None, None, None, None, "x"
        )

    assert statement_lines.summed([missing(1000, None), missing(2, "vnd")], "VND") == "1,002"
    assert statement_lines.summed([missing(1000, None), missing(2, "USD")], "VND") == "1,000 VND and 2 USD"
    assert statement_lines.offer([replace(missing(5, None), outcome="paid")] * 2, "VND") == (
        "2 missing payments (10 in all): 2 pay their orders"
    )


def test_payments_are_recorded_while_redis_does_not_answer(unpaid: Shop, compare: Program, monkeypatch):
    monkeypatch.setenv("ORDERCTL_REDIS_URL", "redis://127.0.0.1:1/0")

    ended = compare("--apply", "--yes", "--only", "missing")

    assert ended.status == 1
    assert "the change is saved, and workers find the tasks when Redis answers again\n" in ended.err
    assert outcomes(unpaid) == ["paid", "mismatch", "unmatched"]


def test_what_is_recorded_stays_when_the_program_is_killed(unpaid: Shop, orderctl: Program, file: Path):
    words = ["payments", "reconcile", "--statement", str(file), "--apply", "--yes", "-o", "json"]

    killed = orderctl(*words, env={"ORDERCTL_FAULTS": "commit.after:kill@2"})
    kept = outcomes(unpaid)
    again = orderctl(*words)

    assert killed.status == -9
    assert kept == ["paid", "mismatch"]
    assert again.status == 1
    assert [(row["kind"], row["applied"]) for row in json.loads(again.out)] == [
        ("missing", True),
        ("wrong-amount", False),
    ]
    assert outcomes(unpaid) == ["paid", "mismatch", "unmatched"]


def test_an_interruption_shows_what_is_recorded(unpaid: Shop, compare: Program, redis_url: str, monkeypatch):
    record = reconciliation.record

    def interrupt(connection: Any, line: Line, *more: Any) -> Receipt:
        receipt = record(connection, line, *more)
        if line.number == 3:
            raise KeyboardInterrupt
        return receipt

    monkeypatch.setattr(reconciliation, "record", interrupt)

    ended = compare("--apply", "--yes", "-o", "json")

    assert ended.status == 130
    assert [row["applied"] for row in json.loads(ended.out)] == [True, False, False]
    assert "1 of 3 missing payments recorded.\n" in ended.err
    assert outcomes(unpaid) == ["paid"]
    assert queued(redis_url) == {"task-1-0"}


def test_what_another_program_records_meanwhile_is_not_counted(unpaid: Shop, compare: Program, monkeypatch):
    original = reconciliation.compare

    def meanwhile(connection: Any, read: Any, *more: Any) -> Any:
        report = original(connection, read, *more)
        unpaid.transact(lambda c: reconciliation.record(c, read.lines[0], RULES, TESTER))
        return report

    monkeypatch.setattr(reconciliation, "compare", meanwhile)

    ended = compare("--apply", "--yes")

    assert "line 2: payment 1 of 300,000 was recorded meanwhile\n" in ended.err
    assert "2 of 3 missing payments recorded; 1 recorded meanwhile by another program.\n" in ended.err


# --- What it refuses


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--statement", "{}", "--statement", "{}"], "give one --statement at a time"),
        (["--statement", "{}", "--yes"], "--yes confirms --apply"),
        (["--statement", "{}", "--apply", "--only", "late"], "add 'missing' to --only"),
        (["--statement", "{}", "--map", "Text"], "'Text' is not COLUMN=FIELD; the fields are date, time"),
        (["--statement", "{}", "--map", "Text=nix"], "'Text=nix' is not COLUMN=FIELD"),
        (["--statement", "{}", "--map", "A=id", "--map", "A=code"], "the column 'A' is given two fields"),
        (["--statement", "{}", "--time-zone", "Mars"], "needs UTC, an offset such as +07:00"),
        (["--statement", "{}", "--since", "nix"], "needs a time such as"),
        (
            ["--statement", "{}", "--since", "2026-12-01", "--until", "2026-11-01"],
            "is not before --until",
        ),
        (["--statement", "{}", "--only", "nix"], "needs one or more of missing, double"),
        (["--statement", "{}", "--dates", "dym"], "'dym' is not one of"),
        (["--statement", "{}.nix"], "bank 11.csv.nix: No such file or directory"),
        (["--statement", "/"], "cannot read the statement /: Is a directory"),
        (["--statement", "/dev/null"], "the statement is empty"),
        (["--statement", "/dev/zero"], "the statement /dev/zero is larger than 16 MB"),
        (["--statement", str(SCRIPT.resolve())], ""),
        (["--statement", "-"], "the statement is empty"),
        ([], "missing option '--statement'"),
    ],
)
def test_bad_input_is_2(words, said, unpaid: Shop, inside: Program, file: Path, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    ended = inside("payments", "reconcile", *(word.format(file) for word in words))

    assert (ended.status, ended.out) == (2, "")
    assert said in ended.err
    assert unpaid.ledger() == []


def test_a_database_that_does_not_answer_is_69(unpaid: Shop, compare: Program, monkeypatch):
    monkeypatch.setenv("ORDERCTL_DATABASE_URL", NOWHERE)

    for words in ([], ["--apply", "--yes"]):
        assert compare(*words).status == 69


def test_a_database_without_the_ledger_is_78(unpaid: Shop, compare: Program):
    unpaid.execute("DROP TABLE orderctl_payments")

    for words in ([], ["--apply", "--yes"]):
        ended = compare(*words)
        assert (ended.status, "orderctl migrate up" in ended.err) == (78, True)


def test_a_database_that_fails_in_between_is_69(unpaid: Shop, compare: Program):
    faultpoints.arm("commit.before:lose@2")
    try:
        ended = compare("--apply", "--yes", "-o", "json")
    finally:
        faultpoints.arm("")

    assert ended.status == 69
    assert [row["applied"] for row in json.loads(ended.out)] == [True, False, False]
    assert "1 of 3 missing payments recorded.\n" in ended.err
    assert outcomes(unpaid) == ["paid"]


# --- Streams


def test_a_statement_comes_through_a_pipe(unpaid: Shop, inside: Program, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(statement(*ROWS).encode())))

    ended = inside("payments", "reconcile", "--statement", "-", "-o", "name")

    assert (ended.status, ended.out) == (1, "missing\n" * 3)
    assert ended.err.endswith("next: ... | orderctl payments reconcile --statement - -o name --apply --yes\n")


def test_a_reader_that_has_ended_is_no_error(unpaid: Shop, file: Path):
    reading, writing = os.pipe()
    os.close(reading)
    done = run_to(writing, file)

    assert (done.returncode, done.stderr.endswith("next: orderctl payments list --open\n")) == (0, False)
    assert outcomes(unpaid) == ["paid", "mismatch", "unmatched"]


def test_a_full_disk_is_an_error_and_what_is_recorded_stays(unpaid: Shop, file: Path):
    done = run_to(os.open("/dev/full", os.O_WRONLY), file)

    assert done.returncode == 1
    assert done.stderr.endswith("orderctl: cannot write the output: No space left on device\n")
    assert outcomes(unpaid) == ["paid", "mismatch", "unmatched"]


def run_to(output: int, file: Path) -> subprocess.CompletedProcess[str]:
    """Record what is missing, with a standard output that is closed afterwards."""
    words = [SCRIPT, "payments", "reconcile", "--statement", file, "--apply", "--yes"]
    try:
        return subprocess.run(words, stdout=output, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(output)


class Tty(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("quiet", "shown"), [(False, "\r\x1b[K1 of 2 lines compared\r\x1b[K"), (True, "")])
def test_progress_is_shown_on_a_terminal_when_it_takes_long(quiet, shown, monkeypatch):
    monkeypatch.setattr(statement_lines, "_PATIENCE", 0)
    monkeypatch.setattr("sys.stderr", Tty())

    with statement_lines.Progress(App(quiet=quiet, environ={"TERM": "xterm"})) as progress:
        progress(1, 2)
        progress(2, 2)

    assert sys.stderr.getvalue() == shown  # type: ignore[attr-defined]


def test_nothing_is_drawn_without_a_terminal(unpaid: Shop, compare: Program, monkeypatch):
    monkeypatch.setattr(statement_lines, "_PATIENCE", 0)

    assert "\r" not in compare().err


def test_a_narrow_terminal_has_fewer_columns():
    row = SimpleNamespace(
        kind="wrong-amount", line=12, happened_at=datetime.now(UTC), order_id=1, order_code="DH123456", amount=300_000,
        expected=350_000, payment_id=41, text="the order costs 350,000", applied=None,
    )  # fmt: skip
    placed = [statement_comparison._placed(column, applied=False) for column in DIFFERENCES]
    columns = render.shown_in(placed, render.Format.TABLE)

    def shown(width: int) -> list[str]:
        [text] = formats.rows([row], columns, render.Format.TABLE, render.View(width))
        return text.splitlines()[0].split()

    assert shown(60) == ["KIND", "LINE", "ORDER", "AMOUNT", "PAYMENT", "DIFFERENCE"]
    assert shown(52) == ["KIND", "LINE", "ORDER", "AMOUNT", "DIFFERENCE"]
    assert shown(120) == ["KIND", "LINE", "TIME", "ORDER", "AMOUNT", "EXPECTED", "PAYMENT", "DIFFERENCE"]


def test_the_tab_key_completes_without_a_store(orderctl: Program):
    line = "orderctl payments reconcile --statement x --only missing,d"

    assert offered(orderctl(*typed(line), env=TAB).out) == ["missing,double"]
    assert not completing(*typed(line)) & {*HEAVY}


def test_the_fields_of_a_column_are_completed():
    def completed(text: str) -> list[str]:
        return [item.value for item in statement_input.Column().shell_complete(None, None, text)]  # type: ignore[arg-type]

    assert completed("A=B=co") == ["A=B=content", "A=B=code"]
    assert completed("A") == []


# --- The page in docs/payments.md


def section() -> str:
    return PAGE.read_text().partition("\n## The end of the month\n")[2].partition("\n## ")[0]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", section(), re.MULTILINE | re.DOTALL)


def shown_runs() -> list[tuple[list[str], str]]:
    """Return the commands of the page's example, each with the output that the page shows."""
    example = section().partition("\n### What is found")[0]
    lines = [line[4:] for line in example.splitlines() if line.startswith("    ")]
    runs: list[tuple[list[str], str]] = []
    for line in lines:
        if line.startswith("$ orderctl "):
            runs.append((shlex.split(line)[2:], ""))
        else:
            words, output = runs.pop()
            runs.append((words, f"{output}{line}\n"))
    return runs


def today(text: str) -> str:
    """Return the page's statement with the last of its days today."""
    days = {
        found: datetime.strptime(found, "%d/%m/%Y").replace(tzinfo=LOCAL)
        for found in re.findall(r"\d\d/\d\d/\d{4}", text)
    }
    shift = datetime.now(LOCAL) - max(days.values())
    return re.sub(r"\d\d/\d\d/\d{4}", lambda match: f"{days[match[0]] + shift:%d/%m/%Y}", text)


def test_the_example_of_the_page(shop: Shop, inside: Program, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stderr", sys.stdout)  # as on a terminal, where both are shown in their order
    [orders], [bank] = blocks("json"), blocks("csv")
    Path("orders.json").write_text(orders)
    runs = shown_runs()
    assert len(runs) > 8

    for words, shown in runs:
        if "reconcile" in words:  # after the payments: so it has the day on which they came
            Path("november.csv").write_text(today(bank))
        out = inside(*words).out
        out = re.sub(
            "^note: dates are read as .*\n", "", out, flags=re.MULTILINE
        )  # on some days they are ambiguous
        assert (words, timeless(out)) == (words, timeless(shown))


def test_the_headers_of_the_page_are_read():
    rows = re.findall(r"^\| \w[\w ]+ \| `([^`]+,[^`]+)` \|$", section(), re.MULTILINE)
    command = next(line for line in section().splitlines() if line.startswith("    ") and "--map" in line)
    mapped = dict(word.rsplit("=", 1) for word in shlex.split(command) if "=" in word)
    cells = {
        "Ngày": "30/11/2026",
        "Số": "FT26334101",
        "Mô tả": "DH1",
        "Diễn giải": "DH1",
        "Nội dung": "DH1",
        "Lời nhắn": "DH1",
    }
    cells |= {"Số tiền ghi có": "300.000", "Có": "300.000", "Phát sinh có": "300.000", "Vào": "300.000"}
    cells |= dict.fromkeys(("Số tiền ghi nợ", "Nợ", "Phát sinh nợ", "Ra", "Số dư", "STT"), "")

    assert len(rows) == 3
    for header, columns in [*((row, {}) for row in rows), (",".join(mapped), mapped)]:
        names = header.split(",")
        row = ",".join(cells.get(name, cells.get(name.split()[0], "")) for name in names)
        [line] = statements.read(f"{header}\n{row}\n".encode(), statements.Options(columns)).lines
        assert (line.amount, line.direction, line.names, line.content) == (
            300_000, Direction.IN, ("FT26334101",), "DH1",
        ), header  # fmt: skip
        assert line.begin == datetime(2026, 11, 30, tzinfo=LOCAL)
