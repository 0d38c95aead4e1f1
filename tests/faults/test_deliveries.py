"""Messages that must be sent exactly once while servers answer badly, slowly or not at all."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, event

from orderctl import database, outbox
from orderctl.outbox import EntryKind, Lane
from orderctl.webhook_endpoints import Endpoint
from orderctl.worker import courier, webhook
from tests.faults.receivers import PostOffice
from tests.faults.world import World
from tests.waiting import eventually

pytestmark = pytest.mark.databases("sqlite")


class _SurlyOffice(PostOffice):
    """Accepts mails, and answers QUIT with an error."""

    async def handle_QUIT(self, *_: object) -> str:  # noqa: N802
        return "421 busy"


@contextmanager
def silence() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_mail_server_s_rude_goodbye_does_not_send_the_mail_again(world: World):
    office = world.post = _SurlyOffice().start()
    try:
        _end(world)
        world.play("courier")
        world.recover()
        world.assert_well()
    finally:
        office.close()


def test_a_mail_server_that_hangs_delays_no_webhook(world: World):
    with silence() as port:
        world.more["ORDERCTL_MAIL_URL"] = f"smtp://127.0.0.1:{port}"
        _end(world)
        with world.playing("couriers"):
            eventually(world.receiver.count, "the webhook")
            # The mail has not been postponed yet: the courier waits 20 s for the mail server.
            assert [entry.last_error for entry in world.shop.outbox() if entry.kind == EntryKind.SUMMARY] == [
                None
            ]


def test_a_webhook_s_receiver_that_answers_byte_by_byte_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(webhook, "_DEADLINE", 0.5)
    over = threading.Event()

    def drip() -> None:
        client, _ = server.accept()
        with client:
            while not over.wait(0.1):
                client.send(b"x")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        endpoint = Endpoint("crm", f"http://127.0.0.1:{server.getsockname()[1]}/")
        with pytest.raises(OSError):  # noqa: PT011 - whatever a cut connection raises
            webhook.post(endpoint, {}, "key")
        over.set()
        thread.join()


def test_what_is_not_due_costs_no_write_lock(world: World):
    """SQLite has one write lock, and every courier asks once a second."""
    with world.engine.begin():  # holds the write lock
        assert courier.send_due(world.engine, world.client, world.settings).sent == []


@pytest.mark.databases("mariadb", "mysql")
def test_an_entry_that_another_courier_has_put_off_is_not_taken(world: World):
    world.shop.transact(lambda c: outbox.put(c, EntryKind.WEBHOOK, "key", {"event": "x"}))
    other = database.connect(world.database_url)
    overtaken = []

    def overtake(_c: Connection, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT") and not overtaken:
            overtaken.append(statement)
            with other.begin() as connection:
                [entry] = outbox.take(connection, Lane((EntryKind.WEBHOOK,)), limit=1, lease_seconds=60)
                outbox.postpone(connection, entry, "later", 60)

    event.listen(world.engine, "after_cursor_execute", overtake)
    assert (
        world.shop.transact(lambda c: outbox.take(c, Lane((EntryKind.WEBHOOK,)), limit=1, lease_seconds=60))
        == []
    )
    assert overtaken
    other.dispose()


@pytest.mark.databases("sqlite", "mariadb")
def test_an_entry_that_cannot_be_sent_does_not_hold_up_the_rest(world: World):
    broken = [
        world.shop.transact(lambda c, n=n: outbox.put(c, EntryKind.SUMMARY, f"broken-{n}", {}))
        for n in range(30)
    ]
    assert all(broken)
    _end(world)
    world.play("courier")
    assert len(world.post.letters) == 1


def test_completions_wait_for_redis_without_being_given_up(world: World):
    world.shop.transact(lambda c: outbox.put(c, EntryKind.COMPLETION, "key", {"orderId": 1}))
    with world.engine.begin() as connection:
        connection.execute(outbox.outbox.update().values(attempts=500))
    world.redis_url = "redis://127.0.0.1:9/0"
    world.play("courier")
    [entry] = world.shop.outbox()
    assert entry.sent_at is None
    now = world.shop.now()
    assert (entry.due_at - now).total_seconds() < 11


def _end(world: World) -> None:
    """Add an order that has just ended; nothing has been sent yet."""
    [task] = world.shop.paid("DH1", [world.course()])
    world.play("horse", task, faults="task.ended:kill")
