import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from orderctl import database, outbox
from orderctl.messages import Completion
from orderctl.outbox import Entry, EntryKind, Lane
from orderctl.schema import outbox as outbox_table
from orderctl.states import MessageState, OrderStatus
from tests.shop import Shop


def _put(shop: Shop, key: str = "k", kind: EntryKind = EntryKind.WEBHOOK, *, delay: float = 0) -> bool:
    return shop.transact(lambda c: outbox.put(c, kind, key, {"of": key}, delay=delay))


def _take(shop: Shop, *kinds: EntryKind, limit: int = 10) -> list[Entry]:
    wanted = kinds or tuple(EntryKind)
    return shop.transact(lambda c: outbox.take(c, Lane(wanted), limit=limit, lease_seconds=60))


def _is_due(shop: Shop) -> bool:
    with shop.engine.connect() as connection:
        return outbox.is_due(connection, Lane(tuple(EntryKind)))


def _set(shop: Shop, **values: Any) -> None:
    shop.transact(lambda c: c.execute(update(outbox_table).values(values)))


def test_entry_of_a_key_is_written_once(shop: Shop) -> None:
    assert [_put(shop, "k"), _put(shop, "k", EntryKind.ALERT), _put(shop, "K")] == [True, False, True]

    assert [row.dedup_key for row in shop.outbox()] == ["k", "K"]


def test_entry_goes_with_its_transaction(shop: Shop) -> None:
    def fail(connection):
        outbox.put(connection, EntryKind.WEBHOOK, "k", {})
        raise RuntimeError

    with pytest.raises(RuntimeError):
        shop.transact(fail)

    assert shop.outbox() == []


def test_taken_entry_cannot_be_taken_again(shop: Shop) -> None:
    _put(shop, "k")

    [entry] = _take(shop)

    assert (entry.kind, entry.dedup_key, entry.payload, entry.attempts) == ("webhook", "k", {"of": "k"}, 1)
    assert _take(shop) == []


def test_entries_are_shared_among_those_who_take_at_once(shop: Shop) -> None:
    for number in range(20):
        _put(shop, f"k{number}")

    def take_all(_: int) -> list[str]:
        keys: list[str] = []
        while _is_due(shop):  # of those who ask at once, only one gets an entry
            keys += [entry.dedup_key for entry in _take(shop, limit=4)]
        return keys

    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(take_all, range(4)))

    keys = [key for of_one in taken for key in of_one]
    assert sorted(keys) == sorted({row.dedup_key for row in shop.outbox()})


def test_large_payload_of_another_program_delays_nothing(shop: Shop) -> None:
    """MySQL refused to sort it (error 1038): no message was sent any more."""
    _put(shop, "large")
    _put(shop, "k")
    shop.execute(
        "UPDATE orderctl_outbox SET payload = :p WHERE dedup_key = 'large'",
        p=json.dumps({"x": "y" * 300_000}),
    )

    assert [entry.dedup_key for entry in _take(shop)] == ["large", "k"]


def test_kind_with_a_blank_delays_nothing(shop: Shop) -> None:
    """MySQL and MariaDB take it for the kind without the blank: it ended the courier at each start."""
    _put(shop, "odd")
    _put(shop, "k")
    shop.execute("UPDATE orderctl_outbox SET kind = 'webhook ' WHERE dedup_key = 'odd'")

    assert [entry.dedup_key for entry in _take(shop, EntryKind.WEBHOOK)] == ["k"]


def test_takes_the_wanted_kinds_that_are_due_oldest_first(shop: Shop) -> None:
    _put(shop, "later", delay=60)
    _put(shop, "mail", EntryKind.SUMMARY)
    for key in ("first", "second", "third"):
        _put(shop, key)

    assert [entry.dedup_key for entry in _take(shop, EntryKind.WEBHOOK, limit=2)] == ["first", "second"]
    assert [entry.dedup_key for entry in _take(shop, EntryKind.WEBHOOK)] == ["third"]
    assert [entry.dedup_key for entry in _take(shop)] == ["mail"]


def test_sent_entry_stays_sent(shop: Shop) -> None:
    _put(shop)
    [entry] = _take(shop)

    assert shop.transact(lambda c: outbox.mark_sent(c, entry))

    [row] = shop.outbox()
    assert row.sent_at is not None
    assert (row.lease_token, row.last_error) == (None, None)
    assert _take(shop) == []


def test_entry_of_a_courier_that_died_is_taken_again_and_its_late_word_counts_nothing(shop: Shop) -> None:
    _put(shop)
    [late] = _take(shop)
    _set(shop, lease_until=database.utc_now(-1))

    [successor] = _take(shop)

    assert successor.attempts == 2
    assert not shop.transact(lambda c: outbox.mark_sent(c, late))
    assert not shop.transact(lambda c: outbox.extend(c, late, 60))
    assert not shop.transact(lambda c: outbox.postpone(c, late, "late", 60))
    assert shop.transact(lambda c: outbox.mark_sent(c, successor))


def test_postponed_entry_comes_again_when_it_is_due(shop: Shop) -> None:
    _put(shop)
    [entry] = _take(shop)

    assert shop.transact(lambda c: outbox.postpone(c, entry, "no answer \ud800" + "x" * 5000, 600))

    [row] = shop.outbox()
    assert row.last_error.startswith("no answer ?xxx")
    assert abs(row.due_at - shop.now() - timedelta(minutes=10)) < timedelta(minutes=1)
    assert _take(shop) == []
    _set(shop, due_at=database.utc_now(-1))
    assert [again.attempts for again in _take(shop)] == [2]


def test_end_of_an_order_is_sent_once_by_each_way(shop: Shop) -> None:
    completion, about = Completion(7, 3, 2, 1, 1_700_000_000_000), {"orderCode": "DH7"}

    for _ in range(2):
        shop.transact(
            lambda c: outbox.put_order_end(c, "order:7:round:0", completion, OrderStatus.FAILED, about)
        )

    assert [(row.kind, row.dedup_key) for row in shop.outbox()] == [
        ("completion", "order:7:round:0:completion"),
        ("summary", "order:7:round:0:summary"),
        ("webhook", "order:7:round:0:webhook"),
    ]
    complete, summary, webhook = (row.payload for row in shop.outbox())
    assert complete == completion.data()
    assert summary == {"orderId": 7, "status": "failed"}
    assert webhook == {"event": "order_failed", **about, **completion.data()}


def test_no_entry_has_the_secrets_of_a_url(shop: Shop) -> None:
    url = "https://u:secret@h/x?sig=secret"
    shop.transact(lambda c: outbox.put(c, EntryKind.WEBHOOK, "new", {"title": url, "driveLink": url}))
    shop.transact(lambda c: outbox.put(c, EntryKind.WEBHOOK, "old", {}))
    shop.execute(
        "UPDATE orderctl_outbox SET payload = :old WHERE dedup_key = 'old'", old=json.dumps({"title": url})
    )

    taken = shop.transact(lambda c: outbox.take(c, Lane((EntryKind.WEBHOOK,)), limit=10, lease_seconds=60))
    shop.transact(lambda c: outbox.postpone(c, taken[0], f"no answer of {url}", 60))
    shop.transact(lambda c: outbox.fail(c, taken[1], f"refused: {url}"))

    masked = "https://***@h/x?sig=***"
    assert [entry.payload for entry in taken] == [{"title": masked, "driveLink": url}, {"title": masked}]
    assert shop.outbox()[0].payload == {"title": masked, "driveLink": url}
    assert [row.last_error for row in shop.outbox()] == [f"no answer of {masked}", f"refused: {masked}"]


def test_entry_that_was_given_up_is_not_due_until_it_is_sent_again(shop: Shop) -> None:
    _put(shop, "failed")
    [entry] = _take(shop)
    assert shop.transact(lambda c: outbox.fail(c, entry, "HTTP 410"))

    [row] = shop.outbox()
    assert (row.due_at, row.last_error, row.sent_at) == (outbox.NEVER, "HTTP 410", None)
    assert row.failed_at is not None
    assert _take(shop) == []

    assert shop.transact(lambda c: outbox.resend(c, row.id))

    [again] = _take(shop)
    assert (again.attempts, again.resent, again.dedup_key) == (1, 1, "failed")
    assert again.sending_key == "failed:resent:1"
    assert shop.outbox()[0].failed_at is None


def test_entry_that_waits_is_only_tried_earlier(shop: Shop) -> None:
    _put(shop, "waiting", delay=3600)

    shop.transact(lambda c: outbox.resend(c, shop.outbox()[0].id))

    [entry] = _take(shop)
    assert (entry.resent, entry.sending_key) == (0, "waiting")


def test_entry_that_is_being_sent_is_not_sent_again(shop: Shop) -> None:
    _put(shop)
    [entry] = _take(shop)

    assert not shop.transact(lambda c: outbox.resend(c, entry.id))
    assert shop.transact(lambda c: outbox.mark_sent(c, entry))


def test_states_divide_all_entries(shop: Shop) -> None:
    for key in ("waiting", "sent", "skipped", "failed"):
        _put(shop, key)
    for entry in _take(shop):
        shop.transact(
            {
                "waiting": lambda c, entry=entry: outbox.postpone(c, entry, "no answer", 60),
                "sent": lambda c, entry=entry: outbox.mark_sent(c, entry),
                "skipped": lambda c, entry=entry: outbox.mark_sent(c, entry, remark="not configured"),
                "failed": lambda c, entry=entry: outbox.fail(c, entry, "HTTP 410"),
            }[entry.dedup_key]
        )

    with shop.engine.connect() as connection:
        found = {
            state.value: connection.execute(
                select(outbox_table.c.dedup_key).where(outbox.in_state(state))
            ).scalars().all()
            for state in MessageState
        }  # fmt: skip

    assert found == {state.value: [state.value] for state in MessageState}


def test_event_goes_to_each_endpoint_once_and_keeps_its_key(shop: Shop) -> None:
    _put(shop, "event")
    [event] = _take(shop)

    assert shop.transact(lambda c: outbox.address(c, event, ["a", "b"]))

    assert not shop.transact(lambda c: outbox.address(c, event, ["a", "b"]))
    with shop.engine.connect() as connection:
        assert not outbox.is_due(connection, Lane((EntryKind.WEBHOOK,), configured=("a", "b")))
        # Another machine may know b: it is given up by one who does not when it is old.
        assert not outbox.is_due(connection, Lane((EntryKind.WEBHOOK,), configured=("a",)))
    for name, key in {"a": "event", "b": "event@b"}.items():
        lane = Lane((EntryKind.WEBHOOK,), endpoint=name)
        [entry] = shop.transact(lambda c, lane=lane: outbox.take(c, lane, limit=9, lease_seconds=60))
        assert (entry.dedup_key, entry.event_key, entry.payload, entry.attempts) == (
            key,
            "event",
            {"of": "event"},
            1,
        )
    _set(shop, created_at=database.utc_now(-outbox.STRANGE_SECONDS - 1), lease_until=None)
    with shop.engine.connect() as connection:
        assert not outbox.is_due(connection, Lane((EntryKind.WEBHOOK,), configured=("a", "b")))
        assert outbox.is_due(connection, Lane((EntryKind.WEBHOOK,), configured=("a",)))


def test_alert_that_was_given_up_does_not_hold_back_the_next_one(shop: Shop) -> None:
    def alert() -> bool:
        return shop.transact(lambda c: outbox.put_spaced(c, EntryKind.ALERT, "alert:x", {}, seconds=60))

    assert alert()
    [entry] = _take(shop)
    shop.transact(lambda c: outbox.fail(c, entry, "no such mailbox"))

    assert alert()
    assert not alert()
