"""Every fault point of the code: the process dies there, and the order still ends correctly."""

import ast
from collections import Counter
from pathlib import Path

import pytest

import orderctl
from orderctl import faultpoints
from orderctl.operations import reading
from tests.faults.world import World

pytestmark = pytest.mark.databases("sqlite", "mariadb")

#: Commits of a work-horse that carries out a task: claim, enrolled, started, completed; then it takes the
#: completion from the outbox, holds it and records that it was sent.
HORSE_COMMITS = 7
#: The same when the course does not exist: claim, failed; take, hold, record.
FAILING_COMMITS = 5
#: A courier with the three messages of an order's end: a take, a hold and a record for each, one more hold before the
#: mail's body, and the webhook's endpoint.
COURIER_COMMITS = 11

HORSE = (
    "job.started", "task.claimed", "handler.enrolled", "handler.downloaded", "fsync.before", "fsync.after",
    "rename.before", "rename.after", "task.ended",
)  # fmt: skip
WORKER = ("job.popped", "horse.forked")
COURIER = ("smtp.connected", "smtp.data.before", "smtp.data.after", "webhook.before", "webhook.after")
KEEPER = ("enqueue.before", "enqueue.after")
#: A process that makes an operation.
MAKER = ("operation.chunk", "operation.written")
OPERATOR = ("operation.leased", "operation.changed", "operation.committed")
#: Commits of the operator with three tasks, two in a transaction: lease, change, look, change, and the end.
OPERATOR_COMMITS = 4
#: These have tests of their own below.
OTHERS = (
    "commit.before", "commit.after", "publish.before", "publish.after", "job.rejected",
)  # fmt: skip

KILLED = -9


def points() -> set[str]:
    """The fault points of the code."""
    found = set()
    for path in Path(orderctl.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "faultpoints.point":
                [name] = node.args
                assert isinstance(name, ast.Constant), f"{path}:{node.lineno}: a point's name is a literal"
                found.add(name.value)
    return found


@pytest.mark.databases("sqlite")
def test_every_point_of_the_code_has_a_test():
    assert points() == {*HORSE, *WORKER, *COURIER, *KEEPER, *MAKER, *OPERATOR, *OTHERS}


def test_a_fault_comes_at_its_pass(capfd):
    faultpoints.arm("here:raise@2")
    try:
        faultpoints.point("here")
        faultpoints.point("there")
        with pytest.raises(OSError, match="injected"):
            faultpoints.point("here")
        faultpoints.point("here")
    finally:
        faultpoints.arm("")


@pytest.mark.parametrize("point", HORSE)
def test_a_work_horse_may_die(world: World, point: str):
    [task] = world.shop.paid("DH1", [world.course()])
    assert world.play("horse", task, faults=f"{point}:kill").returncode == KILLED
    world.recover()
    world.assert_well()
    assert world.shop.order("DH1").order_status == "completed"


@pytest.mark.parametrize("number", range(1, HORSE_COMMITS + 1))
@pytest.mark.parametrize("side", ["before", "after"])
def test_a_work_horse_may_die_at_each_commit(world: World, side: str, number: int):
    [task] = world.shop.paid("DH1", [world.course()])
    assert world.play("horse", task, faults=f"commit.{side}:kill@{number}").returncode == KILLED
    world.recover()
    world.assert_well()


@pytest.mark.parametrize("number", range(1, FAILING_COMMITS + 1))
@pytest.mark.parametrize("side", ["before", "after"])
def test_a_work_horse_whose_task_fails_may_die_at_each_commit(world: World, side: str, number: int):
    [task] = world.shop.paid("DH1", [world.courses.url + "/missing.bin"])
    assert world.play("horse", task, faults=f"commit.{side}:kill@{number}").returncode == KILLED
    world.recover()
    world.assert_well()
    assert world.shop.order("DH1").order_status == "failed"


@pytest.mark.databases("sqlite")
def test_the_commits_are_all_there_are(world: World):
    """Otherwise the tests above leave some out."""
    good, bad = world.shop.paid("DH1", [world.course(), world.courses.url + "/missing.bin"])
    # The order ends with the second of them, so the first has three commits less.
    assert world.play("horse", good, faults=f"commit.after:kill@{HORSE_COMMITS - 3}").returncode == KILLED
    assert world.play("horse", bad, faults=f"commit.before:kill@{FAILING_COMMITS + 1}").returncode == 0
    world.recover()
    assert world.play("courier").returncode == 0
    [again] = world.shop.paid("DH2", [world.course()])
    assert world.play("horse", again, faults="task.ended:kill").returncode == KILLED
    assert world.play("courier", faults=f"commit.before:kill@{COURIER_COMMITS}").returncode == KILLED
    [once_more] = world.shop.paid("DH3", [world.course()])
    assert world.play("horse", once_more, faults="task.ended:kill").returncode == KILLED
    assert world.play("courier", faults=f"commit.before:kill@{COURIER_COMMITS + 1}").returncode == 0


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("number", range(1, 8))
@pytest.mark.parametrize("side", ["before", "after"])
def test_a_work_horse_may_die_at_each_publication(world: World, side: str, number: int):
    [task] = world.shop.paid("DH1", [world.course()])
    assert world.play("horse", task, faults=f"publish.{side}:kill@{number}").returncode == KILLED
    world.recover()
    world.assert_well()


@pytest.mark.parametrize("number", range(1, HORSE_COMMITS + 1))
@pytest.mark.parametrize("side", ["before", "after"])
def test_a_lost_connection_costs_no_attempt(world: World, side: str, number: int):
    """After a lost answer it is unknown whether the commit happened."""
    [task] = world.shop.paid("DH1", [world.course()])
    world.play("horse", task, faults=f"commit.{side}:lose@{number}")
    assert [row.status for row in world.shop.task_rows()] == ["completed"]
    assert [row.attempt for row in world.shop.task_rows()] == [1]
    world.recover()
    world.assert_well()


@pytest.mark.parametrize("number", range(1, FAILING_COMMITS + 1))
@pytest.mark.parametrize("side", ["before", "after"])
def test_a_lost_connection_does_not_double_a_failure(world: World, side: str, number: int):
    [task] = world.shop.paid("DH1", [world.courses.url + "/missing.bin"])
    world.play("horse", task, faults=f"commit.{side}:lose@{number}")
    assert [(row.status, row.attempt) for row in world.shop.task_rows()] == [("failed", 1)]
    world.recover()
    world.assert_well()


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("point", WORKER)
def test_a_worker_may_die(world: World, point: str):
    world.shop.paid("DH1", [world.course()])
    world.play("keeper")
    world.play("worker", 1, faults=f"{point}:kill")
    world.recover()
    world.assert_well()


@pytest.mark.databases("sqlite")
def test_a_worker_may_die_while_it_rejects_a_job(world: World):
    [task] = world.shop.paid("DH1", [world.course()])
    world.client.rpush("rq:queue:orderctl", f"task-{task}-0")
    world.client.hset(f"rq:job:task-{task}-0", "data", b"\x80junk")
    assert world.play("worker", 1, faults="job.rejected:kill").returncode == KILLED
    world.recover()
    world.assert_well()


@pytest.mark.parametrize(
    "point", [point for point in COURIER if point not in ("smtp.data.after", "webhook.after")]
)
def test_a_courier_may_die(world: World, point: str):
    _end(world)
    assert world.play("courier", faults=f"{point}:kill").returncode == KILLED
    world.recover()
    world.assert_well()
    assert set(world.receiver.count().values()) == {1}


@pytest.mark.parametrize("number", range(1, COURIER_COMMITS + 1))
@pytest.mark.parametrize("side", ["before", "after"])
def test_a_courier_may_die_at_each_commit(world: World, side: str, number: int):
    """Except in one window, between the mail server's 250 and its record in the outbox: see below."""
    _end(world)
    assert world.play("courier", faults=f"commit.{side}:kill@{number}").returncode == KILLED
    sent = len(world.post.letters)
    noted = [entry.kind for entry in world.shop.outbox() if entry.sent_at]
    world.recover()
    assert world.faults() == []
    in_the_window = sent and "summary" not in noted
    assert len(world.post.letters) == (2 if in_the_window else 1)
    assert len(world.post.count()) == 1
    assert sum(world.listener.completions().values()) == 1


@pytest.mark.parametrize("number", range(1, COURIER_COMMITS + 1))
@pytest.mark.parametrize("side", ["before", "after"])
def test_a_courier_that_loses_its_connection_sends_nothing_twice(world: World, side: str, number: int):
    _end(world)
    world.play("courier", faults=f"commit.{side}:lose@{number}")
    world.recover()
    world.assert_well()
    assert set(world.receiver.count().values()) == {1}


def test_in_the_window_of_smtp_the_second_mail_has_the_same_id(world: World):
    _end(world)
    assert world.play("courier", faults="smtp.data.after:kill").returncode == KILLED
    world.recover()
    assert world.faults() == []
    assert list(world.post.count().values()) == [2]


def test_in_the_window_of_a_webhook_the_second_post_has_the_same_key(world: World):
    _end(world)
    assert world.play("courier", faults="webhook.after:kill").returncode == KILLED
    world.recover()
    world.assert_well()
    assert list(world.receiver.count().values()) == [2]


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("point", KEEPER)
def test_a_keeper_may_die_while_it_rings(world: World, point: str):
    world.shop.paid("DH1", [world.course()])
    assert world.play("keeper", faults=f"{point}:kill").returncode == KILLED
    world.recover()
    world.assert_well()


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("point", KEEPER)
def test_a_keeper_may_die_while_it_rings_anew(world: World, point: str):
    """The job's hash exists, but no list contains it: its worker died before it could claim anything."""
    world.shop.paid("DH1", [world.course()])
    world.play("keeper")
    world.client.delete("rq:queue:orderctl")
    world.pass_time()
    assert world.play("keeper", faults=f"{point}:kill").returncode == KILLED
    world.recover()
    world.assert_well()
    world.recover()
    assert world.faults() == []


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("point", KEEPER)
def test_a_keeper_may_meet_an_error(world: World, point: str):
    world.shop.paid("DH1", [world.course()])
    assert "fault: raise" in world.play("keeper", faults=f"{point}:raise").stderr
    world.recover()
    world.assert_well()


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("point", WORKER)
def test_a_worker_may_meet_an_error(world: World, point: str):
    world.shop.paid("DH1", [world.course()])
    world.play("keeper")
    assert "fault: raise" in world.play("worker", 1, faults=f"{point}:raise").stderr
    world.recover()
    world.assert_well()


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("point", WORKER)
def test_a_worker_may_hang(world: World, point: str):
    world.shop.paid("DH1", [world.course()])
    world.play("keeper")
    with world.hanging("worker", 1, point):
        world.recover()
    world.assert_well()


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("point", [*HORSE, "commit.after", "publish.before", "publish.after"])
def test_a_work_horse_may_hang(world: World, point: str):
    """Another worker takes the task over while the first still exists; test_leases has one that continues."""
    [task] = world.shop.paid("DH1", [world.course()])
    with world.hanging("horse", task, point):
        world.recover()
    world.assert_well()
    assert world.shop.order("DH1").order_status == "completed"


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("point", [*COURIER[:2], "webhook.before", "commit.after", "publish.before"])
def test_a_courier_may_hang(world: World, point: str):
    _end(world)
    with world.hanging("courier", "", point):
        world.recover()
    world.assert_well()


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("point", KEEPER)
def test_a_keeper_may_hang(world: World, point: str):
    world.shop.paid("DH1", [world.course()])
    with world.hanging("keeper", "", point):
        world.recover()
    world.assert_well()


def _end(world: World) -> None:
    """Add an order that has just ended; nothing has been sent yet."""
    [task] = world.shop.paid("DH1", [world.course()])
    assert world.play("horse", task, faults="task.ended:kill").returncode == KILLED


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("fault", [f"{point}:kill@2" for point in MAKER[:1]] + ["operation.written:kill"])
def test_an_operation_whose_maker_dies_is_never_carried_out(world: World, fault: str):
    _failed(world)
    assert world.play("make", "op", faults=fault).returncode == KILLED
    _end_leases(world)
    assert world.play("operate").returncode == 0
    assert _retries(world) == {}
    assert world.shop.read(lambda c: reading.page(c, None, limit=1)).operations == []


@pytest.mark.parametrize(
    "fault",
    [
        *(f"{point}:kill" for point in OPERATOR),
        "operation.changed:kill@2",
        *(
            f"commit.{side}:kill@{number}"
            for side in ("before", "after")
            for number in range(1, OPERATOR_COMMITS + 1)
        ),
        "publish.before:kill",
    ],
)
@pytest.mark.databases("sqlite")
def test_an_operation_goes_on_when_its_operator_dies(world: World, fault: str):
    ids = _failed(world)
    world.play("make", "op")
    assert world.play("operate", faults=fault).returncode == KILLED
    _end_leases(world)
    assert world.play("operate").returncode == 0
    assert _retries(world) == dict.fromkeys(ids, 1)
    now = world.shop.read(lambda c: reading.find(c, "op"))
    assert (now.changed, now.unchanged, now.refused, now.state) == (3, 0, 0, "settling")


def _failed(world: World) -> list[int]:
    """Return the ids of three tasks that have failed."""
    ids = world.shop.paid("DH1", 3)
    world.shop.execute("UPDATE download_tasks SET status = 'failed', attempt = 3, ready = 0")
    world.shop.execute("UPDATE orders SET order_status = 'failed'")
    return ids


def _end_leases(world: World) -> None:
    world.shop.execute("UPDATE orderctl_operations SET lease_until = '2026-01-01 00:00:00.000000'")


def _retries(world: World) -> dict[int | None, int]:
    events = world.shop.events("DH1")
    return dict(Counter(event.task_id for event in events if event.event_type == "task_retried"))
