"""``orderctl tail``: what it prints, and when it ends."""

import io
import itertools
import json
import signal
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from orderctl import broker, channels, embedded, follow, news, publications, subjects
from orderctl.cli import bars, waiting_lines
from orderctl.cli.app import App
from orderctl.cli.tail_output import line
from orderctl.errors import DatabaseUnavailable, RedisUnavailable
from orderctl.follow import Patience
from orderctl.messages import Completion, StatusChange, TaskProgress
from orderctl.watched import End, Found, Happened, Remark, Update, Waiting
from tests.cli.conftest import Program
from tests.script import SCRIPT
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")


def progress(percent: float, task_id: int = 1, file: str = "a.mp4") -> TaskProgress:
    return TaskProgress(task_id, percent, file, 2_000_000, 1_000 + round(percent), 1, round(percent))


def watched(shop: Shop, redis_url: str):
    """Watch task 1; what the database says of it first is left out."""
    found = [shop.read(lambda connection: subjects.find_task(connection, 1))]
    events = follow.watch(shop.engine, lambda: redis_url, found, Patience(total=120))
    assert isinstance(next(events), Found)
    return events


def test_the_end_of_a_finished_task_is_shown_at_once_and_without_redis(
    shop: Shop, inside: Program, monkeypatch
):
    shop.paid("DH1", 2)
    shop.carry_out(1)
    monkeypatch.setenv("ORDERCTL_REDIS_URL", "redis://127.0.0.1:1/0")

    ended = inside("tail", "task", "1")

    assert (ended.status, ended.out) == (0, "task 1 completed\n")


@pytest.mark.parametrize(("flag", "status"), [((), 0), (("--exit-status",), 1)])
def test_a_failed_order_fails_the_command_only_when_asked(flag, status, shop: Shop, inside: Program):
    shop.paid("DH1", 1)
    shop.fail(1)
    shop.paid("DH2", 2)
    shop.fail(2)
    shop.carry_out(3)

    assert inside("tail", "order", "DH2", *flag).status == status


#: A message of a kind that tail has no drawing for.
NOTE = Update(
    channels.Channel(channels.Scope.ORDER, 7, "note"),
    {"orderId": 7, "text": "a\x1b[2J", "timestamp": 1},
    False,
)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (progress(10.5), "task 1   10.5 %  a.mp4  1.9 MiB/s"),
        (StatusChange(channels.Scope.TASK, 1, "failed", None, 1, "no disk"), "task 1  - -> failed: no disk"),
        (Completion(7, 3, 2, 1, 1), "order 7  complete: 2 of 3 tasks"),
    ],
)
def test_a_message_is_one_line(message, shown):
    assert line(Update(message.channel, message.data(), False)) == shown


def test_a_kind_that_is_not_drawn_is_still_shown():
    stream = io.StringIO()
    bars.draw(stream, [NOTE], color=False)

    assert line(NOTE).startswith("order 7  note: text=a")
    assert "note: text=a" in stream.getvalue()
    assert "\x1b" not in line(NOTE) + stream.getvalue()


@pytest.mark.parametrize(
    ("data", "shown"), [({}, "complete"), ({"driveLink": "x", "totalTasks": None}, "complete: driveLink=x")]
)
def test_the_completion_of_a_task_by_another_program_is_shown(data, shown):
    channel = channels.Channel(channels.Scope.TASK, 7, channels.MessageKind.COMPLETE)
    update = Update(channel, {"taskId": 7, "timestamp": 1} | data, False)
    stream = io.StringIO()
    bars.draw(stream, [update], color=False)

    assert line(update) == f"task 7  {shown}"
    assert shown in stream.getvalue()


def test_the_completion_of_a_task_ends_it_only_with_the_task(shop: Shop, redis_url: str, monkeypatch):
    """Whoever publishes it may be ahead of the database, or wrong."""
    monkeypatch.setattr(follow, "_ASK_SECONDS", 9999)
    shop.paid("DH1", 1)
    client = broker.brisk(redis_url)
    channel = channels.Channel(channels.Scope.TASK, 1, channels.MessageKind.COMPLETE)
    events = watched(shop, redis_url)
    publications.publish(client, channel, {"taskId": 1, "timestamp": 1})

    assert next(events).channel == channel  # the snapshot
    publications.publish(client, channel, {"taskId": 1, "timestamp": 2})

    assert next(events).data["timestamp"] == 2
    shop.carry_out(1)
    assert isinstance(next(events), End)


def test_lines_come_one_by_one_until_the_order_ends(shop: Shop, redis_url: str):
    shop.paid("DH1", 1)
    client = broker.brisk(redis_url)
    publications.publish_progress(client, progress(10), 1, {})
    with subprocess.Popen(
        [SCRIPT, "tail", "order", "DH1", "-o", "jsonl"], stdout=subprocess.PIPE, text=True
    ) as process:
        read = (one for line in process.stdout if (one := json.loads(line))["type"] != "waiting")
        first = {
            (line["scope"], line["data"]["percent"], line["snapshot"]) for line in (next(read), next(read))
        }
        publications.publish_progress(client, progress(40), 1, {})
        live = [next(read), next(read)]
        shop.carry_out(1)
        publications.send(client, StatusChange(channels.Scope.ORDER, 1, "completed", "processing", 9_999))
        rest = list(read)
    client.close()

    assert first == {("task", 10, True), ("order", 10, True)}
    assert {(line["scope"], line["data"]["percent"], line["snapshot"]) for line in live} == {
        ("task", 40, False),
        ("order", 40, False),
    }
    assert rest[-1] == {
        "scope": "order",
        "id": 1,
        "type": "end",
        "snapshot": False,
        "data": {"status": "completed", "detail": "1 of 1 tasks completed"},
    }
    assert process.returncode == 0


def test_an_end_that_was_not_published_is_found_in_the_database(shop: Shop, redis_url: str, monkeypatch):
    monkeypatch.setattr(follow, "_ASK_SECONDS", 0.1)
    shop.paid("DH1", 1)
    client = broker.brisk(redis_url)
    events = watched(shop, redis_url)
    publications.publish_progress(client, progress(10), 1, {})
    assert isinstance(next(events), Update)

    shop.carry_out(1)

    assert [event for event in events if isinstance(event, End)] == [
        End(channels.Scope.TASK, 1, "task 1", "completed")
    ]
    client.close()


def test_hostile_text_is_only_text(shop: Shop, redis_url: str):
    shop.paid("DH1", 1)
    client = broker.brisk(redis_url)
    publications.publish_progress(client, progress(10, file="\x1b[2Jevil\u202e.mp4"), 1, {})
    with subprocess.Popen([SCRIPT, "tail", "task", "1"], stdout=subprocess.PIPE, text=True) as process:
        out = process.stdout.readline()
        shop.carry_out(1)
        publications.send(client, StatusChange(channels.Scope.TASK, 1, "completed", "downloading", 9_999))
        out += process.stdout.read()
    client.close()

    assert process.returncode == 0
    assert "evil" in out
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_the_stall_timeout_ends_it_when_no_message_arrives(shop: Shop, inside: Program):
    shop.paid("DH1", 2)

    ended = inside("tail", "order", "DH1", "--stall-timeout", "1s")

    assert ended.status == 124
    assert "no message for 1 s" in ended.err


def test_a_code_is_an_order_and_a_command_that_is_mistyped_is_suggested(shop: Shop, inside: Program):
    shop.paid("DH1", 1)
    shop.paid("DH2", 2)
    for task_id in (1, 2, 3):
        shop.carry_out(task_id)

    both = inside("tail", "DH1", "DH2", "DH1")
    assert both.out.splitlines() == [
        "order DH1 completed: 1 of 1 tasks completed",
        "order DH2 completed: 2 of 2 tasks completed",
    ]
    assert inside("tail", "--exit-status", "task", "1", "2").out == "task 1 completed\ntask 2 completed\n"
    customer = shop.order("DH1").user_email
    assert inside("tail", "order", customer).err.startswith(
        f"orderctl: '{customer}' has several orders: DH2, DH1"
    )
    mistyped = inside("tail", "ordr", "DH1")
    assert (mistyped.status, mistyped.err) == (
        3,
        "orderctl: order 'ordr' not found\nhint: orderctl tail order DH1\n",
    )
    assert "hint: orderctl tail task 77" in inside("tail", "77").err


def test_an_order_that_has_failed_says_why_and_what_to_do(shop: Shop, inside: Program):
    shop.paid("DH1", 2)
    shop.fail(1, message="connection refused")
    shop.carry_out(2)
    shop.execute("UPDATE download_tasks SET drive_link = 'https://drive.example/2' WHERE id = 2")

    ended = inside("tail", "DH1")

    assert ended.out == (
        "order DH1 failed: 1 of 2 tasks completed, 1 link\n  task 1: NETWORK: connection refused\n"
    )
    assert ended.err == "next: orderctl tasks retry 1\n"
    assert inside("tail", "DH1", "-q").err == ""
    assert inside("tail", "task", "1").out == "task 1 failed: NETWORK: connection refused\n"
    [end] = map(json.loads, inside("tail", "DH1", "-o", "jsonl").out.splitlines())
    assert end["data"] == {
        "status": "failed",
        "detail": "1 of 2 tasks completed, 1 link",
        "failed": [{"task_id": 1, "reason": "NETWORK: connection refused"}],
    }


@pytest.mark.parametrize("subject", [("DH1",), ("task", "1")])
def test_a_reason_is_wrapped_at_the_width_of_the_terminal_and_not_cut(
    subject, shop: Shop, inside: Program, monkeypatch
):
    message = "connection refused while reading from http://127.0.0.1:8000/courses/1/video.mp4"
    shop.paid("DH1", 1)
    shop.fail(1, message=message)
    monkeypatch.setattr(App, "view", SimpleNamespace(width=60))

    out = inside("tail", *subject).out

    assert max(map(len, out.splitlines())) <= 60
    assert message in " ".join(out.split())


@pytest.mark.parametrize(
    ("kind", "log", "shown"),
    [
        ("UNKNOWN", "UNKNOWN: UNKNOWN: x", "UNKNOWN: x"),
        ("UNKNOWN", "UNKNOWN", "UNKNOWN"),
        ("UNKNOWN", None, "UNKNOWN"),
        (None, "x", "x"),
        (None, None, "no reason is recorded"),
    ],
)
def test_a_reason_says_its_type_once(kind, log, shown, shop: Shop, inside: Program):
    shop.paid("DH1", 1)
    shop.fail(1)
    shop.execute("UPDATE download_tasks SET error_type = :kind, error_log = :log", kind=kind, log=log)

    assert inside("tail", "task", "1").out == f"task 1 failed: {shown}\n"


def test_the_retry_of_several_failures_names_the_order(shop: Shop, inside: Program):
    for task_id in shop.paid("A&B", 6):
        shop.fail(task_id)

    assert inside("tail", "A&B").err == "next: orderctl tasks retry --failed --order 'A&B'\n"


def test_fail_fast_ends_with_the_first_failure(shop: Shop, inside: Program, monkeypatch):
    monkeypatch.setenv("ORDERCTL_REDIS_URL", "redis://127.0.0.1:1/0")
    shop.paid("DH1", 1)
    shop.paid("DH2", 1)
    shop.fail(2)

    ended = inside("tail", "DH1", "DH2", "--fail-fast")

    assert (ended.status, ended.out.splitlines()[0]) == (1, "order DH2 failed: 0 of 1 tasks completed")


def test_what_waits_says_so_once_on_stderr(shop: Shop, inside: Program, monkeypatch):
    monkeypatch.setattr(follow, "_WHY_SECONDS", 0.1)
    shop.add("DH1")

    ended = inside("tail", "DH1", "--timeout", "1s")

    assert (ended.status, ended.out) == (124, "")
    assert ended.err.count("waiting: ") == 1
    assert "orderctl orders pay DH1" in ended.err
    record = json.loads(inside("tail", "DH1", "--timeout", "1s", "-o", "jsonl").out)
    assert (record["type"], record["data"]["cause"]) == ("waiting", "unpaid")


@pytest.mark.parametrize(("url", "cause"), [(None, "no-worker"), ("redis://127.0.0.1:1/0", "unknown")])
def test_what_waits_says_so_while_redis_is_away(url, cause, shop: Shop, state_dir: Path, monkeypatch):
    """The embedded server is not started for that."""
    shop.add("DH1")
    shop.paid("DH2", 1)
    found = [
        shop.read(lambda connection, code=code: subjects.find_order(connection, code))
        for code in ("DH1", "DH2")
    ]
    monkeypatch.setenv("ORDERCTL_STATE_DIR", str(state_dir))
    monkeypatch.delenv("ORDERCTL_REDIS_URL")
    if url:
        monkeypatch.setenv("ORDERCTL_REDIS_URL", url)
    app = App()

    causes = [one.cause for one in waiting_lines.of_subjects(app)(found)]
    causes += [one.cause for one in waiting_lines.of_everything(app)(())]
    app.close()

    assert causes == ["unpaid", cause, cause]
    assert not embedded.status(state_dir).running


def test_a_subject_waits_until_there_is_progress(shop: Shop, redis_url: str, monkeypatch):
    monkeypatch.setattr(follow, "_WHY_SECONDS", 0)
    shop.paid("DH1", 1)
    reasons = iter([[Waiting((channels.Scope.TASK, 1), "behind", "1 task before it")], []])
    found = [shop.read(lambda connection: subjects.find_task(connection, 1))]
    events = follow.watch(
        shop.engine, lambda: redis_url, found, Patience(total=60), why=lambda _: next(reasons, [])
    )

    waits = itertools.islice((event for event in events if isinstance(event, Waiting)), 2)

    assert [one.cause for one in waits] == ["behind", ""]
    events.close()


def test_stores_that_fail_in_the_background_do_not_end_it(shop: Shop, redis_url: str, monkeypatch):
    monkeypatch.setattr(follow, "_WHY_SECONDS", 0)
    shop.paid("DH1", 1)
    asked = threading.Semaphore(0)

    def why(_subjects):
        asked.release()
        raise RedisUnavailable("away")

    found = [shop.read(lambda connection: subjects.find_task(connection, 1))]
    events = follow.watch(shop.engine, lambda: redis_url, found, Patience(total=60), why=why)
    assert isinstance(next(events), Found)
    seen = []
    reader = threading.Thread(target=lambda: seen.extend(events))
    reader.start()
    assert asked.acquire(timeout=60)
    assert asked.acquire(timeout=60)
    shop.carry_out(1)
    client = broker.brisk(redis_url)
    publications.send(client, StatusChange(channels.Scope.TASK, 1, "completed", "downloading", 9_999))
    reader.join(60)
    client.close()

    assert isinstance(seen[-1], End)


def test_a_database_that_goes_away_is_remarked_on_once_and_asked_again(
    shop: Shop, redis_url: str, monkeypatch
):
    shop.paid("DH1", 1)
    answers = iter([None, *[DatabaseUnavailable("the database is away")] * 3])
    end = End(channels.Scope.TASK, 1, "task 1", "completed")

    def find_end(_connection, _subject):
        answer = next(answers, end)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(follow, "_ASK_SECONDS", 0)
    monkeypatch.setattr(subjects, "find_end", find_end)
    found = [shop.read(lambda connection: subjects.find_task(connection, 1))]

    seen = list(follow.watch(shop.engine, lambda: redis_url, found, Patience(total=60)))

    assert [type(one) for one in seen] == [Found, Remark, End]


def test_new_events_of_the_audit_log_are_found_once(shop: Shop):
    shop.paid("DH1", 1)
    found = [shop.read(lambda connection: subjects.find_order(connection, "DH1"))]
    fresh = news.News(shop.engine, found)
    fresh.begin()

    shop.carry_out(1)

    written = [event.event_type for event in fresh.last()]
    assert written[-1] == "order_completed"
    assert "download_completed" in written
    assert fresh.last() == []


def test_events_are_shown_as_they_are_written(shop: Shop, redis_url: str, monkeypatch):
    monkeypatch.setattr(news, "_LOOK_SECONDS", 0)
    monkeypatch.setattr(follow, "_ASK_SECONDS", 0)
    shop.paid("DH1", 1)
    found = [shop.read(lambda connection: subjects.find_order(connection, "DH1"))]
    client = broker.brisk(redis_url)
    publications.publish(client, channels.task_progress(1), progress(10).data())
    client.close()
    shown = []
    for event in follow.watch(shop.engine, lambda: redis_url, found, Patience(total=60), events=True):
        if isinstance(event, Update):
            shop.carry_out(1)
        if isinstance(event, Happened):
            shown.append(event.event.event_type)

    assert shown.count("order_completed") == shown.count("download_completed") == 1


def test_without_a_terminal_everything_begins_with_new_messages(shop: Shop, redis_url: str, inside: Program):
    client = broker.brisk(redis_url)
    publications.publish_progress(client, progress(10), 1, {})
    client.close()

    assert inside("tail", "all", "--timeout", "0.3s").out == ""
    assert "10.0 %" in inside("tail", "all", "--timeout", "0.3s", "--history").out


def test_without_a_terminal_everything_says_what_it_waits_for(shop: Shop, inside: Program):
    shop.paid("DH1", 1)

    assert (
        "waiting: no worker is running: orderctl worker start" in inside("tail", "all", "--timeout", "3s").err
    )


@pytest.mark.parametrize("command", [("all",), ("pattern", "task:*")])
@pytest.mark.parametrize("there", [True, False])
def test_everything_needs_a_database_that_is_migrated(
    command, there, tmp_path: Path, state_dir: Path, inside: Program, monkeypatch
):
    """It ends before it starts the embedded Redis."""
    monkeypatch.setenv("ORDERCTL_STATE_DIR", str(state_dir))
    monkeypatch.delenv("ORDERCTL_REDIS_URL", raising=False)
    if there:
        (tmp_path / "empty.db").touch()
        monkeypatch.setenv("ORDERCTL_DATABASE_URL", f"sqlite:///{tmp_path}/empty.db")
    else:
        monkeypatch.delenv("ORDERCTL_DATABASE_URL", raising=False)

    ended = inside("tail", *command, "--timeout", "3s")

    assert (ended.status, ended.out) == (78, "")
    assert ended.err.replace("download_tasks", "orders") == inside("orders", "list").err
    assert "\nhint: orderctl " in ended.err
    assert not state_dir.exists()


def test_everything_goes_on_without_a_database_that_is_away(shop: Shop, inside: Program, monkeypatch):
    client = broker.brisk(broker.url(App().settings))
    publications.publish_progress(client, progress(10), 1, {})
    client.close()
    monkeypatch.setenv("ORDERCTL_DATABASE_URL", "mysql://root@127.0.0.1:1/shop")

    ended = inside("tail", "all", "--history", "--timeout", "1s")

    assert "10.0 %" in ended.out
    assert ended.err.count("; messages are shown without it") == 1


def test_everything_begins_with_what_is_running(shop: Shop, redis_url: str):
    """Of what has ended not even the messages are read, of which there are very many after a busy hour."""
    shop.paid("DH1", 2, titled=True)
    shop.start(shop.claimed(1))
    client = broker.brisk(redis_url)
    for task_id in (1, 2):
        publications.publish(client, channels.task_progress(task_id), progress(10, task_id).data())
    client.close()

    events = follow.watch_patterns(
        shop.engine, lambda: redis_url, channels.PATTERNS, Patience(total=60), begin=True
    )

    found, message = next(events), next(events)
    assert [(one.id, one.label) for one in found.standings] == [(1, "DH1 Course 1")]
    assert (message.channel.id, message.snapshot) == (1, True)
    events.close()


def test_names_are_looked_up_in_the_background(shop: Shop, redis_url: str):
    shop.paid("DH1", 1, titled=True)
    client = broker.brisk(redis_url)
    events = follow.watch_patterns(
        shop.engine, lambda: redis_url, channels.PATTERNS, Patience(total=60), begin=True
    )
    named = (
        one for event in events if isinstance(event, Found) and not event.first for one in event.standings
    )

    def speak() -> None:
        while not over.wait(0.1):  # again and again: what comes before the subscription is not heard
            publications.publish_progress(client, progress(10), 1, {})

    over = threading.Event()
    speaker = threading.Thread(target=speak)
    speaker.start()
    try:
        assert {one.label for one in itertools.islice(named, 2)} == {"DH1", "DH1 Course 1"}
    finally:
        over.set()
        speaker.join()
        events.close()
        client.close()


def test_a_pattern_chooses_channels(shop: Shop, redis_url: str):
    shop.paid("DH1", 2)
    client = broker.brisk(redis_url)

    def speak() -> None:
        while not over.wait(0.05):
            publications.publish_progress(client, progress(10), 1, {})
            publications.send(
                client, StatusChange(channels.Scope.TASK, 1, "downloading", "enrolled", next(times))
            )

    over, times = threading.Event(), itertools.count(9_999)
    speaker = threading.Thread(target=speak)
    speaker.start()
    command = [SCRIPT, "tail", "pattern", "task:*:status", "-o", "jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        read = (one for line in process.stdout if (one := json.loads(line))["type"] != "waiting")
        lines = list(itertools.islice(read, 6))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
    over.set()
    speaker.join()
    client.close()

    assert process.returncode == 130
    assert {one["type"] for one in lines} == {"status"}


def test_a_pattern_that_matches_no_channel_is_refused(inside: Program):
    ended = inside("tail", "pattern", "rq:*")

    assert ended.status == 2
    assert "matches no channel: their names are {scope}:{id}:{type}" in ended.err
