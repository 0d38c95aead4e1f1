"""How long a task has been failing, and the relay's tokens that were revoked.

The column ``failing_since`` stands with the others of ``download_tasks`` in the first revision.
"""

from typing import Any

from sqlalchemy import Column, MetaData, String, Table
from sqlalchemy import DateTime as SqliteDateTime
from sqlalchemy.dialects.mysql import DATETIME

from orderctl.migrate.ddl import InsertTime
from orderctl.migrate.plan import Plan

revision = "0003"
down_revision = "0002"

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
    "orderctl_revoked_tokens",
    metadata,
    Column("token_id", _text(64), primary_key=True),
    Column("revoked_at", Time, nullable=False, server_default=InsertTime()),
    Column("expires_at", Time),
    Column("revoked_by", _text(128), nullable=False),
    info={"ours": True},
    **OPTIONS,
)


def upgrade(plan: Plan) -> None:
    """Require the table of revoked tokens."""
    plan.tables(metadata)
