"""Why an order has no end, or one that leaves work undone."""

import pytest

from orderctl.states import ENDED_ORDER, ErrorType, EventType
from orderctl.why.chain import Link, State
from tests.faults.world import World
from tests.why.asking import ask, carry_out, command_of, first, step

pytestmark = pytest.mark.databases("sqlite")

ENDS = (EventType.ORDER_COMPLETED, EventType.ORDER_FAILED, EventType.ORDER_CANCELLED)


def test_every_task_has_ended_and_the_order_has_not(world: World) -> None:
    world.shop.paid("DH1", 2)
    world.shop.execute("UPDATE download_tasks SET status = 'completed'")
    answer = first(world)
    assert (answer.link, answer.state, answer.cause) == (Link.END, State.BROKEN, "not-ended")
    assert answer.evidence == ("tasks: 2 completed", "status of the order: pending")
    carry_out(world, command_of(answer))
    assert world.shop.order("DH1").order_status == "completed"
    assert step(ask(world), Link.END).state is State.HOLDS


def test_the_shop_has_told_an_end_and_not_written_its_status(world: World) -> None:
    for event in ENDS:
        world.shop.paid(event)
        world.shop.execute("UPDATE download_tasks SET status = 'completed'")
        world.shop.record(world.shop.order(event).id, event)
        answer = first(world, event)
        assert (answer.link, answer.cause) == (Link.END, "end-not-written")
        assert f": {event}" in answer.evidence[2]
    carry_out(world, command_of(answer))
    for event in ENDS:
        assert world.shop.order(event).order_status == event.removeprefix("order_")
        found = ask(world, event)
        assert "by the shop" in step(found, Link.END).text
        assert (step(found, Link.MAIL).state, step(found, Link.WEBHOOK).state) == (State.HOLDS, State.HOLDS)
        assert "sends nothing" in step(found, Link.MAIL).text


def test_a_reopened_order_has_no_end_any_more(world: World) -> None:
    [task] = world.shop.paid("DH1")
    world.shop.fail(task, ErrorType.CHECKSUM, "wrong size")
    end = step(ask(world), Link.END)
    assert (end.state, f"because of task {task}" in end.text) == (State.HOLDS, True)
    carry_out(world, command_of(first(world)))
    found = ask(world)
    assert step(found, Link.END).state is State.AHEAD
    assert step(found, Link.MAIL).state is State.AHEAD  # the mail of the earlier round is overtaken


def test_the_shop_has_ended_an_order_that_has_work_left(world: World) -> None:
    for status in ENDED_ORDER:
        done, task = world.shop.paid(status, [world.course(), world.course("/two")])
        world.shop.carry_out(done)
        world.shop.execute(
            "UPDATE orders SET order_status = :status WHERE order_code = :status", status=status
        )
        answer = step(ask(world, status), Link.END)
        assert (answer.state, answer.cause) == (State.BROKEN, "ended-with-tasks")
        assert answer.evidence[0] == f"task {task}: pending"
        carry_out(world, command_of(answer))
    world.play("horse", task)
    assert world.shop.order(status).order_status == "completed"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("UPDATE orders SET payment_status = 'pending'", "not orderctl's to end"),
        ("UPDATE orders SET order_status = 'on_hold'", "not orderctl's to end"),
        ("DELETE FROM download_tasks", "it has no tasks"),
        ("UPDATE download_tasks SET status = 'pending'", "1 of 1 task not ended"),
    ],
)
def test_an_order_that_is_not_to_end_yet(world: World, change: str, says: str) -> None:
    world.shop.add("DH1")
    world.shop.pay("DH1")
    world.shop.execute("DELETE FROM order_audit_logs")
    world.shop.execute("UPDATE download_tasks SET status = 'completed'")
    world.shop.execute(change)
    answer = step(ask(world), Link.END)
    assert (answer.state, says in answer.text) == (State.AHEAD, True), answer
