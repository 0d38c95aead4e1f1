"""The revoked tokens, as one relay knows them: read from the database every two seconds.

While the database does not answer, the relay goes on with the last list that it has read. A relay that starts
meanwhile has none, and accepts revoked tokens until it can read the list: they get live messages at most, since the API
needs the same database. To refuse every token then would end the live progress of all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final

from orderctl import revoked_tokens
from orderctl.counting import counted
from orderctl.relay.access import Access, Unauthorized

if TYPE_CHECKING:
    from sqlalchemy import Connection

_Rows = list[revoked_tokens.Revocation]

_log = logging.getLogger(__name__)

#: Time between two looks at the list, in seconds. A revocation takes effect within 5 s.
PAUSE: Final = 2.0
#: How long the first clients wait for the first look, in seconds.
_PATIENCE: Final = 5.0


class Revocations:
    """The revoked tokens."""

    def __init__(self) -> None:
        #: Who has revoked each token, by the token's id.
        self.known: Mapping[str, str] = {}
        self._tried = asyncio.Event()
        self._failing = False

    def check(self, access: Access) -> None:
        """Refuse a token that was revoked.

        Raises:
            Unauthorized: When it was.
        """
        if access.token_id in self.known:
            raise Unauthorized("the token has been revoked")

    async def wait_tried(self) -> None:
        """Wait until the list was read, or could not be read, for the first time."""
        if not self._tried.is_set():
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self._tried.wait()
            except TimeoutError:
                return

    async def watch(
        self,
        read: Callable[[Callable[[Connection], _Rows]], Awaitable[_Rows]],
        end: Callable[[], int],
        *,
        pause: float = PAUSE,
    ) -> None:
        """Read the list for ever.

        Args:
            read: Runs a query.
            end: Ends the connections of revoked tokens; returns their number.
            pause: Time between two looks, in seconds.
        """
        while True:
            try:
                found = await read(revoked_tokens.in_force)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next look may succeed
                self._fail(error)
            else:
                self._take({row.token_id: row.revoked_by for row in found}, end)
            self._tried.set()
            await asyncio.sleep(pause)

    def _fail(self, error: Exception) -> None:
        if not self._failing:
            without = (
                "the last list stays in force" if self._tried.is_set() else "they are accepted until then"
            )
            _log.warning("cannot read which tokens are revoked (%s); %s", error, without)
        self._failing = True

    def _take(self, found: Mapping[str, str], end: Callable[[], int]) -> None:
        if self._failing:
            _log.warning("the list of revoked tokens can be read again")
        self._failing = False
        new = found.keys() - self.known.keys()
        self.known = found
        if not new:
            return
        ended = end()
        for token_id in sorted(new) if self._tried.is_set() else ():
            _log.info("the token %s was revoked by %s", token_id, found[token_id])
        if ended:
            _log.info("closed %s of revoked tokens", counted(ended, "connection"))
