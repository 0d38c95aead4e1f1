import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from orderctl import database, outbox
from orderctl.messages import Completion
from orderctl.outbox import Entry, EntryKind
from orderctl.schema import outbox as outbox_table
from orderctl.states import OrderStatus
from tests.shop import Shop


def _put(shop: Shop, key: str = "k", kind: EntryKind = EntryKind.WEBHOOK, *, delay: float = 0) -> bool:
    return shop.transact(lambda c: outbox.put(c, kind, key, {"of": key}, delay=delay))


def _take(shop: Shop, *kinds: EntryKind, limit: int = 10) -> list[Entry]:
    wanted = kinds or tuple(EntryKind)
    return shop.transact(lambda c: outbox.take(c, wanted, limit=limit, lease_seconds=60))


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

    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda _: _take(shop, limit=4), range(12)))

    keys = [entry.dedup_key for entries in taken for entry in entries]
    assert sorted(keys) == sorted({row.dedup_key for row in shop.outbox()})


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

    taken = shop.transact(lambda c: outbox.take(c, [EntryKind.WEBHOOK], limit=10, lease_seconds=60))
    shop.transact(lambda c: outbox.postpone(c, taken[0], f"no answer of {url}", 60))
    shop.transact(lambda c: outbox.mark_sent(c, taken[1], remark=f"given up: {url}"))

    masked = "https://***@h/x?sig=***"
    assert [entry.payload for entry in taken] == [{"title": masked, "driveLink": url}, {"title": masked}]
    assert shop.outbox()[0].payload == {"title": masked, "driveLink": url}
    assert [row.last_error for row in shop.outbox()] == [f"no answer of {masked}", f"given up: {masked}"]
