"""How an order's code may be meant by a text."""

import re

import pytest

from orderctl.payments import readings


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("  an  ck\tDH3\n", "an ck DH3"),
        ("\uff24\uff28\uff13", "DH3"),
        ("D\u200bH\ufeff3\u00ad", "DH3"),
        ("DH\u20133\u22124", "DH-3-4"),
        ("DH\u0663", "DH3"),
        ("Nguye\u0302\u0303n", "Nguy\u1ec5n"),
        ("a\u0323\u200d\u0302", "\u1ead"),
        ("DH3\x00\ud800", "DH3"),
        ("", ""),
    ],
)
def test_a_text_is_made_plain(text: str, plain: str) -> None:
    assert readings.plain(text) == plain
    assert readings.plain(plain) == plain


@pytest.mark.parametrize("text", ["ORD-2024-001", "ord_2024.001", "Ord 2024/001", "O R D 2-0-2-4 0 0 1"])
def test_what_means_one_code_has_one_key(text: str) -> None:
    assert readings.key(text) == "ord2024001"


def spelled(text: str, *codes: str) -> dict[str, frozenset[str]]:
    forms = readings.forms(codes)
    return {reading.part: reading.spellings for reading in readings.of(text, readings.initials(text), forms)}


def test_words_are_read_alone_and_together() -> None:
    found = spelled("ck dh 3, ab")

    assert set(found) == {"ck", "ck dh 3", "dh", "dh 3", "ab", "3,"} - {"3,"}
    assert found["dh 3"] == {"dh 3", "dh3", "dh-3", "dh_3", "dh.3", "dh/3"}


def test_separators_are_where_the_shops_codes_have_them() -> None:
    assert spelled("X2024001", "ORD-2024-001", "DH1") == {"X2024001": {"X2024001"}}
    assert spelled("ABC2024001", "ORD-2024-001", "DH1")["ABC2024001"] == {"ABC2024001", "ABC-2024-001"}
    assert spelled("ORD202401", "ORD-2024-1")["ORD202401"] == {"ORD202401", "ORD-2024-01"}
    assert spelled("ORD2024", "ORD-2024-1")["ORD2024"] == {"ORD2024"}


def test_only_words_with_which_a_code_may_begin_are_read() -> None:
    assert [reading.part for reading in readings.of("an ck DH 3", {"d"})] == ["DH", "DH 3"]


def test_a_pattern_is_read_as_a_whole() -> None:
    found = list(readings.matches("so 7 7, dh.3", re.compile(r"so ([0-9 ]+)|dh\.[0-9]")))

    assert [(reading.part, reading.key) for reading in found] == [("7 7", "77"), ("dh.3", "dh3")]
    assert {"7 7", "77"} <= found[0].spellings


@pytest.mark.parametrize(
    ("spelling", "cases"),
    [
        ("3", {"3"}),
        ("d3", {"d3", "D3"}),
        ("dH3", {"dh3", "dH3", "Dh3", "DH3"}),
        ("hocPHI7", {"hocPHI7"}),
        ("abcd-eFg", {"abcd-eFg", "abcd-efg", "ABCD-EFG", "Abcd-efg", "Abcd-Efg"}),
    ],
)
def test_letters_are_read_in_either_case(spelling: str, cases: set[str]) -> None:
    found = readings.cases(spelling)

    assert found >= cases
    assert len(found) == len(cases) or (spelling.isalnum() and len(found) == 64)


def test_codes_in_a_word_of_another_are_within_it() -> None:
    one, longer = (next(readings.of(text, {"d"})) for text in ("DH1", "DH12"))

    assert one.is_within(longer)
    assert not longer.is_within(one)
    assert not one.is_within(one)
