"""The endpoints of the admin API, for the shop's dashboard and for orderctl's own page.

    GET  /api/admin/orders/paid          a page of the paid orders
    GET  /api/admin/dashboard/stats      numbers of orders, tasks and connections
    GET  /api/admin/orders/{id}/logs     events of one order

The shop's dashboard reads these three. orderctl's own page also uses:

    GET  /api/admin/orders/{id}          one order, paid or not, with its payments
    GET  /api/admin/orders/{id}/why      why the order hangs, and what repairs it
    GET  /api/admin/tasks/{id}/why       the same of a task
    GET  /api/admin/payments             payments, or those that wait for a decision
    GET  /api/admin/errors               failed tasks, grouped by error
    GET  /api/session                    what the client's token allows
    POST /api/session                    put the token into a cookie
    POST /api/session/end                delete that cookie
    POST /api/admin/tasks/{id}/retry     if the relay runs with ``--allow-actions``
    POST /api/admin/tasks/{id}/cancel    likewise
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from orderctl import addresses, masking
from orderctl.audit import Search
from orderctl.channels import task_progress
from orderctl.errors import (
    InvalidInput,
    InvalidMessage,
    Misconfigured,
    OrderctlError,
    RedisUnavailable,
)
from orderctl.messages import decode
from orderctl.relay.access import COOKIE, Access, name_session
from orderctl.relay.api import actions, queries
from orderctl.relay.api.actions import Actions
from orderctl.relay.api.numbers import Numbers
from orderctl.relay.api.outlook import Outlook
from orderctl.relay.api.queries import Found, Json, Wanted
from orderctl.relay.api.reader import Reader
from orderctl.relay.closing import RESTART, UNAUTHORIZED
from orderctl.relay.exchange import Exchange
from orderctl.relay.web import Reply, Request, in_json
from orderctl.states import UNDECIDED

if TYPE_CHECKING:
    from sqlalchemy import Connection

_log = logging.getLogger(__name__)

_MOST_ORDERS: Final = 200
_MOST_LOGS: Final = 1000
_MOST_ERRORS: Final = 200
_MOST_PAYMENTS: Final = 200
#: Every id of a payment is lower; the ledger takes no longer number for one.
_LAST_PAYMENT: Final = 10**18 - 1
_MOST_DIGITS: Final = 19

_ORDERS: Final = "/api/admin/orders/paid"
_STATS: Final = "/api/admin/dashboard/stats"
_ERRORS: Final = "/api/admin/errors"
_PAYMENTS: Final = "/api/admin/payments"
_SESSION: Final = "/api/session"
_GOODBYE: Final = "/api/session/end"
_ONE: Final = re.compile(r"/api/admin/(orders|tasks)/([1-9][0-9]{0,18})(/logs|/why)?", re.ASCII)
_ACTION: Final = re.compile(rf"/api/admin/tasks/([1-9][0-9]{{0,18}})/({'|'.join(actions.NAMES)})", re.ASCII)

_STATUS_COUNTS: Final = ("total", "pending", "processing", "completed", "failed", "cancelled")
_TASK_COUNTS: Final = ("total", "pending", "enrolled", "downloading", "completed", "failed", "cancelled")

_Answer = Callable[[Request, Access], Awaitable[Reply]]


class Endpoints:
    """Answers requests below ``/api/``.

    Args:
        reader: Runs the database queries.
        exchange: For live progress and the number of clients.
        actions: Carries out an admin's actions; None: actions are disabled.
        outlook: Tells what orders wait for.
        secure: Whether tokens are required.
        currency: Currency of the amounts on the page.
    """

    def __init__(
        self,
        reader: Reader,
        exchange: Exchange,
        actions: Actions | None,
        outlook: Outlook,
        *,
        secure: bool,
        currency: str,
    ) -> None:
        self._read = reader.read
        self._run = reader.run
        self._exchange = exchange
        self._actions = actions
        self._outlook = outlook
        self._secure = secure
        self._currency = currency
        self._numbers = Numbers(reader)
        self._get: dict[str, _Answer] = {
            _ORDERS: self._orders,
            _STATS: self._stats,
            _ERRORS: self._errors,
            _PAYMENTS: self._payments,
        }
        self._of_one: dict[str, Callable[[Request, int], Awaitable[Reply]]] = {
            "orders": self._order,
            "orders/logs": self._logs,
            "orders/why": self._why_order,
            "tasks/why": self._why_task,
        }

    async def answer(self, request: Request, access: Access) -> Reply:
        """Answer a request that is allowed to enter; without addresses of customers if the token does not show them."""
        reply = await self._answer(request, access)
        if access.hides_addresses and request.path not in {_SESSION, _GOODBYE}:
            return await asyncio.to_thread(
                discreet, reply
            )  # a page of orders takes longer than other clients wait
        return reply

    async def _answer(self, request: Request, access: Access) -> Reply:
        try:
            return await self._route(request, access)
        except OrderctlError as error:
            return self.empty(request, error.http_status, masking.foreign(_explained(error)))
        except Exception:  # noqa: BLE001 - the page needs data of the right shape with every error
            _log.exception("%s %s failed", request.method, request.path)
            return self.empty(request, 500, "internal error")

    def empty(self, request: Request, status: int, error: str) -> Reply:
        """Return an error with empty ``data`` of the right shape: the shop's dashboard fails without it."""
        return in_json(status, {"error": error, **_empty(request.path)})

    async def _route(self, request: Request, access: Access) -> Reply:
        if request.path in {_SESSION, _GOODBYE}:
            return self._session(request, access)
        if not access.reads:
            return self.empty(request, 403, "the token's scope is not admin or viewer")
        if request.method == "POST":
            return await self._act(request, access)
        if request.path in self._get:
            return await self._get[request.path](request, access)
        match = _ONE.fullmatch(request.path)
        if match and (answer := self._of_one.get(f"{match[1]}{match[3] or ''}")):
            return await answer(request, int(match[2]))
        return self.empty(request, 404, "resource not found")

    # Reading.

    async def _orders(self, request: Request, access: Access) -> Reply:
        wanted = replace(_wanted(request), search_addresses=not access.hides_addresses)

        def query(connection: Connection) -> Found:
            return self._ahead(connection, queries.paid_orders(connection, wanted))

        found = await self._read(query)
        data = await self._in_json(found)
        return in_json(200, {"data": data, "pagination": await self._pagination(wanted, found)})

    async def _order(self, _request: Request, order_id: int) -> Reply:
        def query(connection: Connection) -> tuple[Found, list[Json]]:
            found = self._ahead(connection, queries.one_order(connection, order_id))
            return found, queries.payments_of(connection, order_id)

        found, payments = await self._read(query)
        [data] = await self._in_json(found)
        return in_json(200, {"data": {**data, "payments": payments}})

    def _ahead(self, connection: Connection, found: Found) -> Found:
        """Return what was found, with what its orders wait for."""
        return replace(found, waiting=self._outlook.of(connection, found))

    async def _in_json(self, found: Found) -> list[Json]:
        live = await self._live(task.id for found_tasks in found.tasks.values() for task in found_tasks)
        return [
            queries.order_in_json(order, found.tasks.get(order.id, ()), live, found.waiting.get(order.id))
            for order in found.orders
        ]

    async def _pagination(self, wanted: Wanted, found: Found) -> Json:
        total = found.total
        if total is None and not wanted.search:
            total = await self._numbers.total(wanted.statuses)
        return {
            "page": wanted.page,
            "limit": wanted.limit,
            "total": total,
            "totalPages": None if total is None else -(-total // wanted.limit),
            "hasMore": found.cursor is not None,
            "nextCursor": found.cursor,
        }

    async def _live(self, task_ids: Iterable[int]) -> dict[int, Json]:
        channels = [task_progress(task_id) for task_id in task_ids]
        if not channels:
            return {}
        try:
            kept = await self._exchange.feed.read(channels)
        except RedisUnavailable:
            return {}
        live = {}
        for channel, payload in zip(channels, kept, strict=True):
            try:
                if payload is not None:
                    live[channel.id] = decode(channel, payload)
            except InvalidMessage:
                continue
        return live

    async def _stats(self, request: Request, _access: Access) -> Reply:
        numbers = await self._numbers.stats(bounds=_is_set(request, "bounds"))
        return in_json(200, {"data": {**numbers, "connections": len(self._exchange.members)}})

    async def _logs(self, request: Request, order_id: int) -> Reply:
        severities = _words(request, "severity")
        wanted = Search(
            task_id=_number(request, "task", None, 2**63 - 1),
            severities=severities,
            before_id=_number(request, "before", None, 2**63 - 1),
        )
        limit = _number(request, "limit", 100, _MOST_LOGS) or 100
        found = await self._read(lambda connection: queries.logs(connection, order_id, wanted, limit=limit))
        return in_json(200, {"data": {"logs": found}})

    async def _why_order(self, _request: Request, order_id: int) -> Reply:
        known, found = await self._read(lambda connection: self._outlook.why_order(connection, order_id))
        return in_json(200, {"data": queries.why_in_json(known, found)})

    async def _why_task(self, _request: Request, task_id: int) -> Reply:
        known, found = await self._read(lambda connection: self._outlook.why_task(connection, task_id))
        return in_json(200, {"data": queries.why_in_json(known, found)})

    async def _errors(self, request: Request, _access: Access) -> Reply:
        limit = _number(request, "limit", 50, _MOST_ERRORS) or 50
        found = await self._read(lambda connection: queries.errors(connection, limit=limit))
        return in_json(200, {"data": found})

    async def _payments(self, request: Request, _access: Access) -> Reply:
        waits = _is_set(request, "open")
        limit = _number(request, "limit", 50, _MOST_PAYMENTS) or 50
        before = _number(request, "before", None, _LAST_PAYMENT)
        found = await self._read(
            lambda connection: queries.payments(connection, waits=waits, limit=limit, before=before)
        )
        return in_json(200, {"data": found})

    # Changing.

    async def _act(self, request: Request, access: Access) -> Reply:
        match = _ACTION.fullmatch(request.path)
        if match is None:
            return self.empty(request, 404, "resource not found")
        chosen = self._actions
        if chosen is None:
            return self.empty(
                request,
                403,
                "actions are disabled: start the relay with `orderctl relay start --allow-actions`",
            )

        access.require(match[2])
        take = _is_set(request, "take")

        def work() -> Json:
            return chosen.carry_out(match[2], int(match[1]), actor=access.subject, take=take)

        return in_json(200, {"data": await self._run(work)})

    def _session(self, request: Request, access: Access) -> Reply:
        ends = request.path == _GOODBYE
        if ends and request.method != "POST":
            return self.empty(request, 404, "resource not found")
        allowed = [name for name in actions.NAMES if self._actions is not None and access.may(name)]
        limited = access.expires != float("inf")
        session = {
            "subject": access.subject,
            "admin": access.admin,
            "orders": sorted(access.orders),
            "actions": bool(allowed),
            "reads": access.reads,
            "emails": access.admin or access.emails,
            "allowed": allowed,
            "expires": access.expires if limited else None,
            "currency": self._currency,
        }
        if request.method != "POST" or not self._secure:
            return in_json(200, {"data": session})
        token = request.headers.get("authorization", "").partition(" ")[2].strip()
        if not token and not ends:
            return self.empty(request, 401, "send the token in the header Authorization: Bearer TOKEN")
        self._end_session(request, "" if ends else token)
        value, age = ("", 0) if ends else (token, int(access.expires - time.time()))
        return in_json(200, {"data": session}, Set_Cookie=_cookie(request, value, age))

    def _end_session(self, request: Request, token: str) -> None:
        """Close the connections that began with the cookie that ends, or that this token replaces."""
        before = request.cookie(COOKIE)
        if before and before != token:
            # With a new cookie the client only has to connect again.
            self._exchange.end_session(name_session(before), RESTART if token else UNAUTHORIZED)


def discreet(reply: Reply) -> Reply:
    """Return a reply in JSON without the addresses of customers, whichever endpoint has made it."""
    plain = in_json(reply.status, addresses.hidden(json.loads(reply.body)))
    return replace(reply, body=plain.body)


def _explained(error: OrderctlError) -> str:
    """Return what is wrong, and for what an administrator has to repair, the command."""
    return f"{error}; hint: {error.hint}" if isinstance(error, Misconfigured) and error.hint else str(error)


def _cookie(request: Request, value: str, age: int) -> str:
    secure = "; Secure" if request.headers.get("x-forwarded-proto", "").lower() == "https" else ""
    return f"{COOKIE}={value}; Max-Age={age}; Path=/; HttpOnly; SameSite=Strict{secure}"


def _wanted(request: Request) -> Wanted:
    return Wanted(
        limit=_number(request, "limit", 20, _MOST_ORDERS) or 20,
        page=_number(request, "page", 1, 2**31) or 1,
        cursor=request.query.get("cursor") or None,
        statuses=_words(request, "status"),
        search=request.query.get("search", "").strip() or None,
    )


def _number(request: Request, name: str, default: int | None, most: int) -> int | None:
    text = request.query.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS) or int(text) < 1:
        raise InvalidInput(f"{name} must be a whole number above 0, not {text[:40]!r}")
    return min(int(text), most)


def _is_set(request: Request, name: str) -> bool:
    text = request.query.get(name, "").strip().lower()
    if text not in {"", "0", "1", "false", "true"}:
        raise InvalidInput(f"{name} must be 1 or 0, not {text[:40]!r}")
    return text in {"1", "true"}


def _words(request: Request, name: str) -> list[str] | None:
    words = [word.strip() for word in request.query.get(name, "").split(",") if word.strip()]
    return words if words and words != ["all"] else None


def _empty(path: str) -> Json:
    if path == _ORDERS:
        none: dict[str, Any] = {"page": 1, "limit": 0, "total": 0, "totalPages": 0, "hasMore": False}
        return {"data": [], "pagination": {**none, "nextCursor": None}}
    if path == _STATS:
        orders, tasks = dict.fromkeys(_STATUS_COUNTS, 0), dict.fromkeys(_TASK_COUNTS, 0)
        return {"data": {"orders": orders, "tasks": tasks, "connections": 0, "countedAt": None}}
    if path == _ERRORS:
        return {"data": []}
    if path == _PAYMENTS:
        none_wait: dict[str, int] = dict.fromkeys(UNDECIDED, 0)
        return {"data": {"payments": [], "waiting": none_wait, "before": None}}
    return {"data": {"logs": []}} if path.endswith("/logs") else {"data": None}
