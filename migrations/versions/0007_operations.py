"""Operations: bulk changes of tasks that supervisors carry out, and the tasks of each."""

from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, Text, text
from sqlalchemy import DateTime as SqliteDateTime
from sqlalchemy.dialects.mysql import DATETIME, MEDIUMTEXT

from orderctl.migrate.ddl import InsertTime
from orderctl.migrate.plan import Plan

revision = "0007"
down_revision = "0006"

BigId = BigInteger().with_variant(Integer, "sqlite")
Time = SqliteDateTime().with_variant(DATETIME(fsp=6), "mysql", "mariadb")
OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}


def _text(length: int) -> String:
    """Return a text type with utf8mb4, whatever the table's default character set is."""
    mysql = String(length, collation="utf8mb4_bin")
    return String(length).with_variant(mysql, "mysql", "mariadb")


def _long() -> Text:
    return Text().with_variant(MEDIUMTEXT(collation="utf8mb4_bin"), "mysql", "mariadb")


def _count(name: str) -> Column[Any]:
    return Column(name, Integer, nullable=False, server_default=text("0"))


metadata = MetaData()

Table(
    "orderctl_operations",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("name", _text(64), nullable=False),
    Column("kind", _text(16), nullable=False),
    # JSON, for people: the tasks are fixed when the operation is made.
    Column("selection", _long(), nullable=False),
    Column("reason", _long()),
    Column("actor", _text(128), nullable=False),
    Column("source", _text(64), nullable=False),
    _count("take"),
    _count("max_attempts"),
    Column("rate", _text(32)),
    # The same as a number, which is exact for each unit.
    Column("per_hour", BigInteger),
    _count("canary"),
    Column("max_failures", Integer),
    Column("state", _text(16), nullable=False),
    # Why it was stopped, and by whom.
    Column("why", _text(1000)),
    Column("stopped_by", _text(128)),
    _count("total"),
    _count("changed"),
    _count("unchanged"),
    _count("refused"),
    _count("completed"),
    _count("failed"),
    _count("cancelled"),
    Column("created_at", Time, nullable=False, server_default=InsertTime()),
    Column("started_at", Time),
    Column("ended_at", Time),
    # When the next task is due by its rate.
    Column("next_at", Time),
    # Up to which task it was last looked at what became of them.
    Column("looked_to", BigInteger),
    Column("lease_token", _text(36)),
    Column("lease_until", Time),
    Index("uq_orderctl_operations_name", "name", unique=True),
    Index("ix_orderctl_operations_state_id", "state", "id"),
    info={"ours": True},
    **OPTIONS,
)

Table(
    "orderctl_operation_tasks",
    metadata,
    Column("operation_id", BigInteger, primary_key=True, autoincrement=False),
    # No foreign keys: the shop may delete its tasks.
    Column("task_id", BigInteger, primary_key=True, autoincrement=False),
    Column("seen_status", _text(64), nullable=False),
    _count("seen_attempt"),
    Column("state", _text(16), nullable=False),
    Column("note", _text(500)),
    Column("changed_at", Time),
    Index(
        "ix_orderctl_operation_tasks_operation_id_state_task_id",
        "operation_id",
        "state",
        "task_id",
    ),
    info={"ours": True},
    **OPTIONS,
)


def upgrade(plan: Plan) -> None:
    """Require the tables."""
    plan.tables(metadata)
