"""Which lines are one transfer."""

from __future__ import annotations

from orderctl.payments import statements
from orderctl.payments.statements import Options, Statement

HEADER = "date,credit,debit,ref,id,content\n"


def read(*lines: str) -> Statement:
    return statements.read((HEADER + "\n".join(lines)).encode(), Options())


def keys(*lines: str) -> list[str]:
    return [line.key for line in read(*lines).lines]


def test_an_exact_repeat_is_left_out():
    found = read("13/11/2026,5,,FT1,,a", "13/11/2026,6,,FT2,,a", "13/11/2026,5.00,,FT1,,a")

    assert [line.number for line in found.lines] == [2, 3]
    assert found.repeated == (4,)


def test_equal_lines_without_a_name_are_two_transfers():
    one, other = keys("13/11/2026,5,,,,a", "13/11/2026,5,,,,a")

    assert one != other
    assert {one[:7], other[:7]} == {"sha256:"}
    assert keys("12/11/2026,5,,,,a", "13/11/2026,5.00,,,,a", "13/11/2026,5,,,,a")[1:] == [one, other]


def test_a_fee_with_the_reference_of_its_transfer_has_a_key_of_its_own():
    transfer, fee = keys("13/11/2026,5,,FT26317001,,a", "13/11/2026,,1,FT26317001,,fee")

    assert transfer == "FT26317001"
    assert fee.startswith("sha256:")


def test_a_short_number_that_begins_anew_is_no_key():
    this_year, last_year = keys("13/11/2026,5,,4321,,a")[0], keys("13/11/2025,5,,4321,,a")[0]

    assert this_year != last_year
    assert keys("13/11/2026,5,,4321,,a") == [this_year]


def test_different_transfers_of_one_reference_have_keys_of_their_own():
    found = read("13/11/2026,5,,FT1,,a", "13/11/2026,6,,FT1,,a")

    assert len({line.key for line in found.lines}) == 2
    assert {line.names for line in found.lines} == {("FT1",)}


def test_what_many_transfers_are_called_is_the_name_of_none():
    lines = [f"13/11/2026,{amount},,TRANSFER,{amount},a" for amount in (5, 6, 7)]
    found = read(*lines, "13/11/2026,8,,TRANSFER,,a", "13/11/2026,8,,TRANSFER,,a")

    assert [line.names for line in found.lines] == [("5",), ("6",), ("7",), (), ()]
    assert len({line.key for line in found.lines}) == 5
    assert found.repeated == ()
    assert found.remarks == ("1 reference of several transfers each identify none: 'TRANSFER'",)
