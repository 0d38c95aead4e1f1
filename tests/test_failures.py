import errno
import http.client
import re
import socket
import ssl
import urllib.error
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection

from orderctl import clock, database, failures, leases, lifecycle, masking, reconcile, shape, tasks
from orderctl.channels import Scope
from orderctl.downloads import errors as download_errors
from orderctl.errors import InvalidInput, LeaseLost, TaskNotFound
from orderctl.failures import Failure
from orderctl.leases import Claim
from orderctl.lifecycle import Moved
from orderctl.schema import download_tasks, order_audit_logs, outbox
from orderctl.states import ErrorType
from tests.shop import Shop


class Odd(Exception):
    def __init__(self, text: str = "odd", **attributes: Any) -> None:
        super().__init__(text)
        for name, value in attributes.items():
            setattr(self, name, value)


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def _raised(exception: BaseException) -> BaseException:
    try:
        raise exception
    except type(exception) as caught:
        return caught


@pytest.mark.parametrize(
    ("exception", "expected"),
    [
        (Odd("disk", error_type=ErrorType.NETWORK), "NETWORK"),
        (Odd("disk", error_type="TIMEOUT"), "TIMEOUT"),
        (Odd("disk", error_type="MADE_UP"), "DISK_SPACE"),
        (Odd("odd", error_type=["TIMEOUT"]), "UNKNOWN"),
        (download_errors.StatusRefused(404, "http://x/"), "NOT_FOUND"),
        (download_errors.StatusRefused(403, "http://x/"), "AUTHENTICATION"),
        (download_errors.StatusRefused(503, "http://x/"), "NETWORK"),
        (download_errors.StatusRefused(501, "http://x/"), "UNKNOWN"),
        (download_errors.AddressRefused("disk"), "REFUSED"),
        (download_errors.ChecksumMismatch("disk"), "CHECKSUM"),
        (download_errors.DiskFull("x"), "DISK_SPACE"),
        (OSError(errno.ENOSPC, "No space left on device"), "DISK_SPACE"),
        (OSError(errno.EDQUOT, "Quota exceeded"), "DISK_SPACE"),
        (OSError(errno.EROFS, "Read-only file system"), "PERMISSION"),
        (PermissionError(errno.EACCES, "Permission denied", "/mnt/disk/space"), "PERMISSION"),
        (PermissionError("no"), "PERMISSION"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "NETWORK"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "NETWORK"),
        (BrokenPipeError(), "NETWORK"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "NETWORK"),
        (ssl.SSLError("bad handshake"), "NETWORK"),
        (TimeoutError("timed out"), "TIMEOUT"),
        (TimeoutError("disk"), "TIMEOUT"),
        (OSError(errno.ETIMEDOUT, "Connection timed out"), "TIMEOUT"),
        (http.client.RemoteDisconnected("closed"), "NETWORK"),
        (urllib.error.URLError(ConnectionRefusedError(111, "Connection refused")), "NETWORK"),
        (Exception("Not enough DISK left"), "DISK_SPACE"),
        (Exception("no space; authentication needed"), "DISK_SPACE"),
        (Exception("invalid token, connection closed"), "AUTHENTICATION"),
        (Exception("Authentication failed: timeout"), "AUTHENTICATION"),
        (Exception("Timeout of the connection"), "TIMEOUT"),
        (Exception("network is unreachable, permission denied"), "NETWORK"),
        (Exception("Connection aborted"), "NETWORK"),
        (Exception("permission denied"), "PERMISSION"),
        (Exception("something else"), "UNKNOWN"),
        (Exception(), "UNKNOWN"),
        (Unspeakable(), "UNKNOWN"),
        (Odd(errno="28"), "UNKNOWN"),
        (Odd(errno=errno.ENOSPC), "DISK_SPACE"),
    ],
    ids=lambda value: repr(value)[:50] if not isinstance(value, Unspeakable) else "Unspeakable",
)
def test_classifies(exception: BaseException, expected: str) -> None:
    assert failures.describe(_raised(exception)).error_type == expected


def test_describes_what_there_is() -> None:
    failure = failures.describe(_raised(Odd("hỏng \ud800" + "x" * 9000)))

    assert failure.message.startswith("hỏng ?xxx")
    assert len(failure.message) == 4000
    assert "test_failures.py" in failure.stack_trace
    failure.stack_trace.encode()
    assert failures.describe(KeyboardInterrupt()).message == "KeyboardInterrupt"
    assert "Unspeakable" in failures.describe(_raised(Unspeakable())).message


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("disk full", "disk full"),
        (b"disk full", "disk full"),
        ("", "Exception"),
        (None, "Exception"),
        (404, "404"),
    ],
)
def test_describes_a_text(reason: object, message: str) -> None:
    failure = failures.describe(reason)

    assert (failure.message, failure.stack_trace) == (message, "")
    assert failure.fingerprint == failures.describe(Exception(message if reason else "")).fingerprint


def _fingerprint(text: str, kind: type[Exception] = RuntimeError) -> str:
    return failures.describe(_raised(kind(text))).fingerprint


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HTTP 404 from http://a.example/1?x=1", "HTTP 404 from https://b.example/other/2"),
        ("no space for '/srv/a/1.mp4'", "no space for '/srv/b/2.mp4'"),
        ("cannot open /srv/a/1.mp4", "cannot open /srv/b/x y.mp4".replace(" y", "y")),
        ("object at 0x7f01 has 12 parts", "object at 0x7fab has 7 parts"),
        ("checksum deadbeefcafe0123 is wrong", "checksum 0123456789abcdef is wrong"),
        ("It Broke", "it broke"),
    ],
)
def test_failures_of_one_kind_have_one_fingerprint(one: str, other: str) -> None:
    assert _fingerprint(one) == _fingerprint(other)


def test_failures_of_other_kinds_have_other_fingerprints() -> None:
    elsewhere = failures.describe(RuntimeError("broken")).fingerprint
    found = [_fingerprint("broken"), _fingerprint("torn"), _fingerprint("broken", ValueError), elsewhere]
    assert len(set(found)) == 4
    assert all(len(digits) == 16 and int(digits, 16) >= 0 for digits in found)


TRANSIENT = Failure(ErrorType.NETWORK, "connection reset", "f1", "trace")
LASTING = Failure(ErrorType.UNKNOWN, "it is broken", "f2", "trace")


def _fail(shop: Shop, claim: Claim, failure: Failure, *, retry_transient: bool = True) -> Moved:
    return shop.transact(lambda c: failures.fail(c, claim, failure, retry_transient=retry_transient))


def _claimed(shop: Shop, **more: Any) -> Claim:
    [task_id] = shop.paid(**more)
    claim = shop.claimed(task_id, worker="host-1")
    shop.start(claim)
    return claim


def test_lasting_failure_ends_task_and_order(shop: Shop) -> None:
    claim = _claimed(shop)

    finished = _fail(shop, claim, LASTING)

    task, row = shop.task(claim.task_id), shop.task_row(claim.task_id)
    assert (task.status, task.error_type, task.error_fingerprint) == ("failed", "UNKNOWN", "f2")
    assert task.error_log == "UNKNOWN: it is broken"
    assert (row.lease_token, row.lease_until, row.available_at) == (None, None, None)
    event = shop.event(claim.order_id, "download_failed")
    assert (event.severity, event.previous_status, event.new_status) == ("error", "downloading", "failed")
    moment = datetime.fromisoformat(event.details.pop("timestamp"))
    assert abs(shop.now() - moment) < timedelta(minutes=1)
    assert event.details == {
        "error_message": "it is broken",
        "error_type": "UNKNOWN",
        "error_kind": "UNKNOWN",
        "stack_trace": "trace",
        "fingerprint": "f2",
        "attempt": 1,
    }
    change, ended = finished.messages
    assert (change.scope, change.id, change.new_status) == (Scope.TASK, claim.task_id, "failed")
    assert (change.error, change.error_type, change.attempt) == ("it is broken", "UNKNOWN", 1)
    assert (ended.scope, ended.new_status) == (Scope.ORDER, "failed")
    order_event = shop.event(claim.order_id, "order_failed")
    assert order_event.severity == "error"
    assert order_event.details == {"completedCount": 0, "failedCount": 1, "totalCount": 1}


def test_transient_failure_waits_for_another_attempt(shop: Shop) -> None:
    claim = _claimed(shop)

    finished = _fail(shop, claim, TRANSIENT)

    task = shop.task(claim.task_id)
    assert (task.status, task.error_type, task.attempt) == ("pending", "NETWORK", 1)
    assert task.available_at is not None
    assert task.available_at - shop.now() <= timedelta(seconds=5)
    event = shop.event(claim.order_id, "download_failed")
    assert (event.severity, event.new_status) == ("warning", "pending")
    assert event.message.endswith("(will be tried again)")
    assert finished.completion is None
    assert shop.order().order_status == "processing"
    assert shop.outbox() == []


def _began(shop: Shop, seconds: float) -> None:
    """Let the task have begun to fail this long ago."""
    then = {"failing_since": database.utc_now(-seconds)}
    shop.transact(lambda c: c.execute(download_tasks.update().values(then)))


def _try(shop: Shop, task_id: int, failure: Failure = TRANSIENT, **more: Any) -> Moved:
    """Carry out the next try, which fails."""
    shop.make_due(task_id)
    claim = shop.claimed(task_id)
    shop.start(claim)
    return shop.transact(lambda c: failures.fail(c, claim, failure, retry_transient=True, **more))


def test_what_may_pass_by_itself_uses_up_no_attempt(shop: Shop) -> None:
    [task_id] = shop.paid(max_attempts=1)

    for number in range(1, 4):
        [change] = _try(shop, task_id).messages
        task = shop.task(task_id)
        assert (task.status, task.attempt, task.max_attempts) == ("pending", number, number + 1)

    assert task.failing_since is not None
    assert task.retry_at is not None
    data = change.data()
    assert (data["newStatus"], data["error"]) == ("pending", "connection reset")
    assert data["retryAt"] == clock.as_milliseconds(task.retry_at)
    assert data["failingSince"] == clock.as_milliseconds(task.failing_since)


def test_a_task_that_has_been_failing_for_too_long_is_given_up(shop: Shop) -> None:
    [task_id] = shop.paid()
    _try(shop, task_id)
    _began(shop, 86_300)
    assert _try(shop, task_id).completion is None
    assert shop.task(task_id).retry_at - shop.now() <= timedelta(seconds=100)
    _began(shop, 86_401)

    assert _try(shop, task_id).completion is not None

    task = shop.task(task_id)
    assert (task.status, task.retry_at) == ("failed", None)
    event = shop.events(task.order_id, severities=["error"], task_id=task_id)[-1]
    since = f"failing since {task.failing_since:%Y-%m-%d %H:%M} UTC"
    assert event.message.endswith(f"(given up after 3 tries: {since}, worker.give_up_after)")
    assert event.details["tries"] == 3
    assert "failing_since" in event.details
    assert [row.payload["event"] for row in shop.outbox() if row.kind == "webhook"] == [
        "task_failed",
        "order_failed",
    ]


def test_a_retry_of_a_failing_task_that_is_due_has_it_tried_at_once(shop: Shop) -> None:
    [task_id] = shop.paid()
    _try(shop, task_id)
    shop.make_due(task_id)

    again = partial(tasks.retry, task_id=task_id, max_attempts=3, actor="anna")
    retried = [shop.transact(again) for _ in range(2)]

    assert [one.note or "" for one in retried] == ["", "already waiting, retried by anna"]
    assert shop.task(task_id).failing_since is None


def _succeeds(shop: Shop, task_id: int) -> None:
    shop.make_due(task_id)
    shop.carry_out(task_id)


def _fails_otherwise(shop: Shop, task_id: int) -> None:
    _try(shop, task_id, LASTING)


def _is_retried(shop: Shop, task_id: int) -> None:
    shop.transact(lambda c: tasks.retry(c, task_id, max_attempts=3, actor="admin"))
    assert shop.claim(task_id) is not None  # at once


def _is_lost(shop: Shop, task_id: int) -> None:
    shop.make_due(task_id)
    shop.claimed(task_id)

    def lose(connection: Connection) -> None:
        order, task = lifecycle.hold(connection, task_id)
        lifecycle.move(connection, task, reconcile._after_loss(task), lifecycle.unchanged(task), order)

    shop.transact(lose)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("then", [_succeeds, _fails_otherwise, _is_retried, _is_lost])
def test_a_task_does_not_go_on_failing_once_something_else_happened(
    shop: Shop, then: Callable[[Shop, int], None]
) -> None:
    [task_id] = shop.paid()
    _try(shop, task_id)

    then(shop, task_id)

    assert shop.task(task_id).failing_since is None


def test_a_task_that_gets_on_is_not_given_up(shop: Shop) -> None:
    [task_id] = shop.paid()
    _try(shop, task_id)
    _began(shop, 90_000)

    _try(shop, task_id, got_on=True)

    task = shop.task(task_id)
    assert task.status == "pending"
    assert shop.now() - task.failing_since < timedelta(minutes=1)
    claim = shop.claimed(shop.make_due(task_id) or task_id)
    shop.transact(lambda c: leases.release(c, claim, reason="stops"))
    assert shop.task(task_id).failing_since == task.failing_since
    claim = shop.claimed(task_id)
    shop.transact(lambda c: leases.release(c, claim, reason="stops", got_on=True))
    assert shop.task(task_id).failing_since is None


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("got_on", [False, True])
def test_tries_that_follow_each_other_quickly_get_few_events(shop: Shop, *, got_on: bool) -> None:
    [task_id] = shop.paid()
    reasons = [Failure(ErrorType.NETWORK, f"reason {number}", f"f{number}") for number in range(9)]

    for number in range(30):
        _try(shop, task_id, reasons[number % len(reasons)], got_on=got_on)

    told = Counter(shop.event_types("DH1", task_id=task_id))
    assert told == {"task_created": 1, "enrollment_success": 1, "download_started": 1, "download_failed": 4}
    assert shop.task(task_id).error_log == "NETWORK: reason 2"  # the newest
    last = shop.events("DH1", task_id=task_id)[-1]
    assert (last.details["attempt"], last.details["fingerprint"]) == (4, "f3")
    assert last.details["retry_at"] > last.details["failing_since"]


@pytest.mark.databases("sqlite")
def test_an_event_says_how_often_it_was_tried(shop: Shop) -> None:
    [task_id] = shop.paid()
    for _ in range(5):
        _try(shop, task_id)
    early = {"created_at": database.utc_now(-300)}
    shop.transact(lambda c: c.execute(order_audit_logs.update().values(early)))
    _began(shop, 301)

    _try(shop, task_id)

    *_, first, last = (event for event in shop.events("DH1") if event.event_type == "download_failed")
    assert (first.details["tries"], last.details["tries"]) == (1, 6)
    assert re.search(r"\(try 6 since .* UTC\) \(will be tried again\)$", last.message)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(("asked", "least", "most"), [(600.0, 600, 660), (1e9, 3600, 3960), (0.0, 0, 5)])
def test_the_pause_that_the_server_asked_for_is_kept(shop: Shop, asked: float, least: int, most: int) -> None:
    [task_id] = shop.paid()

    _try(shop, task_id, Failure(ErrorType.UNKNOWN, "busy", "f", is_passing=True, retry_after=asked))

    pause = (shop.task(task_id).retry_at - shop.now()).total_seconds()
    assert least - 5 < pause <= most


def test_transient_failure_lasts_where_retries_are_off(shop: Shop) -> None:
    assert _fail(shop, _claimed(shop), TRANSIENT, retry_transient=False).completion is not None


def test_failure_that_is_written_again_after_a_lost_answer_changes_nothing(shop: Shop) -> None:
    claim = _claimed(shop)
    _fail(shop, claim, LASTING)
    size, outgoing = shop.log_size(), shop.outbox()

    again = _fail(shop, claim, LASTING)

    assert (again.messages, again.completion) == ((), None)
    assert (shop.log_size(), shop.outbox()) == (size, outgoing)


@pytest.mark.parametrize("count", [1, 3])  # with an event, and without one
def test_a_wait_that_is_written_again_after_a_lost_answer_changes_nothing(shop: Shop, count: int) -> None:
    [task_id] = shop.paid()
    for _ in range(count - 1):
        _try(shop, task_id)
    shop.make_due(task_id)
    claim = shop.claimed(task_id)
    _fail(shop, claim, TRANSIENT)
    before = shop.task_row(task_id), shop.log_size()

    again = _fail(shop, claim, TRANSIENT)

    assert (again.messages, again.completion) == ((), None)
    assert (shop.task_row(task_id), shop.log_size()) == before


def test_a_worker_that_lost_the_lease_reports_no_failure(shop: Shop) -> None:
    claim = _claimed(shop)
    shop.execute("UPDATE download_tasks SET lease_token = 'another'")
    before = shop.log_size()

    with pytest.raises(LeaseLost):
        _fail(shop, claim, LASTING)

    assert shop.log_size() == before
    assert shop.task(claim.task_id).status == "downloading"


def test_foreign_worker_reports_a_failure(shop: Shop) -> None:
    shop.execute(
        "INSERT INTO orders (order_code, user_email, payment_status) VALUES ('DH1', 'a@b.c', 'paid')"
    )
    shop.execute(
        "INSERT INTO download_tasks (order_id, course_url, status) VALUES (1, 'http://x/', 'downloading')"
    )

    finished = shop.transact(lambda c: failures.report(c, 1, LASTING, actor="old worker"))

    assert [change.new_status for change in finished.messages] == ["failed", "failed"]
    assert (shop.task(1).status, shop.task(1).error_type) == ("failed", "UNKNOWN")
    event = shop.event(1, "download_failed")
    assert (event.severity, event.actor, event.previous_status) == ("error", "old worker", "downloading")
    again = shop.transact(lambda c: failures.report(c, 1, LASTING))
    assert again.messages == ()
    with pytest.raises(TaskNotFound):
        shop.transact(lambda c: failures.report(c, 2, LASTING))


def _by_our_worker(shop: Shop, claim: Claim) -> None:
    _fail(shop, claim, LASTING)


def _by_a_worker_of_the_shops(shop: Shop, claim: Claim) -> None:
    who = {"source": "python_worker", "actor": "host-7"}
    shop.transact(lambda c: failures.report(c, claim.task_id, failures.describe("disk full"), **who))


def _by_the_loss_of_its_worker(shop: Shop, claim: Claim) -> None:
    def lose(connection: Connection) -> None:
        order, task = lifecycle.hold(connection, claim.task_id)
        lifecycle.move(connection, task, reconcile._after_loss(task), lifecycle.unchanged(task), order)

    shop.execute("UPDATE download_tasks SET max_attempts = attempt")
    shop.transact(lose)


@pytest.mark.parametrize(
    ("fail", "source"),
    [
        (_by_our_worker, "orderctl_worker"),
        (_by_a_worker_of_the_shops, "python_worker"),
        (_by_the_loss_of_its_worker, "orderctl_reconcile"),
    ],
)
def test_the_webhook_of_a_failed_task_says_what_the_audit_log_does(
    shop: Shop, fail: Callable[[Shop, Claim], None], source: str
) -> None:
    claim = _claimed(shop)

    fail(shop, claim)

    [failed, ended] = [row.payload for row in shop.outbox() if row.kind == "webhook"]
    event, order_event = shop.event(1, "download_failed"), shop.event(1, "order_failed")
    assert event.source == source
    assert failed.pop("timestamp") > 0
    assert failed == {
        "event": "task_failed",
        "orderId": event.order_id,
        "orderCode": "DH1",
        "taskId": event.task_id,
        "title": shop.task(claim.task_id).title,
        "errorType": event.details["error_type"],
        "errorKind": event.details["error_kind"],
        "error": event.details["error_message"],
        "fingerprint": event.details["fingerprint"],
        "attempt": event.details["attempt"],
        "previousStatus": event.previous_status,
        "newStatus": event.new_status,
        "source": event.source,
        "actor": event.actor,
    }
    assert (ended["event"], ended["failedTasks"]) == ("order_failed", 1)
    assert (ended["orderCode"], ended["source"], ended["actor"]) == (
        "DH1",
        order_event.source,
        order_event.actor,
    )


@pytest.mark.parametrize("source", ["", " ", "a" * 65, "two\nlines", "nul\x00", 7, None, ["worker"]])
def test_a_source_that_the_audit_log_cannot_hold_is_refused(shop: Shop, source: Any) -> None:
    [task_id] = shop.paid()

    with pytest.raises(InvalidInput, match="is not a valid source: 1 to 64 printable characters"):
        shop.transact(lambda c: failures.report(c, task_id, LASTING, source=source))

    assert shop.task(task_id).status == "pending"


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("actor", ["a" * 400, 4711, "a\udcffb", ""])
def test_the_webhook_names_the_actor_as_the_audit_log_does(shop: Shop, actor: Any) -> None:
    [task_id] = shop.paid()

    shop.transact(lambda c: failures.report(c, task_id, LASTING, actor=actor))

    [task, _] = (row.payload for row in shop.outbox() if row.kind == "webhook")
    assert task["actor"] == shop.event(1, "download_failed").actor == str(actor)[:128].replace("\udcff", "?")


@pytest.mark.databases("mariadb")
def test_the_webhook_spells_the_source_as_the_shops_enum_does(shop: Shop) -> None:
    [task_id] = shop.paid()
    shop.execute("DELETE FROM order_audit_logs")
    shop.execute("ALTER TABLE order_audit_logs MODIFY source ENUM('Python_Worker','node')")
    shape.forget(shop.engine.dialect)

    shop.transact(lambda c: failures.report(c, task_id, LASTING, source="python_worker"))

    [task, _] = (row.payload for row in shop.outbox() if row.kind == "webhook")
    assert task["source"] == shop.event(1, "download_failed").source == "Python_Worker"


@pytest.mark.databases("mariadb", "mysql")
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("VARCHAR(20)", "1 to 20 printable characters"),
        ("ENUM('orderctl_worker','node')", "only orderctl_worker, node"),
    ],
)
def test_a_source_has_to_fit_into_the_shops_column(shop: Shop, kind: str, said: str) -> None:
    [task_id] = shop.paid()
    shop.execute("DELETE FROM order_audit_logs")
    shop.execute(f"ALTER TABLE order_audit_logs MODIFY source {kind}")
    shape.forget(shop.engine.dialect)

    with pytest.raises(InvalidInput, match=said):
        shop.transact(lambda c: failures.report(c, task_id, LASTING, source="the_shops_python_worker"))

    shop.transact(lambda c: failures.report(c, task_id, LASTING))
    assert shop.event(1, "download_failed").source == "orderctl_worker"


def _alerts(shop: Shop) -> list[Any]:
    return [row for row in shop.outbox() if row.kind == "alert"]


def test_the_shop_reads_its_own_words_for_orderctls_finer_types(shop: Shop) -> None:
    claim = _claimed(shop)

    finished = _fail(shop, claim, Failure(ErrorType.NOT_FOUND, "HTTP 404", "f4"))

    task, details = shop.task(claim.task_id), shop.event(claim.order_id, "download_failed").details
    webhook = next(row.payload for row in shop.outbox() if row.kind == "webhook")
    assert (task.error_type, task.error_log) == ("NOT_FOUND", "NOT_FOUND: HTTP 404")
    assert (details["error_type"], details["error_kind"]) == ("UNKNOWN", "NOT_FOUND")
    assert (webhook["errorType"], webhook["errorKind"]) == ("UNKNOWN", "NOT_FOUND")
    data = finished.messages[0].data()
    assert (data["errorType"], data["errorKind"]) == ("UNKNOWN", "NOT_FOUND")


@pytest.mark.parametrize("error_type", list(ErrorType))
def test_what_needs_the_admin_is_alerted(shop: Shop, error_type: ErrorType) -> None:
    _fail(shop, _claimed(shop), Failure(error_type, "m", "f3"))

    expected = int(error_type in {"DISK_SPACE", "AUTHENTICATION"})
    assert len(_alerts(shop)) == expected


DISK = Failure(ErrorType.DISK_SPACE, "no space", "f4")


def test_one_alert_at_once_and_one_for_all_others_of_the_hour(shop: Shop) -> None:
    for number in range(5):
        _fail(shop, _claimed(shop, code=f"DH{number}"), DISK)

    first, second = _alerts(shop)
    assert first.due_at <= shop.now()
    assert abs(second.due_at - first.due_at - timedelta(hours=1)) < timedelta(minutes=1)


def test_another_fingerprint_is_another_alert(shop: Shop) -> None:
    _fail(shop, _claimed(shop, code="DH1"), DISK)
    _fail(shop, _claimed(shop, code="DH2"), Failure(ErrorType.DISK_SPACE, "no space", "f5"))

    assert [row.payload["fingerprint"] for row in _alerts(shop)] == ["f4", "f5"]
    assert all(row.due_at <= shop.now() for row in _alerts(shop))


def test_an_hour_later_an_alert_leaves_at_once(shop: Shop) -> None:
    _fail(shop, _claimed(shop, code="DH1"), DISK)
    long_ago = {"due_at": database.utc_now(-3700), "created_at": database.utc_now(-3700)}
    shop.transact(lambda c: c.execute(outbox.update().values(long_ago)))

    _fail(shop, _claimed(shop, code="DH2"), DISK)

    assert len(_alerts(shop)) == 2
    assert all(row.due_at <= shop.now() for row in _alerts(shop))


def test_a_foreign_task_that_fails_again_is_reported_again(shop: Shop) -> None:
    shop.execute(
        "INSERT INTO orders (order_code, user_email, payment_status) VALUES ('DH1', 'a@b.c', 'paid')"
    )
    shop.execute(
        "INSERT INTO download_tasks (order_id, course_url) VALUES (1, 'http://x/'), (1, 'http://y/')"
    )

    for _ in range(2):
        shop.execute("UPDATE download_tasks SET status = 'downloading' WHERE id = 1")
        shop.transact(lambda c: failures.report(c, 1, LASTING))

    assert [row.payload["event"] for row in shop.outbox()] == ["task_failed", "task_failed"]


def test_secrets_are_masked_and_the_fingerprint_stays() -> None:
    text = "denied: https://u:pass{0}@h/x?sig=signature{0} (with url: /x?sig=signature{0}, 'signature{0}')"
    one, other = failures.describe(text.format(1)), failures.describe(text.format(2))
    with masking.knowing(*masking.secrets("https://u:pass1@h/x?sig=signature1")):
        known = failures.describe(text.format(1))

    assert known.message == "denied: https://***@h/x?sig=*** (with url: /x?sig=***, '***')"
    assert one.message == "denied: https://***@h/x?sig=*** (with url: /x?sig=***, 'signature1')"
    assert (
        one.fingerprint
        == other.fingerprint
        == known.fingerprint
        == failures.fingerprint(Exception(text.format(1)))
    )


def test_a_report_of_the_shops_worker_has_no_secret_of_the_tasks_url(shop: Shop) -> None:
    [task_id] = shop.paid("DH1", ["https://u:pass@h/x?sig=signature"])
    failure = failures.describe(ValueError("the signature 'signature' of /x?sig=signature is wrong"))

    moved = shop.transact(lambda c: failures.report(c, task_id, failure))

    [change] = [message for message in moved.messages if message.id == task_id and message.error]
    [event] = [event for event in shop.events("DH1") if event.event_type == "download_failed"]
    assert change.error == "the *** '***' of /x?sig=*** is wrong"
    assert "'signature'" not in event.details["stack_trace"]
    assert shop.task_row(task_id).error_fingerprint == failure.fingerprint
