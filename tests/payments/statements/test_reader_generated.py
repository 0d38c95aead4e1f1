"""Generated statements: any bytes are read or refused, and what is written in any dialect is read back."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from hypothesis import example, given, settings
from hypothesis import strategies as st

from orderctl.errors import InvalidInput
from orderctl.payments import statements
from orderctl.payments.statements import Options, Statement
from orderctl.payments.statements.options import LOCAL
from orderctl.payments.transfer import Direction

MOST = settings(max_examples=60, deadline=None)
CELLS = st.one_of(
    st.sampled_from(
        ["01/11/2026", "2026-11-01T10:33:00Z", "5", "-5", "300.000", "1,5", "(5)", "Total", "\u20ab", '="1"', "'", '"', "\n", "\x00"]
    ),
    st.text(max_size=12),
)  # fmt: skip
HEADERS = st.sampled_from(
    [
        "Date",
        "Amount",
        "Credit",
        "Debit",
        "Ref",
        "id",
        "Type",
        "Time",
        "D/C",
        "Balance",
        "CCY",
        "x",
        "",
        "No",
        "Co",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | CELLS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(HEADERS | st.just("data"), inner, max_size=6),
    max_leaves=20,
)


def survives(data: bytes, **options: object) -> None:
    try:
        found = statements.read(data, Options(**options))
    except InvalidInput as error:
        assert "\n" not in str(error)  # noqa: PT017 - either is right
        return
    assert len({line.key for line in found.lines}) == len(found.lines)
    for line in found.lines:
        assert line.transfer().amount > 0
        assert line.begin < line.end


@MOST
@given(st.binary(max_size=400), st.sampled_from([None, "latin-1", "cp1258", "utf-16", "utf-8", "shift_jis"]))
@example(b"date,amount\n2026-11-01,\xb2", "latin-1")
def test_any_bytes_are_read_or_refused(data: bytes, encoding: str | None):
    survives(data, encoding=encoding)


@MOST
@given(
    st.lists(HEADERS, min_size=1, max_size=6),
    st.lists(st.lists(CELLS, max_size=7), max_size=6),
    st.sampled_from(",;\t|"),
    st.sampled_from([None, "dmy", "mdy", "ymd"]),
    st.sampled_from([None, ".", ","]),
)
def test_any_table_is_read_or_refused(header, rows, delimiter, dates, decimal):
    text = "\n".join(delimiter.join(cells) for cells in [["Date", "Amount", *header], *rows])
    survives(text.encode("utf-8", "ignore"), dates=dates, decimal=decimal)


@MOST
@given(
    JSON,
    st.lists(
        st.dictionaries(HEADERS, CELLS | st.integers() | st.decimals().map(str), max_size=6), max_size=3
    ),
)
def test_any_json_is_read_or_refused(value: object, elements: list[object]):
    survives(json.dumps(value).encode())
    survives(json.dumps({"data": elements}).encode())
    survives("\n".join(map(json.dumps, elements)).encode())


class Told(NamedTuple):
    """A transfer as the test writes it, in whole units or with cents."""

    day: date
    seconds: int
    cents: int
    incoming: bool
    content: str


class Dialect(NamedTuple):
    delimiter: str
    group: str
    decimal: str
    cents: bool
    dates: str
    time: str
    columns: str
    encoding: str
    newline: str
    preamble: bool


TOLD = st.builds(
    Told,
    st.dates(date(2020, 1, 13), date(2029, 12, 31)),
    st.integers(1, 86399),
    st.integers(1, 10**12),
    st.booleans(),
    st.text(st.characters(categories=["L", "N", "Zs"], include_characters='",;|\n'), max_size=20).map(
        str.strip
    ),
)
DIALECT = st.builds(
    Dialect,
    st.sampled_from(",;\t|"),
    st.sampled_from(["", ",", ".", " ", "'", "\xa0"]),
    st.sampled_from(".,"),
    st.booleans(),
    st.sampled_from(
        ["%d/%m/%Y", "%d-%m-%y", "%m/%d/%Y", "%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%d-%b-%Y", "%b %d, %Y"]
    ),
    st.sampled_from(["", " %H:%M", " %H:%M:%S", " %I:%M:%S %p", "column"]),
    st.sampled_from(["two", "signed", "word"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
).filter(lambda one: one.group != one.decimal)
NAMES = {
    "date": ["Ng\xe0y giao d\u1ecbch", "NGAY GD", "Transaction date", "Date", "Value date"],
    "time": ["Th\u1eddi gian", "Time"],
    "amount": ["S\u1ed1 ti\u1ec1n", "Amount", "Betrag"],
    "credit": ["Ghi c\xf3", "PS C\xf3", "S\u1ed1 ti\u1ec1n ghi c\xf3\nCredit", "Credit", "Paid in"],
    "debit": ["Ghi n\u1ee3", "PS N\u1ee3", "Withdrawal/ Debit"],
    "direction": ["+/-", "D/C", "Lo\u1ea1i", "in/out"],
    "content": ["N\u1ed9i dung", "M\xf4 t\u1ea3", "Remarks"],
    "reference": ["S\u1ed1 CT", "Ref no.", "M\xe3 GD"],
    "other": ["STT", "Chi nh\xe1nh"],
}


def amount(cents: int, dialect: Dialect) -> str:
    whole = f"{cents // 100:,}".replace(",", dialect.group)
    return f"{whole}{dialect.decimal}{cents % 100:02}" if dialect.cents else whole


def cells(number: int, told: Told, dialect: Dialect) -> dict[str, str]:
    moment = datetime.combine(told.day, datetime.min.time()) + timedelta(seconds=told.seconds)
    written = amount(told.cents, dialect)
    clock = dialect.time if dialect.time != "column" else ""
    found = {
        "date": moment.strftime(dialect.dates + clock),
        "content": told.content,
        "reference": f"FT{number}",
        "other": str(number),
    }
    if dialect.time == "column":
        found["time"] = moment.strftime("%H:%M:%S")
    if dialect.columns == "two":
        return found | {"credit": written if told.incoming else "", "debit": "" if told.incoming else written}
    if dialect.columns == "signed":
        return found | {"amount": written if told.incoming else f"-{written}"}
    return found | {"amount": written, "direction": "C" if told.incoming else "D"}


def write(transfers: list[Told], dialect: Dialect, data: st.DataObject) -> bytes:
    records = [cells(number, told, dialect) for number, told in enumerate(transfers)]
    fields = data.draw(st.permutations(sorted(records[0])))
    file = io.StringIO()
    writer = csv.writer(file, delimiter=dialect.delimiter, lineterminator=dialect.newline)
    if dialect.preamble:
        writer.writerows([["Ng\xe2n h\xe0ng ABC"], [], ["S\u1ed1 t\xe0i kho\u1ea3n:", "0123456789"]])
    writer.writerow(data.draw(st.sampled_from(NAMES[field])) for field in fields)
    writer.writerows([record[field] for field in fields] for record in records)
    return file.getvalue().encode(dialect.encoding)


def expected(told: Told, dialect: Dialect) -> tuple[Decimal, Direction, datetime, timedelta]:
    step = {"": timedelta(days=1), " %H:%M": timedelta(minutes=1)}.get(dialect.time, timedelta(seconds=1))
    seconds = told.seconds // int(step.total_seconds()) * int(step.total_seconds())
    begin = datetime.combine(told.day, datetime.min.time(), LOCAL) + timedelta(seconds=seconds)
    value = Decimal(told.cents if dialect.cents else told.cents // 100 * 100).scaleb(-2)
    return value, Direction.IN if told.incoming else Direction.OUT, begin.astimezone(UTC), step


@MOST
@given(st.lists(TOLD, min_size=1, max_size=8), DIALECT, st.data())
def test_what_is_written_in_any_dialect_is_read_back(
    transfers: list[Told], dialect: Dialect, data: st.DataObject
):
    # One date whose day is above 12, so that no order is assumed; one time that is not midnight.
    transfers = [Told(date(2026, 1, 31), 36_000, 500, incoming=True, content="DH1"), *transfers]
    transfers = [told._replace(cents=max(told.cents, 100)) for told in transfers]
    # A separator that groups, or begins two decimals, is clear in each amount alone, but for one group: 300.000.
    found: Statement = statements.read(write(transfers, dialect, data), Options())

    assert [line.names for line in found.lines] == [(f"FT{number}",) for number in range(len(transfers))]
    read = [(line.amount, line.direction, line.begin, line.end - line.begin) for line in found.lines]
    assert read == [expected(told, dialect) for told in transfers]
    assert [(line.content or "").split() for line in found.lines] == [
        told.content.split() for told in transfers
    ]
    assert {line.account for line in found.lines} == {"0123456789" if dialect.preamble else None}
    assert (found.skipped, found.repeated) == ((), ())
