from decimal import Decimal

import pytest
from sqlalchemy import update

from orderctl import orders
from orderctl.channels import Scope
from orderctl.errors import Conflict, InvalidInput, OrderNotFound
from orderctl.lifecycle import NOTHING
from orderctl.orders import NewCourse, NewOrder
from orderctl.schema import download_tasks
from orderctl.schema import orders as orders_table
from orderctl.states import Source
from tests.shop import COURSE, Shop


def test_adds_an_order_with_its_tasks(shop: Shop) -> None:
    order_id = shop.add("DH1", courses=2, email="Customer@Example.com", amount="300000.50")

    order = shop.order("DH1")
    assert (order.id, order.order_status, order.payment_status) == (order_id, "pending", "pending")
    assert (order.user_email, order.total_amount) == ("customer@example.com", Decimal("300000.50"))
    assert (order.total_tasks, order.completed_tasks, order.progress_percentage) == (2, 0, 0)
    for number, task in enumerate(shop.tasks(order_id)):
        assert (task.course_url, task.status, task.managed) == (f"{COURSE}/{number}", "pending", True)
        assert (task.attempt, task.max_attempts, task.lease_until) == (0, 3, None)


def test_records_each_new_task_in_the_audit_log(shop: Shop) -> None:
    order_id = shop.add("DH1", courses=2)

    events = shop.events(order_id)
    assert [event.event_type for event in events] == ["task_created", "task_created"]
    assert [event.task_id for event in events] == [task.id for task in shop.tasks(order_id)]
    assert {(event.new_status, event.source, event.actor) for event in events} == {
        ("pending", "orderctl_cli", "tester")
    }


def test_a_code_is_taken_once(shop: Shop) -> None:
    shop.add("DH1")

    with pytest.raises(Conflict, match="order DH1 already exists"):
        shop.add("DH1", courses=3)

    assert shop.order("DH1").total_tasks == 1


def test_codes_differ_by_case(shop: Shop) -> None:
    first, second = shop.add("dh1"), shop.add("DH1")

    assert first != second
    assert (shop.order("dh1").id, shop.order("DH1").id) == (first, second)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "wrong",
    [
        {"order_code": ""},
        {"order_code": "a b"},
        {"order_code": "DH\n1"},
        {"order_code": "Đ1"},
        {"order_code": "x" * 65},
        {"user_email": "nobody"},
        {"user_email": "@example.com"},
        {"user_email": "a b@example.com"},
        {"user_email": "a@example.com\nBcc: b@example.com"},
        {"user_email": f"{'x' * 251}@b.c"},
        {"user_email": "a@b.c,d@e.f"},
        {"user_email": "<script>@b.c"},
        {"user_email": "Jo <a@b.c>"},
        {"total_amount": Decimal(-1)},
        {"total_amount": Decimal("NaN")},
        {"total_amount": Decimal("Infinity")},
        {"total_amount": Decimal("0.001")},
        {"total_amount": Decimal("1e10")},
        {"courses": []},
        {"courses": [NewCourse("file:///etc/passwd")]},
        {"courses": [NewCourse("http://x/" + "y" * 2048)]},
    ],
    ids="-".join,
)
def test_refuses_a_field_that_is_wrong(shop: Shop, wrong: dict[str, object]) -> None:
    right = {
        "order_code": "DH1",
        "user_email": "a@b.c",
        "total_amount": Decimal(1),
        "courses": [NewCourse(COURSE)],
    }
    new = NewOrder(**(right | wrong))  # type: ignore[arg-type]

    with pytest.raises(InvalidInput):
        shop.transact(lambda c: orders.add(c, new, max_attempts=3, actor="tester"))

    with pytest.raises(OrderNotFound):
        shop.order("1")


def test_finds_by_code_before_id(shop: Shop) -> None:
    first = shop.add("DH1")
    numbered = shop.add(str(first))

    assert shop.order(first).id == numbered
    assert shop.order(numbered).id == numbered


@pytest.mark.parametrize("reference", ["", "DH2", "0", "7", "-1", "9" * 30, "²", "1 OR 1=1", "DH1\x00", "😀"])
def test_unknown_order_is_not_found(shop: Shop, reference: str) -> None:
    shop.add("DH1")

    with pytest.raises(OrderNotFound):
        shop.order(reference)


def test_first_claim_begins_the_order(shop: Shop) -> None:
    [first, second] = shop.paid("DH1", courses=2)
    order = shop.order()

    [change] = shop.claimed(first).messages
    assert (change.scope, change.id) == (Scope.ORDER, order.id)
    assert (change.previous_status, change.new_status) == ("pending", "processing")
    assert shop.claimed(second).messages == ()
    assert shop.order().order_status == "processing"


def test_last_task_completes_the_order(shop: Shop) -> None:
    [first, second] = shop.paid("DH1", courses=2)

    assert shop.carry_out(first).completion is None
    assert shop.order().progress_percentage == 50
    ended = shop.carry_out(second).completion

    assert ended is not None
    assert (ended.total_tasks, ended.completed_tasks) == (2, 2)
    order = shop.order()
    assert (order.order_status, order.progress_percentage, order.round) == ("completed", 100, 0)
    assert order.completed_at is not None
    event = shop.event(order.id, "order_completed")
    assert event.details == {"completedCount": 2, "failedCount": 0, "totalCount": 2}
    assert (event.previous_status, event.new_status) == ("processing", "completed")


def test_an_order_ends_once(shop: Shop) -> None:
    [task_id] = shop.paid("DH1")
    shop.carry_out(task_id)
    order_id = shop.order().id

    assert shop.end(order_id) == NOTHING
    assert shop.event_types(order_id).count("order_completed") == 1
    assert [row.kind for row in shop.outbox()] == ["completion", "summary", "webhook"]


def test_an_order_whose_status_was_reset_ends_without_a_second_event(shop: Shop) -> None:
    [task_id] = shop.paid("DH1")
    shop.carry_out(task_id)
    order_id = shop.order().id
    shop.execute("UPDATE orders SET order_status = 'processing'")

    shop.end(order_id)

    assert shop.event_types(order_id).count("order_completed") == 1
    assert len(shop.outbox()) == 3
    assert shop.order().order_status == "completed"


def test_an_order_without_tasks_does_not_end(shop: Shop) -> None:
    shop.execute(
        "INSERT INTO orders (order_code, user_email, payment_status) VALUES ('DH1', 'a@b.c', 'paid')"
    )
    order_id = shop.order().id

    ended = shop.end(order_id)

    assert ended == NOTHING
    assert shop.order().order_status == "pending"


def test_amounts_keep_their_cents(shop: Shop) -> None:
    for number, amount in enumerate(["0", "0.01", "0.1", "1234567.89", "9999999999.99"]):
        shop.add(f"DH{number}", amount=amount)

        assert shop.order(f"DH{number}").total_amount == Decimal(amount)


def test_shows_statuses_that_others_invented(shop: Shop) -> None:
    order_id = shop.add("DH1")
    values = {"order_status": "on_hold", "payment_status": "partially"}
    shop.transact(lambda c: c.execute(update(orders_table).values(values)))
    shop.execute("UPDATE download_tasks SET status = 'archived'")

    order = shop.order()
    assert (order.order_status, order.payment_status) == ("on_hold", "partially")
    assert (order.total_tasks, order.completed_tasks) == (1, 0)
    assert [task.status for task in shop.tasks(order_id)] == ["archived"]


def test_locking_an_order_that_is_gone(shop: Shop) -> None:
    with pytest.raises(OrderNotFound):
        shop.transact(lambda c: orders.lock(c, 7))


def test_a_task_that_came_later_opens_the_order_again(shop: Shop) -> None:
    [task_id] = shop.paid("DH1")
    shop.carry_out(task_id)
    order_id = shop.order().id
    late = NewCourse(f"{COURSE}/late")
    late_id = shop.transact(
        lambda c: orders.add_task(c, order_id, late, max_attempts=3, actor="tester", source=Source.CLI)
    )

    [change] = shop.claimed(late_id).messages
    assert (change.previous_status, change.new_status) == ("completed", "processing")
    assert (shop.order().round, shop.order().completed_at) == (1, None)
    shop.transact(lambda c: c.execute(update(download_tasks).values(status="completed")))
    shop.end(order_id)
    assert shop.event_types(order_id).count("order_completed") == 2


def test_code_of_two_orders_names_neither(shop: Shop) -> None:
    shop.add("DH1")
    shop.add("DH2")
    drop = "DROP INDEX uq_orderctl_orders_order_code"
    shop.execute(drop if shop.engine.dialect.name == "sqlite" else f"{drop} ON orders")
    shop.execute("UPDATE orders SET order_code = 'DH1'")

    with pytest.raises(Conflict, match="2 orders have the code 'DH1': 1, 2"):
        shop.order("DH1")
    with pytest.raises(Conflict, match="2 orders have the code"):
        shop.pay("DH1", "300000")

    assert (shop.order("1").id, shop.order("2").id) == (1, 2)
    assert [order.id for order in shop.read(lambda c: orders.find_all(c, "DH1"))] == [2, 1]
