"""The jobs that workers have rejected, and what operators do with them."""

import contextlib
import json
import shlex
import threading
from collections.abc import Callable, Iterator

import pytest
import redis
from rq import Queue
from rq.job import Job
from rq.results import Result
from rq.serializers import JSONSerializer

from orderctl import broker
from orderctl.errors import Conflict, NotFound
from orderctl.worker import rejected
from tests import redis_keys
from tests.cli.conftest import Ended, Program, inside  # noqa: F401 - a fixture


@pytest.fixture
def client(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    monkeypatch.setenv("ORDERCTL_REDIS_URL", redis_url)
    yield (client := broker.brisk(redis_url))
    client.close()


@pytest.fixture
def queue(client: redis.Redis) -> Queue:
    return Queue("orderctl", connection=client, serializer=JSONSerializer)


def put(queue: Queue, *ids: bytes, origin: bytes = b"mails") -> None:
    for raw in ids:
        job = queue.create_job("os.getpid", job_id="x").to_dict()
        queue.connection.hset(b"rq:job:" + raw, mapping=job | {"origin": origin})
        rejected.put(queue.connection, queue, raw, "the job id does not name a task")


def listed(client: redis.Redis) -> set[str]:
    return {job.job_id for job in rejected.find_newest(client, 10_000)}


def test_no_entry_is_lost_because_there_are_many(client: redis.Redis, queue: Queue):
    """Of the list of earlier versions, the oldest entries beyond 200 were dropped."""
    put(queue, *(b"job-%d" % number for number in range(700)))

    assert len(listed(client)) == rejected.count(client) == 700
    assert len(rejected.find_newest(client, 3)) == 3


def test_entries_whose_job_is_gone_are_not_shown_and_are_pruned(client: redis.Redis, queue: Queue):
    put(queue, *(b"job-%d" % number for number in range(1200)))
    for number in range(1, 1200):
        client.delete(f"rq:job:job-{number}")

    assert listed(client) == {"job-0"}
    with pytest.raises(NotFound):
        rejected.find(client, "job-5")
    cursor = rejected.prune(client, pages=1)
    assert cursor
    assert rejected.prune(client, cursor) == 0
    assert rejected.count(client) == 1


def test_a_job_goes_back_to_the_queue_that_it_was_made_for(client: redis.Redis, queue: Queue):
    put(queue, b"a", b"\xff\x1b")
    before = redis_keys.held(client, "rq:job:a")

    done = rejected.requeue(client, ["a", "\\xff\\x1b"], own_queue="orderctl")

    assert done == {"a": "mails", "\\xff\\x1b": "mails"}
    assert client.lrange("rq:queue:mails", 0, -1) == [b"a", b"\xff\x1b"]
    assert client.sismember("rq:queues", "rq:queue:mails")
    assert redis_keys.held(client, "rq:job:a") == before
    assert rejected.count(client) == 0


def test_a_job_does_not_go_back_where_it_would_be_rejected_again(client: redis.Redis, queue: Queue):
    put(queue, b"a", b"other")
    put(queue, b"ours", origin=b"orderctl")
    put(queue, b"lost", origin=b"")

    for job_id, target in (("ours", None), ("a", "orderctl"), ("lost", None), ("a", "second")):
        with pytest.raises(Conflict, match=r"again|which queue"):
            rejected.requeue(client, ["other", job_id], own_queue="second", to=target)

    assert len(listed(client)) == 4
    assert not client.keys("rq:queue:*")
    assert rejected.requeue(client, ["ours", "lost"], own_queue="orderctl", to="mails")


def test_nothing_is_done_where_one_job_is_gone(client: redis.Redis, queue: Queue):
    put(queue, b"a")

    with pytest.raises(NotFound):
        rejected.requeue(client, ["a", "b"], own_queue="orderctl")
    with pytest.raises(NotFound):
        rejected.drop(client, ["a", "b"])

    assert listed(client) == {"a"}


def test_a_job_that_cannot_be_queued_stays_rejected(client: redis.Redis, queue: Queue):
    put(queue, b"a")
    client.set("rq:queue:mails", "not a list")

    with pytest.raises(Exception, match="WRONGTYPE"):
        rejected.requeue(client, ["a"], own_queue="orderctl")

    assert listed(client) == {"a"}


def test_of_those_who_requeue_and_drop_at_once_one_does(redis_url: str, client: redis.Redis, queue: Queue):
    for _ in range(10):
        put(queue, b"a")
        ready = threading.Barrier(3)

        def act(again: bool, ready: threading.Barrier = ready) -> None:
            own = broker.brisk(redis_url)
            own.ping()
            ready.wait()
            with contextlib.suppress(NotFound):
                rejected.requeue(own, ["a"], own_queue="orderctl") if again else rejected.drop(own, ["a"])
            own.close()

        threads = [threading.Thread(target=act, args=(again,)) for again in (True, True, False)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.llen("rq:queue:mails") == client.exists("rq:job:a") <= 1
        client.flushdb()


def test_a_dropped_job_is_gone_with_all_that_rq_keeps_of_it(client: redis.Redis, queue: Queue):
    put(queue, b"a", b"b")
    client.sadd("rq:job:a:dependents", "c")
    client.xadd(Result.get_key("b"), {"type": "2"})  # it failed before

    assert rejected.drop(client, ["a"], dry_run=True) == 1
    assert rejected.drop(client, ["a"]) == 1
    assert listed(client) == {"b"}
    assert rejected.drop(client, None) == 1
    assert client.keys("*") == []


def test_a_dismissed_job_is_only_taken_off_the_list(client: redis.Redis, queue: Queue, inside: Program):  # noqa: F811
    put(queue, b"a", b"b", b"c")

    def dismiss(*words: str) -> Ended:
        return inside("worker", "rejected", "dismiss", *words)

    assert dismiss("a", "--dry-run").err == "Would dismiss 1 job; nothing was changed.\n"
    assert dismiss("a").err == "Dismissed 1 job.\n"
    assert [dismiss(*words).status for words in ((), ("a",), ("b", "--all"), ("--all",))] == [2, 3, 2, 2]
    assert listed(client) == {"b", "c"}
    assert dismiss("--all", "--yes").err == "Dismissed 2 jobs.\n"
    assert client.exists("rq:job:a", "rq:job:b", "rq:job:c") == 3
    assert inside("worker", "list").err.count("rejected") == 0


def test_the_commands(client: redis.Redis, queue: Queue, inside: Program):  # noqa: F811
    put(queue, b"a", b"b b", b"\x1b[2J")
    put(queue, b"ours", origin=b"orderctl")

    def call(*words: str) -> Ended:
        return inside("worker", "rejected", *words)

    rows = json.loads(call("list", "-o", "json").out)
    assert {row["job_id"] for row in rows} == {"a", "b b", "\\x1b[2J", "ours"}
    assert rows[0].keys() == {"job_id", "queue", "function", "reason", "at", "origin", "format"}
    assert {row["function"] for row in rows} == {"os.getpid"}
    assert inside("worker", "list", "--rejected", "-o", "json").out == call("list", "-o", "json").out
    assert "more than 2" in call("list", "-L", "2").err
    assert "os.getpid" in call("show", "b b").out
    shown = json.loads(call("show", "\\x1b[2J", "-o", "json").out)
    assert (shown["origin"], shown["status"], shown["ttl"], shown["extras"]) == ("mails", "queued", None, {})

    for words, status in (
        (("show", "nothing"), 3),
        (("requeue", "nothing"), 3),
        (("requeue", "ours"), 4),
        (("requeue", "a", "--to", " blank"), 2),
        (("requeue", "a", "--to", "a\tb"), 2),
        (("requeue", "a", "--to", ""), 2),
        (("drop",), 2),
        (("drop", "a", "--all", "--yes"), 2),
        (("drop", "a"), 2),
        (("drop", "nothing", "--yes"), 3),
    ):
        assert call(*words).status == status, words
    assert "nothing was changed" in call("drop", "--all", "--dry-run").err
    assert "nothing was changed" in call("requeue", "a", "--dry-run").err
    assert len(listed(client)) == 4

    assert json.loads(call("requeue", "a", "-o", "json").out) == [{"job_id": "a", "queue": "mails"}]
    assert call("drop", "b b", "\\x1b[2J", "--yes").err == "Deleted 2 jobs.\n"
    assert call("drop", "--all", "--yes").err == "Deleted 1 job.\n"
    assert "No jobs were rejected" in call("list").err
    assert call("drop", "--all") == Ended(0, "", "No jobs were rejected, or they are gone.\n")


@pytest.mark.parametrize(
    "moved",
    [
        pytest.param(lambda job: Queue("mails", connection=job.connection).enqueue_job(job), id="queued"),
        pytest.param(lambda job: job.cancel(), id="cancelled"),
        pytest.param(lambda job: job.set_status("finished"), id="run"),
    ],
)
def test_a_job_that_its_program_took_up_again_is_no_longer_rejected(
    client: redis.Redis, queue: Queue, moved: Callable[[Job], object]
):
    """To queue it ran it twice; to drop all deleted jobs that ran, and their results."""
    put(queue, b"a", b"b")
    moved(Job.fetch("a", connection=client, serializer=JSONSerializer))

    assert listed(client) == {"b"}
    with pytest.raises(NotFound):
        rejected.requeue(client, ["a"], own_queue="orderctl")
    assert rejected.drop(client, None) == 1
    assert client.exists("rq:job:a")
    assert rejected.prune(client) == 0
    assert rejected.count(client) == 0


@pytest.mark.parametrize("origin", [b"", b"\xff\x00", b"x" * 5000])
def test_a_job_never_goes_to_a_queue_with_half_a_name(client: redis.Redis, queue: Queue, origin: bytes):
    put(queue, b"a", origin=origin)

    with pytest.raises(Conflict, match="which queue"):
        rejected.requeue(client, ["a"], own_queue="orderctl")

    assert not client.keys("rq:queue:*")


def test_a_queue_s_name_may_be_long_and_have_blanks(client: redis.Redis, queue: Queue):
    name = "high priority " + "x" * 300
    put(queue, b"a", origin=name.encode())

    assert rejected.requeue(client, ["a"], own_queue="orderctl") == {"a": name}
    assert client.lrange(f"rq:queue:{name}", 0, -1) == [b"a"]


@pytest.mark.parametrize("job_id", ["--all", "-x", "a b", "a'b\\\\", "x" * 201])
def test_the_hint_names_the_job(client: redis.Redis, queue: Queue, inside: Program, job_id: str):  # noqa: F811
    put(queue, job_id.replace("\\\\", "\\").encode(), origin=b"")

    with pytest.raises(Conflict) as refused:
        rejected.requeue(client, [job_id], own_queue="orderctl")

    words = shlex.split(refused.value.hint or "")[1:]
    done = inside(*words)
    assert job_id in done.out
    assert done.status == 0


JUNK = ("", "junk", "[1]", '{"reason": 1}', '{"reason": "a", "at": 1e99}', "[" * 9000, b"\xff")


def test_what_other_programs_write_under_orderctls_keys_is_no_internal_error(
    client: redis.Redis,
    queue: Queue,
    inside: Program,  # noqa: F811
):
    """It ended `worker list`, and every worker."""
    put(queue, b"a")
    for number, value in enumerate(JUNK):
        client.hset("orderctl:rejected", f"orderctl\0{number}", value)
        client.hset("orderctl:rejected", b"\xff%d\0" % number, value)
        client.hset("rq:job:" + str(number), "origin", "mails")
        client.set(f"orderctl:supervisor:{number}", value)

    assert inside("worker", "rejected", "list", "-o", "name").out == "a\n"
    assert inside("migrate", "up").status == 0
    assert inside("worker", "list", "-o", "json").out == "[]\n"
    rejected.prune(client)
    assert rejected.drop(client, None) == 1


@pytest.mark.parametrize(
    ("command", "words"),
    [("unlink", ("drop", "job-1", "--yes")), ("hexists", ("requeue", "job-1"))],
)
def test_a_right_that_a_script_lacks_is_named(
    inside: Program,  # noqa: F811 - the fixture
    client: redis.Redis,
    queue: Queue,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    words: tuple[str, ...],
):
    put(queue, b"job-1")
    client.execute_command("ACL", "SETUSER", "less", "on", ">pass", "~*", "&*", "+@all", f"-{command}")
    monkeypatch.setenv("ORDERCTL_REDIS_URL", redis_url.replace("//", "//less:pass@"))
    try:
        ended = inside("worker", "rejected", *words)
    finally:
        client.execute_command("ACL", "DELUSER", "less")

    assert ended.status == 78
    assert f"commands {command.upper()}" in ended.err
    assert f" ACL SETUSER less +{command}" in ended.err
