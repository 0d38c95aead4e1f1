"""The ledger of payments, with those that the audit log tells of."""

from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Numeric, String, Table, Text
from sqlalchemy import DateTime as SqliteDateTime
from sqlalchemy.dialects.mysql import DATETIME, MEDIUMTEXT

from orderctl.migrate import ledger
from orderctl.migrate.ddl import InsertTime
from orderctl.migrate.plan import Plan

revision = "0004"
down_revision = "0003"

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


#: The provider of the payments that the audit log tells of.
AUDIT_LOG = "audit_log"

metadata = MetaData()

Table(
    "orderctl_payments",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("provider", _text(32), nullable=False),
    Column("provider_id", _text(191), nullable=False),
    # Not a foreign key: the shop may delete its order, but the money came in.
    Column("order_id", BigId),
    # As a text on SQLite, which has no exact decimals.
    Column("amount", String().with_variant(Numeric(30, 4), "mysql", "mariadb")),
    Column("currency", _text(8)),
    Column("direction", _text(8), nullable=False),
    Column("bank", _text(120)),
    Column("account", _text(64)),
    Column("reference", _text(191)),
    Column("code", _text(1000)),
    Column("content", _text(1000)),
    Column("told_at", Time, nullable=False, server_default=InsertTime()),
    Column("happened_at", Time),
    Column("outcome", _text(16), nullable=False),
    Column("reason", _text(500)),
    Column("raw", Text().with_variant(MEDIUMTEXT(collation="utf8mb4_bin"), "mysql", "mariadb")),
    # NULL where raw is. With its index, the raw data that is to be deleted is found at once.
    Column("raw_since", Time),
    Column("decided_by", _text(128)),
    Column("decided_at", Time),
    Column("decision", _text(500)),
    Index("uq_orderctl_payments_provider_provider_id", "provider", "provider_id", unique=True),
    Index("ix_orderctl_payments_order_id", "order_id"),
    Index("ix_orderctl_payments_reference", "reference"),
    Index("ix_orderctl_payments_outcome_id", "outcome", "id"),
    Index("ix_orderctl_payments_told_at", "told_at"),
    Index("ix_orderctl_payments_raw_since", "raw_since"),
    info={"ours": True},
    **OPTIONS,
)


def upgrade(plan: Plan) -> None:
    """Require the ledger, and fill it."""
    plan.tables(metadata)
    ledger.require(plan, AUDIT_LOG)
