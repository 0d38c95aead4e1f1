"""Publications and the snapshots that they leave behind."""

import json
import threading

import pytest
import redis

from orderctl import broker, messages, publications
from orderctl.channels import (
    Scope,
    order_complete,
    order_progress,
    order_status,
    task_progress,
    task_status,
)
from orderctl.errors import Misconfigured, RedisUnavailable
from orderctl.messages import Completion, StatusChange, TaskProgress
from tests.servers.redis import fill_disk, unhurried
from tests.waiting import SOON, eventually


def progress(task_id=1, percent=50.0, current_file="a.mp4", **more):
    return TaskProgress(task_id, percent, current_file, 1000.0, 1_700_000_000_000, **more)


@pytest.fixture
def client(redis_url):
    return unhurried(broker.hasty(redis_url))


@pytest.fixture
def listener(redis_url):
    with redis.Redis.from_url(redis_url) as connection, connection.pubsub() as pubsub:
        pubsub.psubscribe("*")
        pubsub.get_message(timeout=SOON)
        yield pubsub


def hear(listener, count):
    heard = []
    while len(heard) < count:
        message = listener.get_message(timeout=SOON)
        assert message is not None, f"only {heard} came"
        heard.append((message["channel"].decode(), message["data"]))
    return heard


def order_percent(client, order_id=9):
    return publications.snapshots(client, [order_progress(order_id)])[order_progress(order_id)]["percent"]


def test_what_is_published_is_kept_for_an_hour(client, listener):
    data = StatusChange(Scope.ORDER, 9, "completed", "processing", 1).data()

    heard = publications.publish(client, order_status(9), data)

    assert heard == 1
    ((channel, payload),) = hear(listener, 1)
    assert channel == "order:9:status"
    assert json.loads(payload) == data
    assert client.get("order:9:status") == payload
    assert 3590 < client.ttl("order:9:status") <= 3600


def test_progress_is_published_for_the_task_and_its_order(client, listener):
    publications.publish_progress(client, progress(attempt=2, seq=7), 9, {1: None, 2: 100.0})

    (task, task_payload), (order, order_payload) = hear(listener, 2)
    assert (task, order) == ("task:1:progress", "order:9:progress")
    assert messages.decode(task_progress(1), task_payload) == progress(attempt=2, seq=7).data()
    data = messages.decode(order_progress(9), order_payload)
    assert (data["orderId"], data["percent"], data["currentFile"]) == (9, 75, "a.mp4")
    assert client.mget("task:1:progress", "order:9:progress") == [task_payload, order_payload]
    assert all(3590 < client.ttl(key) <= 3600 for key in ("task:1:progress", "order:9:progress"))


def test_the_orders_timestamp_is_the_servers(client):
    seconds, _ = client.time()

    publications.publish_progress(client, progress(), 9, {})

    found = publications.snapshots(client, [order_progress(9)])[order_progress(9)]
    assert 0 <= found["timestamp"] - seconds * 1000 < 60_000


@pytest.mark.parametrize(
    ("siblings", "percent"),
    [
        ({}, 50),
        ({1: None}, 50),
        ({1: 100.0}, 50),  # the published percentage counts, not the snapshot
        ({1: None, 2: 100.0}, 75),
        ({1: None, 2: 0.0}, 25),
        ({1: None, 2: None}, 25),  # task 2 has no snapshot
        ({1: None, 3: None}, 65),  # task 3 has one
        ({1: None, 3: 100.0}, 75),  # task 3 completed: its snapshot does not matter
        ({1: None, 3: 0.0}, 25),  # task 3 failed: its snapshot does not matter
        ({3: None, 4: None, 5: 100.0}, 60.06),
        (dict.fromkeys(range(10, 310)), 0.17),
    ],
)
def test_an_orders_percent_is_the_mean_of_its_tasks(client, siblings, percent):
    publications.publish(client, task_progress(3), progress(3, 80.0).data())
    publications.publish(client, task_progress(4), progress(4, 10.25).data())

    publications.publish_progress(client, progress(), 9, siblings)

    assert order_percent(client) == percent


@pytest.mark.parametrize(
    ("kept", "percent"),
    [
        ('{"percent":90}', 70),
        ('{"scope":"task","id":2,"type":"progress","data":{"percent":90}}', 70),
        ('{"percent":"90"}', 25),
        ('{"percent":900}', 25),
        ('{"percent":-1}', 25),
        ('{"percent":null}', 25),
        ("[90]", 25),
        ("90", 25),
        ("{", 25),
        ("", 25),
        ("[" * 5000, 25),
    ],
)
def test_a_strange_snapshot_of_a_sibling_counts_as_nothing(client, kept, percent):
    client.set("task:2:progress", kept)

    publications.publish_progress(client, progress(), 9, {1: None, 2: None})

    assert order_percent(client) == percent


def test_a_key_of_another_type_does_no_harm(client):
    client.lpush("task:2:progress", "x")
    client.lpush("task:1:progress", "x")

    publications.publish_progress(client, progress(), 9, {1: None, 2: None})

    assert order_percent(client) == 25


@pytest.mark.parametrize(
    "name", ["Bài 1: Giới thiệu.mp4", 'a"b\\c%s%d.mp4', "日本\u2028.mp4", "x\x00\x1b[31m", ""]
)
def test_any_file_name_arrives(client, name):
    publications.publish_progress(client, progress(current_file=name), 9, {})

    found = publications.snapshots(client, [task_progress(1), order_progress(9)])
    assert [data["currentFile"] for data in found.values()] == [name, name]


def test_one_round_trip(client):
    publications.publish_progress(client, progress(), 9, {2: None})
    client.config_resetstat()

    publications.publish_progress(client, progress(percent=60.0), 9, {2: None})

    calls = client.info("commandstats")
    assert calls["cmdstat_evalsha"]["calls"] == 1
    assert not {"cmdstat_eval", "cmdstat_script|load"} & set(calls)


def test_a_server_that_forgot_the_script_gets_it_again(client, listener):
    publications.publish_progress(client, progress(), 9, {})
    hear(listener, 2)
    client.script_flush()

    publications.publish_progress(client, progress(percent=60.0), 9, {})

    assert [json.loads(payload)["percent"] for _, payload in hear(listener, 2)] == [60.0, 60]
    client.publish("last", "")
    assert hear(listener, 1) == [("last", b"")]


def test_nothing_comes_between_the_parts_of_a_publication(client, redis_url):
    stop = threading.Event()

    def disturb():
        with redis.Redis.from_url(redis_url) as other:
            while not stop.is_set():
                other.set("disturbance", 1)

    disturbing = threading.Thread(target=disturb)
    publications.publish_progress(client, progress(), 9, {})  # from now on Redis has the script in its cache
    with redis.Redis.from_url(redis_url) as watcher, watcher.monitor() as monitor:
        disturbing.start()
        for percent in range(20):
            publications.publish_progress(client, progress(percent=float(percent)), 9, {2: None})
        stop.set()
        disturbing.join()
        client.echo("end")
        seen = []
        while not seen or "ECHO" not in seen[-1]["command"].upper():
            seen.append(monitor.next_command())

    inside = 0
    for command in seen:
        is_lua = command["client_type"] == "lua"
        assert is_lua == (inside > 0), f"{command} with {inside} of a publication to come"
        inside = inside - 1 if is_lua else 6 * command["command"].upper().startswith("EVALSHA")
    assert sum(command["client_type"] == "lua" for command in seen) == 120
    assert any("disturbance" in command["command"] for command in seen)


def test_messages_of_a_transaction_find_their_channels(client, listener):
    publications.send(client, StatusChange(Scope.TASK, 1, "completed", "downloading", 5))
    publications.send(client, StatusChange(Scope.ORDER, 9, "completed", "processing", 6))
    publications.send(client, Completion(9, 1, 1, 0, 7))

    assert [channel for channel, _ in hear(listener, 3)] == [
        "task:1:status",
        "order:9:status",
        "order:9:complete",
    ]


def test_snapshots_are_read_at_once_and_junk_is_left_out(client):
    publications.publish(client, task_progress(1), progress().data())
    client.set("task:2:progress", "junk")
    client.lpush("task:3:progress", "junk")
    client.config_resetstat()

    found = publications.snapshots(client, [task_progress(number) for number in range(1, 5)])

    assert found == {task_progress(1): progress().data()}
    assert client.info("commandstats")["cmdstat_mget"]["calls"] == 1


def test_no_snapshots_of_no_channels(redis_url):
    assert publications.snapshots(broker.hasty("redis://127.0.0.1:1"), []) == {}


def test_a_dead_redis_is_said_so():
    client = broker.hasty("redis://127.0.0.1:1")

    for call in (
        lambda: publications.snapshots(client, [order_complete(1)]),
        lambda: publications.publish(client, order_status(1), {}),
        lambda: publications.publish_progress(client, progress(), 9, {}),
    ):
        with pytest.raises(RedisUnavailable, match="does not answer"):
            call()


def test_a_lost_script_on_a_dead_redis_is_said_so(own_redis):
    server = own_redis()
    client = unhurried(broker.hasty(server.url))
    publications.publish_progress(client, progress(), 9, {})
    server.kill()

    with pytest.raises(RedisUnavailable):
        publications.publish_progress(client, progress(), 9, {})

    server.start()
    publications.publish_progress(client, progress(), 9, {})
    eventually(lambda: order_percent(client) == 50, "the publication after the restart")


def full(server):
    with redis.Redis(port=server.port) as admin:
        admin.config_set("maxmemory", 1)


def replica(server):
    with redis.Redis(port=server.port) as admin:
        admin.replicaof("127.0.0.1", 1)


@pytest.fixture(params=[full, replica, fill_disk])
def unwritable(request, own_redis):
    """A Redis that takes no writes."""
    server = own_redis()
    request.param(server)
    return server


def test_a_redis_that_takes_no_writes_passes_all_messages_on(unwritable):
    client = unhurried(broker.brisk(unwritable.url))
    with pytest.raises(redis.ResponseError):
        client.set("x", 1)
    with redis.Redis(port=unwritable.port).pubsub(ignore_subscribe_messages=True) as listener:
        listener.psubscribe("*")
        listener.get_message(timeout=SOON)

        publications.publish_progress(client, TaskProgress(1, 50, "a", None, 1), 7, {1: None, 2: 100})
        publications.send(client, StatusChange(Scope.TASK, 1, "completed", "downloading", 2))
        assert publications.publish_once(client, "m1", order_complete(7), {"orderId": 7})

        heard = [listener.get_message(timeout=SOON) for _ in range(4)]
    names = [message["channel"].decode() for message in heard]
    assert names == ["task:1:progress", "order:7:progress", "task:1:status", "order:7:complete"]
    assert json.loads(heard[1]["data"])["percent"] == 75


def test_without_memory_an_old_snapshot_is_not_left_as_the_last_message(own_redis):
    server = own_redis()
    client = unhurried(broker.brisk(server.url))
    publications.send(client, StatusChange(Scope.TASK, 1, "downloading", "enrolled", 1))
    client.config_set("maxmemory", 1)

    publications.send(client, StatusChange(Scope.TASK, 1, "completed", "downloading", 2))

    assert publications.snapshots(client, [task_status(1)]) == {}


def test_a_snapshot_that_the_user_may_not_keep_is_an_error(own_redis):
    server = own_redis()
    with redis.Redis(port=server.port) as admin:
        admin.execute_command("ACL", "SETUSER", "u", "on", ">p", "+@all", "-set", "~*", "&*")
    client = broker.brisk(server.url.replace("//", "//u:p@"))

    with pytest.raises(Misconfigured, match="'set' command"):
        publications.publish(client, task_status(1), {})
    with pytest.raises(Misconfigured, match="'set' command"):
        publications.publish_once(client, "m1", task_status(1), {})
