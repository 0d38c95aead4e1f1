"""Several revisions, one after another, on one database."""

import pytest
from sqlalchemy import Column, Engine, ForeignKey, Integer, MetaData, Table, inspect

from orderctl.migrate import reflection, survey


def described(*columns: str) -> MetaData:
    """A revision's tables: lines of orders, with these columns beside the keys."""
    metadata = MetaData()
    Table("orders", metadata, Column("id", Integer, primary_key=True))
    key = Column("order_id", Integer, ForeignKey("orders.id", name="fk_orderctl_lines"))
    more = [Column(name, Integer) for name in columns]
    Table("download_tasks", metadata, Column("id", Integer, primary_key=True), key, *more)
    return metadata


def apply(engine: Engine, *revisions: MetaData) -> list[str]:
    """Apply revisions in one run; return what was added."""
    added: list[str] = []
    with engine.begin() as connection:
        there = reflection.read(connection, survey.TABLES)

        def emit(step) -> None:
            added.extend(step.adds)
            for statement in step.statements[:1]:
                connection.exec_driver_sql(statement)

        plan = survey.plan_on(connection, there, emit)
        for metadata in revisions:
            plan.tables(metadata)
    return added


@pytest.mark.parametrize("at_once", [True, False])
def test_a_later_revision_adds_a_column_to_a_table_of_an_earlier_one(
    engine: Engine, *, at_once: bool
) -> None:
    runs = [[described(), described("new")]] if at_once else [[described()], [described("new")]]

    for revisions in runs:
        apply(engine, *revisions)

    assert [column["name"] for column in inspect(engine).get_columns("download_tasks")] == [
        "id",
        "order_id",
        "new",
    ]
    assert apply(engine, described("new")) == []
