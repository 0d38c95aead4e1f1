"""Rows in each format of ``-o``."""

import csv
import io
import json
import math
import weakref
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from orderctl.errors import Unavailable
from orderctl.terminal import formats, render, table
from orderctl.terminal.render import Column, Format, View, Where

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
COLUMNS = (
    Column("id", keep=True),
    Column("title"),
    Column("total_amount", header="AMOUNT", show=render.amount, right=True),
    Column("at"),
    Column("note", where=Where.WIDE),
    Column("details", where=Where.DATA),
)


@dataclass(frozen=True)
class Row:
    id: int
    title: str | None
    total_amount: Decimal = Decimal("300000.00")
    at: datetime | None = NOON
    note: str | None = None
    details: object = None


@dataclass(frozen=True, eq=False)
class Kept(Row):
    """A row of which a test notices whether it is still in memory."""


def text(rows, form, view=render.PLAIN, columns=COLUMNS):
    return "".join(formats.rows(rows, render.shown_in(columns, form), form, view))


def test_a_table_aligns_and_leaves_out_what_is_for_data():
    rows = [Row(1, "Khóa học"), Row(22, None, Decimal("0.50"), None)]

    assert text(rows, Format.TABLE) == (
        "ID  TITLE      AMOUNT  AT\n1   Khóa học  300,000  2026-05-01T12:00:00Z\n22  -            0.50  -\n"
    )


def test_a_wide_table_has_more_columns():
    assert text([Row(1, "a", note="b")], Format.WIDE).splitlines()[0].split() == [
        "ID",
        "TITLE",
        "AMOUNT",
        "AT",
        "NOTE",
    ]


@pytest.mark.parametrize("form", [Format.TABLE, Format.WIDE, Format.JSONL, Format.NAME])
def test_without_rows_the_text_is_empty(form):
    assert text([], form) == ""


def test_no_rows_are_an_empty_json_list_and_the_head_of_a_csv():
    assert json.loads(text([], Format.JSON)) == []
    assert text([], Format.CSV) == "id,title,total_amount,at,note,details\n"


@pytest.mark.parametrize(
    "title", ["日本語のコース", "Kho\u0301a ho\u0323c", "Lập trình 👩‍💻", "ascii", "한국어"]
)
def test_wide_and_combining_letters_do_not_shift_a_table(title):
    lines = text([Row(1, title), Row(2, "x" * 30)], Format.TABLE).splitlines()

    ends = {table.width(line[: line.index("300,000")]) for line in lines[1:]}
    assert len(ends) == 1


def test_a_table_is_cut_to_the_terminal_and_only_where_it_may_be():
    rows = [Row(1234567890123, "A very long title of a course " * 4, at=None)]

    lines = text(rows, Format.TABLE, View(width=60, times="iso")).splitlines()

    assert max(map(table.width, lines)) <= 60
    assert "1234567890123" in lines[1]
    assert "…" in lines[1]
    assert "…" not in text(rows, Format.TABLE)


def test_colours_are_there_only_when_wanted_and_do_not_shift_a_table():
    columns = (Column("status", style=lambda value: "red" if value == "failed" else None), Column("next"))
    rows = [{"status": "failed", "next": "x"}, {"status": "completed", "next": "y"}]

    plain = text(rows, Format.TABLE, columns=columns)
    colored = text(rows, Format.TABLE, View(color=True), columns=columns)

    assert "\x1b" not in plain
    assert "\x1b[31mfailed\x1b[0m" in colored
    for code in ("\x1b[31m", "\x1b[1m", "\x1b[0m"):
        colored = colored.replace(code, "")
    assert colored == plain


def test_json_has_stable_keys_utc_times_and_numbers():
    hanoi = datetime(2026, 5, 1, 19, 0, tzinfo=timezone(timedelta(hours=7)))

    (found,) = json.loads(text([Row(1, "a", Decimal("12.50"), hanoi, details={"x": [1]})], Format.JSON))

    assert found == {
        "id": 1,
        "title": "a",
        "total_amount": 12.5,
        "at": "2026-05-01T12:00:00Z",
        "note": None,
        "details": {"x": [1]},
    }


def test_a_whole_amount_is_a_whole_number():
    assert '"total_amount": 300000,' in text([Row(1, "a")], Format.JSON)


def test_not_a_number_is_refused_rather_than_written():
    with pytest.raises(ValueError, match="not JSON compliant"):
        text([Row(1, "a", details=math.nan)], Format.JSON)


def test_json_lines_come_one_by_one():
    def endless():
        yield Row(1, "a\nb")
        raise AssertionError("the second row was read before the first was shown")

    pieces = formats.rows(endless(), COLUMNS, Format.JSONL)

    piece = next(pieces)
    assert piece.endswith("}\n")
    assert piece.count("\n") == 1
    assert json.loads(piece)["title"] == "a\nb"


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1+1", '=HYPERLINK("x")']
)
def test_a_spreadsheet_does_not_run_a_cell(cell):
    _, row = csv.reader(io.StringIO(text([Row(1, cell)], Format.CSV), newline=""))

    assert row[1].startswith("'")


def test_a_negative_number_stays_a_number_in_csv():
    _, row = csv.reader(io.StringIO(text([Row(1, "a", Decimal("-5.25"))], Format.CSV)))

    assert row[2] == "-5.25"


def test_csv_quotes_what_it_must():
    _, row = csv.reader(io.StringIO(text([Row(1, 'a,"b"\nc', note="ü")], Format.CSV), newline=""))

    assert row == ["1", 'a,"b"\nc', "300000", "2026-05-01T12:00:00Z", "ü", ""]


def test_tsv_is_one_line_for_each_row():
    lines = text([Row(1, "a\tb\nc\\d\x1b[2J", details={"k": "v"})], Format.TSV).split("\n")

    assert lines[0] == "id\ttitle\ttotal_amount\tat\tnote\tdetails"
    assert lines[1] == '1\ta\\tb\\nc\\\\d\\x1b[2J\t300000\t2026-05-01T12:00:00Z\t\t{"k":"v"}'
    assert lines[2:] == [""]


def test_markdown_is_not_broken_by_a_cell():
    lines = text([Row(1, "a|b\n<script>`x`")], Format.MARKDOWN).splitlines()

    assert lines[0].count("|") == lines[2].replace("\\|", "").count("|") == 5
    assert "<script>" not in lines[2]


def test_names_are_the_first_column():
    assert text([Row(4, "a"), Row(5, "b")], Format.NAME) == "4\n5\n"


@pytest.mark.parametrize("form", list(Format))
def test_no_format_lets_a_control_character_out(form):
    out = text([Row(1, "x\x1b]0;evil\x07\x9b\u202e\ud800", note="\x1b[2J")], form)

    out.encode()
    assert not set("\x1b\x07\x9b\u202e") & set(out)


# --- Page by page


def pieces(lists, form, view=render.PLAIN):
    return list(formats.pages(lists, render.shown_in(COLUMNS, form), form, view))


@pytest.mark.parametrize("form", list(Format))
@pytest.mark.parametrize("sizes", [(), (0,), (3,), (2, 1), (1, 0, 1, 1), (0, 3, 0)])
def test_pages_are_the_same_text_as_the_whole_list(form, sizes):
    rows = iter([Row(1, "Khóa học"), Row(2, "a|b", None, None), Row(3, "c", note="=1")])
    lists = [[next(rows) for _ in range(size)] for size in sizes]

    parts = pieces(lists, form)

    assert "".join(parts) == text([row for page in lists for row in page], form)
    assert len(parts) <= sum(size > 0 for size in sizes) + 1


@pytest.mark.parametrize("form", list(Format))
def test_a_page_is_shown_before_the_next_one_is_read(form):
    def lists():
        yield [Row(1, "a"), Row(2, "b")]
        raise AssertionError("the second page was read before the first was shown")

    shown = next(formats.pages(lists(), COLUMNS, form))

    assert "2" in shown


@pytest.mark.parametrize("form", list(Format))
def test_no_page_is_kept_in_memory(form):
    alive, most = weakref.WeakSet(), 0

    def lists():
        nonlocal most
        for number in range(40):
            page = [Kept(number * 10 + one, "title") for one in range(10)]
            alive.update(page)
            most = max(most, len(alive))
            yield page
            del page

    for _ in formats.pages(lists(), COLUMNS, form):
        pass

    assert most <= 30


def test_a_json_list_stays_open_if_a_page_cannot_be_read():
    shown = []

    with pytest.raises(Unavailable):
        shown.extend(formats.pages(breaking(), COLUMNS, Format.JSON))

    assert "".join(shown).endswith('"details": null\n  }\n')
    with pytest.raises(ValueError, match="Expecting"):
        json.loads("".join(shown))


@pytest.mark.parametrize("form", list(Format))
def test_nothing_is_shown_if_the_first_page_cannot_be_read(form):
    shown = []

    with pytest.raises(Unavailable):
        shown.extend(formats.pages(breaking(0), COLUMNS, form))

    assert shown == []


def breaking(count=1):
    for number in range(count):
        yield [Row(number, "a")]
    raise Unavailable("the database went away")


def test_a_column_gets_wider_from_page_to_page_and_not_narrower():
    lists = [[Row(1, "a")], [Row(2, "a longer title", Decimal(1000000))], [Row(3, "b")]]

    assert "".join(pieces(lists, Format.TABLE)) == (
        "ID  TITLE   AMOUNT  AT\n"
        "1   a      300,000  2026-05-01T12:00:00Z\n"
        "2   a longer title  1,000,000  2026-05-01T12:00:00Z\n"
        "3   b                 300,000  2026-05-01T12:00:00Z\n"
    )


def test_markdown_of_several_pages_is_one_table():
    lists = [[Row(1, "a")], [Row(2, "a longer title")]]

    lines = "".join(pieces(lists, Format.MARKDOWN)).splitlines()

    assert [line.count("|") for line in lines] == [5] * 4
    assert [line.startswith("|-") for line in lines] == [False, True, False, False]
    assert "| a longer title |" in lines[3]


def test_each_page_fits_the_terminal():
    long = "A very long title of a course " * 4
    lists = [[Row(1, "a", at=None)], [Row(1234567890123, long)], [Row(2, "日本語" * 30)]]

    parts = pieces(lists, Format.TABLE, View(width=60, times="iso", color=True))

    plain = "".join(parts).replace("\x1b[1m", "").replace("\x1b[0m", "")
    lines = plain.splitlines()
    assert max(map(table.width, lines)) <= 60
    assert "1234567890123" in lines[2]
    assert ["…" in line for line in lines] == [False, False, True, True]


def test_columns_neither_come_nor_go_within_a_list():
    columns = (Column("code", keep=True), Column("title"), Column("note", priority=1))
    first = [{"code": "DH1", "title": "short", "note": "n"}]
    later = [{"code": "D" * 64, "title": "long " * 9, "note": "note " * 9}]

    parts = list(formats.pages([first, later, first], columns, Format.TABLE, View(width=40)))

    assert parts[0].splitlines()[0].split() == ["CODE", "TITLE", "NOTE"]
    assert max(table.width(line) for part in parts for line in part.splitlines()) <= 40
    assert len(parts[1].split("  ")) == parts[1].count("…") == 3


def test_columns_without_a_value_leave_first_then_those_of_low_priority():
    columns = (
        Column("code", keep=True), Column("title", priority=3), Column("note", priority=4), Column("retry", priority=9),
    )  # fmt: skip
    row = {"code": "DH1", "title": "t" * 20, "note": "n" * 20, "retry": None}

    def heads(width: int) -> list[str]:
        return text([row], Format.TABLE, View(width=width), columns).splitlines()[0].split()

    assert heads(40) == ["CODE", "TITLE", "NOTE", "RETRY"]
    assert heads(34) == ["CODE", "TITLE", "NOTE"]
    assert heads(20) == ["CODE", "NOTE"]


def test_where_no_table_fits_each_row_is_a_card():
    columns = (
        Column("code", keep=True),
        Column("amount", right=True, keep=True),
        Column("title"),
        Column("note"),
    )
    rows = [{"code": "D" * 30, "amount": 10**12, "title": "Khóa học lập trình", "note": None}] * 2

    assert text(rows, Format.TABLE, View(width=24), columns) == (
        "CODE    DDDDDDDD…DDDDDDD\nAMOUNT  1000000000000\nTITLE   Khóa học lập tr…\n\n"
        "CODE    DDDDDDDD…DDDDDDD\nAMOUNT  1000000000000\nTITLE   Khóa học lập tr…\n"
    )
