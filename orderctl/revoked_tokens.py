"""The relay's tokens that were revoked: a row for each, until it would have expired anyway.

No table lists the tokens that were made: only a host with ``relay.token_secret`` is needed to make one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, or_, select
from sqlalchemy.exc import IntegrityError

from orderctl import database, database_errors
from orderctl.schema import revoked_tokens

#: How long a row stays after the token's expiry, in seconds: the clocks of the relays' hosts may be behind.
_MARGIN: Final = 86400.0


@dataclass(frozen=True, slots=True)
class Revocation:
    """A token that was revoked."""

    token_id: str
    revoked_at: datetime | None
    expires_at: datetime | None
    revoked_by: str


def revoke(connection: Connection, token_id: str, *, expires: float, actor: str) -> bool:
    """Revoke a token, and remove the rows of tokens that have expired since.

    Args:
        connection: In a transaction.
        token_id: The token's id.
        expires: When the token expires, or a later time, in seconds since the epoch.
        actor: Who revokes it.

    Returns:
        False if it was revoked before.
    """
    table = revoked_tokens.c
    connection.execute(revoked_tokens.delete().where(table.expires_at < database.utc_now(-_MARGIN)))
    values = {
        "token_id": token_id,
        "revoked_at": database.utc_now(),
        "expires_at": datetime.fromtimestamp(expires, UTC),
        "revoked_by": actor,
    }
    if connection.execute(select(table.token_id).where(table.token_id == token_id)).first():
        return False
    try:
        connection.execute(revoked_tokens.insert().values(values))
    except IntegrityError as error:
        if not database_errors.is_duplicate(error):
            raise
        return False  # another process was faster
    return True


def in_force(connection: Connection, token_ids: Collection[str] | None = None) -> list[Revocation]:
    """Return the revoked tokens that have not expired, the latest first.

    Args:
        connection: A connection.
        token_ids: Only these tokens.
    """
    table = revoked_tokens.c
    query = select(table.token_id, table.revoked_at, table.expires_at, table.revoked_by)
    query = query.where(or_(table.expires_at.is_(None), table.expires_at > database.utc_now(-_MARGIN)))
    if token_ids is not None:
        query = query.where(table.token_id.in_(list(token_ids)))
    rows = connection.execute(query.order_by(table.revoked_at.desc(), table.token_id))
    return [Revocation(row.token_id, row.revoked_at, row.expires_at, row.revoked_by) for row in rows]
