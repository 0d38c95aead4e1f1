"""Subscriptions: nothing that the snapshots contain is missed, and nothing arrives twice."""

import itertools
import os
import signal
import threading
import time

import pytest
import redis

from orderctl import broker, publications
from orderctl.channels import Scope, order_progress, task_progress, task_status
from orderctl.errors import Misconfigured, RedisUnavailable
from orderctl.messages import StatusChange, TaskProgress
from orderctl.subscription import Idle, Message, Reconnecting, Subscribed, subscribe
from tests.servers.redis import fill_disk, unhurried
from tests.waiting import Clock, eventually


def progress(percent, task_id=1, attempt=1, timestamp=1_700_000_000_000):
    return TaskProgress(task_id, percent, "a", None, timestamp, attempt, int(percent)).data()


def status(new, timestamp=5, attempt=None):
    return StatusChange(Scope.TASK, 1, new, None, timestamp, attempt=attempt).data()


@pytest.fixture
def client(redis_url):
    return unhurried(broker.hasty(redis_url))


def until(events, kind):
    """Return the events up to the first one of a kind, without Idle."""
    seen = []
    for event in events:
        if not isinstance(event, Idle):
            seen.append(event)
        if isinstance(event, kind):
            return seen
    raise AssertionError(f"it ended after {seen}")


def percents(events):
    return [event.data["percent"] for event in events if isinstance(event, Message)]


def test_first_the_snapshots_then_what_comes(client, redis_url):
    publications.publish(client, task_progress(1), progress(10))
    events = subscribe(redis_url, [task_progress(1), task_progress(2)])

    assert next(events) == Subscribed(again=False)
    assert next(events) == Message(task_progress(1), progress(10), snapshot=True)
    publications.publish(client, task_progress(2), progress(20, task_id=2))
    publications.publish(client, task_progress(3), progress(30, task_id=3))
    publications.publish(client, task_progress(1), progress(40))
    assert until(events, Message) == [Message(task_progress(2), progress(20, task_id=2))]
    assert until(events, Message) == [Message(task_progress(1), progress(40))]


def test_patterns_have_snapshots_too_oldest_first(client, redis_url):
    publications.publish(client, task_progress(2), progress(20, task_id=2, timestamp=8))
    publications.publish(client, task_progress(1), progress(10, timestamp=9))
    publications.publish(client, task_status(1), status("downloading"))
    client.set("task:x:progress", "not ours")
    client.lpush("task:7:progress", "not ours")

    events = subscribe(redis_url, patterns=["task:*:progress"], tick=0.05)

    assert until(events, Idle)[1:] == [
        Message(task_progress(2), progress(20, task_id=2, timestamp=8), snapshot=True),
        Message(task_progress(1), progress(10, timestamp=9), snapshot=True),
    ]
    publications.publish(client, task_progress(3), progress(30, task_id=3))
    assert percents(until(events, Message)) == [30]


def test_of_patterns_only_the_snapshots_that_are_asked_for_are_read(client, redis_url):
    for task_id in (1, 2, 3):
        publications.publish(client, task_progress(task_id), progress(10 * task_id, task_id=task_id))

    events = subscribe(redis_url, patterns=["task:*"], kept=[task_progress(2)], tick=0.05)
    assert percents(until(events, Idle)) == [20]
    publications.publish(client, task_progress(1), progress(11))
    assert percents(until(events, Message)) == [11]
    client.client_kill_filter(_type="pubsub")
    publications.publish(client, task_progress(1), progress(12))
    publications.publish(client, task_progress(3), progress(31, task_id=3))

    assert until(events, Subscribed)[-1] == Subscribed(again=True)
    assert percents(until(events, Idle)) == [12]  # of the channels that were heard


def test_snapshots_that_do_not_say_when_they_were_sent_come_first(client, redis_url):
    for task_id, more in ((1, {"timestamp": 5}), (2, {}), (3, {"timestamp": None})):
        publications.publish(client, task_progress(task_id), {"taskId": task_id, "percent": task_id, **more})

    events = subscribe(redis_url, [task_progress(task_id) for task_id in (1, 2, 3)], tick=0.05)

    assert percents(until(events, Idle)) == [2, 3, 1]


def test_a_channel_that_is_asked_for_twice_is_heard_once(client, redis_url):
    events = subscribe(redis_url, [task_progress(1), task_progress(1)], ["task:*", "*", "*"])
    until(events, Subscribed)

    for percent in (10, 20, 30):
        publications.publish(client, task_progress(1), progress(percent))

    assert [percents(until(events, Message)) for _ in range(3)] == [[10], [20], [30]]


def test_nothing_is_missed_or_doubled_while_others_publish(client, redis_url):
    """A subscriber that begins at any moment gets a snapshot, then every later message."""
    stop = threading.Event()

    def publish():
        for number in itertools.count(1):
            publications.publish(client, task_progress(1), progress(number % 100, attempt=number // 100))
            if stop.is_set():
                return

    publishing = threading.Thread(target=publish)
    publishing.start()
    try:
        for _ in range(20):
            events = subscribe(redis_url, [task_progress(1)])
            heard = [event for event in itertools.islice(events, 60) if isinstance(event, Message)]
            events.close()
            numbers = [event.data["attempt"] * 100 + event.data["percent"] for event in heard]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    finally:
        stop.set()
        publishing.join()


def test_messages_during_the_subscription_come_after_the_snapshot(client, redis_url, monkeypatch):
    """Messages published between the acknowledgement and the reading of the snapshots are old and dropped."""
    read = publications.snapshots

    def publish_then_read(*arguments):
        for timestamp in (10, 20, 30):
            publications.publish(client, task_status(1), status("downloading", timestamp))
        found = read(*arguments)
        publications.publish(client, task_status(1), status("completed", 40))
        return found

    monkeypatch.setattr(publications, "snapshots", publish_then_read)
    events = subscribe(redis_url, [task_status(1)], tick=0.05)

    assert until(events, Idle)[1:] == [
        Message(task_status(1), status("downloading", 30), snapshot=True),
        Message(task_status(1), status("completed", 40)),
    ]


def test_after_an_outage_the_snapshot_has_what_was_missed(own_redis):
    server = own_redis()
    events = subscribe(server.url, [task_progress(1)], tick=0.05)
    until(events, Subscribed)
    server.kill()
    (lost,) = until(events, Reconnecting)
    server.start()
    with broker.brisk(server.url) as client:
        publications.publish(client, task_progress(1), progress(10))
        publications.publish(client, task_progress(1), progress(20))

    assert isinstance(lost.error, RedisUnavailable)
    assert until(events, Message) == [
        Subscribed(again=True),
        Message(task_progress(1), progress(20), snapshot=True),
    ]
    with broker.brisk(server.url) as client:
        publications.publish(client, task_progress(1), progress(30))
    assert until(events, Message) == [Message(task_progress(1), progress(30))]


def test_after_a_break_nothing_comes_twice(own_redis):
    server = own_redis()
    with broker.brisk(server.url) as client:
        events = subscribe(server.url, patterns=["task:*"], tick=0.05, ping_after=60)
        until(events, Subscribed)
        publications.publish(client, task_progress(1), progress(10))
        publications.publish(client, task_progress(2), progress(20, task_id=2))
        until(events, Message)
        until(events, Message)

        client.client_kill_filter(_type="pubsub")
        until(events, Reconnecting)
        publications.publish(client, task_progress(2), progress(30, task_id=2))

        assert percents(until(events, Message)) == [30]


def test_while_redis_is_away_the_caller_can_look_at_the_clock(own_redis):
    server = own_redis()
    events = subscribe(server.url, [task_progress(1)], tick=0.05)
    until(events, Subscribed)
    server.kill()
    until(events, Reconnecting)

    assert [type(event) for event in itertools.islice(events, 20)] == [Idle] * 20


def test_a_server_that_hangs_is_noticed(own_redis):
    server = own_redis()
    events = subscribe(server.url, [task_progress(1)], tick=0.05, ping_after=0.2)
    until(events, Subscribed)
    server.pause()

    (lost,) = until(events, Reconnecting)
    server.resume()

    assert "no reply to PING" in str(lost.error)
    assert until(events, Subscribed) == [Subscribed(again=True)]


def test_a_quiet_server_is_not_taken_for_a_hung_one(client, redis_url):
    client.config_resetstat()
    events = subscribe(redis_url, [task_progress(1)], tick=0.05, ping_after=1)
    next(events)
    before = client.info("commandstats")["cmdstat_ping"]["calls"]

    assert {type(event) for event in itertools.islice(events, 45)} == {Idle}
    assert client.info("commandstats")["cmdstat_ping"]["calls"] > before, "it was asked"


def test_a_caller_that_takes_its_time_misses_nothing(client, redis_url):
    clock = Clock()
    events = subscribe(redis_url, [task_progress(1)], ping_after=5, clock=clock)
    next(events)
    publications.publish(client, task_progress(1), progress(1))
    heard = until(events, Message)
    for percent in range(2, 100):
        publications.publish(client, task_progress(1), progress(percent))
        clock.now += 6  # longer than the server may be silent

    heard += [until(events, Message)[-1] for _ in range(98)]

    assert percents(heard) == list(range(1, 100))


def test_a_worker_that_lost_its_lease_is_not_heard(client, redis_url):
    events = subscribe(redis_url, [task_progress(1)])
    next(events)

    publications.publish(client, task_progress(1), progress(10, attempt=2))
    publications.publish(client, task_progress(1), progress(90, attempt=1))
    publications.publish(client, task_progress(1), progress(5, attempt=2))
    publications.publish(client, task_progress(1), progress(20, attempt=2))

    assert percents([next(events), next(events)]) == [10, 20]


def test_clocks_that_differ_lose_no_status(client, redis_url):
    events = subscribe(redis_url, [task_status(1)])
    next(events)

    moves = [status("pending", 9), status("enrolled", 4), status("downloading", 4), status("completed", 4)]
    for move in moves:
        publications.publish(client, task_status(1), move)

    assert [next(events).data for _ in moves] == moves


def test_junk_is_dropped_and_does_not_keep_the_caller_from_the_clock(client, redis_url):
    events = subscribe(redis_url, [task_progress(1)], ["task:*"], tick=0.05)
    next(events)
    stop = threading.Event()

    def pour():
        while not stop.is_set():
            client.publish("task:1:progress", "junk")
            client.publish("task:zero:progress", "{}")
            client.publish(b"task:\xff", b"\xff")

    pouring = threading.Thread(target=pour)
    pouring.start()
    try:
        assert {type(event) for event in itertools.islice(events, 5)} == {Idle}
    finally:
        stop.set()
        pouring.join()


def test_a_whole_envelope_is_read(client, redis_url):
    events = subscribe(redis_url, [task_progress(1)])
    next(events)

    data = progress(10)
    publications.publish(
        client, task_progress(1), {"scope": "task", "id": 1, "type": "progress", "data": data}
    )

    assert next(events) == Message(task_progress(1), data)


def test_without_redis_it_does_not_begin():
    with pytest.raises(RedisUnavailable):
        next(subscribe("redis://127.0.0.1:1", [task_progress(1)]))


def test_a_refusal_later_on_is_reported_once_and_may_be_repaired(own_redis):
    server = own_redis()
    events = subscribe(server.url, [task_progress(1)], tick=0.05)
    next(events)
    with redis.Redis(port=server.port) as admin:
        admin.config_set("requirepass", "new")
        admin.client_kill_filter(_type="pubsub")

        lost, refused = until(events, Reconnecting)[-1], until(events, Reconnecting)[-1]
        for _ in range(20):
            assert isinstance(next(events), Idle)
        admin.config_set("requirepass", "")

    assert isinstance(lost.error, RedisUnavailable)
    assert isinstance(refused.error, Misconfigured)
    assert until(events, Subscribed)[-1].again


def test_a_cluster_is_refused(cluster):
    with pytest.raises(Misconfigured, match="Redis Cluster"):
        next(subscribe(cluster.url, [order_progress(1)]))


def test_nothing_to_listen_to_is_a_mistake(redis_url):
    with pytest.raises(ValueError, match="at least one channel"):
        next(subscribe(redis_url))


def test_the_end_leaves_no_connection(client, redis_url):
    events = subscribe(redis_url, [task_progress(1)], ["order:*"])
    next(events)

    events.close()

    eventually(
        lambda: not [c for c in client.client_list() if c["name"] == "orderctl-listener"], "the disconnection"
    )


def test_ctrl_c_ends_it_at_once(client, redis_url):
    events = subscribe(redis_url, [task_progress(1)], tick=600, ping_after=600)
    next(events)

    def listen():
        threading.Thread(target=interrupt).start()  # here, because it may be faster than this thread
        next(events)

    def interrupt():
        eventually(lambda: client.pubsub_numsub("task:1:progress")[0][1], "the subscription")
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        listen()

    eventually(lambda: not client.pubsub_numsub("task:1:progress")[0][1], "the disconnection")


def test_it_goes_on_listening_on_a_server_that_cannot_save(own_redis):
    server = own_redis()
    fill_disk(server)
    with redis.Redis(port=server.port) as admin:
        events = subscribe(server.url, [task_progress(1)], tick=0.02, ping_after=0.02)
        assert isinstance(next(events), Subscribed)
        for _ in range(20):
            assert isinstance(next(events), Idle)
        admin.publish("task:1:progress", b'{"taskId":1,"percent":7}')

        assert percents(until(events, Message)) == [7]
