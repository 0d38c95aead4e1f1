"""Rules that hold for every change of status."""

from orderctl import lifecycle, tasks
from orderctl.audit import Origin
from orderctl.lifecycle import Move
from orderctl.states import EventType, Source, TaskStatus
from tests.shop import Shop

GIVE_UP = Move(TaskStatus.CANCELLED, EventType.TASK_CANCELLED, Origin(Source.CLI, "a"), words={"because": ""})


def test_task_that_has_moved_since_it_was_read_is_not_written(shop: Shop) -> None:
    [task_id] = shop.paid()
    order, stale = shop.transact(lambda c: lifecycle.hold(c, task_id))
    shop.claimed(task_id)
    before, size = shop.task_row(task_id), shop.log_size()

    fence = lifecycle.unchanged(stale)
    moved = shop.transact(lambda c: lifecycle.move(c, stale, GIVE_UP, fence, order))

    assert moved is None
    assert (shop.task_row(task_id), shop.log_size()) == (before, size)


def test_end_of_an_order_names_the_admin_and_not_a_worker(shop: Shop) -> None:
    [done], [given_up] = shop.paid("DH1"), shop.paid("DH2")
    shop.carry_out(done)
    shop.transact(lambda c: tasks.cancel(c, given_up, actor="admin"))

    ends = [
        shop.event(shop.order(code).id, event)
        for code, event in (("DH1", "order_completed"), ("DH2", "order_cancelled"))
    ]

    assert [(end.source, end.actor) for end in ends] == [("orderctl_worker", None), ("orderctl_cli", "admin")]
