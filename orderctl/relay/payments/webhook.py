"""The path to which banks send what they tell of transfers.

    POST /api/payment/webhook               the provider is told apart by the document's fields
    POST /api/payment/webhook/{provider}    the provider is named

It needs no token of the relay's: each provider proves by itself who it is. An answer has ``success``, which banks look
at; what is not a 2xx they send again.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

from orderctl import masking
from orderctl.errors import InvalidInput, NotFound, OrderctlError, Unavailable
from orderctl.payments.intake import Receipt
from orderctl.payments.providers.protocol import Delivery
from orderctl.payments.transfer import Transfer
from orderctl.relay.access import is_loopback_host
from orderctl.relay.api.threads import Threads
from orderctl.relay.metrics import Tally
from orderctl.relay.payments.accepted import Accepted, NotAuthentic
from orderctl.relay.payments.attempts import Attempts, Later, Repeated
from orderctl.relay.payments.bookings import DEADLINE
from orderctl.relay.web import Reply, Request, in_json

_log = logging.getLogger(__name__)

PATH: Final = "/api/payment/webhook"
#: Longest body, in bytes: a list of some hundred transfers.
MOST_BYTES: Final = 256 * 1024
_METHODS: Final = ("OPTIONS", "POST")
_START: Final = (
    "payments are not accepted here: start the relay with `orderctl relay start --accept-payments`"
)
_CHALLENGE: Final = 'Apikey realm="payments"'
_UNAVAILABLE: Final = Unavailable.http_status
#: Pause before a bank whose payment could not be written should send it again, in seconds.
_RETRY_AFTER: Final = 5
#: A longer body is read in a thread: it takes milliseconds, in which no other client would be served.
_LONG: Final = 8 * 1024
#: Headers that a proxy adds. It makes strangers look as if they were on this machine.
_OF_PROXIES: Final = ("forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip")

#: Reasons why a request is refused, as the metrics name them.
UNAUTHENTICATED: Final = "unauthenticated"
INVALID: Final = "invalid"
UNKNOWN: Final = "unknown"
UNAVAILABLE: Final = "unavailable"
FAILED: Final = "failed"


class Books(Protocol):
    """Writes transfers; see :class:`orderctl.relay.payments.bookings.Bookings`."""

    async def receive(self, transfers: Sequence[Transfer]) -> list[Receipt]:
        """Write the transfers, and return when they are committed."""


class Webhook:
    """Answers the requests of banks and payment services.

    Args:
        accepted: Who may tell of payments; None: nobody, and each request gets 404.
        books: Writes the transfers; None if nobody may tell of any.
        tally: Counts refused requests.
        clock: Returns the time in seconds.
        later: Calls a function after some seconds.
    """

    methods: tuple[str, ...] = _METHODS
    most_bytes: int = MOST_BYTES

    def __init__(
        self,
        accepted: Accepted | None = None,
        books: Books | None = None,
        tally: Tally | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        later: Later | None = None,
    ) -> None:
        self._accepted = accepted
        self._books = books
        self._tally = tally or Tally()
        self._attempts = Attempts(clock)
        later = later or _later
        self._failed = Repeated(later, _log.warning, "payment webhooks were not authenticated")
        self._astray = Repeated(later, _log.warning, "payment webhooks were answered with 404")
        self._invalid = Repeated(later, _log.warning, "payment webhooks were not valid")
        self._unavailable = Repeated(later, _log.warning, "payment webhooks were answered with 503")
        self._threads = Threads(1, name="relay-webhooks")

    def serves(self, path: str) -> bool:
        """Whether the path belongs to banks."""
        return path == PATH or path.startswith(f"{PATH}/")

    def empty(self, status: int, error: str) -> Reply:
        """Return an error in the form that banks know."""
        again = {"Retry_After": str(_RETRY_AFTER)} if status == _UNAVAILABLE else {}
        return in_json(status, {"success": False, "error": error, "data": []}, **again)

    async def answer(self, request: Request) -> Reply:
        """Answer a request for one of these paths; whatever happens, in the form that banks know."""
        try:
            return await self._answer(request)
        except NotAuthentic as error:
            return self._not_authentic(request, error)
        except InvalidInput as error:
            return self._not_valid(request, error)
        except NotFound as error:
            return self._unknown(error)
        except OrderctlError as error:
            return self._not_written(error)
        except Exception as error:  # noqa: BLE001 - every request gets an answer
            self._tally.refused_payments[FAILED] += 1
            _log.error("a payment webhook failed: %s", _trace(error))
            return self.empty(500, "internal error")

    async def _answer(self, request: Request) -> Reply:
        if self._accepted is None or self._books is None:
            return self.empty(404, _START)
        name = self._name(request.path, self._accepted)
        if request.method != "POST":
            error = f"{request.method} is not supported here: payments are sent by POST"
            return _with(self.empty(405, error), Allow=", ".join(_METHODS))
        if not self._accepted.guarded and (refused := _refuse_stranger(request)) is not None:
            self._tally.refused_payments[UNAUTHENTICATED] += 1
            return self.empty(*refused)
        delivery = Delivery(request.headers, request.body, time.time())
        transfers = await self._read(self._accepted, delivery, name)
        receipts = await self._books.receive(transfers)
        return in_json(200, {"success": True, "data": [_told(receipt) for receipt in receipts]})

    def _name(self, path: str, accepted: Accepted) -> str | None:
        name = path.removeprefix(PATH).removeprefix("/")
        if path == PATH:
            return None
        if name not in accepted.senders:
            raise NotFound("no such provider is accepted here")
        return name

    async def _read(self, accepted: Accepted, delivery: Delivery, name: str | None) -> list[Transfer]:
        if len(delivery.body) <= _LONG:
            return accepted.read(delivery, name)
        return await self._threads.run(lambda: accepted.read(delivery, name), deadline=DEADLINE)

    # Refusing.

    def _not_authentic(self, request: Request, error: NotAuthentic) -> Reply:
        self._tally.refused_payments[UNAUTHENTICATED] += 1
        reason = error.__cause__ or "check the provider's secret"
        self._failed.note(f"a payment webhook to {request.path} was not authenticated: {reason}")
        wait = self._attempts.fail()
        if wait:
            return _with(self.empty(429, "too many requests were not authenticated"), Retry_After=str(wait))
        return _with(self.empty(error.http_status, str(error)), WWW_Authenticate=_CHALLENGE)

    def _unknown(self, error: NotFound) -> Reply:
        self._tally.refused_payments[UNKNOWN] += 1
        self._astray.note(f"a payment webhook was answered with 404: {error}")
        return self.empty(error.http_status, str(error))

    def _not_valid(self, request: Request, error: InvalidInput) -> Reply:
        """Answer what is wrong. Only the provider learns it: what it sent does not belong into the log."""
        self._tally.refused_payments[INVALID] += 1
        self._invalid.note(f"a payment webhook to {request.path} was not valid: its answer (400) says why")
        return self.empty(error.http_status, masking.foreign(str(error)))

    def _not_written(self, error: OrderctlError) -> Reply:
        """Answer that it has to be sent again. Only the log has the whole reason: it may name the shop's servers."""
        self._tally.refused_payments[UNAVAILABLE] += 1
        self._unavailable.note(f"a payment webhook was answered with 503: {error}")
        return self.empty(_UNAVAILABLE, (type(error).__doc__ or "").partition("\n")[0].rstrip("."))


def _told(receipt: Receipt) -> dict[str, Any]:
    return {"id": receipt.payment.id, "outcome": str(receipt.payment.outcome)}


def _refuse_stranger(request: Request) -> tuple[int, str] | None:
    """Return why a request without a secret is not from a program of this machine: the status and the error."""
    headers = request.headers
    if any(name in _OF_PROXIES or name.startswith("x-forwarded-") for name in headers):
        return 403, "payments without a secret are not accepted through a proxy"
    if not is_loopback_host(headers.get("host")):
        return 403, "payments without a secret are accepted at 127.0.0.1 and localhost only"
    if "origin" in headers:
        return 403, "payments without a secret are not accepted from web pages"
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return 415, "the body must be JSON, and so must its Content-Type: application/json"
    return None


def _with(reply: Reply, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return dataclasses.replace(reply, headers={**reply.headers, **named})


def _later(seconds: float, call: Callable[[], object]) -> object:
    return asyncio.get_running_loop().call_later(seconds, call)


def _trace(error: BaseException) -> str:
    """Return where an exception comes from, without its text, in which a library may repeat a payment or a secret."""
    return "\n".join(_lines(error))


def _lines(error: BaseException | None) -> Iterator[str]:
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield f"{type(error).__module__}.{type(error).__qualname__}"
        yield from (line.rstrip("\n") for line in traceback.format_tb(error.__traceback__))
        error = error.__cause__ or error.__context__
