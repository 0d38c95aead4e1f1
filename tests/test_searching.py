from functools import partial

import pytest

from orderctl import listing, searching
from orderctl.listing import OrderFilter
from tests.shop import Shop


def _found(shop: Shop, part: str, limit: int = 50, **more: object) -> list[str]:
    """Return the codes of all pages."""
    wanted, codes, cursor = OrderFilter(search=part, **more), [], None
    while True:
        page = shop.read(partial(listing.page, wanted=wanted, limit=limit, after=cursor))
        codes += [order.order_code for order in page.orders]
        cursor = page.cursor
        if cursor is None:
            return codes


@pytest.fixture
def filled(shop: Shop) -> Shop:
    for code, email in (
        ("DH70025", "an@example.com"),
        ("dh70026", "Binh@example.com"),
        ("X%Y_1!", "binh@other.example"),
        ("A-70025-B", "chi@example.com"),
    ):
        shop.add(code, email=email)
    return shop


@pytest.mark.parametrize(
    ("part", "codes"),
    [
        ("DH70025", ["DH70025"]),
        ("dH", ["dh70026", "DH70025"]),
        ("70025", ["A-70025-B", "DH70025"]),
        ("BINH", ["X%Y_1!", "dh70026"]),
        ("binh@example.com", ["dh70026"]),
        ("%", ["X%Y_1!"]),
        ("Y_", ["X%Y_1!"]),
        ("Y!", []),
        ("1!", ["X%Y_1!"]),
        ("é", []),
        ("nope", []),
    ],
)
def test_finds_orders_by_a_part_of_code_or_address(filled: Shop, part: str, codes: list[str]) -> None:
    assert _found(filled, part) == codes


def test_finds_an_order_by_its_id_too(shop: Shop) -> None:
    order_id = shop.add("DHX")

    assert _found(shop, str(order_id)) == ["DHX"]
    assert _found(shop, "9" * 30) == []


def test_pages_of_a_search_follow_each_other_and_keep_to_the_filter(shop: Shop) -> None:
    for number in range(7):
        shop.add(f"DH{number}", email=f"{number % 2}@example.com")
    shop.paid("DH7")

    assert _found(shop, "dh", limit=3) == [f"DH{number}" for number in range(7, -1, -1)]
    assert _found(shop, "dh", limit=1, email="1@example.com") == ["DH5", "DH3", "DH1"]
    assert _found(shop, "dh", paid=True) == ["DH7"]
    assert _found(shop, "dh", statuses=["cancelled"]) == []


def test_beyond_the_newest_orders_it_finds_beginnings_only(
    filled: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert filled.read(searching.is_complete)
    monkeypatch.setattr(searching, "NEWEST", 2)

    assert not filled.read(searching.is_complete)
    assert _found(filled, "70025") == ["A-70025-B"]  # the other one contains it, and is old
    assert _found(filled, "dh7002") == ["dh70026", "DH70025"]  # of the cases in which codes are written
    assert _found(filled, "an@") == ["DH70025"]


@pytest.mark.parametrize("part", ["İst", "ÉT"])
def test_a_part_of_an_address_in_other_letters_finds_itself(shop: Shop, part: str) -> None:
    shop.add("DHX")
    shop.execute(f"UPDATE orders SET user_email = 'a{part}b@example.com'")
    assert _found(shop, part) == ["DHX"]
