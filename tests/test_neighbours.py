"""Messages of another shop on the same Redis server."""

import pytest

from orderctl import neighbours
from orderctl.channels import Scope
from orderctl.neighbours import Neighbours
from tests.shop import Shop


def look(shop: Shop, heard: Neighbours) -> list[tuple[Scope, int]]:
    return shop.read(heard.look)


def test_what_two_looks_miss_in_the_database_is_another_shops(shop: Shop) -> None:
    shop.paid()
    heard = Neighbours()
    foreign = [(Scope.ORDER, 7), (Scope.TASK, 2**63 + 1), (Scope.TASK, 9)]

    for scope, number in [(Scope.ORDER, 1), (Scope.TASK, 1), *foreign]:
        heard.note(scope, number)

    assert look(shop, heard) == []
    assert look(shop, heard) == foreign
    assert look(shop, heard) == []


@pytest.mark.databases("sqlite")
def test_an_order_that_a_replica_shows_late_is_not(shop: Shop) -> None:
    heard = Neighbours()
    heard.note(Scope.ORDER, 1)

    assert look(shop, heard) == []
    shop.add()

    assert look(shop, heard) == []


@pytest.mark.databases("sqlite")
def test_a_deleted_order_is_the_shops_own(shop: Shop) -> None:
    order = shop.add()
    shop.soft_delete("orders", order)
    heard = Neighbours()
    heard.note(Scope.ORDER, order)

    assert look(shop, heard) == look(shop, heard) == []


@pytest.mark.databases("sqlite")
def test_a_storm_of_messages_is_not_kept(shop: Shop) -> None:
    heard = Neighbours()

    for number in range(1, 1000):
        heard.note(Scope.TASK, number)
    look(shop, heard)

    assert len(look(shop, heard)) == 100


def test_the_warning_names_three_and_says_what_to_do() -> None:
    said = neighbours.warning([(Scope.TASK, number) for number in range(1, 6)])

    assert "task 1, task 2, task 3 ..., which" in said
    assert "redis.prefix" in said
