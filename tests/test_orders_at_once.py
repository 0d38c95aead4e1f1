"""Orders that are added at the same time, where the shop's table does not have a unique code."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from orderctl import database, migrate, orders
from orderctl.errors import Conflict
from tests.migrate.gallery import STYLES, run
from tests.shop import Shop


@pytest.mark.databases("mariadb", "mysql")
def test_two_that_add_the_same_code_at_once_to_a_table_without_a_unique_code(engine: Engine) -> None:
    STYLES["strange_rows"].load(engine)
    migrate.up(engine)
    shops = [Shop(database.connect(engine.url.render_as_string(False))) for _ in range(4)]

    def add(shop: Shop) -> bool:
        try:
            shop.add("NEW1")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(len(shops)) as pool:
        added = list(pool.map(add, shops))

    assert sorted(added) == [False, False, False, True]
    for shop in shops:
        shop.engine.dispose()


@pytest.mark.databases("mariadb", "mysql")
def test_order_that_is_added_does_not_make_the_shop_wait(engine: Engine) -> None:
    STYLES["sequelize"].load(engine)
    migrate.up(engine)
    new = orders.NewOrder("NEW1", "a@example.com", Decimal(1), [orders.NewCourse("http://x.example/1")])

    with engine.begin() as connection:
        orders.add(connection, new, max_attempts=1, actor="tester")
        run(engine, STYLES["sequelize"].order)
