"""Customers and an admin of the shop, who order, pay and retry during the run, and note their answers."""

import json
import random
import threading
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy import Engine, func, select

from orderctl import database, orders, tasks
from orderctl.errors import Conflict, DatabaseUnavailable, OrderctlError
from orderctl.orders import NewCourse, NewOrder
from orderctl.payments import intake
from orderctl.payments.transfer import MANUAL, Transfer
from orderctl.schema import orders as orders_table
from orderctl.states import ENDED_ORDER, TaskStatus
from tests.faults.chaos.history import Answer, Asked, History
from tests.faults.world import World
from tests.shop import AMOUNT, RULES, TESTER

#: Most orders that are open at a time.
OPEN = 8
COURSES = 4
#: The fraction of orders of which a failed task is retried.
RETRIES = 0.15


class Customers:
    """Orders and pays in a thread.

    Args:
        world: The shop.
        outside: The same shop, its servers as the customers reach them.
        history: Where the answers go.
        seed: Of what they order.
    """

    def __init__(self, world: World, outside: World, history: History, *, seed: int) -> None:
        self._world = world
        self._outside = outside
        self._history = history
        self._seed = seed
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._order_on, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def leave(self) -> None:
        """Wait until the last one has got an answer."""
        self._over.set()
        self._thread.join()

    def _order_on(self) -> None:
        chance = random.Random(self._seed)
        number = 0
        engine = database.connect(self._outside.database_url, pool_size=1)
        while not self._over.wait(0.1):
            if self._open_orders() >= OPEN:
                continue
            number += 1
            good, bad = chance.randint(1, 2), chance.randint(0, 4) // 4
            code = f"{self._history.shop}{number}"
            asked = self._history.orders[code] = Asked(code, good, bad)
            asked.added = self._add(engine, asked, chance)
            asked.paid = self._pay(engine, asked)
            if asked.paid is Answer.OK:
                self._ring(engine, asked)
            if chance.random() < RETRIES:
                self._retry(engine, chance)
        engine.dispose()

    def _retry(self, engine: Engine, chance: random.Random) -> None:
        """Retry a failed task as an admin; it fails again, and its order ends another time."""
        try:
            with database.reading(engine) as connection:
                failed = tasks.select_tasks(connection, tasks.TaskFilter(statuses=[TaskStatus.FAILED]))
            if not failed:
                return
            task = chance.choice(failed)
            database.transact(engine, lambda c: tasks.retry(c, task.id, max_attempts=10_000, actor="shop"))
        except OrderctlError:
            self._history.weather.other["retry without an answer"] += 1
        else:
            self._history.retried[task.id] = max(self._history.retried.get(task.id, 0), task.attempt)

    def _add(self, engine: Engine, asked: Asked, chance: random.Random) -> Answer:
        base = self._world.courses.url
        urls = [f"{base}/course{chance.randrange(COURSES)}/course.json" for _ in range(asked.good)]
        urls += [f"{base}/missing/course.json"] * asked.bad
        new = NewOrder(asked.code, f"{asked.code}@example.com", AMOUNT, [NewCourse(url) for url in urls])
        return self._ask(engine, lambda c: orders.add(c, new, max_attempts=10_000, actor="customer"))

    def _pay(self, engine: Engine, asked: Asked) -> Answer:
        """Send a bank's payment until it is answered, at most three times."""
        transfer = Transfer(MANUAL, AMOUNT, provider_id=f"T-{asked.code}", bank="ACB")
        answer = Answer.UNKNOWN
        for _ in range(3):
            answer = self._ask(engine, lambda c: intake.pay(c, asked.code, transfer, RULES, TESTER))
            if answer is not Answer.UNKNOWN:
                break
        return answer

    def _ask(self, engine: Engine, work: Callable[[object], object]) -> Answer:
        try:
            database.transact(engine, work)
        except DatabaseUnavailable:
            return Answer.UNKNOWN
        except Conflict:
            return Answer.OK  # the previous payment, whose answer was lost
        except OrderctlError:
            return Answer.FAILED
        return Answer.OK

    def _ring(self, engine: Engine, asked: Asked) -> None:
        """Send doorbells as ``orders pay`` does; a keeper sends the ones that are lost."""
        found: list[tuple[int, int]] = []
        with suppress(OrderctlError), database.reading(engine) as connection:
            order = orders.find(connection, asked.code)
            found = [(task.id, task.attempt) for task in tasks.of_orders(connection, [order.id])]
        rung = self._world.stage.play("ring", json.dumps(found), self._outside.environment)
        if rung.returncode or not found:
            error = rung.stderr.strip().rpartition("\n")[2].partition(":")[0] or "no answer of the database"
            self._history.weather.other[f"not rung by the customer: {error}"] += 1

    def _open_orders(self) -> int:
        try:
            with database.reading(self._world.engine) as connection:
                query = select(func.count()).where(orders_table.c.order_status.not_in(ENDED_ORDER))
                return connection.execute(query).scalar_one()
        except OrderctlError:
            return OPEN
