import pytest

from orderctl import orders, references
from orderctl.errors import InvalidInput, OrderNotFound
from tests.shop import Shop


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("70025", "order '70025' not found; similar: 'DH70025'"),
        ("dh70025", "order 'dh70025' not found; similar: 'DH70025', 'DH70052'"),
        ("DH7025", "order 'DH7025' not found; similar: 'DH70025', 'DH70052'"),
        ("DH70025X", "order 'DH70025X' not found; similar: 'DH70025', 'DH70052'"),
        ("zebra", "order 'zebra' not found"),
        ("x" * 1000, f"order 'x{'x' * 78}... (1,002 characters) not found"),
        ("😀", "order '😀' not found"),
    ],
)
def test_an_order_that_does_not_exist_is_answered_with_similar_codes(
    shop: Shop, typed: str, said: str
) -> None:
    for code in ("DH70025", "DH70052", "A1"):
        shop.add(code)

    with pytest.raises(OrderNotFound) as caught:
        shop.read(lambda c: orders.find(c, typed))

    assert str(caught.value) == said
    similar = "similar" in said
    assert caught.value.hint == ("orderctl orders show DH70025" if similar else "orderctl orders list")


def test_an_address_names_the_only_order_of_a_customer(shop: Shop) -> None:
    order_id = shop.add("DH1", email="one@example.com")
    shop.add("DH2", email="two@example.com")
    shop.add("DH3", email="two@example.com")

    assert shop.read(lambda c: references.find(c, "One@Example.com")).id == order_id
    with pytest.raises(InvalidInput, match=r"^'two@example\.com' has several orders: DH3, DH2$"):
        shop.read(lambda c: references.find(c, "two@example.com"))
    with pytest.raises(OrderNotFound):
        shop.read(lambda c: references.find(c, "three@example.com"))
    with pytest.raises(OrderNotFound):  # what changes something takes no address
        shop.read(lambda c: orders.find(c, "one@example.com"))
