"""A shop with failed tasks, and the operations on them."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from sqlalchemy import select, update

from orderctl import broker, database, tasks
from orderctl.operations import making, reading, turns
from orderctl.operations.making import NewOperation
from orderctl.operations.records import Item, Kind, Operation
from orderctl.operations.turns import Turns
from orderctl.schema import operation_tasks, operations
from orderctl.states import EventType, TaskStatus
from orderctl.tasks import TaskFilter
from tests.shop import Shop

QUEUE = "orderctl"


class Bulk:
    """Operations of a shop; the name is ``op`` unless a test gives another one."""

    def __init__(self, shop: Shop, client: redis.Redis) -> None:
        self.shop = shop
        self.client = client
        self.turns = Turns(shop.engine, QUEUE)

    def failed(self, number: int, code: str = "DH1") -> list[int]:
        """Add a paid order whose tasks have failed, and return their ids."""
        ids = self.shop.paid(code, number)
        wanted = ", ".join(map(str, ids))
        self.shop.execute(
            "UPDATE download_tasks SET status = 'failed', attempt = 3, error_type = 'NETWORK', ready = 0"
            f" WHERE id IN ({wanted})"
        )
        self.shop.execute(f"UPDATE orders SET order_status = 'failed' WHERE order_code = '{code}'")
        return ids

    def make(self, ids: list[int] | None = None, *, name: str | None = "op", **more: Any) -> Operation:
        """Make an operation on the failed tasks, or on some of them."""
        wanted = TaskFilter(ids=ids) if ids else TaskFilter(statuses=(TaskStatus.FAILED,))
        chosen = self.shop.read(lambda c: tasks.choose(c, wanted, limit=10_000))[::-1]
        new = NewOperation(more.pop("kind", Kind.RETRY), "anna@desk", name, max_attempts=3, **more)
        made = making.make(self.shop.engine, new, chosen)
        assert made is not None
        return made

    def turn(self, times: int = 1) -> None:
        """Take turns of a supervisor; each changes what is due, and looks what has become of the tasks."""
        for _ in range(times):  # on a busy machine a turn is over before what is due after the last one
            self.turns._carry_at.clear()
            self.turns._look_at.clear()
            self.turns.turn(self.client)

    def now(self, name: str = "op") -> Operation:
        return self.shop.read(lambda c: reading.find(c, name))

    def items(self, operation: Operation) -> dict[int, Item]:
        names = [operation_tasks.c[name] for name in Item.__slots__]
        query = select(*names).where(operation_tasks.c.operation_id == operation.id)
        rows = self.shop.read(lambda c: c.execute(query).mappings().all())
        return {row["task_id"]: Item(**row) for row in rows}

    def states(self, operation: Operation) -> list[str]:
        return [item.state for _, item in sorted(self.items(operation).items())]

    def retries(self) -> dict[int, int]:
        """Return how many events tell of a retry, by task."""
        found: dict[int, int] = {}
        for order in self.shop.order_rows():
            for event in self.shop.events(order.id):
                if event.event_type == EventType.TASK_RETRIED and event.task_id is not None:
                    found[event.task_id] = found.get(event.task_id, 0) + 1
        return found

    def statuses(self, ids: list[int]) -> list[str]:
        rows = {row.id: row.status for row in self.shop.task_rows()}
        return [rows[one] for one in ids]

    def forget_lease(self, seconds: float = 60) -> None:
        """Let the leases of all operations end."""
        self.write(lease_until=database.utc_now(-seconds))

    def write(self, **values: Any) -> None:
        self.shop.transact(lambda c: c.execute(update(operations).values(values)))


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    yield (client := broker.brisk(redis_url))
    client.close()


@pytest.fixture
def bulk(shop: Shop, client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Bulk:
    monkeypatch.setattr(turns, "TURN_SECONDS", 0.08)
    return Bulk(shop, client)
