"""Orders, tasks and audit log."""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy import DateTime as SqliteDateTime
from sqlalchemy.dialects.mysql import DATETIME

from orderctl.migrate.ddl import InsertTime
from orderctl.migrate.fitting import FOREIGN_KEY_PREFIX
from orderctl.migrate.plan import Plan

revision = "0001"
down_revision = None

# The tables of the shop's, whole: a column that is added to one of them later is added here, so that adopting it needs
# one statement. Definitions are compared, so a database that was migrated before gets the column with the revision that
# says so. orderctl.schema changes over time, and nothing else of this file does.

ORDER_STATUSES = ("pending", "processing", "completed", "failed", "cancelled")
PAYMENT_STATUSES = ("pending", "paid", "failed", "refunded")
TASK_STATUSES = ("pending", "enrolled", "downloading", "completed", "failed", "cancelled")
SEVERITIES = ("debug", "info", "warning", "error", "critical")
CATEGORIES = ("payment", "task", "enrollment", "download", "email", "system", "security")
SOURCES = ("orderctl_cli", "orderctl_worker", "orderctl_reconcile", "orderctl_relay")
EVENTS = (
    "payment_received",
    "payment_mismatch",
    "task_created",
    "enrollment_success",
    "download_started",
    "download_completed",
    "download_failed",
    "task_retried",
    "task_cancelled",
    "task_recovered",
    "order_completed",
    "order_failed",
    "order_cancelled",
    "order_reopened",
    "task_released",
    "email_sent",
    "email_failed",
    "job_rejected",
    "webhook_failed",  # with revision 0003
    "payment_partial",  # with revision 0004
    "payment_surplus",
    "payment_matched",
    "payment_refused",
    "email_resent",  # with revision 0005
    "webhook_resent",
    "completion_resent",
)
STATUSES = tuple(dict.fromkeys(ORDER_STATUSES + PAYMENT_STATUSES + TASK_STATUSES))

REQUIRED = {"required": True}
#: orderctl writes NULL into the column.
NULL = {"null": True}
#: Only orderctl writes the column: its definition is restored.
OURS = {"ours": True}
#: Only a table that orderctl made gets the column.
MADE = {"made": True}

BigId = BigInteger().with_variant(Integer, "sqlite")
Time = SqliteDateTime().with_variant(DATETIME(fsp=6), "mysql", "mariadb")
#: Codes and addresses are compared byte by byte; both MySQL and MariaDB know utf8mb4_bin.
OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}


def _text(length: int) -> String:
    """Return a text type with utf8mb4, whatever the table's default character set is."""
    mysql = String(length, collation="utf8mb4_bin")
    return String(length).with_variant(mysql, "mysql", "mariadb")


def _allows(length: int, values: tuple[str, ...]) -> dict[str, Any]:
    """Return a column's ``info``: the values that orderctl writes, and the length to extend it to."""
    return {"values": values, "length": length}


def _index(table: str, *columns: str, unique: bool = False, **more: Any) -> Index:
    name = f"{'uq' if unique else 'ix'}_orderctl_{table}_{'_'.join(columns)}"
    return Index(name, *columns, unique=unique, **more)


def _retires(table: str, *indexes: tuple[str, ...]) -> dict[str, Any]:
    """Return a table's ``info``: the indexes of earlier versions that no query uses any more."""
    return {"retired": {f"ix_orderctl_{table}_{'_'.join(columns)}": columns for columns in indexes}}


def _key(table: str, column: str, target: str) -> ForeignKey:
    return ForeignKey(target, name=f"{FOREIGN_KEY_PREFIX}{table}_{column}", ondelete="RESTRICT")


metadata = MetaData()

Table(
    "orders",
    metadata,
    Column("id", BigId, primary_key=True, info=REQUIRED),
    Column("order_code", _text(64), nullable=False, info=REQUIRED),
    Column("user_email", _text(254), nullable=False, info=REQUIRED),
    Column(
        "order_status",
        _text(16),
        nullable=False,
        server_default="pending",
        info=REQUIRED | _allows(16, ORDER_STATUSES),
    ),
    Column(
        "payment_status",
        _text(16),
        nullable=False,
        server_default="pending",
        info=REQUIRED | _allows(16, PAYMENT_STATUSES),
    ),
    Column("total_amount", Numeric(12, 2), nullable=False, server_default=text("0"), info=REQUIRED),
    Column("created_at", Time, nullable=False, server_default=InsertTime(), info=REQUIRED),
    Column("paid_at", Time),
    Column("completed_at", Time),
    Column("round", Integer, nullable=False, server_default=text("0"), info=OURS),
    Column("updated_at", Time, server_default=InsertTime(), info=MADE),
    # In a table of the shop's, the same code may be another shop's or another year's.
    _index("orders", "order_code", unique=True, info={"unique": "made"}),
    _index("orders", "payment_status", "created_at", "id"),
    _index("orders", "created_at", "id"),
    _index("orders", "payment_status", "order_status", "created_at", "id"),  # with revision 0006
    _index("orders", "user_email", "created_at", "id"),
    # In whose place those two came.
    info=_retires("orders", ("payment_status", "order_status"), ("user_email", "id")),
    **OPTIONS,
)

Table(
    "download_tasks",
    metadata,
    Column("id", BigId, primary_key=True, info=REQUIRED),
    Column("order_id", BigId, _key("download_tasks", "order_id", "orders.id"), nullable=False, info=REQUIRED),
    Column("course_url", _text(2048), nullable=False, info=REQUIRED),
    Column("title", _text(255), info=NULL),
    Column(
        "status",
        _text(16),
        nullable=False,
        server_default="pending",
        info=REQUIRED | _allows(16, TASK_STATUSES),
    ),
    Column("drive_link", _text(1024), info=NULL),
    Column("error_log", Text, info=NULL),
    Column("created_at", Time, nullable=False, server_default=InsertTime()),
    Column("updated_at", Time, server_default=InsertTime()),
    Column("managed", SmallInteger, nullable=False, server_default=text("0"), info=OURS),
    Column("attempt", Integer, nullable=False, server_default=text("0"), info=OURS),
    Column("max_attempts", Integer, nullable=False, server_default=text("3"), info=OURS),
    Column("available_at", Time, info=OURS),
    Column("lease_token", _text(36), info=OURS),
    Column("lease_until", Time, info=OURS),
    Column("worker", _text(128), info=OURS),
    Column("error_type", _text(32), info=OURS),
    Column("error_fingerprint", _text(32), info=OURS),
    Column("failing_since", Time, info=OURS),  # with revision 0003
    Column("ready", SmallInteger, nullable=False, server_default=text("0"), info=OURS),  # with revision 0006
    _index("download_tasks", "order_id", "status"),
    _index("download_tasks", "status", "lease_until"),
    _index("download_tasks", "status", "id"),
    _index("download_tasks", "status", "error_type", "error_fingerprint"),
    _index("download_tasks", "ready", "available_at", "id"),
    info=_retires("download_tasks", ("status", "updated_at", "id")),
    **OPTIONS,
)

Table(
    "order_audit_logs",
    metadata,
    Column("id", BigId, primary_key=True, info=REQUIRED),
    Column(
        "order_id", BigId, _key("order_audit_logs", "order_id", "orders.id"), nullable=False, info=REQUIRED
    ),
    Column("task_id", BigId, _key("order_audit_logs", "task_id", "download_tasks.id"), info=NULL),
    Column("event_type", _text(64), nullable=False, info=REQUIRED | _allows(64, EVENTS)),
    Column(
        "event_category", _text(32), nullable=False, server_default="system", info=_allows(32, CATEGORIES)
    ),
    Column("severity", _text(16), nullable=False, server_default="info", info=_allows(16, SEVERITIES)),
    Column("message", Text, nullable=False, server_default=text("('')")),
    Column("details", JSON, info=NULL),
    Column("previous_status", _text(32), info=NULL | _allows(32, STATUSES)),
    Column("new_status", _text(32), info=NULL | _allows(32, STATUSES)),
    Column("source", _text(64), info=_allows(64, SOURCES)),
    Column("created_at", Time, nullable=False, server_default=InsertTime(), info=REQUIRED),
    Column("dedup_key", _text(191), info=OURS),
    Column("actor", _text(128), info=OURS),
    Column("updated_at", Time, server_default=InsertTime(), info=MADE),
    _index("order_audit_logs", "order_id"),
    _index("order_audit_logs", "task_id"),
    _index("order_audit_logs", "severity", "created_at", "id"),
    _index("order_audit_logs", "created_at", "id"),
    _index("order_audit_logs", "dedup_key", unique=True),
    _index("order_audit_logs", "actor", "created_at", "id"),  # with revision 0008
    _index("order_audit_logs", "event_type", "created_at", "id"),
    info={"shared": True},
    **OPTIONS,
)

Table(
    "orderctl_migrations",
    metadata,
    Column("revision", _text(32), primary_key=True),
    Column("applied_at", Time, nullable=False, server_default=InsertTime()),
    Column("applied_by", _text(255), nullable=False),
    Column("version", _text(32), nullable=False),
    info={"ours": True},
    **OPTIONS,
)

# A subquery that walks an index. MAX, LATERAL and window functions would read every event.
LATEST_EVENTS = """\
SELECT o.id AS order_id, o.order_code, o.order_status, a.id AS event_id, a.task_id, a.event_type,
 a.event_category, a.severity, a.message, a.details, a.previous_status, a.new_status, a.source, a.created_at
 FROM orders o JOIN order_audit_logs a ON a.id = (SELECT l.id FROM order_audit_logs l
 WHERE l.order_id = o.id ORDER BY l.order_id DESC, l.id DESC LIMIT 1)"""

TIMELINE = """\
SELECT a.id, a.created_at, a.severity, a.event_category, a.event_type, a.task_id, a.message,
 a.previous_status, a.new_status, a.source, a.actor FROM order_audit_logs a
 WHERE a.order_id IN (SELECT o.id FROM orders o WHERE o.order_code = wanted_code) ORDER BY a.order_id, a.id"""
#: As it was before two orders could have one code.
TIMELINE_OF_ONE = TIMELINE.replace("a.order_id IN (", "a.order_id = (")

SUMMARY = """\
SELECT a.event_category, a.severity, COUNT(*) AS events, MAX(a.created_at) AS latest
 FROM order_audit_logs a WHERE a.created_at >= since GROUP BY a.event_category, a.severity
 ORDER BY a.event_category, a.severity"""


def upgrade(plan: Plan) -> None:
    """Require the tables, the view and the procedures."""
    plan.tables(metadata)
    plan.view("v_order_latest_events", LATEST_EVENTS)
    code = plan.collation("orders", "order_code")
    plan.procedure(
        "sp_order_timeline", f"IN wanted_code VARCHAR(255) {code}", TIMELINE, earlier=(TIMELINE_OF_ONE,)
    )
    plan.procedure("sp_audit_summary", "IN since DATETIME(6)", SUMMARY)
