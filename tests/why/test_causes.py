"""Each cause of the links from the payment to the lease: planted, asked about, repaired as it is printed, and gone."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from orderctl import broker, channels, doorbell
from orderctl.payments.amounts import Rules
from orderctl.payments.transfer import Transfer
from orderctl.why.chain import Link
from tests.servers.redis import fill_disk
from tests.why.place import SIGN, Place

pytestmark = pytest.mark.databases("sqlite")

Act = Callable[[Place], Any]


@dataclass(frozen=True)
class Row:
    """A cause.

    Attributes:
        plant: Makes it; the order is DH1.
        link: The first link that does not hold.
        mend: Where no command can repair it: what the explanation says, done by those who can; None: a command is printed.
        says: A part of the explanation.
        crew: Whether workers run, that carry out what comes into the queue after the repair.
        ends: Whether the order is completed in the end.
        subject: What is asked about.
        after: What the workers that run do by themselves after the repair, before they take jobs.
    """

    plant: Act
    link: Link
    mend: Act | None = None
    says: str = ""
    crew: bool = True
    ends: bool = True
    subject: tuple[str, ...] = ("DH1",)
    after: Act = lambda _: None


def _unpaid(place: Place) -> None:
    place.shop.add("DH1", [place.course])


def _told(place: Place, amount: int, text: str = "DH1", *, accept: str = "exact") -> None:
    rules = Rules(accept, Decimal(0), None, ("pending", "failed"), "VND")
    place.environment["ORDERCTL_PAYMENTS_ACCEPT"] = accept
    place.shop.receive(Transfer("plain", Decimal(amount), provider_id="7", content=text), rules=rules)


def _of_amount(amount: int, *, accept: str = "exact") -> Act:
    def plant(place: Place) -> None:
        _unpaid(place)
        _told(place, amount, accept=accept)

    return plant


def _misspelled(place: Place) -> None:
    place.shop.add("DH123456", [place.course])
    _told(place, 300_000, "chuyen khoan DH123465")


def _sql(*statements: str, ring: bool = False) -> Act:
    """Plant by SQL in a paid order; with ``ring``, before that its job is in the queue."""

    def plant(place: Place) -> None:
        place.paid()
        if ring:
            place.ring()
        for statement in statements:
            place.sql(statement)

    return plant


def _mended(statement: str) -> Act:
    return lambda place: place.sql(statement)


def _surplus(place: Place) -> None:
    place.paid()
    place.ring()
    place.shop.receive(Transfer("plain", Decimal(300_000), provider_id="8", content="DH1"))
    place.work()


def _deleted(place: Place) -> None:
    place.paid()
    place.shop.soft_delete("orders", 1)


def _tasks_deleted(place: Place) -> None:
    place.shop.soft_delete("download_tasks", place.paid()[0])


def _orphan(place: Place) -> None:
    [task_id] = place.paid()
    place.shop.orphan(task_id)


def _claimed(worker: str, *statements: str) -> Act:
    """Plant a task with a lease of this worker."""

    def plant(place: Place) -> None:
        [task_id] = place.paid()
        place.shop.start(place.shop.claimed(task_id, worker=worker))
        for statement in statements:
            place.sql(statement)

    return plant


def _expired(place: Place) -> None:
    _claimed("gone.worker-1.1")(place)
    place.shop.expire(1)


def _just_expired(place: Place) -> None:
    _claimed("gone.worker-1.1", f"UPDATE download_tasks SET lease_until = '{_ago(place, 2)}'")(place)


def _pass_time(place: Place) -> None:
    """What a keeper does when some time has passed."""
    for task in place.shop.task_rows():
        place.shop.expire(task.id)
    place.sql("UPDATE download_tasks SET available_at = '2020-01-01 00:00:00' WHERE available_at IS NOT NULL")
    place.client.delete(*place.client.keys("orderctl:rung:*"), "none")
    place.ring()


def _ago(place: Place, seconds: float) -> str:
    from datetime import timedelta

    return f"{place.shop.now() - timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S.%f}"


def _silent(place: Place) -> None:
    """A task that has been due for a minute, and no job."""
    place.paid()
    old = _ago(place, 60)
    place.sql(f"UPDATE download_tasks SET available_at = '{old}', updated_at = '{old}'")
    place.sql(f"UPDATE orders SET paid_at = '{old}'")


def _long_queue(place: Place) -> None:
    _silent(place)
    place.client.rpush(place.queue, *(f"other-{number}" for number in range(1000)))


def _foreign(place: Place) -> None:
    place.paid()
    for number in range(3):
        place.client.rpush(place.queue, f"other-{number}")
        place.client.hset(f"rq:job:other-{number}", "data", b"\x80junk")
    place.ring()


def _taken(place: Place) -> None:
    [task_id] = place.paid()
    name = doorbell.job_id(task_id, 0)
    place.client.set(broker.key(place.client, channels.rung(name)), 1, ex=100)


def _marked(place: Place) -> None:
    _taken(place)
    place.client.persist(broker.key(place.client, channels.rung("task-1-0")))


def _forged(place: Place) -> None:
    place.paid()
    place.client.set("rq:job:task-1-0", "theirs")
    place.client.hset("rq:job:task-1-0-again", "data", b"\x80junk")
    place.ring()


def _take_forged_away(place: Place) -> None:
    place.client.delete("rq:job:task-1-0", "rq:job:task-1-0-again")
    place.ring()


def _cut(number: int) -> Act:
    """What workers do with so many jobs of other programs, which takes a second."""
    return lambda place: place.client.ltrim(place.queue, number, -1)


def _far_behind(place: Place) -> None:
    """More jobs than are looked at one by one."""
    place.paid()
    place.client.rpush(place.queue, *(f"other-{number}" for number in range(1010)))
    place.ring()


def _strangers(place: Place) -> None:
    place.paid()
    place.client.sadd("rq:workers:orderctl", "rq:worker:shop-1")
    place.client.hset("rq:worker:shop-1", "birth", "x")


def _frozen(place: Place) -> None:
    """As Redis is some time after SIGSTOP: the hashes of the workers are gone, or have less time to live."""
    place.paid()
    place.ring()
    for number, left in ((1, 0), (2, 50)):
        name = f"rq:worker:{SIGN}.worker-{number}.1"
        place.client.sadd("rq:workers:orderctl", name)
        if left:
            place.client.hset(name, "state", "idle")
            place.client.expire(name, left)


def _busy(place: Place) -> None:
    [other] = place.paid("DH0")
    place.paid()
    place.shop.claimed(other, worker=f"{SIGN}.worker-1.1")
    place.ring()


def _paused(place: Place) -> None:
    place.paid()
    place.ring()
    place.client.set(broker.key(place.client, channels.paused("orderctl")), 1)


def _wrong_type(key: str) -> Act:
    def plant(place: Place) -> None:
        place.paid()
        place.client.set(key, "of another program")

    return plant


def _rename(place: Place) -> None:
    [key] = [key for key in place.client.keys("rq:*") if place.client.type(key) == b"string"]
    place.client.rename(key, "theirs")
    place.ring()


def _redis(setting: str) -> Act:
    """Plant a paid order, and another URL of Redis."""

    def plant(place: Place) -> None:
        place.paid()
        place.environment["ORDERCTL_REDIS_URL"] = setting.format(port=place.server.port)

    return plant


def _right_url(place: Place) -> None:
    place.environment["ORDERCTL_REDIS_URL"] = place.server.url
    place.ring()


def _without_rights(*rules: str) -> Act:
    def plant(place: Place) -> None:
        place.client.execute_command("ACL", "SETUSER", "less", "on", ">pw", "~*", "&*", "+@all", *rules)
        _redis("redis://less:pw@127.0.0.1:{port}/0")(place)

    return plant


def _config(**values: str) -> Act:
    def act(place: Place) -> None:
        for name, value in values.items():
            place.client.config_set(name.replace("_", "-"), value)

    return act


def _then(*acts: Act) -> Act:
    def act(place: Place) -> None:
        for one in acts:
            one(place)

    return act


def _ring(place: Place) -> None:
    place.ring()


def _pay(place: Place) -> None:
    place.paid()


def _really(act: Act) -> Act:
    """Plant what is repaired by a real supervisor, which costs more than a second."""
    return _then(act, lambda place: setattr(place, "is_real", True))


def _full_disk(place: Place) -> None:
    place.server = place.make_redis()
    place.more.pop("client").close()
    place.environment["ORDERCTL_REDIS_URL"] = place.server.url
    place.paid()
    place.sign()
    fill_disk(place.server)


def _free_disk(place: Place) -> None:
    shutil.rmtree(place.server.folder / "dump.rdb")
    place.client.config_set("stop-writes-on-bgsave-error", "no")
    place.ring()


def _signed(**more: Any) -> Act:
    def plant(place: Place) -> None:
        place.paid()
        place.sign(**more)

    return plant


FAR = "2999-01-01 00:00:00"
ROWS: dict[str, Row] = {
    # --- payment
    "unpaid": Row(_unpaid, Link.PAYMENT),
    "payment-failed": Row(_then(_unpaid, _mended("UPDATE orders SET payment_status = 'failed'")), Link.PAYMENT),
    "partial-payment": Row(_of_amount(100_000, accept="sum"), Link.PAYMENT),
    "amount-mismatch": Row(_of_amount(299_000), Link.PAYMENT),
    "refunded": Row(
        _sql("UPDATE orders SET payment_status = 'refunded'"), Link.PAYMENT,
        _then(_mended("UPDATE orders SET payment_status = 'paid'"), _ring), "sets payment_status to 'paid'",
    ),
    "payment-status-unknown": Row(
        _then(_unpaid, _mended("UPDATE orders SET payment_status = 'on_credit'")), Link.PAYMENT,
        _then(_mended("UPDATE orders SET payment_status = 'paid'"), _ring), "payments.pending_statuses",
    ),
    "amount-unknown": Row(
        _then(_unpaid, _mended("UPDATE orders SET total_amount = 'much'")), Link.PAYMENT,
        _then(_mended("UPDATE orders SET total_amount = 300000"), lambda place: place.shop.pay(), _ring), "total_amount",
    ),
    # --- match
    "unmatched-transfer": Row(_misspelled, Link.MATCH, subject=("DH123456",)),
    "surplus-payment": Row(_surplus, Link.MATCH, lambda _: None, "Send the money back"),
    # --- managed
    "orphan": Row(_orphan, Link.MANAGED, lambda _: None, "Only the shop", ends=False, subject=("task", "1")),
    "order-deleted": Row(
        _deleted, Link.MANAGED, _then(_mended("UPDATE orders SET deleted_at = NULL"), _ring), "deleted_at",
    ),
    "tasks-deleted": Row(
        _tasks_deleted, Link.MANAGED, _then(_mended("UPDATE download_tasks SET deleted_at = NULL"), _ring), "deleted_at",
    ),
    "no-tasks": Row(
        _sql("DELETE FROM order_audit_logs", "DELETE FROM download_tasks"), Link.MANAGED,
        _then(_mended(
            "INSERT INTO download_tasks (order_id, course_url, status, managed, attempt, max_attempts, ready, created_at, "
            "updated_at) VALUES (1, 'http://c.example/a', 'pending', 1, 0, 3, 0, '2026-01-01', '2026-01-01')"
        ), _ring), "download_tasks",
    ),
    "order-status-unknown": Row(
        _sql("UPDATE orders SET order_status = 'on_hold'"), Link.MANAGED,
        _then(_mended("UPDATE orders SET order_status = 'pending'"), _ring), "orders.order_status",
    ),
    "task-status-unknown": Row(
        _sql("UPDATE download_tasks SET status = 'queued'"), Link.MANAGED,
        _then(_mended("UPDATE download_tasks SET status = 'pending'"), _ring), "download_tasks.status",
    ),
    "not-managed": Row(_sql("UPDATE download_tasks SET managed = 0"), Link.MANAGED),
    "with-the-shop": Row(
        _sql("UPDATE download_tasks SET managed = 0, status = 'downloading'"), Link.MANAGED, lambda _: None, ends=False,
    ),
    "added-after-end": Row(_sql("UPDATE orders SET order_status = 'completed'"), Link.MANAGED),
    # --- doorbell
    "not-due": Row(
        lambda place: _sql(f"UPDATE download_tasks SET available_at = '{_ago(place, -200)}'")(place),
        Link.DOORBELL, _pass_time,
    ),
    "due-too-late": Row(_sql(f"UPDATE download_tasks SET available_at = '{FAR}'"), Link.DOORBELL),
    "no-doorbell": Row(_silent, Link.DOORBELL),
    "ringing": Row(_pay, Link.DOORBELL, _pass_time),
    "mark-stays": Row(_marked, Link.DOORBELL, after=_ring),
    "job-forged": Row(_forged, Link.DOORBELL, _take_forged_away, "redis-cli RENAME"),
    "job-taken": Row(_taken, Link.DOORBELL, _pass_time),
    "queue-long": Row(_long_queue, Link.DOORBELL, _then(_cut(1000), _pass_time)),
    # --- queue
    "queue-paused": Row(_paused, Link.QUEUE),
    "queue-wrong-type": Row(_wrong_type("rq:queue:orderctl"), Link.QUEUE, _rename, "redis-cli RENAME"),
    "queue-wrong-type (jobs taken)": Row(
        _wrong_type("rq:queue:orderctl:intermediate"), Link.QUEUE, _rename, "redis-cli RENAME",
    ),
    "queue-wrong-type (queues)": Row(_wrong_type("rq:queues"), Link.QUEUE, _rename, "redis-cli RENAME"),
    "foreign-workers": Row(
        _strangers, Link.QUEUE, _then(lambda place: place.client.delete("rq:worker:shop-1"), _ring), "worker.queue",
    ),
    "foreign-jobs": Row(_foreign, Link.QUEUE, lambda _: None),
    "foreign-jobs (many)": Row(_far_behind, Link.QUEUE, _cut(1010)),
    "redis-down": Row(_redis("unix:///nonexistent/redis.sock"), Link.QUEUE, _right_url, "Start the Redis server"),
    "redis-login": Row(_redis("redis://:wrong@127.0.0.1:{port}/0"), Link.QUEUE, _right_url, "Correct redis.url"),
    "redis-setting": Row(_redis("redis://127.0.0.1:{port}/99"), Link.QUEUE, _right_url, "Correct redis.url"),
    "redis-rights": Row(_without_rights("-rpush"), Link.QUEUE, after=_ring),
    "redis-rights (publish)": Row(_without_rights("resetchannels"), Link.QUEUE, after=_ring),
    "redis-rights (keys)": Row(_without_rights("resetkeys", "~order:*", "~task:*", "~orderctl:*"), Link.QUEUE, after=_ring),
    "redis-full": Row(
        _then(_pay, _config(maxmemory_policy="noeviction", maxmemory="1")), Link.QUEUE,
        _then(_config(maxmemory="0"), _ring), "maxmemory",
    ),
    "redis-read-only": Row(
        _then(_pay, lambda place: place.client.execute_command("REPLICAOF", "127.0.0.1", "1")), Link.QUEUE,
        _then(lambda place: place.client.execute_command("REPLICAOF", "NO", "ONE"), _ring), "primary",
    ),
    "redis-without-replicas": Row(
        _then(_pay, _config(min_replicas_to_write="1")), Link.QUEUE,
        _then(_config(min_replicas_to_write="0"), _ring), "min-replicas",
    ),
    "redis-disk-full": Row(_full_disk, Link.QUEUE, _free_disk, "disk"),
    # --- worker
    "no-worker": Row(_really(_pay), Link.WORKER, crew=False),
    "other-queue": Row(_signed(queue="mail"), Link.WORKER, crew=False),
    "draining": Row(_signed(draining=True), Link.WORKER, crew=False),
    "worker-frozen": Row(_frozen, Link.WORKER),
    "behind": Row(_busy, Link.WORKER, lambda _: None),
    "free-worker": Row(_then(_pay, _ring), Link.WORKER, lambda _: None),
    # --- lease
    "lease-torn": Row(_claimed("x", "UPDATE download_tasks SET lease_until = NULL"), Link.LEASE),
    "lease-torn (waiting)": Row(
        _sql("UPDATE download_tasks SET lease_token = 'x', lease_until = NULL"), Link.LEASE,
    ),
    "running-without-lease": Row(_sql("UPDATE download_tasks SET status = 'downloading'"), Link.LEASE),
    "lease-too-long": Row(
        _claimed("gone.worker-1.1", f"UPDATE download_tasks SET lease_until = '{FAR}'"), Link.LEASE,
    ),
    "lease-expired": Row(_expired, Link.LEASE),
    "worker-ended": Row(_just_expired, Link.LEASE, _pass_time),
    "worker-lost": Row(_claimed("gone.worker-1.1"), Link.LEASE, _pass_time),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_a_cause_is_named_and_repaired_as_it_is_printed(name: str, place: Place) -> None:
    row = ROWS[name]
    if row.crew:
        place.sign()
    row.plant(place)

    found = place.ask(*row.subject)

    assert (found["link"], found["cause"]) == (row.link, name.partition(" ")[0]), found["text"]
    if row.mend is None:
        assert found["repair"], found
        if row.link in {Link.PAYMENT, Link.MATCH}:  # it gives goods away
            assert found["explanation"].startswith("Only when ")
            assert "--yes" not in found["repair"]
        place.carry_out(found["repair"])
    else:
        assert found["repair"] is None
        assert row.says in (found["explanation"] or "")
        row.mend(place)
    row.after(place)
    if row.crew:
        place.work()
    if row.ends:
        assert place.is_completed(row.subject[-1])


def test_a_worker_that_sends_heartbeats_is_not_frozen(place: Place) -> None:
    place.sign()
    _frozen(place)
    place.client.expire(f"rq:worker:{SIGN}.worker-2.1", 80)

    assert place.ask("DH1")["cause"] == "free-worker"


READER = "on >pw ~* &* -@all +@read +@connection +subscribe +psubscribe +unsubscribe +punsubscribe +info +role +multi +discard"


def _log_in(place: Place) -> None:
    place.environment["ORDERCTL_REDIS_URL"] = f"redis://less:pw@127.0.0.1:{place.server.port}/0"


def test_an_account_that_only_reads_is_no_fault_for_status_doctor_or_why(place: Place) -> None:
    place.sign()
    place.paid()
    place.ring()
    place.client.execute_command("ACL", "SETUSER", "less", "reset", *READER.split())
    _log_in(place)

    found = place.ask("DH1")
    said = [place.run(*words)[1] for words in (("status",), ("doctor", "--listen", "0.1s"), ("why", "DH1"))]

    assert (found["state"], found["cause"]) == ("waits", "free-worker")
    assert "this account only reads; whether another one has the rights for workers" in said[1]
    lines = [line for text in said for line in text.splitlines()]
    assert [
        line
        for line in lines
        if re.search(r"ACL SETUSER less(?! (\+time|'\+config\|get')$)", line)
        or "BROKEN" in line
        or "redis-rights" in line
    ] == []
    assert "Redis" not in "".join(line for line in said[0].splitlines() if line.startswith("!"))
    assert [line for line in said[1].splitlines() if "rights" in line and "FAULT" in line.upper()] == []


def test_an_account_with_the_setting_read_only_is_one_that_only_reads(place: Place) -> None:
    place.sign()
    place.paid()
    place.ring()
    place.environment["ORDERCTL_READ_ONLY"] = "1"
    place.client.execute_command("ACL", "SETUSER", "less", "on", ">pw", "~*", "&*", "+@all", "-rpush")
    _log_in(place)

    assert place.ask("DH1")["cause"] == "free-worker"
    assert "ACL SETUSER" not in place.run("status")[1] + place.run("doctor", "--listen", "0.1s")[1]


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("redis-full", "orderctl doctor --only redis"),
        ("redis-without-replicas", "orderctl doctor --only redis"),
        ("redis-rights", "ACL SETUSER less +rpush"),
    ],
)
def test_status_has_the_cause_of_a_redis_that_takes_no_writes(name: str, command: str, place: Place) -> None:
    ROWS[name].plant(place)
    try:
        status, out, _ = place.run("status", "-o", "json")
    finally:
        _config(maxmemory="0", min_replicas_to_write="0")(place)

    [cause] = [one for one in json.loads(out)["causes"] if one["name"].startswith("redis")]
    assert (status, cause["name"]) == (1, name)
    assert command in cause["command"]
