"""What a process leaves behind that dies at a fault point: why names it, and the printed command repairs it."""

import os

import pytest

from tests.faults.stage import Stage
from tests.faults.test_fault_points import HORSE, KEEPER, KILLED
from tests.why.place import Place

pytestmark = pytest.mark.databases("sqlite")

#: Where a work-horse dies with its task in hand; after ``task.ended`` the order has ended.
DYING = [f"{point}:kill" for point in HORSE if point != "task.ended"]
#: The commits and publications before the task's end.
DYING += [f"commit.{side}:kill@{number}" for side in ("before", "after") for number in (1, 2)]
DYING += ["publish.before:kill@1", "commit.before:kill@4"]
#: A worker that dies with the task's job, but not with the task.
WITH_JOB = ("job.popped:kill", "horse.forked:kill", *(f"{point}:kill" for point in KEEPER))


def play(place: Place, stage: Stage, role: str, argument: object, fault: str) -> None:
    environment = os.environ | place.environment | {"ORDERCTL_FAULTS": fault}
    assert stage.play(role, str(argument), environment).returncode == KILLED, fault


def test_a_death_is_named_and_repaired_as_it_is_printed(place: Place, stage: Stage) -> None:
    """The tasks of one order, each with a death of its own: no worker is left, and one start repairs them all."""
    its = place.paid(courses=len(DYING))
    for task_id, fault in zip(its, DYING, strict=True):
        play(place, stage, "horse", task_id, fault)
    codes = [f"J{number}" for number in range(len(WITH_JOB))]
    for code, fault in zip(codes, WITH_JOB, strict=True):
        place.paid(code)
        place.client.delete(place.queue)
        if fault.startswith("enqueue"):
            play(place, stage, "keeper", "", fault)
        else:
            place.ring()
            stage.play("worker", code, os.environ | place.environment | {"ORDERCTL_FAULTS": fault})
            place.client.delete(
                f"rq:worker:worker-{code}"
            )  # it expires; and has no name as supervisors give them

    found = [place.ask("task", str(task_id)) for task_id in its] + [place.ask(code) for code in codes]

    assert {(one["link"], one["cause"]) for one in found} == {("worker", "no-worker")}
    [repair] = {one["repair"] for one in found}
    for task_id in its:  # thirty seconds pass
        place.shop.expire(task_id)
    place.client.delete("none", *place.client.keys("orderctl:rung:*"))
    place.carry_out(repair)
    assert [place.shop.order(code).order_status for code in ("DH1", *codes)] == ["completed"] * (
        len(codes) + 1
    )


def test_the_death_of_one_worker_among_others_is_waited_for(place: Place, stage: Stage) -> None:
    place.sign()
    [task_id] = place.paid()
    play(place, stage, "horse", task_id, "handler.downloaded:kill")

    found = place.ask("DH1")
    assert (found["state"], found["link"], found["cause"]) == ("waits", "lease", "worker-lost")

    place.shop.expire(task_id)  # and now no supervisor takes it over
    found = place.ask("DH1")
    assert (found["state"], found["cause"]) == ("broken", "lease-expired")
    place.carry_out(found["repair"])
    place.work()
    assert place.is_completed()


@pytest.mark.parametrize(("side", "cause"), [("before", "unpaid"), ("after", "no-doorbell")])
def test_a_payment_that_dies_at_its_commit_is_named(
    side: str, cause: str, place: Place, stage: Stage
) -> None:
    place.sign()
    place.shop.add("DH1", [place.course])
    play(place, stage, "pay", "DH1", f"commit.{side}:kill")
    old = "'2026-01-01 00:00:00'"
    place.sql(f"UPDATE download_tasks SET updated_at = {old}, available_at = {old}")
    place.sql(f"UPDATE orders SET paid_at = {old}")

    found = place.ask("DH1")

    assert found["cause"] == cause
    place.carry_out(found["repair"])
    place.work()
    assert place.is_completed()
