"""An outbox of orderctl's own name, with what the earlier one holds."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, MetaData, String, Table, Text, text
from sqlalchemy import DateTime as SqliteDateTime
from sqlalchemy.dialects.mysql import DATETIME

from orderctl.migrate import succession
from orderctl.migrate.ddl import InsertTime
from orderctl.migrate.plan import Plan

revision = "0002"
down_revision = "0001"

BigId = BigInteger().with_variant(Integer, "sqlite")
Time = SqliteDateTime().with_variant(DATETIME(fsp=6), "mysql", "mariadb")
OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}

#: The table's first name, which a shop's own table may have, too.
EARLIER = "outbox"
#: Which of its rows orderctl wrote.
WRITTEN = (
    "kind IN ('completion', 'summary', 'alert', 'webhook') AND dedup_key <> '' AND due_at IS NOT NULL"
    " AND JSON_VALID(payload)"
)


def _text(length: int) -> String:
    """Return a text type with utf8mb4, whatever the table's default character set is."""
    mysql = String(length, collation="utf8mb4_bin")
    return String(length).with_variant(mysql, "mysql", "mariadb")


metadata = MetaData()

outbox = Table(
    "orderctl_outbox",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("kind", _text(32), nullable=False),
    Column("dedup_key", _text(191), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("created_at", Time, nullable=False, server_default=InsertTime()),
    Column("due_at", Time, nullable=False, server_default=InsertTime()),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("lease_token", _text(36)),
    Column("lease_until", Time),
    Column("sent_at", Time),
    Column("last_error", Text),
    # The fifth revision adds them to a table that is there.
    Column("failed_at", Time, info={"later": True}),
    Column("endpoint", _text(64), info={"later": True}),
    Column("resent", Integer, nullable=False, server_default=text("0"), info={"later": True}),
    # A table that is renamed keeps the names of its indexes.
    Index("uq_orderctl_outbox_dedup_key", "dedup_key", unique=True),
    Index("ix_orderctl_outbox_sent_at_due_at", "sent_at", "due_at"),
    info={"ours": True},
    **OPTIONS,
)


def upgrade(plan: Plan) -> None:
    """Require the outbox, and carry over the earlier one."""
    succession.carry_over(plan, EARLIER, outbox, WRITTEN)
