"""What is known of an order, or of one of its tasks, when it is asked why it hangs. Each is asked for once, and lazily."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property

import redis
from sqlalchemy import Connection, select

from orderctl import broker, crews, database, deletion, orders, tasks, waiting_reasons
from orderctl.crews import Client, Sight
from orderctl.errors import OrderctlError, RedisUnavailable
from orderctl.orders import Order
from orderctl.outgoing import Message
from orderctl.schema import download_tasks
from orderctl.schema import orders as orders_table
from orderctl.settings import Settings
from orderctl.states import ENDED_ORDER, UNFINISHED, WAITING, PaymentStatus
from orderctl.tasks import Task
from orderctl.waits import Cause, Reason
from orderctl.why import post
from orderctl.worker.fleet import supervisor_of

#: Most ids of tasks that are looked for which the shop has deleted.
_MOST_DELETED = 100


class Scene:
    """An order with its tasks, and the stores that tell of them.

    Args:
        connection: A connection for reading.
        client: Redis; None: it is the embedded one, and does not run; an error: it does not answer.
        settings: All settings.
        order: The order, also a deleted one; None: the task is an orphan.
        tasks: Its tasks, without those that the shop has deleted; of an orphan only that one.
        task: The task that was asked about; None: the order was.

    Attributes:
        asked: What was asked about: the task, or all tasks of the order.
    """

    def __init__(
        self,
        connection: Connection,
        client: Client,
        settings: Settings,
        *,
        order: Order | None,
        tasks: Sequence[Task],
        task: Task | None = None,
    ) -> None:
        self.connection = connection
        self._client = client
        self.settings = settings
        self.order = order
        self.tasks = tasks
        self.task = task
        self.asked: Sequence[Task] = tasks if task is None else (task,)

    @cached_property
    def client(self) -> Client:
        """Redis, as it was given; an error if it does not answer, so that it is waited for once."""
        if isinstance(self._client, redis.Redis):
            try:
                broker.ping(self._client)
            except RedisUnavailable as error:
                if "does not answer" in str(error):
                    return error
            except OrderctlError:
                pass  # the right to PING may be missing; what is needed is looked at by the link ``queue``
        return self._client

    @property
    def redis(self) -> redis.Redis | None:
        """Redis; None: it is the embedded one, and does not run.

        Raises:
            OrderctlError: It is known that it does not answer.
        """
        if isinstance(self.client, OrderctlError):
            raise self.client
        return self.client

    @property
    def take_all(self) -> bool:
        """Whether orderctl's workers also take the tasks of the shop's own."""
        return self.settings.worker.take == "all"

    @property
    def is_paid(self) -> bool:
        """Whether the order is paid."""
        return self.order is not None and self.order.payment_status == PaymentStatus.PAID

    @property
    def has_ended(self) -> bool:
        """Whether the order has ended, as its status tells."""
        return self.order is not None and self.order.order_status in ENDED_ORDER

    @property
    def may_run(self) -> bool:
        """Whether the order is paid, open and not deleted, so that its tasks may be carried out."""
        order = self.order
        return order is not None and self.is_paid and not order.deleted and orders.is_unended(order)

    @cached_property
    def now(self) -> datetime:
        """The database's time, as all times of leases and attempts are."""
        found: datetime = self.connection.execute(select(database.utc_now())).scalar_one()
        return found

    @cached_property
    def sight(self) -> Sight:
        """The workers of the queue, as Redis knows them."""
        return crews.look(self.connection, self.client, self.settings)

    @cached_property
    def waiting(self) -> Sequence[Task]:
        """Those tasks that were asked about which a worker may take, at once or when they are due."""
        if not self.may_run:
            return ()
        ours = (one for one in self.asked if one.managed or self.take_all)
        return [one for one in ours if one.status in WAITING and one.lease_token is None]

    @cached_property
    def needs_worker(self) -> bool:
        """Whether a worker has to take a task, or has to take one over from a worker that was lost."""
        return bool(self.waiting) or any(self._is_lost(one) for one in self.asked)

    def _is_lost(self, task: Task) -> bool:
        if task.status not in UNFINISHED or task.lease_token is None or task.lease_until is None:
            return False
        if task.lease_until < self.now:
            return True
        alive = self.sight.alive
        return task.worker is not None and alive is not None and supervisor_of(task.worker) not in alive

    def is_due(self, task: Task) -> bool:
        """Whether the time of a task that waits has come."""
        return task.available_at is None or task.available_at <= self.now

    def said_of(self, task: Task, cause: Cause | None = None) -> str | None:
        """Return why a task waits, for people, if that is known, and is of this cause; None: of any."""
        reason = self.reasons.get(task.id)
        return None if reason is None or (cause is not None and reason.cause is not cause) else reason.text

    @cached_property
    def reasons(self) -> Mapping[int, Reason]:
        """Why each of the tasks that were asked about waits, by its id."""
        return waiting_reasons.of_tasks(
            self.connection, self.client, self.settings, self.asked, known=self.sight
        )

    @cached_property
    def messages(self) -> Sequence[Message]:
        """The messages of the order's newest end, and what was not sent of its tasks, newest first."""
        if self.order is None:
            return ()
        return post.find(self.connection, self.order, [task.id for task in self.tasks])

    @cached_property
    def deleted_tasks(self) -> Sequence[int]:
        """The ids of tasks of the order that the shop has deleted; at most 100."""
        if self.order is None or not deletion.is_recorded(self.connection.dialect, download_tasks):
            return ()
        task = download_tasks.c
        query = select(task.id).where(task.order_id == self.order.id, deletion.is_deleted(download_tasks))
        return self.connection.execute(query.order_by(task.id).limit(_MOST_DELETED)).scalars().all()


def of_order(connection: Connection, client: Client, settings: Settings, order_id: int) -> Scene:
    """Return the scene of an order, also of one that the shop has deleted.

    Raises:
        OrderNotFound: There is no such order.
    """
    found = _order(connection, order_id)
    if found is None:
        orders.get(connection, order_id)  # raises what every command says of it
    its = tasks.of_orders(connection, [order_id])
    return Scene(connection, client, settings, order=found, tasks=its)


def of_task(connection: Connection, client: Client, settings: Settings, task_id: int) -> Scene:
    """Return the scene of a task, also of an orphan, or of a deleted order.

    Raises:
        TaskNotFound: There is no such task, or the shop has deleted it.
    """
    order_id = connection.execute(
        select(download_tasks.c.order_id).where(download_tasks.c.id == task_id)
    ).scalar()
    its = [] if order_id is None else tasks.of_orders(connection, [order_id])
    task = next((one for one in its if one.id == task_id), None)
    if task is None:
        task = tasks.find(connection, task_id)
    order = _order(connection, task.order_id)
    return Scene(connection, client, settings, order=order, tasks=its if order else [task], task=task)


def _order(connection: Connection, order_id: int) -> Order | None:
    return next(iter(orders.select_orders(connection, orders_table.c.id == order_id)), None)
