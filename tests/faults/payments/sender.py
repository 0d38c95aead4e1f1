"""A bank that sends over several connections, and sends again what was not taken: after 1, 1, 2, 3, 5 ... seconds."""

from __future__ import annotations

import heapq
import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.faults.payments import banks
from tests.faults.payments.book import Delivery, Told

PAUSES = (1, 1, 2, 3, 5, 8, 13)
#: How often the bank hangs up before the answer, or amid its own request.
HANGS_UP = 0.02
CUTS = 0.01
#: Longest wait for an answer, in seconds.
PATIENCE = 30.0


@dataclass(order=True)
class _Due:
    at: float
    place: int
    delivery: Delivery = field(compare=False)
    tries: int = field(default=0, compare=False)


class Sender:
    """Sends all deliveries until each was taken.

    Args:
        port: The relay's, on loopback.
        deliveries: In the order of their first try.
        unit: The first pause before a delivery is sent again, in seconds.
        connections: How many it has at a time.
        seed: Of its impatience.

    Attributes:
        taken: The transfers of the deliveries that got a 2xx.
        answers: How many answers of each status there were; 0: no answer.
        wrong: Answers that no delivery should get.
    """

    def __init__(
        self, port: int, deliveries: Sequence[Delivery], *, unit: float, connections: int = 8, seed: int = 1
    ) -> None:
        self.taken: set[Told] = set()
        self.answers: Counter[int] = Counter()
        self.wrong: list[str] = []
        self._port = port
        self._unit = unit
        self._chance = random.Random(seed)
        self._open = [_Due(0.0, place, delivery) for place, delivery in enumerate(deliveries)]
        self._done, self._all = 0, len(deliveries)
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._send_all, daemon=True) for _ in range(connections)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def await_taken(self, share: float, deadline: float) -> bool:
        """Wait until this share of the deliveries was taken; return False at the deadline (monotonic)."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._done >= share * self._all, max(0.0, deadline - time.monotonic())
            )

    @property
    def left(self) -> int:
        """How many deliveries were not taken yet."""
        return self._all - self._done

    def _send_all(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        while (due := self._next()) is not None:
            try:
                status = self._send(connection, due.delivery)
            except (OSError, http.client.HTTPException):
                connection.close()
                status = 0
                time.sleep(self._unit / 10)  # or each delivery would soon have had all its pauses
            self._note(due, status)
        connection.close()

    def _next(self) -> _Due | None:
        with self._changed:
            while self.left:
                pause = self._open[0].at - time.monotonic() if self._open else None
                if pause is not None and pause <= 0:
                    return heapq.heappop(self._open)
                self._changed.wait(pause)
        return None

    def _send(self, connection: http.client.HTTPConnection, delivery: Delivery) -> int:
        path, body, headers = banks.request(delivery)
        with self._changed:
            mood = self._chance.random()
        if mood < CUTS:
            self._cut(connection, path, body, headers)
            return 0
        connection.request("POST", path, body, headers)
        if mood < CUTS + HANGS_UP:
            connection.close()
            return 0
        answer = connection.getresponse()
        text = answer.read()
        if 200 <= answer.status < 300 and not _is_success(text):
            self.wrong.append(f"{answer.status}: {text!r}")
        elif answer.status != 503 and answer.status >= 300:
            self.wrong.append(f"{answer.status}: {text!r} for {body!r}")
        return answer.status

    def _cut(
        self, connection: http.client.HTTPConnection, path: str, body: bytes, headers: dict[str, str]
    ) -> None:
        connection.putrequest("POST", path)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            connection.putheader(name, value)
        connection.endheaders(body[: len(body) // 2])
        connection.close()

    def _note(self, due: _Due, status: int) -> None:
        with self._changed:
            self.answers[status] += 1
            if 200 <= status < 300 or 400 <= status < 500:
                self._done += 1
            else:
                pause = self._unit * PAUSES[min(due.tries, len(PAUSES) - 1)]
                heapq.heappush(
                    self._open, _Due(time.monotonic() + pause, due.place, due.delivery, due.tries + 1)
                )
            if 200 <= status < 300:
                self.taken.update(due.delivery.told)
            self._changed.notify_all()


def _is_success(text: bytes) -> bool:
    try:
        return json.loads(text)["success"] is True
    except (ValueError, TypeError, KeyError):
        return False
