"""The tables as orderctl reads and writes them. The migrations create or adopt them.

``orders``, ``download_tasks`` and ``order_audit_logs`` are shared with the shop's own system: their names and
columns are a contract. They may have further columns, which are not listed here. All other tables are called
``orderctl_...``.
"""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from typing import Any, Final, TypeVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
)

from orderctl import foreign
from orderctl.foreign_type import ForeignType
from orderctl.moments import SharedDateTime, UtcDateTime
from orderctl.words import Word

T = TypeVar("T")


class Chars(ForeignType[str]):
    """Text.

    Args:
        length: The maximum number of characters in tables that orderctl made.
        null: What NULL becomes. The shop may allow it where orderctl does not.
    """

    impl = String
    cache_ok = True

    def __init__(self, length: int | None = None, null: str | None = "") -> None:
        super().__init__(length)
        self.length, self.null = length, null

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Convert to text."""
        return self.null if value is None else foreign.text(value)


class Whole(ForeignType[int]):
    """A whole number; 0 for NULL and for what is not a number."""

    impl = Integer
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> int:  # noqa: ARG002
        """Convert to a number."""
        return foreign.whole(value) or 0


class Json(ForeignType[Any]):
    """JSON; text that is not JSON, which other programs may have written, is read as text."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002
        """Parse the JSON."""
        return foreign.document(value)


class Money(ForeignType[Decimal]):
    """An exact amount; on SQLite, which has no exact decimals, stored as text.

    Args:
        digits: The number of digits in tables that orderctl made.
        decimals: How many of them stand behind the point.
    """

    impl = Numeric
    cache_ok = True

    def __init__(self, digits: int = 12, decimals: int = 2) -> None:
        super().__init__(digits, decimals)
        self.digits, self.decimals = digits, decimals

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Return a text type on SQLite."""
        numeric = Numeric(self.digits, self.decimals)
        return dialect.type_descriptor(String() if dialect.name == "sqlite" else numeric)

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Convert to text on SQLite."""
        return str(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:  # noqa: ARG002
        """Convert to a Decimal with two decimals, or more if the shop's column has more."""
        return foreign.amount(value)


class RowId(ForeignType[int]):
    """A row's id. On SQLite a number that its driver refuses becomes the highest id, which no row has."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Return INTEGER on SQLite, where only that numbers the rows."""
        return dialect.type_descriptor(Integer() if dialect.name == "sqlite" else BigInteger())

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:
        """Convert to a number that the driver takes."""
        return min(value, _HIGHEST_ID) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Convert to a number; None for what is not an id."""
        return foreign.whole(value)


_HIGHEST_ID: Final = 2**63 - 1
#: The highest number that INTEGER holds, of attempts for example.
HIGHEST_INT: Final = 2**31 - 1

metadata: Final = MetaData()

orders: Final = Table(
    "orders",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("order_code", Chars(64), nullable=False),
    Column("user_email", Chars(254), nullable=False),
    Column("order_status", Word("orders", "order_status", 16), nullable=False),
    Column("payment_status", Word("orders", "payment_status", 16), nullable=False),
    Column("total_amount", Money, nullable=False),
    Column("created_at", SharedDateTime("orders", "created_at"), nullable=False),
    Column("paid_at", UtcDateTime),
    Column("completed_at", UtcDateTime),
    Column("round", Whole, nullable=False),  # how often the order was reopened
)

download_tasks: Final = Table(
    "download_tasks",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("order_id", RowId, ForeignKey("orders.id"), nullable=False),
    Column("course_url", Chars(2048), nullable=False),
    Column("title", Chars(255, null=None)),
    Column("status", Word("download_tasks", "status", 16), nullable=False),
    Column("drive_link", Chars(1024, null=None)),
    Column("error_log", Chars(null=None)),
    Column("created_at", SharedDateTime("download_tasks", "created_at"), nullable=False),
    Column("updated_at", SharedDateTime("download_tasks", "updated_at")),
    Column("managed", Whole, nullable=False),  # 1: managed by orderctl
    Column("attempt", Whole, nullable=False),  # never decreases
    Column("max_attempts", Whole, nullable=False),
    Column("available_at", UtcDateTime),  # not to be claimed before; NULL: at once
    Column("lease_token", Chars(36, null=None)),
    Column("lease_until", UtcDateTime),
    Column("worker", Chars(128, null=None)),
    Column("error_type", Chars(32, null=None)),
    Column("error_fingerprint", Chars(32, null=None)),
    Column("failing_since", UtcDateTime),  # first of the transient failures since it got on; NULL: none
    Column("ready", Whole, nullable=False),  # whether it may be claimed, as far as is known
)

order_audit_logs: Final = Table(
    "order_audit_logs",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("order_id", RowId, ForeignKey("orders.id"), nullable=False),
    Column("task_id", RowId, ForeignKey("download_tasks.id")),
    Column("event_type", Word("order_audit_logs", "event_type", 64, null=""), nullable=False),
    Column("event_category", Word("order_audit_logs", "event_category", 32, null=""), nullable=False),
    Column("severity", Word("order_audit_logs", "severity", 16, null=""), nullable=False),
    Column("message", Chars, nullable=False),
    Column("details", Json),
    Column("previous_status", Word("order_audit_logs", "previous_status", 32)),
    Column("new_status", Word("order_audit_logs", "new_status", 32)),
    Column("source", Chars(64, null=None)),
    Column("created_at", SharedDateTime("order_audit_logs", "created_at"), nullable=False),
    Column("dedup_key", Chars(191, null=None)),  # unique: an event that can happen only once is written once
    Column("actor", Chars(128, null=None)),
)

outbox: Final = Table(
    "orderctl_outbox",
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
    Column("failed_at", UtcDateTime),  # when it was given up
    Column("endpoint", String(64)),  # where a webhook goes; NULL: not looked up yet
    Column("resent", Integer, nullable=False),  # how often an admin had it sent again
    Index("ix_orderctl_outbox_sent_at_due_at", "sent_at", "due_at"),
)

#: Every transfer of money that orderctl was told of. A row is never deleted; ``raw`` is, after a time.
payments: Final = Table(
    "orderctl_payments",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("provider", String(32), nullable=False),
    Column("provider_id", String(191), nullable=False),  # begins with a blank if the provider gave none
    Column("order_id", RowId),  # no foreign key: the shop may delete its order, but the money came in
    Column("amount", Money(30, 4)),  # NULL: an event that is no transfer
    Column("currency", String(8)),  # NULL: the shop's
    Column("direction", String(8), nullable=False),
    Column("bank", String(120)),
    Column("account", String(64)),
    Column("reference", String(191)),
    Column("code", String(1000)),
    Column("content", String(1000)),
    Column("told_at", UtcDateTime, nullable=False),
    Column("happened_at", UtcDateTime),
    Column("outcome", String(16), nullable=False),
    Column("reason", String(500)),  # why it has this outcome
    Column("raw", Text),  # JSON
    Column("raw_since", UtcDateTime),  # since when it holds ``raw``; NULL: it does not
    Column("decided_by", String(128)),  # who matched or refused it
    Column("decided_at", UtcDateTime),
    Column("decision", String(500)),  # why
)

#: How many events there are, by the hour (and the day and the month) in which they were written.
audit_hours: Final = Table(
    "orderctl_audit_hours",
    metadata,
    Column("span", String(8), primary_key=True),  # hour, day or month
    Column("begins", String(16), primary_key=True),  # "2026-01-31 23"; what stands in the rows, in no zone
    Column("category", String(64), primary_key=True),
    Column("severity", String(64), primary_key=True),
    Column("events", BigInteger, nullable=False),
)

#: How far the events are counted: one row, see ``audit_hours``.
audit_counts: Final = Table(
    "orderctl_audit_counts",
    metadata,
    Column("log", String(64), primary_key=True),  # the name of the audit log's table
    Column("counted_from", BigInteger),  # the lowest id when the counting began
    Column("counted_to", BigInteger),  # the highest id that is counted; NULL: none is
    Column("written", String(64)),  # that event's time as it stands in the row
    Column("gaps", Text),  # JSON: ids up to ``counted_to`` that are not counted
    Column("old_to", BigInteger),  # ids up to this one were given more than ten minutes ago
    Column("seen_to", BigInteger),  # the highest id at the time ``seen_at``
    Column("seen_at", UtcDateTime),
)

#: The relay's tokens that were revoked, until they would have expired anyway.
revoked_tokens: Final = Table(
    "orderctl_revoked_tokens",
    metadata,
    Column("token_id", String(64), primary_key=True),
    Column("revoked_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),  # NULL: never
    Column("revoked_by", String(128), nullable=False),
)

#: Bulk changes of tasks that supervisors carry out.
operations: Final = Table(
    "orderctl_operations",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("selection", Text, nullable=False),  # JSON, for people
    Column("reason", Text),
    Column("actor", String(128), nullable=False),
    Column("source", String(64), nullable=False),
    Column("take", Whole, nullable=False),  # 1: also of tasks that the shop's own workers run
    Column("max_attempts", Whole, nullable=False),
    Column("rate", String(32)),  # as it was given; NULL: as fast as possible
    Column("per_hour", BigInteger),
    Column("canary", Whole, nullable=False),
    Column("max_failures", Integer),
    Column("state", String(16), nullable=False),
    Column("why", String(1000)),  # why it was stopped
    Column("stopped_by", String(128)),
    Column("total", Whole, nullable=False),
    Column("changed", Whole, nullable=False),
    Column("unchanged", Whole, nullable=False),
    Column("refused", Whole, nullable=False),
    Column("completed", Whole, nullable=False),
    Column("failed", Whole, nullable=False),
    Column("cancelled", Whole, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("next_at", UtcDateTime),  # when the next task is due by its rate
    Column("looked_to", BigInteger),  # up to which task it was looked at what became of them
    Column("lease_token", String(36)),
    Column("lease_until", UtcDateTime),
)

#: The tasks of each operation, with their states when they were selected.
operation_tasks: Final = Table(
    "orderctl_operation_tasks",
    metadata,
    Column("operation_id", BigInteger, primary_key=True),
    Column("task_id", BigInteger, primary_key=True),  # no foreign key: the shop may delete its tasks
    Column("seen_status", String(64), nullable=False),
    Column("seen_attempt", Whole, nullable=False),
    Column("state", String(16), nullable=False),
    Column("note", String(500)),
    Column("changed_at", UtcDateTime),
    Index("ix_orderctl_operation_tasks_operation_id_state_task_id", "operation_id", "state", "task_id"),
)

#: The applied revisions. ``orders.add`` locks them.
migrations: Final = Table("orderctl_migrations", metadata, Column("revision", String(32), primary_key=True))

#: Columns that Sequelize creates as NOT NULL without a default, and fills itself.
SEQUELIZE_TIMESTAMPS: Final = frozenset({"created_at", "updated_at", "createdAt", "updatedAt"})

TABLES: Final = (
    orders,
    download_tasks,
    order_audit_logs,
    outbox,
    revoked_tokens,
    payments,
    audit_hours,
    audit_counts,
    operations,
    operation_tasks,
)


def columns(kind: type[Any], table: Table) -> list[Column[Any]]:
    """Return the columns of a table for which a dataclass has fields."""
    return [table.c[item.name] for item in fields(kind) if item.name in table.c]
