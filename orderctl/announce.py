"""Live messages after a commit. They may be lost: what matters is in the database by then."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import redis

from orderctl import broker
from orderctl.errors import OrderctlError
from orderctl.messages import StatusChange

_log = logging.getLogger(__name__)


def changes(client: redis.Redis, messages: Iterable[StatusChange]) -> None:
    """Publish status changes; a Redis that does not answer is logged and nothing else."""
    for message in messages:
        try:
            broker.send(client, message)
        except OrderctlError as error:
            _log.info("a status message is lost: %s", error)
            return
