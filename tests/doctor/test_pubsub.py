"""What is wrong on the channels is heard, named and spelled right."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from orderctl.doctor import pubsub
from orderctl.doctor.checks import Check, Verdict
from orderctl.doctor.pubsub import TARGET, examine, examine_round_trip, listen
from orderctl.doctor.redis_repairs import _user
from orderctl.settings import load
from tests.doctor.around import look, named, unwell
from tests.servers.redis import RedisServer
from tests.shop import Shop
from tests.test_rights import rules

NOTE, WARNING, FAULT = Verdict.NOTE, Verdict.WARNING, Verdict.FAULT


def progress(task_id: int, **more: object) -> str:
    return json.dumps({"taskId": task_id, "percent": 5, "currentFile": "a", "timestamp": 1} | more)


@contextmanager
def publishing(url: str, messages: Mapping[str, object]) -> Iterator[None]:
    """Publish on channels again and again, as programs of the shop do."""
    over = threading.Event()

    def run() -> None:
        with redis.Redis.from_url(url) as client:
            while not over.wait(0.03):
                for name, payload in messages.items():
                    client.publish(name, payload)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture
def hear(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Check]]:
    """``hear(published, most)`` returns the checks of what is published, after so many messages.

    The doctor listens until it has heard that many, not for a time: a machine that is busy for a second has no say.
    """

    def examined(published: Mapping[str, object], most: int = 3, **given: Any) -> list[Check]:
        monkeypatch.setattr(pubsub, "_MOST_HEARD", most)
        with publishing(redis_url, published):
            return look(examine, ahead=listen, listen=60, **{"redis_url": redis_url, **given})

    return examined


#: What is published, the settings, and the check that names it with its verdict and a part of its text and repair.
FAULTS: dict[str, tuple[dict[str, object], dict[str, str], str, Verdict, str, str]] = {
    "order": ({"progress:task:456": "{}"}, {}, "misnamed-channel", FAULT, "progress:task:456 is not", "task:456:progress"),
    "marks": ({"task_456_progress": "{}"}, {}, "misnamed-channel", FAULT, "task_456_progress is not", "task:456:progress"),
    "case": ({"Task:456:Progress": "{}"}, {}, "misnamed-channel", FAULT, "Task:456:Progress is not", "task:456:progress"),
    "id": ({"task:abc:progress": "{}"}, {}, "misnamed-channel", FAULT, "download_tasks.id", "task:ID:progress"),
    "terminal": ({"task_\x1b[31m_1_progress": "{}"}, {}, "misnamed-channel", FAULT, "task_[31m_1", "task:1:progress"),
    "payload": ({"task:1:status": "{}"}, {}, "payloads", FAULT, "task:1:status: newStatus is missing", ""),
    "subject": ({"task:1:progress": progress(2)}, {}, "payloads", FAULT, "its taskId is 2", ""),
    "prefix": ({"task:1:progress": progress(1)}, {"redis_prefix": "a:"}, "prefix", WARNING, "lack the prefix a:", '= "a:"'),
    "neighbour": ({"b:task:1:progress": progress(1)}, {}, "other-prefix", NOTE, "prefix b:", ""),
    "flood": ({"task:1:progress": progress(1)}, {"progress_interval_seconds": "60"}, "progress-rate", WARNING, "task 1 publishes", "tasks show 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_heard_and_named(hear: Callable[..., list[Check]], name: str) -> None:
    published, settings, check, verdict, text, repair = FAULTS[name]

    found = hear(published, 20 if name == "flood" else 3, **settings)

    assert unwell(found) == {check: verdict}
    assert text in named(found, check).text
    assert repair in (named(found, check).explanation or "")
    assert named(found, check).repair is None  # no command repairs it


def test_what_is_right_is_well_and_other_programs_are_left_alone(hear: Callable[..., list[Check]]) -> None:
    found = hear({"task:1:progress": progress(1), "socket.io#/#": "x", "order:created": "7"})

    assert unwell(found) == {}
    assert "1 channel of orderctl's, 2 channels of other programs' such as" in named(found, "heard").text


def test_another_doctor_is_no_other_program(hear: Callable[..., list[Check]], redis_url: str) -> None:
    names = {"orderctl:doctor:0af3": "1", "shop2:orderctl:doctor:0af4": "1", "task:1:progress": progress(1)}
    with redis.Redis.from_url(redis_url) as client, client.pubsub() as listener:
        listener.subscribe("orderctl:doctor:0af5")
        listener.get_message(timeout=5)
        found = hear(names)

    text = named(found, "heard").text
    assert "1 channel of orderctl's" in text
    assert "other programs" not in text


def test_a_busy_server_is_not_listened_to_for_long(
    hear: Callable[..., list[Check]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pubsub, "_MOST_KEPT", 2)
    names = {f"task:{number}:progress": progress(number) for number in range(1, 4)}
    began = time.monotonic()

    found = hear(names)

    assert named(found, "heard").text.startswith("heard 3 messages in ")
    assert named(found, "payloads").text.startswith("2 messages checked")
    assert time.monotonic() - began < 30


def test_a_program_that_listens_in_vain_is_named(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client, client.pubsub() as listener:
        listener.subscribe("progress:task:456")
        listener.get_message(timeout=5)
        found = look(examine, ahead=listen, redis_url=redis_url, listen=0.05)

    assert unwell(found) == {"misnamed-channel": WARNING}
    assert named(found, "misnamed-channel").explanation.startswith("Use task:456:progress in ")


@pytest.mark.databases("sqlite")
def test_messages_about_tasks_that_the_database_lacks_are_another_shops(
    shop: Shop, hear: Callable[..., list[Check]]
) -> None:
    [task] = shop.paid()

    found = hear(
        {f"task:{task}:progress": progress(task), "task:77:progress": progress(77)}, engine=shop.engine
    )

    assert unwell(found) == {"other-shop": WARNING}
    assert "about task 77, which the database does not have" in named(found, "other-shop").text


def test_an_account_that_may_not_hear_all_channels_hears_its_own(
    own_redis: Callable[..., RedisServer], hear: Callable[..., list[Check]]
) -> None:
    server = own_redis()
    url = f"redis://orderctl:pass@127.0.0.1:{server.port}/0"
    with redis.Redis(port=server.port) as admin:
        admin.execute_command("ACL", "SETUSER", "orderctl", *rules("orderctl"))
        with publishing(server.url, {"progress:task:1": "{}", "task:1:progress": progress(1)}):
            found = hear({}, redis_url=url)
        assert unwell(found) == {"heard": NOTE}
        assert not unwell(look(examine_round_trip, redis_url=url))

        admin.execute_command("ACL", "SETUSER", "orderctl", "resetchannels", "&task:*", "&order:*")
        [trip] = look(examine_round_trip, redis_url=url)
        assert trip.verdict is Verdict.SKIPPED
        assert (
            trip.repair
            == f"redis-cli -p {server.port} ACL SETUSER orderctl +publish +subscribe '&orderctl:doctor:*'"
        )
        assert _user(load({"redis.url": url}, environ={})) == "orderctl"


def test_the_round_trip_is_measured_where_no_client_listens(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client, client.pubsub() as listener:
        listener.psubscribe("*")
        listener.get_message(timeout=5)
        [check] = look(examine_round_trip, redis_url=redis_url, redis_prefix="a:")
        client.publish("end", "")
        heard = set()
        while (message := listener.get_message(timeout=20)) and message["channel"] != "end":
            heard.add(message["channel"])

    assert check.unit == "ms"
    assert isinstance(check.value, float)
    [name] = heard
    assert re.fullmatch("a:orderctl:doctor:[0-9a-f]{16}", name)


def test_a_slow_round_trip_is_a_warning(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    receive = pubsub._receive

    def slowly(*arguments: object) -> None:
        time.sleep(0.012)
        receive(*arguments)

    monkeypatch.setattr(pubsub, "_receive", slowly)
    monkeypatch.setattr(pubsub, "_TRIP_SECONDS", 0.05)
    monkeypatch.setattr(pubsub, "TARGET", TARGET)

    [check] = look(examine_round_trip, redis_url=redis_url)

    assert check.verdict is WARNING
    assert check.value > 12
    assert "target 10 ms" in check.text
    assert "SLOWLOG GET 10" in (check.repair or "")
