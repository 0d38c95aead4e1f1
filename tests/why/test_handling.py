"""Why the files of a task cannot be fetched: each cause is planted, named, and repaired as it is printed."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from orderctl.states import ErrorType
from orderctl.why.chain import Link, State
from tests.faults.world import World
from tests.why.asking import ask, ask_of_task, carry_out, command_of, commands_of, first, step

pytestmark = pytest.mark.databases("sqlite")


def nothing(_world: World, _task: int) -> None:
    """Nothing has to be done before the command."""


@dataclass(frozen=True)
class Case:
    """A cause that is planted by a real attempt.

    Attributes:
        plant: Prepares the world, and returns the address of the course, whose path is given.
        cause: How it is named.
        cure: Does what the explanation says, before the command.
        more: Settings of the attempt that fails.
    """

    plant: Callable[[World, str], str]
    cause: str
    cure: Callable[[World, int], object] = nothing
    more: dict[str, str] = field(default_factory=dict)


def _path(world: World, url: str) -> str:
    return url.removeprefix(world.courses.url)


def _answering(status: int, query: str = "") -> Callable[[World, str], str]:
    def plant(world: World, path: str) -> str:
        url = world.course(path)
        world.courses.fail(_path(world, url), status)
        return url + query

    return plant


def _corrected(world: World, task: int) -> None:
    """What the explanation says, by the shop."""
    url = world.course("/corrected")
    world.shop.execute("UPDATE download_tasks SET course_url = :url WHERE id = :id", url=url, id=task)


def _repaired(world: World, task: int) -> None:
    """What the admin of the course's server does."""
    world.courses.repair(_path(world, world.shop.task_row(task).course_url))


def _blocked_folder(world: World, path: str) -> str:
    world.downloads.mkdir(parents=True, exist_ok=True)
    (world.downloads / path[1:]).write_text("a file where a folder is to be")
    return world.course(path)


def _unblocked(world: World, task: int) -> None:
    (world.downloads / str(world.shop.task(task).order_code)).unlink()


def _page(world: World, path: str) -> str:
    return world.courses.add(path, b"<!doctype html><html>log in</html>", content_type="text/html")


EXPIRED = f"?X-Amz-Date=20200101T000000Z&X-Amz-Expires=60&X-Amz-Signature={'5' * 40}"
ONCE = {"ORDERCTL_WORKER_RETRY_TRANSIENT": "0"}
CASES = {
    "S404": Case(_answering(404), "not-found", _corrected),
    "S410": Case(_answering(410), "gone", _corrected),
    "S403": Case(_answering(403), "access-denied", _corrected),
    "S400": Case(_answering(400), "server-refuses", _corrected),
    "S503": Case(_answering(503), "server-fault", _repaired, ONCE),
    "EXPIRED": Case(_answering(403, EXPIRED), "link-expired", _corrected),
    "PRIVATE": Case(World.course, "private-address", more={"ORDERCTL_DOWNLOAD_ALLOW_PRIVATE_HOSTS": "0"}),
    "PAGE": Case(_page, "not-a-file", _corrected),
    "LARGE": Case(World.course, "too-large", more={"ORDERCTL_DOWNLOAD_MAX_BYTES": "10"}),
    "FOLDER": Case(_blocked_folder, "link-in-folder", _unblocked),
    "REFUSED": Case(lambda _world, _path: "http://127.0.0.1:9/a.zip", "unreachable", _corrected, ONCE),
}


def test_each_cause_is_named_and_its_command_completes_the_order(world: World) -> None:
    """An order for each; what is printed is run for all, after what has to be done first."""
    commands = []
    for code, case in CASES.items():
        [task] = world.shop.paid(code, [case.plant(world, f"/{code}")])
        world.play("horse", task, **case.more)
        world.more |= case.more
        answer = first(world, code)
        assert (answer.link, answer.state, answer.cause) == (Link.HANDLER, State.BROKEN, case.cause), code
        assert "attempt 1 of 5" in answer.evidence[0]
        assert "5555555555" not in repr(answer)
        assert ask_of_task(world, task).first == answer
        assert command_of(answer) == f"orderctl tasks retry {task}"
        commands.append(command_of(answer))
        case.cure(world, task)
        for setting in case.more:
            del world.more[setting]
    carry_out(world, *commands)
    world.recover()
    for code in CASES:
        assert world.shop.order(code).order_status == "completed", code
        assert ask(world, code).first is None, code


def test_a_full_disk_is_measured_now(world: World, small_disk: Callable[[int], Path]) -> None:
    """The disk is a file system of its own; the attempt finds it full, and the answer changes with the room."""
    disk = small_disk(1 << 20)
    world.more["ORDERCTL_DOWNLOAD_DIRECTORY"] = str(disk)
    [task] = world.shop.paid("DH1", [world.course()])
    world.play("horse", task)
    answer = first(world)
    assert (answer.cause, answer.repair) == ("disk-full", None)
    assert answer.explanation == f"Make room in {disk}; then: orderctl tasks retry {task}"
    assert "free on this machine" in answer.evidence[1]

    del world.more["ORDERCTL_DOWNLOAD_DIRECTORY"]
    answer = first(world)
    assert (answer.cause, answer.repair) == ("disk-full", f"orderctl tasks retry {task}")
    assert "there is room again" in answer.text
    carry_out(world, command_of(answer))
    world.play("horse", task)
    assert world.shop.order("DH1").order_status == "completed"


def test_a_task_that_is_tried_again_says_when_and_why(world: World) -> None:
    [task] = world.shop.paid("DH1", [_answering(503)(world, "/go")])
    world.play("horse", task)
    answer = step(ask(world), Link.HANDLER)
    assert (answer.state, answer.cause) == (State.WAITS, "server-fault")
    assert answer.repair == f"orderctl tasks retry {task}"
    assert any(line.startswith("failing since ") for line in answer.evidence)
    _repaired(world, task)
    carry_out(world, command_of(answer))
    world.play("horse", task)
    assert world.shop.order("DH1").order_status == "completed"


def test_a_worker_that_dies_in_each_attempt(world: World) -> None:
    """A poisoned course: it kills the work-horse."""
    [task] = world.shop.paid("DH1", [world.course()], max_attempts=1)
    world.play("horse", task, faults="handler.enrolled:kill")
    world.pass_time()
    world.play("keeper")
    answer = first(world)
    assert (answer.link, answer.cause) == (Link.HANDLER, "worker-died")
    carry_out(world, command_of(answer))
    world.play("horse", task)
    assert world.shop.order("DH1").order_status == "completed"


def test_a_handler_that_is_not_installed(world: World) -> None:
    world.shop.paid("DH1", [world.course()])
    world.more["ORDERCTL_WORKER_HANDLER"] = "nonesuch"
    answer = step(ask(world), Link.HANDLER)
    assert (answer.state, answer.cause) == (State.BROKEN, "handler-unknown")
    assert answer.explanation is not None
    assert "orderctl.handlers" in answer.explanation


def test_a_cancelled_task_says_who_has_cancelled_it(world: World) -> None:
    [task] = world.shop.paid("DH1", [world.course()])
    carry_out(world, f"orderctl tasks cancel {task} --reason 'the customer has it'")
    answer = first(world)
    assert (answer.link, answer.cause) == (Link.HANDLER, "task-cancelled")
    assert "the customer has it" in answer.evidence[0]
    carry_out(world, command_of(answer))
    world.play("horse", task)
    assert world.shop.order("DH1").order_status == "completed"


def test_a_cancelled_task_beside_completed_ones_is_no_fault(world: World) -> None:
    done, cancelled = world.shop.paid("DH1", [world.course(), world.course("/two")])
    world.play("cancel", cancelled)
    world.shop.carry_out(done)
    assert step(ask(world), Link.HANDLER).state is State.HOLDS
    assert step(ask_of_task(world, cancelled), Link.HANDLER).cause == "task-cancelled"
    assert step(ask_of_task(world, done), Link.HANDLER).state is State.HOLDS


def test_of_several_failures_what_can_be_retried_is_and_the_others_are_explained(world: World) -> None:
    tasks = world.shop.paid("DH1", 3)
    world.shop.fail(tasks[0], ErrorType.NOT_FOUND, "HTTP 404 Not Found from http://courses.example/one/0")
    world.shop.fail(tasks[1], ErrorType.CHECKSUM, "wrong size")
    world.shop.fail(tasks[2], ErrorType.NETWORK, "cannot connect to courses.example: Connection refused")
    answer = first(world)
    assert answer.text.startswith(f"3 of 3 tasks failed; task {tasks[0]}: the course is not there")
    assert answer.repair == f"orderctl tasks retry {tasks[1]} {tasks[2]}"
    assert answer.explanation is not None
    assert answer.explanation.endswith(f"; then: orderctl tasks retry {tasks[0]}")
    assert len(answer.evidence) == 3


def fail(world: World, tasks: Sequence[int], error_type: ErrorType, text: str = "oh no") -> None:
    for task in tasks:
        world.shop.fail(task, error_type, text)


def test_what_has_to_be_done_for_several_tasks_is_said_once(world: World) -> None:
    one, two, three, four = world.shop.paid("DH1", 4)
    fail(world, [one, three], ErrorType.NOT_FOUND)
    fail(world, [two], ErrorType.PERMISSION, "a link")
    fail(world, [four], ErrorType.CHECKSUM)
    answer = first(world)
    assert answer.explanation == (
        f"Tasks {one}, {three}: the course's address leads nowhere. The address stands in the shop's table, which orderctl"
        " does not change: UPDATE download_tasks SET course_url = 'THE NEW ADDRESS' WHERE id = ID;"
        f" task {two}: remove what is named there, or move it away: no course is written through a link;"
        f" then: orderctl tasks retry {one} {two} {three}"
    )
    assert answer.repair == f"orderctl tasks retry {four}"


@pytest.mark.parametrize("kinds", [("CHECKSUM",), ("NOT_FOUND",), ("NOT_FOUND", "CHECKSUM")])
def test_of_many_failures_every_one_is_retried(world: World, kinds: Sequence[str]) -> None:
    """The commands that are printed reach all tasks, those that can be retried at once and the others."""
    tasks = world.shop.paid("DH1", 23 * len(kinds))
    for number, kind in enumerate(kinds):
        fail(world, tasks[number :: len(kinds)], ErrorType(kind))
    answer = first(world)
    left = f"{len(tasks) - 20} others"
    more = f"and {left}: orderctl tasks list --failed --order {world.shop.order('DH1').id}"
    assert (len(answer.evidence), answer.evidence[-1]) == (21, more)
    if "NOT_FOUND" in kinds:
        assert answer.explanation is not None
        assert f"{tasks[19 * len(kinds)]} and 3 others: the course's address" in answer.explanation
    carry_out(world, *commands_of(answer))
    assert {row.status for row in world.shop.task_rows()} == {"pending"}


def test_of_many_cancelled_tasks_every_one_is_retried(world: World) -> None:
    tasks = world.shop.paid("DH1", 23)
    world.shop.execute("UPDATE download_tasks SET status = 'cancelled', ready = 0")
    assert command_of(first(world)) == f"orderctl tasks retry {' '.join(map(str, tasks))}"


def test_a_task_of_the_shops_own_workers_is_taken(world: World) -> None:
    [task] = world.shop.paid("DH1", [world.course()])
    world.shop.execute("UPDATE download_tasks SET managed = 0, status = 'failed', error_log = 'oh no'")
    answer = step(ask(world), Link.HANDLER)
    assert (answer.cause, answer.repair) == ("unknown", f"orderctl tasks retry {task} --take")


def test_a_failed_task_of_an_order_that_is_not_paid_has_no_command(world: World) -> None:
    [task] = world.shop.paid("DH1")
    world.shop.fail(task, ErrorType.CHECKSUM, "wrong size")
    world.shop.execute("UPDATE orders SET payment_status = 'refunded'")
    assert step(ask(world), Link.HANDLER).repair is None


def test_texts_of_strangers_are_in_one_line_without_secrets(world: World) -> None:
    [task] = world.shop.paid("DH1")
    text = "cannot get https://a:SECRETSECRET@h/x?token=SECRETSECRET\x1b[31m\u202e\nmore"
    world.shop.execute(
        "UPDATE download_tasks SET status = 'failed', error_log = :text, worker = :text", text=text
    )
    answer = step(ask(world), Link.HANDLER)
    assert "SECRETSECRET" not in repr(answer)
    assert not any("\x1b" in line or "\u202e" in line or "\n" in line for line in answer.evidence)
    assert task


def test_it_takes_no_time(world: World) -> None:
    """Nothing is asked of the course's server, which may hang."""
    [task] = world.shop.paid("DH1", ["http://192.0.2.1/a.zip"])
    world.shop.fail(task, ErrorType.TIMEOUT, "the server sent nothing for 30 s")
    began = time.monotonic()
    assert first(world).cause == "timeout"
    assert time.monotonic() - began < 5
