"""Supervisors under signals, pauses and keys: what they start, and how they end."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from orderctl import channels, clock
from orderctl.errors import ExitStatus, Misconfigured
from orderctl.settings import load
from orderctl.worker import fleet, rejected, rounds
from orderctl.worker.child import Child, ChildFailed, End
from orderctl.worker.supervisor import Supervisor
from tests.faults.chaos.hosts import children
from tests.faults.world import World
from tests.script import SCRIPT
from tests.servers.strict import DEVELOPMENT, complaints
from tests.waiting import eventually

pytestmark = pytest.mark.databases("sqlite")

Process = subprocess.Popen[bytes]

#: Longest wait for something that is bound to come, in seconds.
SOON = 120


def _held(world: World, path: str = "/go") -> tuple[str, Any]:
    """Add a course whose download hangs; return its URL and a function that waits for its download."""
    url = world.course(path)
    return url, world.courses.hold(f"{path}/lesson.bin", at=10_000)


def _status(world: World, task_id: int) -> str:
    return world.shop.task(task_id).status


@contextmanager
def _idle(world: World, *options: str, **more: str) -> Iterator[Process]:
    """Run a supervisor under a known name until it is up."""
    with world.supervisor(*options, **more) as process:
        eventually(lambda: _name(world, process), "the supervisor's sign")
        yield process


def _name(world: World, process: Process) -> str | None:
    found = world.shop.read(lambda c: fleet.find_all(c, world.client))
    return next((one.name for one in found if one.pid == process.pid), None)


def _wait_for_rounds(world: World) -> None:
    """Wait for two rounds of the supervisor's keeper."""
    [key] = world.client.scan_iter(match=channels.supervisor("*"))

    def seen() -> int:
        return json.loads(world.client.get(key) or "{}").get("seen", 0)

    begin = seen()
    eventually(lambda: seen() > begin + 2000 * rounds.PERIOD, "two turns of the keeper")


def _draining(world: World) -> bool:
    found = world.shop.read(lambda c: fleet.find_all(c, world.client))
    return [one.draining for one in found if one.alive] == [True]


def test_first_sigterm_lets_the_download_finish_and_begins_no_other(world: World) -> None:
    url, reached = _held(world)
    first, second = world.shop.paid("DH1", [url, world.course("/next")])

    with world.supervisor() as process:
        reached()
        process.send_signal(signal.SIGTERM)
        eventually(lambda: "draining" in (world.state / "supervisor.log").read_text(), "the drain")
        eventually(lambda: _draining(world), "the sign of the drain")
        _wait_for_rounds(world)  # it does not vanish
        assert _draining(world)
        assert process.poll() is None
        world.courses.release("/go/lesson.bin")
        assert process.wait(SOON) == 0

    assert (_status(world, first), _status(world, second)) == ("completed", "pending")
    assert world.shop.task(second).attempt == 0


@pytest.mark.databases("sqlite", "mariadb")
@pytest.mark.parametrize("how", ["timeout", "second"])
def test_download_that_does_not_finish_is_given_to_another_at_once(world: World, how: str) -> None:
    """The lease is an hour long: the other worker does not wait for its end."""
    world.more["ORDERCTL_WORKER_LEASE_SECONDS"] = "3600"
    url, reached = _held(world)
    [task] = world.shop.paid("DH1", [url])
    drain = "1" if how == "timeout" else "600"

    with _idle(world, "--drain-timeout", drain) as process:
        reached()
        with _idle(world, log=world.state / "other.log") as other:
            process.send_signal(signal.SIGTERM)
            if how == "second":
                eventually(lambda: "draining" in (world.state / "supervisor.log").read_text(), "the drain")
                process.send_signal(signal.SIGTERM)
            assert process.wait(SOON) == 0
            eventually(lambda: world.shop.task(task).attempt == 2, "the other's claim")
            world.courses.release("/go/lesson.bin")
            eventually(world.settled, "the order's end")
            assert world.shop.task(task).worker.startswith(_name(world, other) or "?")

    released = [event for event in world.shop.events(1) if event.event_type == "task_released"]
    assert [event.details["attempt"] for event in released] == [1]
    assert world.shop.task(task).max_attempts == 6  # the returned attempt does not count
    world.assert_well()


def test_second_sigterm_is_heard_by_a_worker_that_slept_through_the_first(world: World) -> None:
    """A process that does not run gets two signals of the same kind as one."""
    world.more["ORDERCTL_WORKER_LEASE_SECONDS"] = "3600"
    url, reached = _held(world)
    [task] = world.shop.paid("DH1", [url])
    log = world.state / "supervisor.log"

    with _idle(world, "--drain-timeout", "600") as process:
        reached()
        family = children(process.pid)
        for child in family:
            os.kill(child, signal.SIGSTOP)
        for said in ("draining", "ending"):
            process.send_signal(signal.SIGTERM)
            eventually(lambda said=said: said in log.read_text(), said)
        for child in family:
            os.kill(child, signal.SIGCONT)
        assert process.wait(SOON) == 0

    assert (_status(world, task), world.shop.task_row(task).lease_token) == ("pending", None)


def test_ctrl_c_drains_as_well(world: World) -> None:
    with _idle(world) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(SOON) == 0


def test_burst_does_what_is_due_and_ends(world: World) -> None:
    tasks = world.shop.paid("DH1", [world.course(f"/{number}") for number in range(4)])

    with world.supervisor("--burst", "--concurrency", "2") as process:
        assert process.wait(SOON) == 0

    assert {_status(world, task) for task in tasks} == {"completed"}
    world.assert_well()


def test_burst_with_nothing_to_do_ends(world: World) -> None:
    with world.supervisor("--burst") as process:
        assert process.wait(SOON) == 0


def test_children_that_end_are_replaced(world: World) -> None:
    with _idle(world, "--concurrency", "2") as process:
        eventually(lambda: len(children(process.pid)) == 5, "two workers, keeper, courier, operator")
        for number in (signal.SIGKILL, signal.SIGTERM):
            victim, *others = children(process.pid)
            os.kill(victim, number)
            eventually(lambda gone=victim: _replaced(gone, children(process.pid)), "its successor")
            assert set(others) < set(children(process.pid))
        [task] = world.shop.paid("DH1", [world.course()])
        eventually(world.settled, "the order's end")
        assert _status(world, task) == "completed"


def _replaced(victim: int, family: list[int]) -> bool:
    return victim not in family and len(family) == 5


def test_a_child_that_dies_young_is_started_again_later_and_later(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("orderctl.clock.elapsed", lambda: now[0])
    watcher = Supervisor(load(environ={"ORDERCTL_STATE_DIR": "/nonexistent"}))
    child = Child("worker-1", lambda _: None)

    def die_after(seconds: float) -> float:
        child.started, child.pid = now[0], None
        now[0] += seconds
        watcher._note_end(child, End("worker-1", ExitStatus.DONE, "", None, seconds))
        return child.start_at - now[0]

    pauses = [die_after(0.01) for _ in range(12)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 1
    assert pauses[-1] == 30
    assert die_after(60) == 0
    assert die_after(0.01) == pauses[0]


def _watcher() -> Supervisor:
    return Supervisor(load(environ={"ORDERCTL_STATE_DIR": "/nonexistent"}))


def _end(status: int, lived: float = 0.1, *, killed: bool = False) -> End:
    return End("worker-1", ExitStatus(status), "the reason", "the hint", lived, killed=killed)


def _ends(watcher: Supervisor, *ends: End) -> ChildFailed | None:
    [child] = (each for each in watcher._children if each.role == "worker-1")
    for end in ends:
        watcher._note_end(child, end)
    return watcher._failure


def test_a_setting_with_which_no_worker_can_live_ends_the_supervisor_with_its_reason():
    watcher = _watcher()

    def refuse(_name: str) -> NoReturn:
        raise Misconfigured("Redis denies access", hint="orderctl config show")

    watcher._children = [Child("worker-1", refuse), Child("keeper", lambda _: signal.pause())]
    with pytest.raises(ChildFailed, match=r"^worker-1 cannot run: Redis denies access$") as caught:
        watcher.run()

    assert (caught.value.exit_status, caught.value.hint) == (78, "orderctl config show")


@pytest.mark.parametrize(("status", "killed"), [(70, False), (1, False), (69, True)])
def test_a_worker_that_crashes_at_each_start_is_given_up(status: int, killed: bool):
    ends = [_end(status, killed=killed)] * 4

    assert _ends(_watcher(), *ends) is None
    failure = _ends(_watcher(), *ends, ends[0])
    assert failure is not None
    assert (str(failure), failure.exit_status) == (
        "worker-1 ended 5 times in a row at its start: the reason",
        status,
    )


@pytest.mark.parametrize(
    "ends",
    [
        [_end(69)] * 20,
        [_end(0)] * 20,
        [*[_end(70)] * 4, _end(69), *[_end(70)] * 4],
        [_end(0, lived=60), *[_end(78)] * 9, *[_end(70)] * 9],
    ],
    ids=["an outage", "asked to end", "an outage in between", "has worked"],
)
def test_a_worker_that_may_live_is_started_again(ends: list[End]):
    assert _ends(_watcher(), *ends) is None


def test_a_reason_is_said_once(caplog: pytest.LogCaptureFixture):
    _ends(_watcher(), _end(70, lived=60), *[_end(70)] * 9, _end(70, lived=60), _end(70))

    assert [record.levelname for record in caplog.records] == ["WARNING"] * 4
    assert "is restarted: the reason" in caplog.text


def test_a_reason_with_the_name_of_the_worker_is_said_once(caplog: pytest.LogCaptureFixture):
    denied = [
        replace(_end(78), reason=f"denied (EXISTS rq:worker:host-12.worker-1.{turn})") for turn in range(5)
    ]
    _ends(_watcher(), _end(0, lived=60), *denied)

    assert caplog.text.count("denied") == 1


def test_a_child_that_cannot_be_forked_is_started_later(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "fork", lambda: (_ for _ in ()).throw(BlockingIOError(11, "no more processes")))
    watcher = _watcher()

    watcher._start_due()

    assert {child.pid for child in watcher._children} == {None}
    assert all(child.start_at > clock.elapsed() for child in watcher._children)
    assert watcher._failure is None


def test_paused_queue_rests_until_it_is_resumed(world: World) -> None:
    with _idle(world):
        fleet.pause(world.client, "orderctl")
        [task] = world.shop.paid("DH1", [world.course()])
        subprocess.run([SCRIPT, "reconcile"], env=world.environment, check=True, capture_output=True)
        eventually(lambda: world.client.llen("rq:queue:orderctl"), "the doorbell")
        _wait_for_rounds(world)
        assert (_status(world, task), world.shop.task(task).attempt) == ("pending", 0)

        assert fleet.resume(world.client, "orderctl")
        eventually(world.settled, "the order's end")

    assert _status(world, task) == "completed"


def test_pause_does_not_stop_what_runs(world: World) -> None:
    url, reached = _held(world)
    [task] = world.shop.paid("DH1", [url])
    with world.supervisor():
        reached()
        fleet.pause(world.client, "orderctl")
        world.courses.release("/go/lesson.bin")
        eventually(world.settled, "the order's end")
    assert _status(world, task) == "completed"


def test_stop_key_ends_one_supervisor(world: World) -> None:
    with _idle(world) as one, _idle(world, log=world.state / "other.log") as other:
        name = _name(world, one)
        assert name is not None

        fleet.stop(world.client, name)

        assert one.wait(SOON) == 0
        assert _name(world, one) is None  # its sign is gone at once
        assert other.poll() is None
        assert not world.client.exists(channels.stop(name))


def test_list_shows_the_tasks_of_each_supervisor(world: World) -> None:
    url, reached = _held(world)
    [task] = world.shop.paid("DH1", [url])
    with _idle(world, "--concurrency", "2") as process:
        reached()
        [found] = world.shop.read(lambda c: fleet.find_all(c, world.client))
        assert (found.alive, found.pid, found.tasks) == (True, process.pid, (task,))
        assert (found.queue, found.concurrency) == ("orderctl", 2)
        process.kill()
        process.wait()
    world.client.delete(channels.supervisor(found.name))  # as if ten seconds had passed

    [lost] = world.shop.read(lambda c: fleet.find_all(c, world.client))

    assert (lost.name, lost.alive, lost.tasks) == (found.name, False, (task,))


def test_queue_poisoning_stops_no_work(world: World) -> None:
    """Between 100 good jobs: calls of other functions in JSON and pickle, callbacks, malformed jobs."""
    touched = world.state / "touched"
    codes = [f"DH{number}" for number in range(20)]
    for code in codes:
        world.shop.paid(code, [world.course(f"/{code}-{number}") for number in range(5)])
    [named] = world.shop.paid("DH-named", [world.course("/named")])
    world.client.flushdb()
    _poison(world, touched, named)

    with _idle(world, "--concurrency", "2") as process:
        workers_before = set(children(process.pid))
        eventually(world.settled, "the end of all orders", 280)
        eventually(lambda: world.client.llen("rq:queue:orderctl") == 0, "an empty queue")
        assert set(children(process.pid)) == workers_before, (world.state / "supervisor.log").read_text()

    assert {task.status for task in world.shop.task_rows()} == {"completed"}
    assert len(world.shop.task_rows()) == 101
    assert not touched.exists()
    jobs = rejected.find_newest(world.client, 100)
    assert len(jobs) == POISON
    assert len({job.job_id for job in jobs}) == POISON
    audited = [event for event in world.shop.events(21) if event.event_type == "job_rejected"]
    assert audited
    assert {(event.event_category, event.severity, event.task_id) for event in audited} == {
        ("security", "warning", named)
    }
    listed = subprocess.run(
        [SCRIPT, "worker", "rejected", "list", "-L", "100", "-o", "json"],
        env=world.environment,
        check=True,
        capture_output=True,
        text=True,
    )
    assert len(json.loads(listed.stdout)) == POISON


POISON = 58


def _poison(world: World, touched: Path, named: int) -> None:
    """Put the doorbells of the good jobs into the queue, with foreign jobs between them."""
    from rq import Queue
    from rq.job import Callback, Job
    from rq.serializers import DefaultSerializer, JSONSerializer

    from orderctl import doorbell

    client = world.client
    as_json = Queue("orderctl", connection=client, serializer=JSONSerializer)
    as_pickle = Queue("orderctl", connection=client, serializer=DefaultSerializer)
    shell = f"touch {touched}"
    tasks = [task.id for task in world.shop.task_rows() if task.id != named]

    def ring(count: int) -> None:
        doorbell.ring(client, "orderctl", [(tasks.pop(0), 0) for _ in range(count)])

    ring(10)
    as_json.enqueue("os.system", shell, job_id="stranger-1")
    as_pickle.enqueue("os.system", shell, job_id="stranger-2")
    as_json.enqueue("os.system", shell, job_id=f"task-{named}-9")
    as_pickle.enqueue("os.system", shell, job_id=f"task-{named}-8")
    as_json.enqueue("orderctl.cli.main.jobs.run_task", named, job_id=f"task-{named}-7")
    as_json.enqueue("orderctl.worker.jobs.prepare", named, job_id=f"task-{named}-6")
    as_json.enqueue(
        "orderctl.jobs.run_task", named, job_id=f"task-{named}-5", on_success=Callback("os.system")
    )
    as_json.enqueue(
        "orderctl.jobs.run_task", named, job_id=f"task-{named}-4", on_failure=Callback("os.system")
    )
    for number in range(50):
        name = f"rubbish-{number}"
        client.hset(Job.key_for(name), mapping=RUBBISH[number % len(RUBBISH)])
        client.rpush(as_json.key, name)
        if number % 5 == 0:
            ring(5)
    ring(len(tasks))


RUBBISH: list[dict[str, bytes]] = [
    {"data": b"\xff\xfe"},
    {"created_at": b"yesterday", "data": b"x\x9c\x03\x00\x00\x00\x00\x01"},
    {"origin": b"downloads", "status": b"\x80"},
    {"data": b"[]", "timeout": b"soon"},
    {"meta": b"not json", "data": b'["os.system", null, ["true"], {}]', "created_at": b""},
]


def test_python_has_nothing_to_complain_of(world: World):
    """A download, a failure and an end by SIGTERM, in Python's development mode."""
    done = world.shop.paid("D1", [world.course()])
    failed = world.shop.paid("D2", [f"{world.courses.url}/nothing"])
    log = world.state / "strict.log"

    with world.supervisor(log=log, **DEVELOPMENT):
        eventually(lambda: _status(world, *done) == "completed", "the download")
        eventually(lambda: _status(world, *failed) == "failed", "the failure")

    assert complaints(log.read_text()) == []
