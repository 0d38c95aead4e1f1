"""How a request proves who sent it."""

import hashlib
import hmac

import pytest

from orderctl.payments.providers import signing

KEY = "a-key-of-the-shop-1"
SCHEMES = ("apikey", "bearer")


@pytest.mark.parametrize(
    "header",
    [
        f"Apikey {KEY}",
        f"apikey {KEY}",
        f"APIKEY   {KEY}  ",
        f"  Apikey\t{KEY}",
        f"Bearer {KEY}",
        f"Basic abc, Apikey {KEY}",
        f"Apikey wrong,Apikey {KEY}",
    ],
)
def test_a_key_is_found_behind_its_scheme(header: str) -> None:
    assert signing.is_key(header, KEY, SCHEMES)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "   ",
        ",",
        "Apikey",
        "Apikey ",
        KEY,
        f"Basic {KEY}",
        "Apikey x," * 5000 + f"Apikey {KEY}",
        f"Apikey{KEY}",
        f"Apikey {KEY}x",
        f"Apikey {KEY[:-1]}",
        f"Apikey {KEY.upper()}",
        f"Apikey {KEY}\u0111",
        "Apikey \ud800",
        "Apikey \xff\xfe",
    ],
)
def test_another_header_is_not_the_key(header: str | None) -> None:
    assert not signing.is_key(header, KEY, SCHEMES)


@pytest.mark.parametrize("key", [None, ""])
@pytest.mark.parametrize("header", [None, "", "Apikey ", "Apikey None", "None"])
def test_without_a_key_nothing_is_it(header: str | None, key: str | None) -> None:
    assert not signing.is_key(header, key, SCHEMES)
    assert not signing.is_key(header, key)


def test_a_key_may_have_commas_and_blanks() -> None:
    assert signing.is_key("Apikey one, two, three", "one, two, three", SCHEMES)
    assert signing.is_key("one, two, three", "one, two, three")


def test_a_signature_is_that_of_the_message() -> None:
    digits = hmac.new(KEY.encode(), b"5.{}", hashlib.sha256).hexdigest()

    assert signing.is_signature(f" {digits.upper()} ", KEY, "5", b"{}", "sha256")
    assert not signing.is_signature(digits, KEY, "5", b"{ }", "sha256")
    assert not signing.is_signature(digits, KEY + "x", "5", b"{}", "sha256")
    assert not signing.is_signature(digits, KEY, "5", b"{}", "sha512")
    assert not signing.is_signature(digits, KEY, "5\ud800", b"{}", "sha256")
    for odd in ("", "\ud800", "đ" * 64, digits[:-1], digits + "0"):
        assert not signing.is_signature(odd, KEY, "5", b"{}", "sha256")


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("t=5,v1=ab", [("5", "ab")]),
        (" t=5 , v1=ab ", [("5", "ab")]),
        ("t=5,v1=ab,v1=cd,v0=ef", [("5", "ab"), ("5", "cd")]),
        ("t=5,v1=ab, t=6,v1=cd", [("5", "ab"), ("6", "cd")]),
        ("v1=ab,t=5", []),
        ("t=,v1=ab", []),
        ("t=5", []),
        ("t=5" + ",v1=a" * 5000, [("5", "a")] * 7),
        ("", []),
        (None, []),
        ("=,=,,t", []),
    ],
)
def test_a_header_of_signatures(header: str | None, found: list[tuple[str, str]]) -> None:
    assert signing.stamps(header) == found


@pytest.mark.parametrize(
    ("time", "is_recent"),
    [
        ("1000", True),
        ("700", True),
        ("1300", True),
        ("699", False),
        ("1301", False),
        ("-1000", False),
        ("1e3", False),
        ("1000.0", False),
        ("\u0661\u0660\u0660\u0660", False),
        ("", False),
        ("9" * 5000, False),
    ],
)
def test_a_time_is_at_most_five_minutes_off(time: str, is_recent: bool) -> None:
    assert signing.is_recent(time, 1000.0) is is_recent
