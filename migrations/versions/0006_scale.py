"""What a million orders need: the tasks that are ready, and the counts of the audit log by hour.

The column ``ready`` and the new indexes stand with the others of the shop's tables in the first revision.
"""

from typing import Any

from sqlalchemy import BigInteger, Column, MetaData, String, Table, Text
from sqlalchemy import DateTime as SqliteDateTime
from sqlalchemy.dialects.mysql import DATETIME, MEDIUMTEXT

from orderctl.migrate import hours
from orderctl.migrate.plan import Plan

revision = "0006"
down_revision = "0005"

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


metadata = MetaData()

Table(
    "orderctl_audit_hours",
    metadata,
    Column("span", _text(8), primary_key=True),
    Column("begins", _text(16), primary_key=True),
    Column("category", _text(64), primary_key=True),
    Column("severity", _text(64), primary_key=True),
    Column("events", BigInteger, nullable=False),
    info={"ours": True},
    **OPTIONS,
)

Table(
    "orderctl_audit_counts",
    metadata,
    Column("log", _text(64), primary_key=True),
    Column("counted_from", BigInteger),
    Column("counted_to", BigInteger),
    Column("written", _text(64)),
    Column("gaps", Text().with_variant(MEDIUMTEXT(collation="utf8mb4_bin"), "mysql", "mariadb")),
    Column("old_to", BigInteger),
    Column("seen_to", BigInteger),
    Column("seen_at", Time),
    info={"ours": True},
    **OPTIONS,
)


def upgrade(plan: Plan) -> None:
    """Require the tables, and count the events."""
    plan.tables(metadata)
    hours.require(plan)
