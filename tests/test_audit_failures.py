from itertools import count

from orderctl import audit_failures
from orderctl.audit import Event
from orderctl.audit_failures import Merging
from orderctl.states import Severity

IDS = count(1)


def event(name: str, severity: str = Severity.ERROR, *, order: int = 1, task: int | None = None) -> Event:
    return Event(next(IDS), order, task, name, "system", severity, name, None, None, None, None, None, None)


def shown(events: list[Event], **more: bool) -> list[tuple[int, list[int]]]:
    """Return the place of each failure's event in the list, and those of all its events."""
    first = events[0].id
    failures = Merging(**more).add(events)
    return [(one.id - first, [number - first for number in one.event_ids]) for one in failures]


def failed(task: int, severity: str = Severity.ERROR, order: int = 1) -> Event:
    return event("download_failed", severity, order=order, task=task)


def test_the_end_of_an_order_belongs_to_the_task_that_ended_it():
    assert shown([failed(1), failed(2), event("order_failed")]) == [(0, [0]), (1, [1, 2])]
    assert shown([failed(1), failed(7, order=2), event("order_failed")]) == [(0, [0, 2]), (1, [1])]


def test_the_tries_belong_to_the_last_one():
    warned = [failed(1, Severity.WARNING), failed(2, Severity.WARNING), failed(1, Severity.WARNING)]
    assert shown(warned) == [(1, [1]), (2, [0, 2])]
    assert shown([*warned, failed(1), event("order_failed")]) == [(1, [1]), (3, [0, 2, 3, 4])]


def test_two_failures_of_a_task_are_two():
    assert shown([failed(1), event("order_failed"), failed(1), event("order_failed")]) == [
        (0, [0, 1]),
        (2, [2, 3]),
    ]


def test_others_stand_alone():
    events = [event("order_failed"), event("email_failed"), event("email_failed"), event("download_failed")]
    assert shown(events) == [(number, [number]) for number in range(4)]


def test_each_event_is_shown_if_that_is_wanted():
    assert shown([failed(1), event("order_failed")], each=True) == [(0, [0]), (1, [1])]


def test_what_belongs_to_a_failure_of_before_is_left_out():
    merging = Merging()
    assert len(merging.add([failed(1, Severity.WARNING), failed(1)])) == 1
    assert merging.add([event("order_failed")]) == []
    assert len(merging.add([event("order_failed")])) == 1
    assert len(merging.add([failed(1, Severity.WARNING)])) == 1
    assert len(merging.add([failed(1)])) == 1


def test_newest_first():
    events = [failed(1), event("order_failed"), failed(2)]
    found = audit_failures.newest_first(events[::-1])
    assert [one.id for one in found] == [events[2].id, events[0].id]
