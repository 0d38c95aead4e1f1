"""Who has not been told: each state of the outbox, and each fault point of a courier that leaves a lasting state."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import update

from orderctl import database
from orderctl.errors import RedisUnavailable
from orderctl.outbox import NEVER, EntryKind
from orderctl.schema import outbox
from orderctl.states import ErrorType, MessageState
from orderctl.why.chain import Link, State
from tests.faults.world import World
from tests.servers.process import free_port
from tests.waiting import eventually
from tests.why.asking import ask, carry_out, command_of, step

pytestmark = pytest.mark.databases("sqlite")

COURIER = ("smtp.connected", "smtp.data.before", "smtp.data.after", "webhook.before", "webhook.after")
LINKS = {EntryKind.SUMMARY: Link.MAIL, EntryKind.ALERT: Link.MAIL, EntryKind.WEBHOOK: Link.WEBHOOK}
KILLED = -9


def _end(world: World, code: str = "DH1", **more: Any) -> None:
    """Add an order that has just ended; nothing has been sent yet."""
    [task] = world.shop.paid(code, **more)
    world.shop.carry_out(task)


def _write(world: World, kind: EntryKind, **values: Any) -> int:
    """Change the entry of a kind; return its id."""
    world.shop.transact(lambda c: c.execute(update(outbox).where(outbox.c.kind == kind).values(values)))
    return next(row.id for row in world.shop.outbox() if row.kind == kind)


def _given_up(error: str) -> dict[str, Any]:
    return {"failed_at": database.utc_now(), "due_at": NEVER, "attempts": 30, "last_error": error}


def _tried(error: str) -> dict[str, Any]:
    return {"due_at": database.utc_now(3600), "attempts": 3, "last_error": error}


@contextmanager
def _workers(world: World) -> Iterator[None]:
    """Let a supervisor send a heartbeat, as if it ran."""
    sign = {"name": "host", "queue": "orderctl", "concurrency": 1, "started": 1, "draining": False}
    world.client.set("orderctl:supervisor:host", json.dumps(sign))
    yield
    world.client.delete("orderctl:supervisor:host")


def test_couriers_that_died_while_they_sent(world: World) -> None:
    """No worker runs: a fresh one, started as it is printed, sends the messages."""
    for number, point in enumerate(COURIER):
        _end(world, code=f"DH{number}")
        assert world.play("courier", faults=f"{point}:kill").returncode == KILLED
        link = Link.MAIL if point.startswith("smtp") else Link.WEBHOOK
        answer = step(ask(world, f"DH{number}"), link)
        assert (answer.state, answer.cause) == (State.BROKEN, "courier-lost"), point
        assert answer.repair == "orderctl worker start"
    with _workers(world):
        assert step(ask(world, "DH0"), Link.MAIL).cause == "sending"
    world.pass_time()
    assert step(ask(world, "DH0"), Link.MAIL).cause == "no-courier"
    with world.stage.playing("orderctl", command_of(answer), world.environment, "supervisor"):
        eventually(world.settled, "everything is sent")
    for number in range(len(COURIER)):
        assert ask(world, f"DH{number}").first is None
    assert len(world.post.count()) == len(COURIER)


def test_the_courier_sends_what_is_due_by_a_command_that_sends_once(world: World) -> None:
    _end(world)
    found = ask(world)
    for link in (Link.MAIL, Link.WEBHOOK, Link.RELAY):
        answer = step(found, link)
        assert (answer.state, answer.cause, answer.repair) == (
            State.BROKEN,
            "no-courier",
            "orderctl worker start",
        )
        assert answer.explanation == "To send once what is due: orderctl reconcile"
    with _workers(world):
        assert step(ask(world), Link.MAIL).cause == "sending"
        _write(world, EntryKind.SUMMARY, due_at=database.utc_now(-600))
        late = step(ask(world), Link.MAIL)
    assert (late.state, late.cause, late.repair) == (State.BROKEN, "courier-late", "orderctl reconcile")
    carry_out(world, command_of(late))
    assert world.settled()
    assert (len(world.post.letters), len(world.receiver.posts)) == (1, 1)
    assert ask(world).first is None


MAIL, HOOK = EntryKind.SUMMARY, EntryKind.WEBHOOK


def test_what_was_given_up_is_sent_again_by_the_printed_command(world: World) -> None:
    _end(world)
    world.play("courier")
    for kind, link, cause in (
        (MAIL, Link.MAIL, "mail-given-up"),
        (HOOK, Link.WEBHOOK, "webhook-given-up"),
    ):
        message = _write(world, kind, sent_at=None, **_given_up("it does not answer"))
        answer = step(ask(world), link)
        assert (answer.state, answer.cause) == (State.BROKEN, cause)
        assert "given up at" in answer.evidence[0]
        assert "it does not answer" in answer.evidence[0]
        assert command_of(answer) == f"orderctl outbox resend {message}"
        carry_out(world, command_of(answer))
    world.play("courier")
    assert (len(world.post.letters), len(world.receiver.posts)) == (2, 2)
    assert ask(world).first is None


def test_what_is_tried_again_says_when_and_what_is_wrong(world: World) -> None:
    _end(world)
    for error, state, cause in [
        ("MailRefused: the mail server does not serve us now: 421", State.WAITS, "mail-retry"),
        ("MailRefused: the mail server refuses the login (mail.url): 535", State.BROKEN, "mail-login"),
    ]:
        message = _write(world, EntryKind.SUMMARY, **_tried(error))
        answer = step(ask(world), Link.MAIL)
        assert (answer.state, answer.cause, answer.repair) == (
            state,
            cause,
            f"orderctl outbox resend {message}",
        )
        assert "is tried again at" in answer.text
    carry_out(world, command_of(answer))
    world.play("courier")
    assert step(ask(world), Link.MAIL).state is State.HOLDS


def test_a_webhook_and_a_completion_message_are_tried_again(world: World) -> None:
    _end(world)
    for kind, link, cause in (
        (HOOK, Link.WEBHOOK, "webhook-retry"),
        (EntryKind.COMPLETION, Link.RELAY, "completion-refused"),
    ):
        message = _write(world, kind, **_tried("it does not answer"))
        answer = step(ask(world), link)
        assert (answer.cause, answer.repair) == (cause, f"orderctl outbox resend {message}")
        carry_out(world, command_of(answer))
    world.play("courier")
    assert ask(world).first is None


def test_a_real_mail_server_that_is_away_and_comes_back(world: World) -> None:
    world.more["ORDERCTL_MAIL_URL"] = f"smtp://127.0.0.1:{free_port()}"
    _end(world)
    world.play("courier")
    answer = step(ask(world), Link.MAIL)
    assert (answer.state, answer.cause) == (State.BROKEN, "mail-unreachable")
    del world.more["ORDERCTL_MAIL_URL"]
    carry_out(world, command_of(answer))
    world.play("courier")
    assert len(world.post.letters) == 1
    assert ask(world).first is None


def test_an_address_that_cannot_get_mail(world: World) -> None:
    _end(world, email="nobody@localhost")
    world.shop.execute("UPDATE orders SET user_email = 'not an address'")
    world.play("courier")
    answer = step(ask(world), Link.MAIL)
    assert (answer.cause, answer.repair) == ("mail-address", None)
    assert answer.explanation is not None
    assert "orders.user_email" in answer.explanation
    world.shop.execute("UPDATE orders SET user_email = 'customer@example.com'")
    carry_out(world, command_of(answer))
    world.play("courier")
    assert len(world.post.letters) == 1


def test_nothing_is_set_up(world: World) -> None:
    """Neither mail nor webhook is needed; once they are, what was skipped can be sent."""
    unset = {"ORDERCTL_MAIL_URL", "ORDERCTL_NOTIFY_WEBHOOK_URL"}
    world.more |= dict.fromkeys(unset, "")
    _end(world)
    world.play("courier")
    found = ask(world)
    assert (step(found, Link.MAIL).state, step(found, Link.WEBHOOK).state) == (State.HOLDS, State.HOLDS)
    assert "mail.url is not set" in step(found, Link.MAIL).text
    assert found.first is None
    world.more.clear()
    for link, cause in ((Link.MAIL, "mail-skipped"), (Link.WEBHOOK, "webhook-skipped")):
        answer = step(ask(world), link)
        assert (answer.state, answer.cause) == (State.BROKEN, cause)
        carry_out(world, command_of(answer))
    world.play("courier")
    assert (len(world.post.letters), len(world.receiver.posts)) == (1, 1)


def test_a_webhook_that_was_given_up_before_its_setting_was_taken_away(world: World) -> None:
    _end(world)
    _write(world, EntryKind.WEBHOOK, **_given_up("HTTP 500"))
    world.more["ORDERCTL_NOTIFY_WEBHOOK_URL"] = ""
    assert step(ask(world), Link.WEBHOOK).cause == "endpoint-removed"
    world.more.clear()


def test_an_endpoint_that_is_not_configured_any_more(world: World) -> None:
    _end(world)
    message = _write(
        world, EntryKind.WEBHOOK, endpoint="crm", **_given_up("EndpointRemoved: the endpoint crm")
    )
    answer = step(ask(world), Link.WEBHOOK)
    assert (answer.cause, answer.repair) == ("endpoint-removed", None)
    _write(world, EntryKind.WEBHOOK, failed_at=None, due_at=database.utc_now())
    assert step(ask(world), Link.WEBHOOK).cause == "endpoint-removed"
    crm = [{"name": "crm", "url": world.receiver.url}]
    world.more["ORDERCTL_NOTIFY_ENDPOINT"] = json.dumps(crm)
    _write(
        world, EntryKind.WEBHOOK, **_given_up("EndpointRemoved: the endpoint crm is not configured any more")
    )
    answer = step(ask(world), Link.WEBHOOK)
    assert answer.repair == f"orderctl outbox resend {message}"
    carry_out(world, command_of(answer))
    world.play("courier")
    assert len(world.receiver.posts) == 1


def test_an_alert_of_a_task_is_a_mail_of_its_order(world: World) -> None:
    world.more["ORDERCTL_MAIL_ADMIN"] = "admin@example.com"
    [task] = world.shop.paid("DH1")
    world.shop.fail(task, ErrorType.DISK_SPACE, "no space left on the disk")
    world.play("courier")
    error = "Undeliverable: the mail server refuses the mail to admin@example.com: 550 5.1.1"
    _write(world, EntryKind.ALERT, sent_at=None, **_given_up(error))
    answer = step(ask(world), Link.MAIL)
    assert answer.cause == "mail-address"
    assert answer.explanation is not None
    assert "mail.admin" in answer.explanation


def test_each_state_of_a_message_says_something(world: World) -> None:
    skipped = {"sent_at": database.utc_now(), "failed_at": None, "last_error": "the order is gone"}
    plant: dict[MessageState, Callable[[], object]] = {
        MessageState.WAITING: lambda: None,
        MessageState.SENT: lambda: world.play("courier"),
        MessageState.FAILED: lambda: _write(
            world, EntryKind.SUMMARY, sent_at=None, **_given_up("MailRefused: no")
        ),
        MessageState.SKIPPED: lambda: _write(world, EntryKind.SUMMARY, **skipped),
    }
    _end(world)
    for state in MessageState:
        plant[state]()
        answer = step(ask(world), Link.MAIL)
        assert (answer.state is State.HOLDS) is (state in {MessageState.SENT, MessageState.SKIPPED}), state
        assert "message" in answer.text


def test_it_is_not_known_whether_a_courier_runs(world: World) -> None:
    _end(world)
    world.__dict__["client"] = RedisUnavailable("Redis does not answer")
    answer = step(ask(world), Link.MAIL)
    del world.__dict__["client"]
    assert (answer.state, answer.cause) == (State.UNKNOWN, None)
