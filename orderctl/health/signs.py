"""What was found of a store."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from orderctl.errors import OrderctlError, Unavailable


class Store(StrEnum):
    """A store."""

    DATABASE = "database"
    REDIS = "redis"


class State(StrEnum):
    """Whether a store can be used."""

    UP = "up"
    DOWN = "down"  #: It does not answer, or not in time.
    REFUSED = "refused"  #: It answers, and a setting or a right is wrong; or the URL is not valid.
    IDLE = "idle"  #: The embedded Redis, which does not run: the first command that needs it starts it.


class Role(StrEnum):
    """What a server is among those that hold the same data."""

    PRIMARY = "primary"
    READ_ONLY = "read-only"  #: It does not accept writes, and it is not known to be a replica.
    REPLICA = "replica"


@dataclass(frozen=True, slots=True)
class Migration:
    """Which revisions are applied. Parts of them that were dropped since are found by ``migrate check``.

    Attributes:
        applied: The newest applied revision; None: none is.
        known: The revisions that this version of orderctl knows, oldest first.
    """

    applied: str | None
    known: tuple[str, ...]

    @property
    def is_newer(self) -> bool:
        """Whether a newer version of orderctl has migrated the database."""
        return self.applied is not None and self.applied not in self.known

    @property
    def pending(self) -> tuple[str, ...]:
        """The revisions that are not applied."""
        if self.applied is None or self.is_newer:
            return () if self.is_newer else self.known
        return self.known[self.known.index(self.applied) + 1 :]

    @property
    def is_current(self) -> bool:
        """Whether the database is as this version of orderctl needs it."""
        return not self.pending and not self.is_newer

    @property
    def text(self) -> str:
        """The state for people: ``up to date (0006)``."""
        if self.applied is None:
            return "not migrated"
        if self.is_newer:
            return f"{self.applied}, of a newer orderctl"
        if self.pending:
            return f"{self.applied}, pending: {', '.join(self.pending)}"
        return f"up to date ({self.applied})"

    @property
    def record(self) -> dict[str, Any]:
        """The state as it stands in JSON."""
        return {"applied": self.applied, "pending": list(self.pending), "current": self.is_current}


@dataclass(frozen=True, slots=True)
class StoreSign:
    """What was found of a store.

    Attributes:
        store: The store.
        state: Whether it can be used.
        url: Its URL, masked; None: it is the embedded Redis, which does not run.
        embedded: Whether it is of the default configuration, in the state folder.
        product: ``MySQL``, ``MariaDB``, ``SQLite``, ``Redis`` or ``Valkey``; None: it is not known.
        version: Its version, as the server says it; None: it is not known.
        role: Its role; None: it is not known, or the store has none.
        latency: Median of a few round trips, in seconds; None: it did not answer.
        migration: Which revisions are applied; None: it could not be read, or the store is Redis.
        error: Why it cannot be used.
        refusal: Why it takes no writes, though it answers; None: it does, or the account only reads.
    """

    store: Store
    state: State
    url: str | None = None
    embedded: bool = False
    product: str | None = None
    version: str | None = None
    role: Role | None = None
    latency: float | None = None
    migration: Migration | None = None
    error: OrderctlError | None = None
    refusal: OrderctlError | None = None

    @property
    def server(self) -> str | None:
        """The server for people: ``MySQL 9.7.0``."""
        return " ".join(part for part in (self.product, self.version) if part) or None

    @property
    def is_migrated(self) -> bool:
        """Whether the database's tables can be asked."""
        current = self.migration is None or self.migration.applied is not None
        return self.state is State.UP and current

    @property
    def record(self) -> dict[str, Any]:
        """The sign as it stands in JSON."""
        return {
            "state": str(self.state),
            "url": self.url,
            "embedded": self.embedded,
            "product": self.product,
            "version": self.version,
            "role": self.role and str(self.role),
            "latency_seconds": None if self.latency is None else round(self.latency, 6),
            **({"migration": self.migration and self.migration.record} if self.store == "database" else {}),
            "error": self.error and str(self.error),
            "hint": self.error and self.error.hint,
        }


def fell(sign: StoreSign, error: OrderctlError) -> StoreSign:
    """Return the sign of a store that cannot be used, with what it has said before.

    Args:
        sign: What is known of it.
        error: Why it cannot be used.
    """
    state = State.DOWN if isinstance(error, Unavailable) else State.REFUSED
    return replace(sign, state=state, latency=None, error=error)
