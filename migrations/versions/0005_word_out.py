"""What became of a message that was given up, where a webhook goes, and how often a message was sent again."""

from typing import Any

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, text
from sqlalchemy import DateTime as SqliteDateTime
from sqlalchemy.dialects.mysql import DATETIME

from orderctl.migrate.ddl import Step
from orderctl.migrate.plan import Plan

revision = "0005"
down_revision = "0004"

BigId = BigInteger().with_variant(Integer, "sqlite")
Time = SqliteDateTime().with_variant(DATETIME(fsp=6), "mysql", "mariadb")
OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}

OUTBOX = "orderctl_outbox"
#: The names that the table had before this revision.
EARLIER = {OUTBOX, "outbox"}
#: How earlier versions marked a message that was given up: as sent, with the reason behind these words.
GIVEN_UP = "given up: "
#: When a message that was given up is due. So the index of due messages does not lead over it.
NEVER = "9999-12-31 00:00:00"


def _text(length: int) -> String:
    """Return a text type with utf8mb4, whatever the table's default character set is."""
    mysql = String(length, collation="utf8mb4_bin")
    return String(length).with_variant(mysql, "mysql", "mariadb")


metadata = MetaData()

# Only the new columns: the second revision has the others.
Table(
    OUTBOX,
    metadata,
    Column("id", BigId, primary_key=True),
    Column("failed_at", Time, info={"ours": True}),
    Column("endpoint", _text(64), info={"ours": True}),
    Column("resent", Integer, nullable=False, server_default=text("0"), info={"ours": True}),
    **OPTIONS,
)

MARK = (
    f"UPDATE {OUTBOX} SET failed_at = sent_at, sent_at = NULL, due_at = '{NEVER}',"  # noqa: S608 - constants
    f" last_error = SUBSTR(last_error, {len(GIVEN_UP) + 1})"
    f" WHERE sent_at IS NOT NULL AND last_error LIKE '{GIVEN_UP}_%'"
)


def upgrade(plan: Plan) -> None:
    """Require the columns, and mark what was given up."""
    plan.tables(metadata)
    if plan.is_pending and EARLIER & plan.found:
        what = f"failed_at of the messages in {OUTBOX} that were given up"
        plan.emit(Step((what,), (MARK,), (("SELECT", OUTBOX), ("UPDATE", OUTBOX))))
