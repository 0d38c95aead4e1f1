"""``orderctl outbox``."""

import base64
import hashlib
import json
import os
import re
import subprocess
from contextlib import closing
from dataclasses import fields
from typing import Any

import pytest
from sqlalchemy import update
from standardwebhooks.webhooks import Webhook

from orderctl import broker, database, outbox, outgoing, settings
from orderctl.cli import message_bulk, message_options, options
from orderctl.cli.app import App
from orderctl.errors import DatabaseUnavailable
from orderctl.outbox import Entry, EntryKind, Lane
from orderctl.outgoing import Message
from orderctl.schema import outbox as outbox_table
from orderctl.states import ErrorType
from orderctl.terminal import render
from orderctl.worker import courier, fleet
from tests.cli.conftest import Program
from tests.cli.test_startup import TAB, imported, offered, typed
from tests.script import SCRIPT
from tests.shop import Shop
from tests.worker.conftest import Hook, Office

ONE_KIND = pytest.mark.databases("sqlite")
KEYS = [
    "id", "kind", "state", "order_id", "order_code", "task_id", "event", "endpoint", "receiver", "attempts", "resent",
    "created_at", "due_at", "sent_at", "failed_at", "last_error", "dedup_key", "webhook_id",
]  # fmt: skip
#: Ends every pause before another try.
_DUE = (
    update(outbox_table)
    .where(outbox_table.c.sent_at.is_(None), outbox_table.c.failed_at.is_(None))
    .values(due_at=database.utc_now(-1))
)
REFUSED = "WebhookRefused: https://crm.example/...: HTTP 500"


def take(shop: Shop) -> dict[int, Entry]:
    lane = Lane(tuple(EntryKind))
    taken = shop.transact(lambda c: outbox.take(c, lane, limit=100, lease_seconds=60))
    return {entry.id: entry for entry in taken}


@pytest.fixture
def posted(shop: Shop) -> Shop:
    """A shop with messages in each state: 1 completion sent, 2 summary sent, 3 webhook failed (DH1, completed);
    4 alert waiting, 5 webhook waiting, 6 completion sent, 7 summary skipped, 8 webhook waiting (DH2, failed)."""
    shop.paid("DH1")
    shop.carry_out(1)
    shop.paid("DH2")
    shop.fail(2, ErrorType.DISK_SPACE, "no space left", fingerprint="f00d")
    entries = take(shop)

    def settle(connection: Any) -> None:
        for number in (1, 2, 6):
            outbox.mark_sent(connection, entries[number])
        outbox.mark_sent(connection, entries[7], remark="mail.url is not configured")
        for number in (4, 5, 8):
            outbox.put_back(connection, entries[number])

    shop.transact(settle)
    shop.transact(
        lambda c: c.execute(update(outbox_table).where(outbox_table.c.id == 3).values(endpoint="crm"))
    )
    shop.transact(lambda c: outbox.fail(c, entries[3], REFUSED))
    return shop


def names(inside: Program, *options: str) -> list[str]:
    ended = inside("outbox", "list", "-o", "name", *options)
    assert ended.status == 0
    return ended.out.split()


def mark(shop: Shop, message_id: int, **values: Any) -> None:
    chosen = update(outbox_table).where(outbox_table.c.id == message_id)
    shop.transact(lambda c: c.execute(chosen.values(values)))


def row(shop: Shop, message_id: int) -> Any:
    return shop.outbox()[message_id - 1]


def test_the_list_has_the_promised_keys_newest_first(posted: Shop, inside: Program):
    ended = inside("outbox", "list", "-o", "json")

    rows = json.loads(ended.out)
    assert ended.err == "next: orderctl outbox resend --failed\n"
    assert [list(row) for row in rows] == [KEYS] * 8
    assert set(KEYS) == {field.name for field in fields(Message)}
    assert [row["id"] for row in rows] == [8, 7, 6, 5, 4, 3, 2, 1]
    assert [(row["kind"], row["state"], row["event"], row["receiver"]) for row in rows[::-1]] == [
        ("completion", "sent", "complete", "order:1:complete"),
        ("summary", "sent", "order_completed", "customer@example.com"),
        ("webhook", "failed", "order_completed", "crm"),
        ("alert", "waiting", "DISK_SPACE", "admin"),
        ("webhook", "waiting", "task_failed", None),
        ("completion", "sent", "complete", "order:2:complete"),
        ("summary", "skipped", "order_failed", "customer@example.com"),
        ("webhook", "waiting", "order_failed", None),
    ]
    assert [one["kind"] for one in rows if one["webhook_id"]] == ["webhook"] * 3
    for one in rows:
        known = {name for name in ("due_at", "sent_at", "failed_at") if one[name] is not None}
        assert known == {{"waiting": "due_at", "failed": "failed_at"}.get(one["state"], "sent_at")}
        assert one["order_code"] == f"DH{one['order_id']}"


def test_the_list_is_narrowed(posted: Shop, inside: Program):
    assert names(inside, "--failed") == ["3"]
    assert names(inside, "--waiting") == ["8", "5", "4"]
    assert names(inside, "--state", "Sent,skipped") == ["7", "6", "2", "1"]
    assert names(inside, "--state", "waiting,failed", "--kind", "webhook") == ["8", "5", "3"]
    assert names(inside, "--endpoint", "crm") == ["3"]
    assert names(inside, "--order", "DH2") == ["8", "7", "6", "5", "4"]
    assert names(inside, "--order", "1", "--kind", "summary,alert") == ["2"]
    assert names(inside, "--since", "1h", "--failed") == ["3"]
    assert names(inside, "--until", "1h") == []


@ONE_KIND
def test_the_list_has_pages(posted: Shop, inside: Program):
    for narrowed in ([], ["--order", "DH2"], ["--waiting"]):
        found, after = [], []
        while True:
            ended = inside("outbox", "list", "-o", "name", "-L", "2", *narrowed, *after)
            found += ended.out.split()
            cursors = [line.split()[-1] for line in ended.err.splitlines() if line.startswith("next page: ")]
            if not cursors:
                break
            after = ["--after", *cursors]
        assert found == names(inside, *narrowed)

    wrong = inside("outbox", "list", "--after", "x")
    assert wrong.status == 2
    assert wrong.err.startswith("orderctl: 'x' is not a cursor of a page of messages\nhint: ")


@ONE_KIND
def test_the_messages_of_a_large_order_are_found_in_steps(posted: Shop, inside: Program, monkeypatch):
    monkeypatch.setattr(outgoing, "_CHUNK", 1)

    assert names(inside, "--order", "DH2") == ["8", "7", "6", "5", "4"]
    assert names(inside, "--order", "DH2", "--waiting", "-L", "2") == ["8", "5"]
    assert names(inside, "--order", "DH2", "--after", "6") == ["5", "4"]


@ONE_KIND
def test_the_table_of_the_list(posted: Shop, inside: Program):
    for time in ("sent_at", "failed_at", "due_at"):
        posted.execute(
            f"UPDATE orderctl_outbox SET {time} = datetime('now', '-90 seconds') WHERE {time} < '9000-01-01'"
        )
    posted.execute("UPDATE orderctl_outbox SET due_at = datetime('now', '+200 seconds') WHERE id = 8")

    ended = inside("outbox", "list")

    assert (
        ended.out
        == """\
ID  KIND        STATE    ORDER  EVENT            TO                    TRIES  WHEN    ERROR
 8  webhook     waiting  DH2    order_failed     -                         0  in 3m   -
 7  summary     skipped  DH2    order_failed     customer@example.com      1  1m ago  mail.url is not configured
 6  completion  sent     DH2    complete         order:2:complete          1  1m ago  -
 5  webhook     waiting  DH2    task_failed      -                         0  1m ago  -
 4  alert       waiting  DH2    DISK_SPACE       admin                     0  1m ago  -
 3  webhook     failed   DH1    order_completed  crm                       1  1m ago  HTTP 500
 2  summary     sent     DH1    order_completed  customer@example.com      1  1m ago  -
 1  completion  sent     DH1    complete         order:1:complete          1  1m ago  -
"""
    )
    assert ended.err == "next: orderctl outbox resend --failed\n"


@ONE_KIND
@pytest.mark.parametrize("width", [60, 72, 80, 90, 100])
def test_the_list_fits_the_terminal_and_says_why(width: int, posted: Shop, inside: Program, monkeypatch):
    posted.execute("UPDATE orders SET order_code = 'DH123456' WHERE id = 1")
    monkeypatch.setattr(App, "view", property(lambda _: render.View(width=width)))

    lines = inside("outbox", "list").out.splitlines()

    assert max(map(len, lines)) <= width
    assert [word for word in ("failed", "webhook", "DH123456", "HTTP 500") if word not in lines[6]] == []
    assert max(map(len, inside("outbox", "resend", "3", "99").out.splitlines())) <= width
    assert "\nendpoint " in inside("outbox", "show", "3").out


@ONE_KIND
def test_what_waits_for_an_endpoint_that_is_not_configured_says_so(
    posted: Shop, inside: Program, monkeypatch
):
    mark(posted, 5, endpoint="crm")
    mark(posted, 8, endpoint="erp", last_error=REFUSED)

    def reasons() -> list[str | None]:
        return [row["last_error"] for row in json.loads(inside("outbox", "list", "-o", "json").out)]

    lost = [f"the endpoint {name} is not configured" for name in ("erp", "crm")]
    assert (reasons()[0], reasons()[3], reasons()[5]) == (
        f"{lost[0]}; the last try: {REFUSED}", lost[1], REFUSED,
    )  # fmt: skip
    assert f"\nlast_error  {lost[1]}\n" in inside("outbox", "show", "5").out

    monkeypatch.setenv("ORDERCTL_NOTIFY_ENDPOINT", '[{"name": "crm", "url": "https://crm.example/"}]')
    assert (reasons()[0], reasons()[3]) == (f"{lost[0]}; the last try: {REFUSED}", None)


@ONE_KIND
def test_nothing_says_so(shop: Shop, inside: Program):
    for words in (["resend", "--failed"], ["resend", "--failed", "--dry-run"]):
        ended = inside("outbox", *words)
        assert (ended.status, ended.out, ended.err) == (0, "", "No messages match.\n")
    assert inside("outbox", "list", "-o", "json").out == "[]\n"


@ONE_KIND
def test_the_next_command_has_the_selection_of_the_list(posted: Shop, inside: Program):
    ended = inside(
        "outbox",
        "list",
        "--endpoint",
        "crm",
        "--order",
        "DH1",
        "--kind",
        "webhook",
        "--since",
        "2026-01-01T00:00:00Z",
    )

    assert ended.err == (
        "next: orderctl outbox resend --failed --kind webhook --endpoint crm --order DH1"
        " --since 2026-01-01T00:00:00Z\n"
    )


@ONE_KIND
def test_a_message_is_shown_with_its_payload(posted: Shop, inside: Program):
    [document, card, text] = (
        inside("outbox", "show", *words) for words in (["3", "-o", "json"], ["3"], ["2", "--text"])
    )

    shown = json.loads(document.out)
    assert list(shown) == [*KEYS, "payload"]
    assert (shown["last_error"], shown["payload"]["event"]) == (REFUSED, "order_completed")
    assert card.err == "next: orderctl outbox resend 3\n"
    assert "\nlast_error  https://crm.example/...: HTTP 500\n" in card.out
    assert '\npayload     {"event":"order_completed",' in card.out
    assert "\nOrder DH1\n" in text.out
    assert "no space left" in inside("outbox", "show", "4", "--text").out


@ONE_KIND
def test_what_has_no_text_says_why(posted: Shop, inside: Program):
    posted.execute("UPDATE orderctl_outbox SET payload = '[]' WHERE id = 4")
    posted.execute("UPDATE orders SET user_email = 'nobody' WHERE id = 1")
    posted.execute("UPDATE orderctl_outbox SET payload = :none WHERE id = 7", none='{"orderId": 99}')

    ends = [inside("outbox", "show", number, "--text") for number in ("3", "4", "2", "7")]

    assert [(ended.status, ended.out) for ended in ends] == [(2, ""), (1, ""), (1, ""), (3, "")]
    assert "message 3 is not a mail, so it has no text" in ends[0].err
    assert "message 4 cannot be sent: its payload is not valid: it is not an object\nhint: " in ends[1].err
    assert "message 2 cannot be sent: 'nobody' is not an e-mail address" in ends[2].err
    assert "order 99 not found" in ends[3].err


def test_a_message_is_sent_again(posted: Shop, inside: Program):
    ended = inside("outbox", "resend", "3", "--reason", "the CRM was away", "-o", "json")

    assert (ended.status, [one["changed"] for one in json.loads(ended.out)]) == (0, [True])
    assert ended.err == (
        "warning: the endpoint crm is not configured any more: its messages will be given up again\n"
        "hint: orderctl config show\n"
        "1 message is due now; the courier of 'worker start' sends what is due.\n"
        "warning: no worker runs, so nothing is sent now\n"
        "hint: orderctl worker start, or once: orderctl reconcile\n"
    )
    found = row(posted, 3)
    assert (found.failed_at, found.sent_at, found.last_error, found.attempts, found.resent) == (
        None,
        None,
        None,
        0,
        1,
    )
    assert found.due_at <= posted.now()
    event = posted.event("DH1", "webhook_resent")
    assert (event.message, event.actor, event.event_category) == (
        "Webhook to crm to be sent again (the CRM was away)", App().actor, "system",
    )  # fmt: skip
    assert event.details == {
        "kind": "webhook", "endpoint": "crm", "attempts": 1, "error": REFUSED, "reason": "the CRM was away",
    }  # fmt: skip


@ONE_KIND
def test_an_event_is_written_once_for_each_sending(posted: Shop, inside: Program):
    for _ in range(3):  # the second and the third time, it waits already
        assert inside("outbox", "resend", "2").status == 0
    assert posted.event("DH1", "email_resent").details["kind"] == "summary"

    entry = take(posted)[2]
    posted.transact(lambda c: outbox.mark_sent(c, entry))
    inside("outbox", "resend", "2", "1")

    types = posted.event_types("DH1")
    assert (types.count("email_resent"), types.count("completion_resent")) == (2, 1)
    assert (row(posted, 2).resent, row(posted, 1).resent) == (2, 1)


@ONE_KIND
def test_a_message_that_is_being_sent_is_a_conflict(posted: Shop, inside: Program):
    take(posted)

    alone = inside("outbox", "resend", "8")
    beside = inside("outbox", "resend", "8", "3", "99", "-o", "json")

    assert (alone.status, alone.out) == (4, "")
    assert re.fullmatch(
        r"orderctl: message 8 is held by a worker that sends at this moment; try again in up to [56]\d s\n"
        r"hint: orderctl outbox show 8, and if it was not sent: orderctl outbox resend 8\n",
        alone.err,
    )
    assert beside.status == 1
    found = json.loads(beside.out)
    assert found[0]["error"].startswith("message 8 is held by a worker")
    assert [(one["id"], one["changed"], one["error"]) for one in found] == [
        (8, False, found[0]["error"]),
        (3, True, None),
        (99, False, "message 99 not found"),
    ]


@ONE_KIND
def test_a_selection_is_sent_again(posted: Shop, inside: Program):
    mark(posted, 4, failed_at=database.utc_now(), due_at=outbox.NEVER, last_error="x")

    refused = inside("outbox", "resend", "--failed")
    dry = inside("outbox", "resend", "--kind", "webhook", "--dry-run", "-o", "json")
    ended = inside("outbox", "resend", "--failed", "--yes", "-o", "json")

    assert refused.status == 2
    assert 'cannot ask "Send 2 messages again (1 alert, 1 webhook to crm)?"' in refused.err
    assert [one["id"] for one in json.loads(dry.out)] == [3]
    assert dry.err == "Would send 1 message again; nothing was changed.\n"
    assert (ended.status, [one["id"] for one in json.loads(ended.out)]) == (0, [3, 4])
    assert names(inside, "--failed") == []
    assert posted.event("DH2", "email_resent").task_id == 2


@ONE_KIND
def test_what_was_sent_needs_its_state(posted: Shop, inside: Program):
    assert (
        inside("outbox", "resend", "--order", "DH1", "--kind", "summary", "--yes").err
        == "No messages match.\n"
    )

    ended = inside("outbox", "resend", "--order", "DH1", "--kind", "summary", "--state", "sent", "--yes")
    newest = inside("outbox", "resend", "--state", "sent,waiting", "--max", "2", "--yes", "-o", "name")

    assert ended.status == 0
    assert row(posted, 2).resent == 1
    assert newest.out.split() == ["6", "8"]


@ONE_KIND
def test_what_another_process_was_first_with_stays(posted: Shop, inside: Program, monkeypatch):
    def confirm(*_: Any, **__: Any) -> bool:
        mark(posted, 3, failed_at=None, resent=1, due_at=database.utc_now())
        return True

    monkeypatch.setattr(App, "interactive", True)
    monkeypatch.setattr("click.confirm", confirm)

    ended = inside("outbox", "resend", "--failed", "-o", "json")

    assert ended.status == 0
    [one] = json.loads(ended.out)
    assert (one["changed"], one["note"]) == (False, "message 3 is waiting by now: another process was first")
    assert ended.err == "1 message stayed as before: another process was first.\n"
    assert row(posted, 3).resent == 1


@ONE_KIND
def test_many_messages_are_sent_again_in_batches(posted: Shop, inside: Program, monkeypatch):
    monkeypatch.setattr(message_bulk, "_BATCH", 2)
    monkeypatch.setattr(options, "MOST_CHANGES", 5)
    transact, runs = App.transact, []
    monkeypatch.setattr(App, "transact", lambda app, work: runs.append(1) or transact(app, work))

    ended = inside("outbox", "resend", "--state", "sent,failed,waiting,skipped", "--yes", "-o", "name")

    assert ended.out.split() == ["4", "5", "6", "7", "8"]
    assert len(runs) == 3
    assert "One command sends at most 5 messages again: run it once more for the others.\n" in ended.err


@ONE_KIND
def test_a_database_that_goes_away_leaves_the_rest_untried(posted: Shop, inside: Program, monkeypatch):
    monkeypatch.setattr(message_bulk, "_BATCH", 1)
    transact, runs = App.transact, []

    def fail_late(app: App, work: Any) -> Any:
        runs.append(1)
        if len(runs) > 1:
            raise DatabaseUnavailable("the database is away")
        return transact(app, work)

    monkeypatch.setattr(App, "transact", fail_late)

    ended = inside("outbox", "resend", "1", "2", "3", "-o", "json")

    assert (ended.status, len(runs)) == (1, 2)
    assert [one["error"] for one in json.loads(ended.out)] == [None, *["the database is away"] * 2]


@ONE_KIND
def test_a_running_worker_is_no_reason_to_warn(posted: Shop, inside: Program, redis_url, monkeypatch):
    monkeypatch.setenv("ORDERCTL_NOTIFY_ENDPOINT", '[{"name": "crm", "url": "http://127.0.0.1:1/"}]')
    with closing(broker.brisk(redis_url)) as client:
        fleet.announce(client, settings.load(), "w", started=1)

    assert inside("outbox", "resend", "3").err.endswith("\nnext: orderctl outbox show 3\n")
    assert inside("outbox", "resend", "1", "2").err.endswith("\nnext: orderctl outbox list --waiting\n")


@ONE_KIND
def test_what_was_dead_for_all_tries_arrives_once_after_resend(
    shop: Shop, inside: Program, redis_url, monkeypatch
):
    office, hook = Office(), Hook()
    secret = "whsec_" + base64.b64encode(hashlib.sha256(b"a test").digest()).decode()
    endpoint = {"name": "crm", "url": hook.url, "secret": secret}
    monkeypatch.setenv("ORDERCTL_NOTIFY_ENDPOINT", json.dumps([endpoint]))
    monkeypatch.setenv("ORDERCTL_MAIL_URL", f"smtp://{office.address}")
    shop.paid("DH1")
    shop.carry_out(1)
    with closing(hook), closing(office), closing(broker.brisk(redis_url)) as client:
        hook.status = 503
        for _ in range(30):
            courier.send_due(shop.engine, client, settings.load())
            shop.transact(lambda c: c.execute(_DUE))
        [failed] = json.loads(inside("outbox", "list", "--failed", "-o", "json").out)
        tries = hook.requests.copy()
        hook.status = 204
        inside("outbox", "resend", "--failed", "--endpoint", "crm", "--yes")
        inside("outbox", "resend", "1", "2")
        with client.pubsub() as listener:
            listener.subscribe(broker.key(client, "order:1:complete"))
            listener.get_message(timeout=5)
            for _ in range(2):
                courier.send_due(shop.engine, client, settings.load())
            published = listener.get_message(timeout=5)

    assert (failed["attempts"], failed["last_error"].endswith("HTTP 503")) == (30, True)
    assert len(tries) == 30
    [(headers, body)] = hook.requests[30:]
    assert Webhook(secret).verify(body, headers)["event"] == "order_completed"
    assert {one["webhook-id"] for one, _ in tries} == {headers["webhook-id"]}
    assert len({letter["Message-ID"] for letter in office.letters}) == len(office.letters) == 2
    assert json.loads(published["data"])["orderId"] == 1
    assert names(inside, "--state", "sent") == ["3", "2", "1"]


@ONE_KIND
@pytest.mark.parametrize(
    "change",
    [
        "payload = '[1]'",
        "payload = 'no JSON'",
        "payload = 'null'",
        """payload = '{"orderId": "1", "taskId": true, "event": 7, "status": {}}'""",
        """payload = '{"orderId": 1e400, "event": ""}'""",
        """payload = '{"orderId": 99, "taskId": 99}'""",
        "kind = 'strange'",
        "kind = ''",
        "last_error = ''",
        "endpoint = 'gone', failed_at = sent_at",
    ],
)
def test_odd_rows_are_shown(change: str, posted: Shop, inside: Program):
    posted.execute(f"UPDATE orderctl_outbox SET {change}")

    for words in (
        ["list"],
        ["list", "-o", "json"],
        ["list", "--order", "DH2"],
        ["show", "1"],
        ["show", "3", "-o", "csv"],
    ):
        assert (words, inside("outbox", *words).status) == (words, 0)
    for words in (["resend", "3"], ["resend", "--state", "sent", "--yes"], ["show", "2", "--text"]):
        assert inside("outbox", *words).status in {0, 1, 2, 3, 4}


@ONE_KIND
def test_a_kind_that_orderctl_does_not_send_is_a_conflict(posted: Shop, inside: Program):
    posted.execute("UPDATE orderctl_outbox SET kind = 'sms' WHERE id = 3")

    ended = inside("outbox", "resend", "3")

    assert ended.status == 4
    assert ended.err.startswith(
        "orderctl: message 3 is of the kind 'sms', which orderctl does not send\nhint: "
    )


@ONE_KIND
def test_a_message_of_an_order_that_is_gone_is_sent_again_without_an_event(posted: Shop, inside: Program):
    before = posted.log_size()
    posted.execute("UPDATE orderctl_outbox SET payload = :none WHERE id = 3", none='{"orderId": 99}')

    assert inside("outbox", "resend", "3").status == 0

    assert (row(posted, 3).resent, posted.log_size()) == (1, before)


@ONE_KIND
def test_an_order_that_the_shop_has_deleted_shows_no_address(posted: Shop, inside: Program):
    posted.soft_delete("orders", 1)

    [summary] = [one for one in json.loads(inside("outbox", "list", "-o", "json").out) if one["id"] == 2]

    assert (summary["order_code"], summary["receiver"]) == ("DH1", None)
    assert inside("outbox", "list", "--order", "DH1").status == 3


@ONE_KIND
def test_texts_of_others_are_harmless_and_without_secrets(posted: Shop, inside: Program):
    url = "https://u:canary@crm.example/x?token=canary"
    mark(
        posted,
        3,
        last_error=f"x: a\x1b[2J\u202eb\nc {url}",
        payload={"orderId": 1, "event": "\x1b[2J", "url": url},
    )

    for words in (
        ["list"],
        ["list", "-o", "json"],
        ["show", "3"],
        ["show", "3", "-o", "json"],
        ["resend", "3"],
    ):
        out = inside("outbox", *words).out
        assert "canary" not in out
        assert "\x1b" not in out
    assert "canary" not in str(posted.event("DH1", "webhook_resent").details)


@ONE_KIND
def test_a_database_without_the_outbox_is_not_migrated(shop: Shop, inside: Program):
    shop.execute("ALTER TABLE orderctl_outbox DROP COLUMN resent")

    for words in (["list"], ["show", "1"], ["resend", "1"]):
        ended = inside("outbox", *words)
        assert ended.status == 78, words
        assert "orderctl migrate up" in ended.err


@ONE_KIND
def test_the_list_imports_no_more_than_it_needs(shop: Shop):
    modules = imported("outbox", "list")

    assert "orderctl.outgoing" in modules
    assert not modules & {"redis", "rq", "jinja2", "smtplib", "orderctl.worker"}


def test_the_kinds_are_those_of_the_outbox():
    assert sorted(message_options.KINDS) == sorted(EntryKind)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("orderctl outbox list --state sent,f", ["sent,failed"]),
        ("orderctl outbox list --kind ", ["completion", "summary", "alert", "webhook"]),
        ("orderctl outbox resend --endpoint c", ["crm"]),
        ("orderctl outbox res", ["resend"]),
    ],
)
def test_words_are_completed(line: str, found: list[str]):
    known = {"ORDERCTL_NOTIFY_ENDPOINT": '[{"name": "crm", "url": "https://crm.example/"}]'}
    done = subprocess.run(
        [SCRIPT, *typed(line)], env=os.environ | known | TAB, capture_output=True, text=True, check=True
    )

    assert offered(done.stdout) == found
