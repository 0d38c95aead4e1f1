"""The tables as orderctl reads and writes them. The migrations create or adopt them.

``orders``, ``download_tasks`` and ``order_audit_logs`` are shared with the shop's own system: their names and
columns are a contract. They may have further columns, which are not listed here.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
)

from orderctl.words import Word


class UtcDateTime(TypeDecorator[datetime]):
    """DATETIME(6) in UTC: aware in Python, naive in the database."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Return DATETIME(6) on MySQL and MariaDB, where a plain DATETIME has whole seconds only."""
        if dialect.name not in {"mysql", "mariadb"}:
            return dialect.type_descriptor(DateTime())
        from sqlalchemy.dialects.mysql import DATETIME  # noqa: PLC0415 - takes 10 ms, only for MySQL

        return dialect.type_descriptor(DATETIME(fsp=6))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Convert to naive UTC."""
        return value if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Convert to aware UTC; None for an invalid date (PyMySQL returns ``0000-00-00`` as text)."""
        return value.replace(tzinfo=UTC) if isinstance(value, datetime) else None


class Money(TypeDecorator[Decimal]):
    """DECIMAL(12,2); on SQLite, which has no exact decimals, stored as text."""

    impl = Numeric(12, 2)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Return a text type on SQLite."""
        return dialect.type_descriptor(String() if dialect.name == "sqlite" else Numeric(12, 2))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Convert to text on SQLite."""
        return str(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:  # noqa: ARG002
        """Convert to a Decimal with two decimals."""
        return value if value is None else Decimal(str(value)).quantize(_CENT)


class RowId(TypeDecorator[int]):
    """A row's id. On SQLite a number that its driver refuses becomes the highest id, which no row has."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Return INTEGER on SQLite, where only that numbers the rows."""
        return dialect.type_descriptor(Integer() if dialect.name == "sqlite" else BigInteger())

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:
        """Convert to a number that the driver takes."""
        return min(value, _HIGHEST_ID) if value is not None and dialect.name == "sqlite" else value


_CENT: Final = Decimal("0.01")
_HIGHEST_ID: Final = 2**63 - 1

metadata: Final = MetaData()

Json = JSON(none_as_null=True)

orders: Final = Table(
    "orders",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("order_code", String(64), nullable=False),
    Column("user_email", String(254), nullable=False),
    Column("order_status", Word("orders", "order_status", 16), nullable=False),
    Column("payment_status", Word("orders", "payment_status", 16), nullable=False),
    Column("total_amount", Money, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("paid_at", UtcDateTime),
    Column("completed_at", UtcDateTime),
    Column("round", Integer, nullable=False),  # how often the order was reopened
)

download_tasks: Final = Table(
    "download_tasks",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("order_id", RowId, ForeignKey("orders.id"), nullable=False),
    Column("course_url", String(2048), nullable=False),
    Column("title", String(255)),
    Column("status", Word("download_tasks", "status", 16), nullable=False),
    Column("drive_link", String(1024)),
    Column("error_log", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime),
    Column("managed", SmallInteger, nullable=False),  # 1: managed by orderctl
    Column("attempt", Integer, nullable=False),  # never decreases
    Column("max_attempts", Integer, nullable=False),
    Column("available_at", UtcDateTime),  # not to be claimed before; NULL: at once
    Column("lease_token", String(36)),
    Column("lease_until", UtcDateTime),
    Column("worker", String(128)),
    Column("error_type", String(32)),
    Column("error_fingerprint", String(32)),
)

order_audit_logs: Final = Table(
    "order_audit_logs",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("order_id", RowId, ForeignKey("orders.id"), nullable=False),
    Column("task_id", RowId, ForeignKey("download_tasks.id")),
    Column("event_type", Word("order_audit_logs", "event_type", 64), nullable=False),
    Column("event_category", Word("order_audit_logs", "event_category", 32), nullable=False),
    Column("severity", Word("order_audit_logs", "severity", 16), nullable=False),
    Column("message", Text, nullable=False),
    Column("details", Json),
    Column("previous_status", Word("order_audit_logs", "previous_status", 32)),
    Column("new_status", Word("order_audit_logs", "new_status", 32)),
    Column("source", String(64)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("dedup_key", String(191)),  # unique: an event that can happen only once is written once
    Column("actor", String(128)),
)

outbox: Final = Table(
    "outbox",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("dedup_key", String(191), nullable=False, unique=True),
    Column("payload", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("lease_token", String(36)),
    Column("lease_until", UtcDateTime),
    Column("sent_at", UtcDateTime),
    Column("last_error", Text),
    Index("ix_outbox_sent_due", "sent_at", "due_at"),
)

#: Columns that Sequelize creates as NOT NULL without a default, and fills itself.
SEQUELIZE_TIMESTAMPS: Final = frozenset({"created_at", "updated_at", "createdAt", "updatedAt"})

TABLES: Final = (orders, download_tasks, order_audit_logs, outbox)


def columns(kind: type[Any], table: Table) -> list[Column[Any]]:
    """Return the columns of a table for which a dataclass has fields."""
    return [table.c[item.name] for item in fields(kind) if item.name in table.c]
