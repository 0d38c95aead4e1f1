"""A customer's dashboard: subscribes to each order through the relay of its shop, and notes what it hears."""

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from websockets.exceptions import InvalidHandshake, WebSocketException
from websockets.sync.client import ClientConnection, connect


class Dashboard:
    """Connects in a thread, again and again.

    Args:
        port: The relay's port on loopback.
        orders: Returns the number of orders; their ids are the numbers up to it.

    Attributes:
        heard: The events that arrived.
    """

    def __init__(self, port: int, orders: Callable[[], int]) -> None:
        self.heard: list[dict[str, Any]] = []
        self._url = f"ws://127.0.0.1:{port}/ws"
        self._orders = orders
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def leave(self) -> None:
        self._over.set()
        self._thread.join()

    def completions(self) -> set[tuple[int, int]]:
        """Return the ends of orders that were heard of, by order and the time at which it ended."""
        ends = [event["data"]["data"] for event in self.heard if event["event"] == "complete"]
        return {(data["orderId"], data["timestamp"]) for data in ends}

    def files(self) -> set[str]:
        """Return the names in live progress."""
        progress = [event["data"]["data"] for event in self.heard if event["event"] == "progress"]
        return {str(data["currentFile"]) for data in progress}

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            lost = suppress(OSError, InvalidHandshake, WebSocketException)  # TimeoutError is an OSError
            with lost, connect(self._url, open_timeout=2, close_timeout=1) as connection:
                self._listen(connection)

    def _listen(self, connection: ClientConnection) -> None:
        subscribed = 0
        while not self._over.is_set():
            while subscribed < self._orders():
                subscribed += 1
                request = {"event": "subscribe:order", "data": {"orderId": subscribed}, "id": subscribed}
                connection.send(json.dumps(request))
            with suppress(TimeoutError):
                event = json.loads(connection.recv(timeout=0.2))
                if event["event"] in ("complete", "progress"):
                    self.heard.append(event)
