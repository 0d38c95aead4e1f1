"""The relay's lookout for another shop on the same Redis server."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from orderctl import neighbours
from orderctl.errors import OrderctlError
from orderctl.neighbours import Neighbours
from orderctl.relay.api.reader import Reader

_log = logging.getLogger(__name__)

#: Time between two looks into the database, in seconds.
_PAUSE: Final = 5.0


async def watch(heard: Neighbours, reader: Reader, *, pause: float = _PAUSE) -> None:
    """Look from time to time whether messages of another shop are heard; warn once, then end.

    Args:
        heard: Where the hub notes the subjects of messages.
        reader: The database.
        pause: Time between two looks, in seconds.
    """
    while True:
        await asyncio.sleep(pause)
        try:
            found = await reader.read(heard.look)
        except OrderctlError as error:
            _log.debug("cannot look for messages of another shop: %s", error)
            continue
        if found:
            _log.warning("%s", neighbours.warning(found))
            return
