"""No line is wider than the terminal, whatever stands in the database."""

import json
import shlex
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
import redis
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import update

from orderctl import broker, channels, clock
from orderctl.audit import Event
from orderctl.choices import Seen
from orderctl.cli import rejected_jobs, token_input
from orderctl.cli.log_follow import Follower
from orderctl.operations import making
from orderctl.operations.making import NewOperation
from orderctl.operations.records import Kind
from orderctl.orders import NewCourse
from orderctl.payments.transfer import Transfer
from orderctl.schema import outbox as outbox_table
from orderctl.states import ErrorType, Severity
from orderctl.terminal.render import Column
from orderctl.terminal.table import Cell, Head, Layout
from orderctl.terminal.widths import bare, width
from orderctl.worker import rejected
from tests.cli.conftest import Program
from tests.cli.test_commands import LEAVES
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")

LONG = "DH" + "0123456789" * 6 + "ZZ"  # 64 characters
SHORT = "DH123456"
EMAIL = "nguyen.van." + "a" * 40 + "@" + ("b" * 60 + ".") * 2 + "example.vn"
TITLES = (
    "Khóa học lập trình Python nâng cao dành cho người mới bắt đầu",
    "Kho\u0301a ho\u0323c la\u0323\u0302p tri\u0300nh na\u0302ng cao cho ngu\u031bo\u031b\u0300i mo\u031b\u0301i",
    "Lập trình 👩‍💻 từ đầu 🚀🚀🚀 cùng gia đình 👨‍👩‍👧‍👦 và bạn bè ❤️ 👍🏽",
    "日本語のコース" * 6,
    "x" * 200,
)
REASON = "NETWORK: https://courses.example/" + "path/" * 30 + ": connection refused after 30 s, tried 5 times"
COMMANDS = (
    "orders list",
    "orders list --fields order_code,user_email,order_status,total_amount,created_at",
    "orders list --time-format local",
    f"orders show {LONG}",
    f"orders show {LONG} --timeline",
    "orders stats",
    "tasks list",
    "tasks list --failed",
    "tasks list --failed --group-by error",
    "tasks show 1",
    "payments list",
    "payments show 3",
    "outbox list",
    "outbox show 1",
    "ops list",
    f"ops show {'o' * 64}",
    f"logs show {LONG}",
    "logs errors",
    "logs search",
    "logs summary",
    "status",
    "worker list",
    "worker rejected list",
    "worker rejected show job-" + "1" * 60,
    "relay revoked",
    "reconcile --check",
    f"why {LONG}",
    "why task 3",
    "doctor --fields area,name,verdict,text",
    "config show",
    "config path",
    "migrate status",
    "migrate history",
)
#: The columns that are there even with the longest values.
KEYS = {
    "orders list": "CODE STATUS AMOUNT",
    "tasks list": "ID ORDER STATUS ERROR",
    "tasks list --failed --group-by error": "FINGERPRINT ERROR TASKS EXAMPLE",
    "payments list": "ID AMOUNT ORDER OUTCOME",
    "outbox list": "ID KIND STATE ORDER ERROR",
    "ops list": "NAME STATE TASKS DONE FAILED",
    "logs errors": "TIME ORDER MESSAGE",
    "logs search": "TIME ORDER MESSAGE",
    f"logs show {LONG}": "TIME EVENT MESSAGE",
    "worker list": "WORKER STATE TASK",
    "reconcile --check": "KIND TASK FINDING",
    "migrate status": "REVISION APPLIED",
}


@pytest.fixture
def terminal(inside: Program, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], list[str]]:
    """``terminal(command, columns)`` returns what a terminal shows, line by line, without colours."""

    def show(command: str, columns: int) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True)
        ended = inside(*shlex.split(command))
        assert ended.status in {0, 1}, ended.err
        return [bare(line) for line in ended.out.splitlines()]

    return show


@pytest.fixture
def crowded(shop: Shop, redis_url: str) -> Shop:
    """A shop with long values everywhere."""
    for number, code in enumerate((LONG, SHORT)):
        courses = [NewCourse(f"https://courses.example/{number}/{at}", one) for at, one in enumerate(TITLES)]
        shop.paid(code, courses, email=EMAIL, amount="9999999999.99")
    for task in (1, 2, 6, 7):
        shop.fail(task, ErrorType.NETWORK, REASON, fingerprint="abcdef0123456789")
    shop.claimed(3, worker="a-host-with-a-rather-long-name.example-4711-a3f9.worker-1")
    shop.receive(
        Transfer(
            "sepay",
            Decimal(1234567890),
            provider_id="9" * 60,
            reference="F" * 60,
            content="chuyển khoản " * 12,
        )
    )
    shop.record(
        1, "a_type_of_event_that_is_long_enough_for_anything", Severity.CRITICAL, message=REASON, task_id=1
    )
    shop.transact(lambda c: c.execute(update(outbox_table).values(last_error=REASON)))
    new = NewOperation(Kind.RETRY, "anna@a-host-with-a-rather-long-name.example", "o" * 64, {}, REASON)
    making.make(shop.engine, new, [(number, Seen("failed", 1)) for number in range(1, 100)])
    with broker.brisk(redis_url) as client:
        _fill_redis(client)
    return shop


def _fill_redis(client: redis.Redis) -> None:
    sign = {
        "name": "another-host-with-a-rather-long-name.example.vn-4711-a3f9", "host": "h" * 60, "pid": 4711,
        "queue": "orderctl", "concurrency": 12, "version": "1", "started": clock.milliseconds(),
    }  # fmt: skip
    client.set(broker.key(client, channels.supervisor(sign["name"])), json.dumps(sign))
    queue = Queue("orderctl", connection=client, serializer=JSONSerializer)
    raw = b"job-" + b"1" * 60
    job = queue.create_job("shop.mails." + "send" * 20, job_id="x").to_dict()
    client.hset(b"rq:job:" + raw, mapping=job | {"origin": b"mails"})
    rejected.put(client, queue, raw, "the job id does not name a task")


def test_no_line_is_wider_than_the_terminal(crowded: Shop, terminal: Callable[[str, int], list[str]]):
    faults = [
        f"{columns}: {command}: {width(line)}: {line}"
        for columns in (60, 80)
        for command in COMMANDS
        for line in terminal(command, columns)
        if width(line) > columns and not line.startswith("repair: orderctl ")  # it is pasted as one line
    ]
    faults += [
        f"{columns}: {command}: {width(line)}: {line}"
        for columns in (20, 30, 200)
        for command in (
            "orders list",
            "tasks list",
            f"orders show {LONG}",
            "payments show 3",
            f"logs show {LONG}",
        )
        for line in terminal(command, columns)
        if width(line) > columns
    ]

    assert "\n".join(faults) == ""


def test_key_columns_still_stand_at_60_columns(crowded: Shop, terminal: Callable[[str, int], list[str]]):
    heads = {command: terminal(command, 60)[0].split() for command in KEYS}

    assert {command: set(KEYS[command].split()) - set(found) for command, found in heads.items()} == {
        command: set() for command in KEYS
    }


def test_a_followed_event_goes_on_in_the_next_line(crowded: Shop, terminal, monkeypatch: pytest.MonkeyPatch):
    def stop(_: Follower) -> Iterator[Event]:
        yield from ()

    monkeypatch.setattr(Follower, "coming", stop)
    lines = terminal(f"logs show {LONG} -f", 60)

    assert max(map(width, lines)) <= 60
    assert sum(not line.startswith("  ") for line in lines) == 9
    assert "".join("".join(lines).split()).count("tried5times") == 3


def test_every_command_that_shows_rows_is_looked_at():
    """Commands that change something show what they have changed, in tables of the same kind."""
    changing = {
        "orders add", "orders wait", "orders cancel", "tasks retry", "tasks cancel", "outbox resend", "outbox test",
        "worker rejected requeue", "payments reconcile", "relay inspect", "embedded status",
    }  # fmt: skip
    with_rows = {
        " ".join(path)
        for path, command in LEAVES
        if path[0] != "tail" and any(param.name == "output" for param in command.params)
    }

    assert (
        with_rows - changing - {name for name in with_rows for one in COMMANDS if one.startswith(name)}
        == set()
    )


def test_the_type_of_an_error_is_said_once(shop: Shop, inside: Program):
    for task, text in enumerate(["UNKNOWN: UNKNOWN: it broke", "UNKNOWN: UNKNOWN", "UNKNOWN", None], start=1):
        shop.paid(f"DH{task}")
        shop.fail(task, ErrorType.UNKNOWN, "it broke")
        shop.execute("UPDATE download_tasks SET error_log = :text WHERE id = :id", text=text, id=task)

    said = "".join(
        inside(*command.split()).out
        for command in (
            "tasks list",
            "tasks list --group-by error",
            *(f"tasks show {task}" for task in (1, 2, 3, 4)),
        )
    )

    assert "it broke" in said
    assert "UNKNOWN: UNKNOWN" not in said
    assert "UNKNOWN: -" not in said


@pytest.mark.parametrize(
    ("command", "columns", "heads"),
    [
        ("tasks list --failed", 60, "ID ORDER TITLE STATUS ERROR"),
        ("tasks list --failed", 80, "ID ORDER TITLE STATUS ERROR REASON UPDATED"),
        ("orders list", 80, "CODE STATUS PAYMENT AMOUNT CUSTOMER PROGRESS"),
    ],
)
def test_a_long_code_is_cut_before_columns_of_use_leave(
    shop: Shop, terminal: Callable[[str, int], list[str]], command: str, columns: int, heads: str
):
    ordinary, long = "KH-2026-1234567-0001", "KH-2026-" + "abcdef" * 6 + "-1"
    for task, code in enumerate((ordinary, long), start=1):
        shop.paid(code, email="nguyen.an@example.com", amount="1290000")
        shop.execute("UPDATE download_tasks SET title = 'Khóa học lập trình Python'")
        if "failed" in command:
            shop.fail(task, ErrorType.NETWORK, "connection refused after 30 s")

    shown = terminal(command, columns)

    assert shown[0].split() == heads.split()
    assert ordinary in "".join(shown)
    assert long not in "".join(shown)


@pytest.mark.parametrize("columns", [rejected_jobs.COLUMNS, token_input.TOKENS], ids=["jobs", "tokens"])
def test_an_id_that_is_typed_again_stays_whole(columns: tuple[Column, ...]):
    job_id = "0b5a7e0c-5f0e-4a55-9f4e-2d8f5c1a7e33"
    heads = [Head(one.heading, keep=one.keep, least=one.least, priority=one.priority) for one in columns]
    row = [Cell(job_id), *(Cell("long text " * 9) for _ in columns[1:])]

    assert job_id in Layout(heads, room=80).page([row])
