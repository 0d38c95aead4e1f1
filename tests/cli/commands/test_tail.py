"""``orderctl tail``: what it prints, and when it ends."""

import io
import itertools
import json
import signal
import subprocess
import threading

import pytest

from orderctl import broker, channels, follow, publications, subjects
from orderctl.cli import bars
from orderctl.cli.tail_output import line
from orderctl.follow import Found, Patience, Update
from orderctl.messages import Completion, StatusChange, TaskProgress
from orderctl.subjects import End
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
        lines = [process.stdout.readline() for _ in range(6)]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
    over.set()
    speaker.join()
    client.close()

    assert process.returncode == 130
    assert {json.loads(line)["type"] for line in lines} == {"status"}


def test_a_pattern_that_matches_no_channel_is_refused(inside: Program):
    ended = inside("tail", "pattern", "rq:*")

    assert ended.status == 2
    assert "matches no channel: their names are {scope}:{id}:{type}" in ended.err
