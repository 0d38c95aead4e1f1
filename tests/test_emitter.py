"""The emitter: what it sends, and that trouble with Redis or the database never slows or fails a download."""

import itertools
import math
import sqlite3
import subprocess
import sys
import threading
import uuid
from decimal import Decimal
from enum import Enum

import pytest
import redis

from orderctl import broker, publications, settings, tasks
from orderctl import siblings as order_tasks
from orderctl.channels import order_complete, order_progress, order_status, task_progress, task_status
from orderctl.errors import DatabaseUnavailable, Misconfigured, NotMigrated, TaskNotFound
from orderctl.messages import Completion
from orderctl.progress import ProgressEmitter
from orderctl.siblings import read_siblings
from tests.servers.redis import unhurried
from tests.waiting import SOON, Clock, eventually

ORDER = 1
NOBODY = "redis://127.0.0.1:1/0"


@pytest.fixture
def clock():
    """The emitters' clock."""
    return Clock()


@pytest.fixture(autouse=True)
def orders_are_known_at_once(monkeypatch):
    """The first message of an order waits for its tasks: on a busy machine a thread may start late."""
    monkeypatch.setattr(order_tasks, "_FIRST_WAIT_SECONDS", SOON)


@pytest.fixture
def emitters(home, clock):
    """``emitters(redis_url, interval=3600, hasty=False, **more)`` makes an emitter that knows its order has two tasks.

    Its clock stands still. It waits for Redis as long as that takes, unless it is ``hasty``, as the real one.
    """
    made = []

    def make(url, *, interval=3600, database_url=None, hasty=False, **more):
        flags = {"redis.url": url, "progress.interval_seconds": str(interval)}
        flags["database.url"] = database_url or f"sqlite:///{home}/none.db"
        if database_url is None:
            more.setdefault("siblings", lambda _: {1: None, 2: None})
        client = None if hasty else unhurried(broker.hasty(url))
        made.append(ProgressEmitter(settings.load(flags), client=client, clock=clock, **more))
        return made[-1]

    yield make
    for emitter in made:
        emitter.close()


@pytest.fixture
def listener(redis_url):
    with redis.Redis.from_url(redis_url) as connection, connection.pubsub() as pubsub:
        pubsub.psubscribe("task:*", "order:*")
        acknowledged = [pubsub.get_message(timeout=SOON)["type"] for _ in range(2)]
        assert acknowledged == ["psubscribe"] * 2
        yield pubsub


@pytest.fixture
def client(redis_url):
    return unhurried(broker.brisk(redis_url))


@pytest.fixture
def task_ids(shop):
    """The tasks of a paid order, whose id is ORDER."""
    return shop.paid("DH1", 3)


def last(client, channel):
    return publications.snapshots(client, [channel]).get(channel)


def hear(listener, client):
    """Return the channels of everything published so far."""
    client.publish("task:last", "")
    names = []
    while (message := listener.get_message(timeout=SOON))["channel"] != b"task:last":
        names.append(message["channel"].decode())
    return names


def fail(message):
    raise ConnectionError(message)


def test_progress_of_the_task_and_its_order(emitters, redis_url, client):
    emitter = emitters(redis_url, attempt=3)

    assert emitter.emit_progress(1, 9, 40.0, "lesson 1.mp4", 2_000_000)

    task = last(client, task_progress(1))
    assert {name: task[name] for name in ("taskId", "percent", "currentFile", "speed", "attempt")} == {
        "taskId": 1,
        "percent": 40.0,
        "currentFile": "lesson 1.mp4",
        "speed": 2_000_000,
        "attempt": 3,
    }
    assert last(client, order_progress(9))["percent"] == 20
    assert emitter.errors == 0


def test_it_needs_no_arguments(redis_url, client, monkeypatch):
    monkeypatch.setenv("ORDERCTL_REDIS_URL", redis_url)

    emitter = ProgressEmitter()

    # It gives Redis 0.2 s, and on a busy machine that may not do.
    eventually(lambda: emitter.emit_progress(1, 9, 40.0, "lesson 1.mp4", None, at_once=True), "a message")
    assert last(client, task_progress(1))["percent"] == 40
    emitter.close()


def test_a_wrong_setting_is_said_at_once(monkeypatch):
    monkeypatch.setenv("ORDERCTL_PROGRESS_INTERVAL_SECONDS", "soon")

    with pytest.raises(Misconfigured):
        ProgressEmitter()


def test_first_and_last_always_leave_and_little_between(emitters, redis_url, listener, client):
    emitter = emitters(redis_url)

    sent = [percent for percent in range(101) if emitter.emit_progress(1, 9, percent, f"{percent}.mp4", None)]

    assert sent == [0, 100]
    assert hear(listener, client).count("task:1:progress") == 2


def test_the_end_is_said_once(emitters, redis_url):
    emitter = emitters(redis_url)

    assert [emitter.emit_progress(1, 9, 100, "a", None) for _ in range(5)] == [True] + [False] * 4


def test_after_the_interval_the_next_one_leaves(emitters, redis_url, clock):
    emitter = emitters(redis_url, interval=5)
    sent = []
    for seconds in (0, 4.9, 0.2, 4.9, 0.2):
        clock.now += seconds
        sent.append(emitter.emit_progress(1, 9, 1, "a", None))

    assert sent == [True, False, True, False, True]


def test_without_an_interval_all_leave(emitters, redis_url):
    emitter = emitters(redis_url, interval=0)

    assert all(emitter.emit_progress(1, 9, percent, "a", None) for percent in range(20))


def test_each_task_has_its_own_pace(emitters, redis_url):
    emitter = emitters(redis_url)

    assert [emitter.emit_progress(task_id, 9, 5, "a", None) for task_id in (1, 2, 1, 2)] == [
        True,
        True,
        False,
        False,
    ]


def test_an_end_is_never_throttled(emitters, redis_url, client):
    emitter = emitters(redis_url)
    for task_id in (1, 2):
        emitter.emit_progress(task_id, 9, 80, "a.mp4")

    for percent, said in (
        (0, "Failed: disk full"),
        (0.0, "failed: no space left"),
        (100, "a.mp4"),
        ("0", "FAILED"),
        (-1, "Failed: disk full"),
    ):
        for task_id in (1, 2):
            assert emitter.emit_progress(task_id, 9, percent, said)
            assert last(client, task_progress(task_id))["currentFile"] == said


def test_what_only_looks_like_an_end_waits_for_its_turn(emitters, redis_url):
    emitter = emitters(redis_url)
    emitter.emit_progress(1, 9, 80, "a.mp4")

    for percent, said in ((0, "a.mp4"), (0, ""), (0, None), (1, "Failed: disk full"), (99.999, "a.mp4")):
        assert not emitter.emit_progress(1, 9, percent, said)


def test_an_end_that_is_said_again_and_again_is_sent_once(emitters, redis_url, listener, client):
    emitter = emitters(redis_url)

    for _ in range(50):
        for task_id in (1, 2):
            emitter.emit_progress(task_id, 9, 0, "Failed: disk full")
            emitter.emit_progress(task_id, 9, 1, "a.mp4")

    heard = hear(listener, client)
    assert [heard.count(f"task:{task_id}:progress") for task_id in (1, 2)] == [1, 1]


def test_what_has_to_leave_at_once_does(emitters, redis_url):
    emitter = emitters(redis_url)
    emitter.emit_progress(1, 9, 50, "a", None)

    assert emitter.emit_progress(1, 9, 0, "Failed: no such file", None, at_once=True)


def test_messages_of_a_task_are_in_order(emitters, redis_url, client):
    emitter = emitters(redis_url, interval=0, attempt=1)
    seen = []
    for percent in range(50):
        emitter.emit_progress(1, 9, percent, "a", None)
        seen.append(last(client, task_progress(1)))

    for key in ("seq", "timestamp"):
        assert all(one[key] < next_[key] for one, next_ in itertools.pairwise(seen))


def test_a_new_emitter_goes_on_where_another_ended(emitters, redis_url, client):
    """An attempt's work-horse dies; the process that notices it continues the attempt's numbers."""
    seen = []
    for percent in range(3):
        emitters(redis_url, attempt=2).emit_progress(1, 9, percent, "a", None)
        seen.append(last(client, task_progress(1)))
        threading.Event().wait(0.002)

    assert all(one["seq"] < next_["seq"] for one, next_ in itertools.pairwise(seen))


def test_who_does_not_know_the_attempt_leaves_it_out(emitters, redis_url, client):
    emitters(redis_url).emit_progress(1, 9, 5, "a", None)

    assert not {"attempt", "seq"} & set(last(client, task_progress(1)))


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (-5, 0),
        (-0.001, 0),
        (33.333333, 33.33),
        (99.999, 99.99),
        (100.0001, 100),
        (1e308, 100),
        (Decimal("12.5"), 12.5),
        (True, 1),
    ],
)
def test_a_percent_is_cut_to_size(emitters, redis_url, client, given, sent):
    assert emitters(redis_url).emit_progress(1, 9, given, "a", None)

    assert last(client, task_progress(1))["percent"] == sent


@pytest.mark.parametrize("percent", [math.nan, math.inf, -math.inf, None, "half", [], object()])
def test_what_is_not_a_percent_is_counted_and_not_sent(emitters, redis_url, client, percent):
    emitter = emitters(redis_url)

    assert not emitter.emit_progress(1, 9, percent, "a", None)

    assert emitter.errors == 1
    assert last(client, task_progress(1)) is None


NO_IDS = (
    None, "first", "", [], math.nan, math.inf, 1.5, "1.5", "1_0", b"1_0", b"\xff", "\u0667", 0, -1, 2**63,
    uuid.UUID(int=1),
)  # fmt: skip


@pytest.mark.parametrize("wrong", NO_IDS)
def test_what_is_not_an_id_is_counted_and_not_sent(emitters, redis_url, wrong):
    emitter = emitters(redis_url)

    for ids in ((wrong, 9), (1, wrong)):
        assert not emitter.emit_progress(*ids, 5, "a", None)
        assert not emitter.emit_status_change(*ids, "completed", None)
    assert emitter.errors == 4


class LikeNumpy:
    """A whole number of a type that is no int, as numpy's are not."""

    def __int__(self):
        return 1

    def __eq__(self, other):
        return other == 1

    __hash__ = None


@pytest.mark.parametrize("given", ["1", b"1", " 1 ", 1.0, Decimal(1), LikeNumpy()])
def test_an_id_can_be_any_kind_of_whole_number(emitters, redis_url, client, given):
    emitter = emitters(redis_url)

    assert emitter.emit_progress(given, "9", 5, "a", None)
    assert not emitter.emit_progress(1, 9, 6, "a", None), "it is the same task"
    assert emitter.emit_status_change(given, "9", "downloading")
    assert (last(client, task_progress(1))["taskId"], last(client, task_status(1))["taskId"]) == (1, 1)


@pytest.mark.parametrize(
    ("given", "sent"),
    [(1234.56, 1234.6), (0, 0), (-1, None), (math.nan, None), (math.inf, None), (None, None)],
)
def test_a_speed_is_a_number_or_unknown(emitters, redis_url, client, given, sent):
    emitters(redis_url).emit_progress(1, 9, 5, "a", given)

    assert last(client, task_progress(1))["speed"] == sent


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("Bài 1.mp4", "Bài 1.mp4"),
        ("caf\udce9.mp4", "caf?.mp4"),  # a byte that is not valid UTF-8, as os.fsdecode represents it
        (None, ""),
        (7, "7"),
        ("a" * 100_000, "a" * 1000),
        ("日" * 100_000, "日" * 1000),
    ],
)
def test_a_file_name_arrives_whatever_it_is(emitters, redis_url, client, given, sent):
    assert emitters(redis_url).emit_progress(1, 9, 5, given, None)

    assert last(client, task_progress(1))["currentFile"] == sent


def test_a_move_is_said_at_once(emitters, redis_url, client):
    emitter = emitters(redis_url, attempt=2)

    for new, previous in itertools.pairwise(["failed", "downloading", "enrolled"]):
        assert emitter.emit_status_change(1, 9, new, previous, "disk full" if new == "failed" else None)
        found = last(client, task_status(1))
        assert (found["newStatus"], found["previousStatus"], found["attempt"]) == (new, previous, 2)
        assert found.get("error") == ("disk full" if new == "failed" else None)


def test_a_status_in_the_shops_spelling_is_sent_in_lower_case(emitters, redis_url, client):
    emitter = emitters(redis_url)

    for given, sent in (("COMPLETED", "completed"), ("Downloading", "downloading"), ("On Hold", "On Hold")):
        assert emitter.emit_status_change(1, 9, given, given)
        found = last(client, task_status(1))
        assert (found["newStatus"], found["previousStatus"]) == (sent, sent)


class ShopsStatus(Enum):
    FAILED = "FAILED"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("disk full", ("disk full", "DISK_SPACE")),
        (TimeoutError(), ("TimeoutError", "TIMEOUT")),
        (ConnectionError("reset"), ("reset", "NETWORK")),
    ],
)
def test_the_reason_of_a_failure_has_a_type(emitters, redis_url, client, error, said):
    assert emitters(redis_url).emit_status_change(1, 9, ShopsStatus.FAILED, error=error)

    found = last(client, task_status(1))
    assert (found["newStatus"], found["error"], found["errorType"]) == ("failed", *said)
    assert found["errorKind"] == said[1]


def test_what_a_transaction_left_to_publish_is_published(emitters, redis_url, client):
    emitters(redis_url).announce([Completion(9, 3, 2, 1, 5)])

    assert last(client, order_complete(9))["completedTasks"] == 2


def test_a_dead_redis_costs_nothing_but_the_count(emitters, clock):
    emitter = emitters(NOBODY, interval=0, hasty=True)

    sent = []
    for percent in range(5000):
        sent.append(emitter.emit_progress(1, 9, percent / 100, "a", None))
        clock.now += 0.001

    assert not any(sent)
    assert emitter.errors == 5  # it is asked once in a second


def test_a_hung_redis_is_left_alone_for_a_while(emitters, fake_redis, clock, monkeypatch):
    """It costs 0.2 s each time, and is left alone for fifty times as long."""
    server = fake_redis(lambda _: b"")
    emitter = emitters(server.url, interval=0, hasty=True)
    send = publications.publish_progress

    def hang(*arguments):
        try:
            return send(*arguments)
        finally:
            clock.now += 0.2

    monkeypatch.setattr(publications, "publish_progress", hang)

    errors = []
    for seconds in (0, 9.7, 0.2, 9.7, 0.2):
        clock.now += seconds
        assert not emitter.emit_progress(1, 9, 5, "a", None)
        errors.append(emitter.errors)

    assert errors == [1, 1, 2, 2, 3]
    eventually(lambda: server.connections == 3, "the last of its connections")


def test_the_end_is_tried_even_so(emitters, own_redis):
    server = own_redis()
    emitter = emitters(server.url)
    server.kill()
    assert not emitter.emit_progress(1, 9, 5, "a", None)
    server.start()

    assert not emitter.emit_progress(2, 9, 5, "a", None)
    assert emitter.emit_progress(1, 9, 100, "a", None)
    assert emitter.emit_progress(1, 9, 0, "Failed: disk full", None)
    assert emitter.emit_status_change(1, 9, "completed", "downloading")


def test_an_end_that_could_not_be_sent_is_sent_after_the_pause(emitters, own_redis, clock):
    server = own_redis()
    emitter = emitters(server.url)
    server.kill()
    assert not any(emitter.emit_progress(1, 9, 0, "Failed: disk full") for _ in range(100))
    assert emitter.errors == 1
    server.start()

    assert not emitter.emit_progress(1, 9, 0, "Failed: disk full")
    clock.now += 1
    assert emitter.emit_progress(1, 9, 0, "Failed: disk full")


def test_it_recovers_by_itself(emitters, own_redis, clock):
    server = own_redis()
    emitter = emitters(server.url, interval=0)
    server.kill()
    emitter.emit_progress(1, 9, 5, "a", None)
    server.start()

    assert not emitter.emit_progress(1, 9, 6, "a", None)
    clock.now += 1
    assert emitter.emit_progress(1, 9, 6, "a", None)


def test_a_failure_to_announce_is_not_paid_for_again(emitters, fake_redis):
    server = fake_redis(lambda _: b"")
    emitter = emitters(server.url, hasty=True)

    emitter.announce([Completion(number, 1, 1, 0, 5) for number in range(1, 100)])

    assert server.connections == 1


def test_a_wrong_password_does_not_end_a_download(emitters, own_redis):
    server = own_redis()
    with redis.Redis(port=server.port) as admin:
        admin.config_set("requirepass", "secret")
    emitter = emitters(server.url)

    assert not emitter.emit_progress(1, 9, 5, "a", None)
    assert emitter.errors == 1


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no words")

    __float__ = __str__


def test_an_error_without_words_is_published(emitters, redis_url, client, capfd):
    emitter = emitters(redis_url)

    assert emitter.emit_status_change(1, 9, "failed", error=Unspeakable())
    assert not emitter.emit_progress(1, 9, Unspeakable())

    assert publications.snapshots(client, [task_status(1)])[task_status(1)]["error"] == "Unspeakable"


@pytest.mark.parametrize("status", [None, "", " "])
def test_an_empty_status_is_not_sent(emitters, redis_url, client, status):
    assert not emitters(redis_url).emit_status_change(1, 9, status)
    assert emitters(redis_url).emit_status_change(2, 9, "downloading", "")

    assert publications.snapshots(client, [task_status(1)]) == {}


@pytest.mark.parametrize("speed", ["1.5 MB/s", [], 10**400])
def test_an_odd_speed_costs_no_message(emitters, redis_url, client, speed):
    assert emitters(redis_url).emit_progress(1, 9, 0, "Failed: disk full", speed)

    assert publications.snapshots(client, [task_progress(1)])[task_progress(1)]["speed"] is None


def test_a_wrong_argument_hides_no_outage(emitters, caplog):
    emitter = emitters(NOBODY)
    emitter.emit_progress("x", 9, 5)
    emitter.emit_progress(1, 9, 5)
    emitter.emit_progress("x", 9, 5)

    assert [record.levelname for record in caplog.records if "progress was not sent" in record.message] == [
        "WARNING",
        "WARNING",
    ]


def test_only_the_first_error_is_a_warning(emitters, caplog):
    emitter = emitters(NOBODY)
    for task_id in range(1, 5):
        emitter.emit_progress(task_id, 9, 5, "a", None, at_once=True)

    assert [record.levelname for record in caplog.records if "progress was not sent" in record.message] == [
        "WARNING"
    ]


def test_a_database_that_hangs_delays_no_download(emitters, redis_url, client, monkeypatch):
    monkeypatch.setattr(order_tasks, "_FIRST_WAIT_SECONDS", 0.01)
    asked, answer = threading.Event(), threading.Event()

    def siblings(_):
        asked.set()
        answer.wait(SOON)
        return {1: None, 2: 100.0}

    emitter = emitters(redis_url, interval=0, siblings=siblings)

    assert emitter.emit_progress(1, 9, 50, "a", None)
    assert asked.wait(SOON)
    assert last(client, task_progress(1))["percent"] == 50
    assert last(client, order_progress(9)) is None, "nothing is known of the order"
    answer.set()

    def order_is_known():
        emitter.emit_progress(1, 9, 50, "a", None)
        return last(client, order_progress(9))

    eventually(order_is_known, "the order's progress")
    assert last(client, order_progress(9))["percent"] == 75


def test_a_database_in_trouble_is_not_asked_each_time(emitters, redis_url, clock):
    asked = []

    def siblings(order_id):
        asked.append(order_id)
        raise DatabaseUnavailable

    emitter = emitters(redis_url, interval=0, siblings=siblings)

    sent = []
    for percent in range(50):
        sent.append(emitter.emit_progress(1, 9, percent, "a", None))
        clock.now += 0.2

    assert all(sent)
    assert asked == [9, 9]  # in ten seconds
    assert emitter.errors == 0


def test_the_end_of_a_task_asks_the_database_anew(emitters, redis_url, client):
    known = [{1: None, 2: None}, {1: None, 2: 100.0}]
    emitter = emitters(redis_url, interval=0, siblings=lambda _: known[0])
    emitter.emit_progress(1, 9, 50, "a", None)
    assert last(client, order_progress(9))["percent"] == 25

    known.pop(0)
    emitter.emit_status_change(2, 9, "completed", "downloading")

    def order_percent():
        emitter.emit_progress(1, 9, 50, "a", None)
        return last(client, order_progress(9))["percent"]

    eventually(lambda: order_percent() == 75, "the new mean")


def test_threads_share_one(emitters, redis_url, client):
    emitter = emitters(redis_url, interval=0)

    def work(task_id):
        for percent in range(101):
            emitter.emit_progress(task_id, 9, percent, "a", None)

    working = [threading.Thread(target=work, args=[task_id]) for task_id in range(1, 9)]
    for thread in working:
        thread.start()
    for thread in working:
        thread.join()

    assert emitter.errors == 0
    assert [last(client, task_progress(task_id))["percent"] for task_id in range(1, 9)] == [100] * 8


def test_many_tasks_are_forgotten_again(emitters):
    emitter = emitters(NOBODY)

    for task_id in range(1, 20_001):
        emitter.emit_progress(task_id, task_id, 5, "a", None)
        emitter._paused_until = math.inf  # one attempt is enough
        emitter._stamp(task_id)

    assert len(emitter._paces) <= 10_000


def test_what_the_database_says_of_an_orders_tasks(shop, task_ids):
    one, two, three = task_ids
    assert read_siblings(shop.engine, ORDER) == {one: None, two: None, three: None}

    shop.carry_out(one)
    shop.fail(two)
    shop.transact(lambda c: tasks.cancel(c, three, actor="tester"))

    assert read_siblings(shop.engine, ORDER) == {one: 100.0, two: 0.0}


def test_an_orders_percent_comes_from_the_database_and_the_snapshots(
    emitters, redis_url, client, shop, task_ids, migrated_url
):
    one, two, three = task_ids
    shop.carry_out(one)
    publications.publish(client, task_progress(two), {"percent": 80, "currentFile": "b", "timestamp": 1})

    emitters(redis_url, database_url=migrated_url).emit_progress(three, ORDER, 30, "c", None)

    eventually(lambda: last(client, order_progress(ORDER)), "the order's progress")
    assert last(client, order_progress(ORDER))["percent"] == 70


def test_a_failure_is_stored_and_published(emitters, redis_url, client, shop, task_ids, migrated_url):
    task_id = task_ids[0]
    shop.start(shop.claimed(task_id))
    emitter = emitters(redis_url, database_url=migrated_url)

    try:
        fail("the network is down")
    except ConnectionError as error:
        emitter.report_failure(task_id, ORDER, error)

    task = shop.task(task_id)
    assert (task.status, task.error_type) == ("failed", "NETWORK")
    assert "the network is down" in task.error_log
    event = shop.event(ORDER, "download_failed")
    assert (event.task_id, event.severity, event.source) == (task_id, "error", "orderctl_worker")
    assert "in fail" in event.details["stack_trace"]
    said, status = last(client, task_progress(task_id)), last(client, task_status(task_id))
    assert (said["percent"], said["currentFile"]) == (0, "Failed: the network is down")
    assert (status["newStatus"], status["previousStatus"]) == ("failed", "downloading")
    assert (status["error"], status["errorType"]) == ("the network is down", "NETWORK")


def test_a_failure_can_be_a_text_and_is_of_the_task_whatever_its_order_is_said_to_be(
    emitters, redis_url, client, shop, task_ids, migrated_url
):
    emitter = emitters(redis_url, database_url=migrated_url)

    for task_id, order_id in ((str(task_ids[0]), "1"), (float(task_ids[1]), 4711), (task_ids[2], None)):
        emitter.report_failure(task_id, order_id, "disk full", source="python_worker", actor="host-7")

    assert {task.error_log for task in shop.tasks(ORDER)} == {"DISK_SPACE: disk full"}
    events = [event for event in shop.events(ORDER) if event.event_type == "download_failed"]
    assert {(event.source, event.actor) for event in events} == {("python_worker", "host-7")}
    assert last(client, order_progress(ORDER))["currentFile"] == "Failed: disk full"
    assert last(client, order_progress(4711)) is None
    assert emitter.errors == 0


def test_the_last_failure_ends_the_order(emitters, redis_url, client, shop, task_ids, migrated_url):
    emitter = emitters(redis_url, database_url=migrated_url)

    for task_id in task_ids:
        emitter.report_failure(task_id, ORDER, OSError(28, "No space left on device"))

    assert last(client, order_status(ORDER))["newStatus"] == "failed"
    kinds = [row.kind for row in shop.outbox() if (row.due_at - row.created_at).total_seconds() < 60]
    # The second alert of its kind is due at the end of the hour.
    assert (kinds.count("alert"), kinds.count("completion")) == (1, 1)


def test_a_failure_of_a_task_that_has_ended_changes_nothing(
    emitters, redis_url, client, shop, task_ids, migrated_url
):
    task_id = task_ids[0]
    shop.carry_out(task_id)

    emitters(redis_url, database_url=migrated_url).report_failure(task_id, ORDER, ValueError("late"))

    assert shop.task(task_id).status == "completed"
    assert last(client, task_progress(task_id)) is None


def test_a_failure_is_stored_when_redis_is_dead(emitters, shop, task_ids, migrated_url):
    task_id = task_ids[0]

    emitters(NOBODY, database_url=migrated_url).report_failure(task_id, ORDER, ValueError("broken"))

    assert shop.task(task_id).status == "failed"


def test_a_failure_that_cannot_be_stored_is_published_and_raised(emitters, redis_url, client):
    emitter = emitters(redis_url, database_url="mysql://nobody@127.0.0.1:1/shop")

    with pytest.raises(DatabaseUnavailable):
        emitter.report_failure(1, 9, ValueError("broken"))

    assert last(client, task_progress(1))["currentFile"] == "Failed: broken"
    assert last(client, task_status(1)) is None


def test_a_failure_in_a_database_without_tables_is_published_and_raised(
    emitters, redis_url, client, tmp_path
):
    sqlite3.connect(tmp_path / "empty.db").close()
    emitter = emitters(redis_url, database_url=f"sqlite:///{tmp_path}/empty.db")

    with pytest.raises(NotMigrated):
        emitter.report_failure(1, 9, "broken")

    assert last(client, task_progress(1))["currentFile"] == "Failed: broken"


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("task_id", [4711, "4711", 0, -1, 2**70, "first", None, 1.5, math.inf])
def test_a_failure_of_no_task_is_said_so(emitters, redis_url, client, migrated_url, task_id):
    with pytest.raises(TaskNotFound):
        emitters(redis_url, database_url=migrated_url).report_failure(task_id, ORDER, ValueError("broken"))

    assert last(client, task_progress(4711)) is None


#: Emits in a process and in its child at once, while a thread of the parent holds the emitter's lock.
FORKS = """
import os, sys
from orderctl import settings
from orderctl.progress import ProgressEmitter

emitter = ProgressEmitter(
    settings.load({"redis.url": sys.argv[1], "progress.interval_seconds": "0"}), siblings=lambda _: {1: None}
)


def send(task_id):  # it gives Redis 0.2 s, and on a busy machine that may not do
    return any(emitter.emit_progress(task_id, 9, 100, at_once=True) for _ in range(100))


assert send(1)
before = emitter._client
with emitter._lock:
    child = os.fork()
    if child == 0:
        os._exit(0 if send(2) and emitter._client is not before else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert send(1) and emitter._client is before
"""


def test_it_can_be_used_after_a_fork(redis_url, client):
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKS, redis_url], check=True, timeout=SOON)

    assert [last(client, task_progress(task_id))["percent"] for task_id in (1, 2)] == [100, 100]
