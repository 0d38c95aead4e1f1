"""Which order a transfer is for."""

import re
import unicodedata
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, event, select
from sqlalchemy import text as statement

from orderctl import database
from orderctl.payments import codes
from orderctl.payments.codes import Found
from orderctl.payments.transfer import MOST_CONTENT, Transfer
from orderctl.schema import orders
from tests import rows
from tests.shop import Shop

on_sqlite = pytest.mark.databases("sqlite")
on_servers = pytest.mark.databases("mysql", "mariadb")


def add(shop: Shop, *order_codes: str) -> None:
    """Write orders as the shop does, instead of those before, with ids that are in none of the texts."""
    new = [{"id": number, "code": code} for number, code in enumerate(order_codes, start=700_001)]
    with shop.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM orders")
        if not new:
            return
        connection.execute(
            statement(
                "INSERT INTO orders (id, order_code, user_email, order_status, payment_status, total_amount,"
                " created_at, round) VALUES (:id, :code, 'a@example.com', 'pending', 'pending', 3, '2026-01-01', 0)"
            ),
            new,
        )


def ask(
    shop: Shop, content: str | None = None, *, code: str | None = None, pattern: str | None = None
) -> Found:
    transfer = Transfer("plain", Decimal(1), code=code, content=content).checked()
    compiled = None if pattern is None else re.compile(pattern, re.IGNORECASE)
    return shop.read(lambda c: codes.find(c, transfer, compiled))


def named(shop: Shop, *texts: str | None, **more: str) -> str | None:
    """Return the code of the order that a transfer names, or None."""
    found = ask(shop, *texts, **more)
    assert (found.order_id is None) != (found.reason is None)
    if found.order_id is None:
        return None
    code = select(orders.c.order_code).where(orders.c.id == found.order_id)
    return shop.read(lambda c: c.execute(code).scalar_one())


SHOP = (
    "DH1",
    "DH3",
    "DH12",
    "DH4",
    "DH123456",
    "ORD-2024-001",
    "HD_77/A",
    "777",
    "2024-001",
    "KHOAHOC",
    "ĐH5",
)


@pytest.fixture
def filled(shop: Shop) -> Shop:
    add(shop, *SHOP)
    return shop


TEXTS = [
    ("DH3", "DH3"),
    ("an ck dh3 hoc phi", "DH3"),
    ("Dh3", "DH3"),
    ("dH3", "DH3"),
    ("AN CK DH3 HOC PHI", "DH3"),
    ("MBVCB.6123456789.DH3.CT tu 0071000123456", "DH3"),
    ("thanh toan don hang: dh3.", "DH3"),
    ("(DH3)", "DH3"),
    ("DH3;", "DH3"),
    ("#DH3", "DH3"),
    ("ma=DH3&x", "DH3"),
    ("DH3 DH3", "DH3"),
    ("dh3 - DH 3 - dh.3", "DH3"),
    # Blanks, dots and dashes inside.
    ("DH 3", "DH3"),
    ("DH.3", "DH3"),
    ("DH-3", "DH3"),
    ("DH_3", "DH3"),
    ("DH/3", "DH3"),
    ("DH. 3", "DH3"),
    ("DH - 3", "DH3"),
    ("D H 3", "DH3"),
    ("d.h.3", "DH3"),
    ("dh 12 3456", "DH123456"),
    ("ck DH1234 56 hoc phi", "DH123456"),
    ("D H 1 2 3 4 5 6", "DH123456"),
    ("DH\u20133", "DH3"),
    ("DH\u22123", "DH3"),
    ("DH\u00a03", "DH3"),
    ("DH\t3", "DH3"),
    ("DH\n3", "DH3"),
    # No part of a longer word, and no parts that something else stands between.
    ("xDH3y", None),
    ("DH34", None),
    ("DH30", None),
    ("0DH3", None),
    ("DH3x", None),
    ("madonDH3", None),
    ("DH, 3", None),
    ("DH:3", None),
    ("DH  ---  3", None),
    ("DH so 3", None),
    ("\u00e2DH3", None),
    ("DH3\u00e2", None),
    # The longest.
    ("dh12", "DH12"),
    ("DH 12", "DH12"),
    ("DH1 2 khoa hoc", "DH12"),
    ("DH 1 2", "DH12"),
    ("DH1 3 khoa hoc", "DH1"),
    ("DH1 hai khoa hoc", "DH1"),
    ("DH 123456", "DH123456"),
    ("DH12 3456", "DH123456"),
    ("DH12 345", "DH12"),
    # Two.
    ("DH3 DH4", None),
    ("DH3,DH4", None),
    ("dh 3 va dh 4", None),
    ("DH1 DH12", None),
    ("DH3 ORD2024001", None),
    # Two, one of them with the next word behind it; no third one, and none alone.
    ("DH3va DH4", None),
    ("DH4 dh.3hoc phi", None),
    ("DH4 ORD2024001va", None),
    ("DH4va", None),
    ("DH3 DH3va", "DH3"),
    ("DH3 DH9va", "DH3"),
    ("DH3.5tr", "DH3"),
    ("DH3 12tr", "DH3"),
    ("DH3 777dong", "DH3"),
    ("DH3 KHOAHOC5a", "DH3"),
    ("DH3 HD77A", None),
    ("MBVCB.DH4.DH3.CT", None),
    # Separators of its own.
    ("ORD-2024-001", "ORD-2024-001"),
    ("ord-2024-001", "ORD-2024-001"),
    ("ORD2024001", "ORD-2024-001"),
    ("ord2024001 hoc phi", "ORD-2024-001"),
    ("ORD 2024 001", "ORD-2024-001"),
    ("ORD.2024.001", "ORD-2024-001"),
    ("ORD2024 001", "ORD-2024-001"),
    ("ORD 2024001", "ORD-2024-001"),
    ("ORD 2024 0012", None),
    ("ORD20240012", None),
    ("HD77A", "HD_77/A"),
    ("hd 77 a", "HD_77/A"),
    ("hd_77/a", "HD_77/A"),
    # Digits only: a number is an amount, a date or a phone number.
    ("777", None),
    ("7 7 7", None),
    ("2024-001", None),
    ("2024001", None),
    ("700001", None),
    ("1", None),
    # Letters only: as they stand.
    ("mua khoahoc", "KHOAHOC"),
    ("khoa-hoc", "KHOAHOC"),
    ("mua khoa hoc", None),
    # Other writing.
    ("Nguy\u1ec5n V\u0103n \u00c1nh chuy\u1ec3n kho\u1ea3n DH3 h\u1ecdc ph\u00ed th\u00e1ng n\u0103m", "DH3"),
    ("\uff24\uff28\uff13", "DH3"),
    ("DH\uff13", "DH3"),
    ("DH\u0663", "DH3"),
    ("D\u200bH\u200b3", "DH3"),
    ("DH3\ufeff", "DH3"),
    ("D\u00adH3", "DH3"),
    ("ck \u0111h5", "\u0110H5"),
    ("ck dh5", None),
    ("DH3\ud800", "DH3"),
    ("\ud800", None),
    ("\x00DH3", "DH3"),
    ("' OR 1=1 --", None),
    ("%", None),
    ("DH_", None),
    ("", None),
    ("...", None),
]


@on_sqlite
def test_texts_of_customers_and_banks(filled: Shop) -> None:
    wrong = {}
    for text, code in TEXTS:
        for written in (text, f" \u201c{unicodedata.normalize('NFD', text)}\u201d "):
            if (found := named(filled, written)) != code:
                wrong[written] = found

    assert wrong == {}


@on_sqlite
def test_every_text_is_at_most_one_that_a_column_can_store(filled: Shop) -> None:
    for text, _ in TEXTS:
        reason = ask(filled, text).reason
        assert reason is None or (len(reason) <= 500 and reason.isprintable())


@on_sqlite
@pytest.mark.parametrize(
    ("code", "content", "order"),
    [
        ("DH3", None, "DH3"),
        ("dh3", None, "DH3"),
        (" DH3 ", None, "DH3"),
        ("777", None, "777"),
        ("2024-001", None, "2024-001"),
        ("ord-2024-001", None, "ORD-2024-001"),
        # The field is the provider's word: it comes first.
        ("DH3", "DH4", "DH3"),
        ("dh3", "DH4", "DH3"),
        ("777", "DH4", "777"),
        # A field that is no code is a text.
        ("DH 3", None, "DH3"),
        ("ORD2024001", None, "ORD-2024-001"),
        ("an ck dh3 hoc phi", None, "DH3"),
        ("an ck dh3 hoc phi", "an ck dh3 hoc phi", "DH3"),
        ("an ck dh3 hoc phi", "DH4", None),
        ("SEVQR", "an ck dh3", "DH3"),
        ("DH9", "an ck dh3", "DH3"),
        (None, "an ck dh3", "DH3"),
        # Never by id, and no number of a text.
        ("1", None, None),
        ("700001", None, None),
        ("700002", "700002", None),
        ("07", "777", None),
        ("%", None, None),
        ("\ud800", None, None),
        ("x" * 5000, None, None),
        (None, None, None),
    ],
)
def test_the_providers_field_for_the_code(
    filled: Shop, code: str | None, content: str | None, order: str | None
) -> None:
    assert named(filled, content, code=code) == order


def reason(shop: Shop, *texts: str | None, **more: str) -> str | None:
    return ask(shop, *texts, **more).reason


@on_sqlite
def test_the_reason_says_what_was_looked_for(filled: Shop) -> None:
    assert reason(filled, "DH3 va DH4") == "2 orders in the text: DH3, DH4"
    assert reason(filled, "DH3va DH4") == "2 orders in the text: DH3, DH4"
    assert reason(filled, "DH3 DH4", code="DH9") == "2 orders in the text: DH3, DH4"
    assert reason(filled, code="DH9") == "no order has the code DH9"
    assert reason(filled, "hoc phi", code="DH9") == "no order has the code DH9"
    assert reason(filled, "hoc phi") == "no order's code in the text"
    assert reason(filled, code="hoc phi thang 3") == "no order's code in the text"
    assert reason(filled, code="x" * 900) == "no order's code in the text"
    assert reason(filled) == "neither a code nor a text"
    assert reason(filled, "hoc phi", pattern="DH[0-9]+") == "payments.code_pattern finds no code in the text"
    assert reason(filled, "ck dh99", pattern="DH[0-9]+") == "no order has the code dh99"


@on_sqlite
def test_a_reason_names_only_the_first_of_many_orders(shop: Shop) -> None:
    many = [f"DH{number}{'0' * 55}" for number in range(10, 22)]
    add(shop, *many)

    told = reason(shop, " va ".join(many))

    assert told == f"12 orders in the text: {', '.join(many[:5])} and 7 more"
    assert len(told) <= 500


@on_sqlite
@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("ck DH3", "DH3"),
        ("ck dh 3", "DH3"),
        ("ck dh.3", "DH3"),
        ("ck D.H. 3 DH3", "DH3"),
        ("ma777 DH3", "DH3"),
        ("DH3 ORD2024001", "DH3"),  # the pattern does not find the other
        ("xDH3y", "DH3"),  # where a code begins and ends is the pattern's business
        ("DH3 DH4", None),
        ("DH3 DH9", "DH3"),
        ("DH9", None),
        ("hoc phi", None),
        ("ORD-2024-001", None),
    ],
)
def test_only_what_the_pattern_finds_is_looked_up(filled: Shop, text: str, order: str | None) -> None:
    assert named(filled, text, pattern=r"D\.?H[ .]*[0-9]+") == order


@on_sqlite
def test_a_pattern_may_have_a_group_and_find_digits(filled: Shop) -> None:
    assert named(filled, "don hang so 777 ngay 12", pattern="don hang so ([0-9]+)") == "777"
    assert named(filled, "don hang so 77 7", pattern="so ([0-9 ]+)") == "777"
    assert named(filled, "don 2024-001", pattern="[0-9]{4}-[0-9]{3}") == "2024-001"
    assert named(filled, "ck DH3", pattern="ma ([0-9]+)|DH[0-9]+") == "DH3"
    assert named(filled, "ck DH3", pattern="ck( *)") is None
    assert named(filled, "ck 700002", pattern="[0-9]+") is None
    assert named(filled, "ck ord2024001", pattern="ORD[0-9]+") == "ORD-2024-001"


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("text", ["ck dh 3 hoc phi", "ck D.H 3.", "MBVCB.1.dh.3.ck", "dh 3 ck dh3"])
def test_a_pattern_finds_a_code_into_which_the_bank_has_put_blanks(filled: Shop, text: str) -> None:
    assert named(filled, text, pattern="DH[0-9]+") == "DH3"


@on_sqlite
def test_the_field_comes_before_the_pattern(filled: Shop) -> None:
    assert named(filled, "DH4", code="777", pattern="DH[0-9]+") == "777"
    assert named(filled, "DH4", code="ORD9", pattern="DH[0-9]+") == "DH4"


@pytest.fixture
def deleting(shop: Shop) -> Shop:
    """A shop that has deleted DH2, DH12 and one of the two DH5."""
    shop.execute("DROP INDEX uq_orderctl_orders_order_code" + ("" if _is_sqlite(shop) else " ON orders"))
    shop.execute("CREATE INDEX codes ON orders (order_code)")
    shop.execute("ALTER TABLE orders ADD COLUMN deleted_at DATETIME NULL")
    add(shop, "DH1", "DH2", "DH3", "DH12", "DH5", "DH5", "DH6", "DH6", "DH7", "DH7")
    shop.execute("UPDATE orders SET deleted_at = '2026-02-02' WHERE order_code IN ('DH2', 'DH12', 'DH7')")
    shop.execute("UPDATE orders SET deleted_at = '2026-02-02' WHERE id = 700005")
    return _known_again(shop)


def _is_sqlite(shop: Shop) -> bool:
    return shop.engine.dialect.name == "sqlite"


def _known_again(shop: Shop) -> Shop:
    """Return the shop with a connection that knows its changed tables."""
    return Shop(database.connect(shop.engine.url.render_as_string(hide_password=False)))


def test_a_deleted_order_counts_only_if_no_other_is_named(deleting: Shop) -> None:
    try:
        for where in ("code", "content"):
            found = {
                text: ask(deleting, **{where: text})
                for text in ("DH2", "dh 2", "DH5", "DH6", "DH7", "DH2 DH3", "DH1 2")
            }
            assert found["DH2"] == found["dh 2"] == Found(700_002)
            assert found["DH5"] == Found(700_006)
            assert found["DH6"] == Found(None, "2 orders have the code DH6: 700007, 700008")
            assert found["DH7"] == Found(None, "2 orders have the code DH7: 700009, 700010")
            assert found["DH2 DH3"] == Found(700_003)
            # The deleted order was meant, not the one whose code is shorter.
            assert found["DH1 2"] == Found(700_004)
        assert ask(deleting, "ck DH3", code="DH2") == Found(700_002)
    finally:
        deleting.engine.dispose()


@on_sqlite
def test_codes_that_differ_in_nothing_that_banks_keep_are_not_guessed(shop: Shop) -> None:
    add(shop, "ORD-1", "ORD1", "ab7", "AB7", "X.9")

    assert reason(shop, "ord 1") == reason(shop, "ORD1") == "2 orders in the text: ORD-1, ORD1"
    assert reason(shop, "AB7") == "2 orders in the text: ab7, AB7"
    assert named(shop, code="ORD1") == "ORD1"
    assert named(shop, code="ab7") == "ab7"
    assert reason(shop, code="Ab7") == "2 orders in the text: ab7, AB7"
    assert named(shop, "x9") == "X.9"


@on_sqlite
def test_codes_with_other_characters_are_found_as_they_stand(shop: Shop) -> None:
    add(shop, "#A1", "A:2", "A+3", "B 4", "C#", "\u0110H5")

    assert named(shop, "ck #a1") == "#A1"
    assert named(shop, "A1") is None
    assert named(shop, "ck (a:2), cam on") == "A:2"
    assert named(shop, "a+3") == "A+3"
    assert named(shop, "b 4") == named(shop, "B4") == named(shop, "b-4") == "B 4"
    assert named(shop, "hoc C# nang cao") == "C#"


@on_sqlite
def test_a_code_at_the_end_of_a_cut_text_is_not_read(shop: Shop) -> None:
    add(shop, "DH1", "DH12", "DH123456")
    for length in range(MOST_CONTENT - 18, MOST_CONTENT + 1):
        before = ("hoc phi " * 200)[: length - 1] + " "
        for ending in ("DH123456", "DH 12 3456", "DH1 23456", "D H 1 2 3 4 5 6"):
            assert named(shop, before + ending) in {"DH123456", None}
    assert named(shop, "DH12 " + "hoc phi " * 200) == "DH12"
    assert named(shop, "hoc phi " * 120 + "DH12") == "DH12"


STRANGE = [
    "a1 " * 400,
    "a " * 500,
    "1 " * 500,
    "a1." * 400,
    "A" * 1000,
    "aB3xY9 " * 200,
    "\ufdfa" * 1000,
    "a\u0301" * 500,
    "".join(f"{chr(97 + n % 26)}{n} " for n in range(400)),
    "#a," * 400,
]


@on_sqlite
def test_the_work_for_a_strange_text_is_bounded(shop: Shop) -> None:
    add(shop, *SHOP, *(f"{initial}-0-0-0" for initial in "abcdefghijklmnopqrstuvwxyz0123456789"))
    asked: list[int] = []
    event.listen(shop.engine, "before_cursor_execute", lambda *heard: asked.append(len(heard[3])))

    for written in STRANGE:
        assert ask(shop, written, code=written[::-1]).order_id is None

    assert sum(asked) < len(STRANGE) * codes._MOST_SPELLINGS
    assert reason(shop, STRANGE[-2]) == "too many words of the text may be codes"


@on_sqlite
def test_each_query_walks_an_index(filled: Shop) -> None:
    heard: list[tuple[str, object]] = []
    event.listen(filled.engine, "before_cursor_execute", lambda *told: heard.append((told[2], told[3])))
    named(filled, "an ck dh 12 3456 hoc phi ord 2024 001", code="DH9")
    asked = [(sql, values) for sql, values in heard if "EXISTS" in sql or " IN (" in sql]

    with filled.engine.connect() as connection:
        plans = [
            row.detail
            for sql, values in asked
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)
        ]

    assert any("EXISTS" in sql for sql, _ in asked)
    assert any("INDEX uq_orderctl_orders_order_code" in plan for plan in plans)
    assert [plan for plan in plans if plan.startswith("SCAN orders")] == []


def test_a_column_of_sqlite_that_ignores_case() -> None:
    engine = create_engine("sqlite://")
    transfer = Transfer("plain", Decimal(1), content="ck dH 12 abc")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, order_code TEXT COLLATE NOCASE)"
        )
        for code, found in (("DH12", 1), ("dh12", 1), ("Zh12", None)):
            connection.exec_driver_sql("DELETE FROM orders")
            connection.exec_driver_sql("INSERT INTO orders VALUES (1, ?)", (code,))

            assert codes.find(connection, transfer, None).order_id == found
        for code in ("Zh-1", "zH-1"):
            connection.exec_driver_sql("UPDATE orders SET order_code = ?", (code,))

            assert codes.find(connection, Transfer("plain", content="ck ZH1"), None) == Found(1)
    engine.dispose()


def _plainly(order_codes: list[str], text: str) -> set[str]:
    """Return the codes that a text names, by a look at every order: the longest stretches of words."""
    by_key: dict[str, list[str]] = {}
    for code in order_codes:
        by_key.setdefault(re.sub("[-_./ ]", "", code).lower(), []).append(code)
    text = " ".join(text.split())
    words = list(re.finditer("[A-Za-z0-9]+", text))
    found = {
        (first.start(), last.end()): key
        for at, first in enumerate(words)
        for last in words[at:]
        if (key := re.sub("[-_./ ]", "", text[first.start() : last.end()]).lower()) in by_key
        if not re.search(r"[-_./] ?[-_./]|  ", text[first.start() : last.end()])
        if not key.isdigit() and not (key.isalpha() and " " in text[first.start() : last.end()])
    }
    longest = [
        key
        for (start, end), key in found.items()
        if not any(b <= start and end <= e and (b, e) != (start, end) for b, e in found)
    ]
    return {code for key in longest for code in by_key[key]}


_PREFIXES = st.sampled_from(["DH", "dh", "Dh", "O-", "ORD-", "ord_", "A", "ab.c", "HD/", ""])
_NUMBERS = st.from_regex(r"[0-3]{1,3}(?:-[0-3]{1,2})?", fullmatch=True)
_CODES = st.builds("".join, st.tuples(_PREFIXES, _NUMBERS))
_AROUND = st.lists(st.sampled_from(["ck", "hoc", "phi", "DH", "3", "12", "0", "a", "D"]), max_size=3).map(
    " ".join
)


@st.composite
def told(draw: st.DrawFn) -> tuple[list[str], str, str]:
    """A shop's codes, one of them as a customer or a bank tells it, and that one."""
    order_codes = draw(st.lists(_CODES, min_size=1, max_size=8, unique_by=str.lower))
    code = draw(st.sampled_from(order_codes))
    changed = draw(st.sampled_from([str, str.upper, str.lower, str.title]))(code)
    if draw(st.booleans()):
        changed = re.sub("[-_./]", draw(st.sampled_from(["", " ", "."])), changed)
    cuts = draw(st.lists(st.integers(0, len(changed)), max_size=2))
    for cut in sorted(cuts, reverse=True):
        changed = changed[:cut] + draw(st.sampled_from([" ", ".", "-"])) + changed[cut:]
    return order_codes, f"{draw(_AROUND)} {changed} {draw(_AROUND)}", code


@on_sqlite
def test_the_answer_is_what_a_look_at_every_order_gives(shop: Shop) -> None:
    @settings(max_examples=40)
    @given(told())
    def check(case: tuple[list[str], str, str]) -> None:
        order_codes, text, _ = case
        add(shop, *order_codes)

        wanted = _plainly(order_codes, text)

        assert named(shop, text) == (next(iter(wanted)) if len(wanted) == 1 else None)

    check()


@on_sqlite
def test_the_answer_is_the_order_that_was_told_or_none(shop: Shop) -> None:
    @settings(max_examples=40)
    @given(
        told(), st.sampled_from(["", "an ck ", "hoc phi: "]), st.sampled_from(["", " hoc phi", ", 3 thang"])
    )
    def check(case: tuple[list[str], str, str], before: str, after: str) -> None:
        order_codes, _, code = case
        add(shop, *order_codes)
        for written in (
            code,
            code.lower(),
            code.upper(),
            re.sub("[-_./]", "", code),
            re.sub("[-_./]", " ", code),
        ):
            assert named(shop, f"{before}{written}{after}") in {code, None}

    check()


#: The column of a shop, and whether its letters are the same in either case.
COLUMNS = {
    "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL": False,
    "VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NULL": True,
    "VARCHAR(32) CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL": True,
    "VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL": False,
    "VARCHAR(32) CHARACTER SET utf8mb3 COLLATE utf8mb3_bin NOT NULL": False,
}


@on_servers
def test_codes_in_the_columns_of_shops(shop: Shop) -> None:
    for column, ignores_case in COLUMNS.items():
        add(shop)
        shop.execute(f"ALTER TABLE orders MODIFY order_code {column}")
        there = _known_again(shop)
        add(there, "DH1", "DH12", "dh3", "Ord-2024-001", *(() if ignores_case else ("Dh3",)))

        for written in ("DH 12", "dh12", "DH1 2 khoa hoc", "ck th\u1ea1ch dh12 \U0001f600"):
            assert named(there, written) == named(there, code=written) == "DH12", (column, written)
        assert named(there, "ORD2024001") == named(there, code="ord-2024-001") == "Ord-2024-001", column
        assert named(there, code="dh3") == "dh3", column
        assert named(there, "DH3") == ("dh3" if ignores_case else None), column
        assert named(there, code="\u0111h12") is None, column
        there.engine.dispose()


@on_servers
@pytest.mark.parametrize("content", ["an ck dh 7 77 hoc phi thang 3 cam on", "a1 b2 " * 40])
def test_what_is_read_does_not_grow_with_the_number_of_orders(shop: Shop, content: str) -> None:
    rows.fill_orders(shop.engine, 2000)
    few = _rows_read(shop, content)
    rows.fill_orders(shop.engine, 8000, first=2001)

    assert _rows_read(shop, content) < few + 20
    assert few < 1000


def _rows_read(shop: Shop, content: str) -> int:
    """Return the number of rows and index entries that the server reads."""
    rows.analyze(shop.engine)
    transfer = Transfer("plain", Decimal(1), content=content).checked()

    def count(connection: Connection) -> int:
        status = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'").all()
        return sum(int(value) for _, value in status)

    with shop.engine.connect() as connection:
        codes.find(connection, transfer, None)
        start = count(connection)
        of_asking = count(connection) - start
        start = count(connection)
        codes.find(connection, transfer, None)
        return count(connection) - start - of_asking
