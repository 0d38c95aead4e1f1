"""An operation is made: which tasks it has is fixed, and until all are written nothing is carried out."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, func, select

from orderctl import choices, database
from orderctl.errors import Conflict, InvalidInput
from orderctl.operations import making, reading, stopping
from orderctl.operations.making import NewOperation
from orderctl.operations.records import Kind, NameTaken, Operation, OperationNotFound, State
from orderctl.schema import operation_tasks
from tests.operations.conftest import Bulk

pytestmark = pytest.mark.databases("sqlite")


def items(bulk: Bulk) -> int:
    return bulk.shop.read(lambda c: c.execute(select(func.count()).select_from(operation_tasks)).scalar_one())


def test_names_are_made_of_the_day_and_a_number(bulk: Bulk) -> None:
    bulk.failed(1)
    day = f"{bulk.shop.now():%Y%m%d}"
    assert [bulk.make(name=None).name for _ in range(2)] == [f"retry-{day}-1", f"retry-{day}-2"]
    assert bulk.make(name=None, kind=Kind.CANCEL).name == f"cancel-{day}-1"


def test_a_name_that_is_taken_is_refused(bulk: Bulk) -> None:
    bulk.failed(1)
    bulk.make()
    with pytest.raises(NameTaken, match="an operation op exists already") as found:
        bulk.make()
    assert found.value.hint == "orderctl ops show op"
    assert items(bulk) == 1


@pytest.mark.parametrize("name", ["", "-x", ".x", "a b", "a/b", "x" * 65, "é", "a\n", "a'"])
def test_names_are_checked(name: str) -> None:
    with pytest.raises(InvalidInput, match="is not a valid name"):
        making.check_name(name)


def test_no_tasks_make_no_operation(bulk: Bulk) -> None:
    assert making.make(bulk.shop.engine, NewOperation(Kind.RETRY, "anna", "op"), []) is None
    with pytest.raises(OperationNotFound):
        bulk.now()


def test_one_that_fails_half_way_leaves_nothing(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "CHUNK", 2)

    def chosen() -> Iterator[making.Chosen]:
        for number in range(5):
            yield number, choices.Seen("failed", 3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        making.make(bulk.shop.engine, NewOperation(Kind.RETRY, "anna", "op"), chosen())
    assert items(bulk) == 0
    assert bulk.shop.read(lambda c: reading.page(c, None, limit=5)).operations == []


def half_made(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave what a process that is killed while it writes the tasks leaves."""
    ids = bulk.failed(4)
    monkeypatch.setattr(making, "CHUNK", 2)
    new = NewOperation(Kind.RETRY, "anna", "op")
    number = making._begin(bulk.shop.engine, new, "token")
    making._write(bulk.shop.engine, number, "token", [(one, choices.Seen("failed", 3)) for one in ids])


def test_one_that_is_half_made_is_never_carried_out_and_is_removed(
    bulk: Bulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    half_made(bulk, monkeypatch)
    bulk.turn(3)
    assert (bulk.now().state, items(bulk), bulk.retries()) == (State.PREPARING, 4, {})

    bulk.forget_lease()
    bulk.turn()
    assert (bulk.now().state, items(bulk)) == (State.PREPARING, 2)  # a part at a time
    with pytest.raises(Conflict, match="was given up"):  # whoever still writes is fenced off
        making._write(bulk.shop.engine, bulk.now().id, "token", [(99, choices.Seen("failed", 3))])
    bulk.turn(2)
    assert (items(bulk), bulk.retries()) == (0, {})
    with pytest.raises(OperationNotFound):
        bulk.now()


def test_the_name_of_one_that_is_half_made_can_be_used_again(
    bulk: Bulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    half_made(bulk, monkeypatch)
    with pytest.raises(NameTaken):
        bulk.make()
    bulk.write(lease_until=database.utc_now(-1))
    assert bulk.make().total == 4
    assert items(bulk) == 4


def test_what_cannot_be_removed_keeps_no_other_operation_from_going_on(
    bulk: Bulk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    half_made(bulk, monkeypatch)
    bulk.forget_lease()
    bulk.make(name="other")
    bulk.shop.execute(  # the right to DELETE is missing
        "CREATE TRIGGER kept BEFORE DELETE ON orderctl_operation_tasks"
        " BEGIN SELECT RAISE(ABORT, 'DELETE command denied'); END"
    )
    bulk.turn(3)
    assert sum(bulk.retries().values()) == 4
    said = [record.getMessage() for record in caplog.records if "cannot be removed" in record.getMessage()]
    assert len(said) == 1
    assert "operation op was not made completely" in said[0]


def test_a_name_that_a_supervisor_frees_meanwhile_is_free(
    bulk: Bulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    half_made(bulk, monkeypatch)
    bulk.forget_lease()
    find = reading.find

    def freed(connection: Connection, name: str) -> Operation:
        for _ in range(4):
            bulk.turn()
        return find(connection, name)

    monkeypatch.setattr(reading, "find", freed)
    new = NewOperation(Kind.RETRY, "anna", "op")
    assert making.make(bulk.shop.engine, new, [(1, choices.Seen("failed", 3))]) is not None


def test_one_that_is_being_made_is_removed_by_its_maker_only(
    bulk: Bulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    half_made(bulk, monkeypatch)
    number = bulk.shop.read(lambda c: reading.find(c, "op")).id
    assert bulk.shop.transact(lambda c: making.remove_some(number, c))
    assert items(bulk) == 4
    assert not bulk.shop.transact(lambda c: making.remove_some(number, c, token="token"))
    assert items(bulk) == 2


def test_one_that_is_being_made_can_be_stopped(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    half_made(bulk, monkeypatch)
    now = bulk.shop.transact(lambda c: stopping.stop(c, "op", actor="boss"))
    assert (now.state, now.stopped_by) == (State.STOPPED, "boss")
    with pytest.raises(Conflict, match="was stopped"):
        making._write(bulk.shop.engine, now.id, "token", [(99, choices.Seen("failed", 3))])
    bulk.turn(2)
    assert bulk.retries() == {}
