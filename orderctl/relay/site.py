"""The relay's HTTP paths: the checks of each request, and its routing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from orderctl.relay import metrics
from orderctl.relay.access import COOKIE, LOCAL_ADMIN, Access, Gate, Unauthorized, name_session
from orderctl.relay.revocations import Revocations
from orderctl.relay.rooms import Dialect
from orderctl.relay.tokens import verify
from orderctl.relay.web import SECURITY_HEADERS, Pages, Reply, Request, in_json

API: Final = "/api/"
#: Header that a POST must have. orderctl's own page sends it; forms and foreign pages cannot.
ACTION_HEADER: Final = "X-Orderctl-Action"

_WEBSOCKETS: Final = {"/ws": Dialect.PLAIN, "/socket.io/": Dialect.SOCKETIO, "/socket.io": Dialect.SOCKETIO}
_EIO: Final = "4"
_VERSION: Final = "13"
_HEALTH: Final = "/healthz"
#: Longest bodies, in bytes, below :data:`API` and elsewhere.
_MOST_BYTES: Final = 64 * 1024
_MOST_BYTES_ELSEWHERE: Final = 16 * 1024
#: Pause before a client that was refused should come again, in seconds.
_RETRY_AFTER: Final = 10


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The decision that a request becomes a WebSocket connection.

    Attributes:
        dialect: The protocol of the client.
        access: What the client's token allows; None if it has not sent one yet.
    """

    dialect: Dialect
    access: Access | None


class Api(Protocol):
    """Answers requests below ``/api/``."""

    async def answer(self, request: Request, access: Access) -> Reply:
        """Answer a request that is allowed to enter."""

    def empty(self, request: Request, status: int, error: str) -> Reply:
        """Return an error with empty ``data`` of the right shape: the shop's dashboard fails without it."""


class Banks(Protocol):
    """Answers the paths of banks, which need no token of the relay's: each bank proves by itself who it is.

    Attributes:
        methods: The methods of these paths.
        most_bytes: The longest body, in bytes.
    """

    methods: tuple[str, ...]
    most_bytes: int

    def serves(self, path: str) -> bool:
        """Whether the path is one of them."""

    async def answer(self, request: Request) -> Reply:
        """Answer a request for one of them."""

    def empty(self, status: int, error: str) -> Reply:
        """Return an error in the form that banks know."""


class Probes(NamedTuple):
    """What the paths for monitoring return."""

    healthy: Callable[[], bool]  #: Whether Redis answers.
    exposition: Callable[[], bytes]  #: Returns the metrics as text.


class Site:
    """Answers HTTP requests.

    Args:
        gate: Checks ``Host`` and ``Origin``.
        secret: Signs tokens; None: no tokens, every client may do everything.
        pages: The files of orderctl's own page.
        api: Answers requests below ``/api/``.
        banks: Answers the paths of banks, which are below ``/api/``, too.
        probes: What the paths for monitoring return.
        actions: Whether clients may change tasks by POST.
        revocations: The revoked tokens.
    """

    def __init__(
        self,
        gate: Gate,
        secret: str | None,
        pages: Pages,
        api: Api,
        banks: Banks,
        probes: Probes,
        *,
        actions: bool,
        revocations: Revocations | None = None,
    ) -> None:
        self._gate = gate
        self._revocations = revocations or Revocations()
        self._secret = secret
        self._pages = pages
        self._api = api
        self._banks = banks
        self._healthy, self._exposition = probes
        self._probes = {_HEALTH: self._health, "/metrics": self._metrics}
        self._actions = actions
        #: With a secret, POST also begins and ends a session.
        self._methods = ("GET", "HEAD", "OPTIONS", *(["POST"] if actions or secret else []))

    async def answer(self, request: Request) -> Reply | Upgrade:
        """Answer a request, or decide that it becomes a WebSocket connection."""
        is_of_bank = self._banks.serves(request.path)
        if self._secret is not None and request.path != _HEALTH and not is_of_bank:
            await self._revocations.wait_tried()
        found = self._refuse(request) or await (
            self._banks.answer(request) if is_of_bank else self._route(request)
        )
        return found if isinstance(found, Upgrade) else self.dress(request, found)

    def refuse(self, request: Request, status: int, error: str) -> Reply:
        """Return an error that was found before a request could be routed; in the shape that its path has."""
        return self.dress(request, self._error(request, status, error))

    def overloaded(self, request: Request, *, of_address: bool) -> Reply:
        """Return the error for a client that a limit keeps out."""
        of_all = "in all are connected (relay.max_connections)"
        whose = (
            "from this address are connected (relay.max_connections_per_address)" if of_address else of_all
        )
        error = f"too many clients {whose}; try again later"
        reply = self.refuse(request, 503, error)
        return dataclasses.replace(reply, headers={**reply.headers, "Retry-After": str(_RETRY_AFTER)})

    def dress(self, request: Request, reply: Reply) -> Reply:
        """Return a reply with the headers that all replies have."""
        headers = {**SECURITY_HEADERS, **reply.headers, **self._cross_origin(request)}
        return dataclasses.replace(reply, headers=headers)

    def most_bytes(self, request: Request) -> int:
        """Return the longest body of a request, in bytes. None has a meaning yet; a client may send one."""
        if self._banks.serves(request.path):
            return self._banks.most_bytes
        return _MOST_BYTES if request.path.startswith(API) else _MOST_BYTES_ELSEWHERE

    def is_probe(self, request: Request) -> bool:
        """Whether it asks for the relay's health, which no limit may keep it from."""
        return request.path == _HEALTH

    def verify(self, token: str) -> Access:
        """Return what a token allows.

        Raises:
            Unauthorized: When it is not a valid token.
        """
        if self._secret is None:
            return LOCAL_ADMIN
        access = verify(self._secret, token)
        self._revocations.check(access)
        return access

    def identify(self, request: Request) -> Access | None:
        """Return what the token in a request's header or cookie allows; None when there is no token.

        Raises:
            Unauthorized: When the token is not valid.
        """
        if self._secret is None:
            return LOCAL_ADMIN
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.verify(token.strip())
        cookie = request.cookie(COOKIE)
        return dataclasses.replace(self.verify(cookie), session=name_session(cookie)) if cookie else None

    def _refuse(self, request: Request) -> Reply | None:
        host, origin = request.headers.get("host"), request.headers.get("origin")
        # Without a host it is HTTP/1.0, which no browser sends: a health check of HAProxy, for example.
        if host is not None and not self._gate.knows(host):
            return self._error(request, 421, "this host name is not allowed: see the setting relay.hosts")
        if not self._gate.admits(origin, host):
            return self._error(request, 403, "this origin is not allowed: see the setting relay.origins")
        if request.method == "OPTIONS":
            return Reply(204, headers={"Allow": ", ".join(self._methods_of(request))})
        if request.method not in self._methods and not self._banks.serves(request.path):
            reply = self._error(request, 405, f"{request.method} is not supported")
            return dataclasses.replace(reply, headers={**reply.headers, "Allow": ", ".join(self._methods)})
        return None

    def _methods_of(self, request: Request) -> tuple[str, ...]:
        return self._banks.methods if self._banks.serves(request.path) else self._methods

    def _error(self, request: Request, status: int, error: str) -> Reply:
        if self._banks.serves(request.path):
            return self._banks.empty(status, error)
        if request.path.startswith(API):
            return self._api.empty(request, status, error)
        return in_json(status, {"error": error})

    async def _route(self, request: Request) -> Reply | Upgrade:
        try:
            access = self.identify(request)
        except Unauthorized as error:
            reply = self._error(request, error.http_status, str(error))
            return dataclasses.replace(reply, headers={**reply.headers, "WWW-Authenticate": "Bearer"})
        if request.path in _WEBSOCKETS:
            return self._upgrade(request, access)
        if request.path.startswith(API):
            return await self._answer_api(request, access)
        if request.method == "POST":
            return in_json(405, {"error": "POST is not supported here"}, Allow="GET, HEAD, OPTIONS")
        if request.path in self._probes:
            return self._probes[request.path](access)
        return self._pages.find(request) or in_json(404, {"error": "page not found"})

    def _upgrade(self, request: Request, access: Access | None) -> Reply | Upgrade:
        dialect = _WEBSOCKETS[request.path]
        refused = _refuse_socketio(request) if dialect is Dialect.SOCKETIO else None
        return refused or _refuse_handshake(request) or Upgrade(dialect, access)

    async def _answer_api(self, request: Request, access: Access | None) -> Reply:
        if access is None:
            reply = self._api.empty(request, 401, "a token is required")
            return dataclasses.replace(reply, headers={**reply.headers, "WWW-Authenticate": "Bearer"})
        if request.method == "POST" and not request.headers.get(ACTION_HEADER.lower()):
            return self._api.empty(request, 403, f"the header {ACTION_HEADER} is missing")
        return await self._api.answer(request, access)

    def _health(self, _access: Access | None) -> Reply:
        if self._healthy():
            return in_json(200, {"status": "ok"})
        return in_json(503, {"status": "degraded", "error": "Redis does not answer"})

    def _metrics(self, access: Access | None) -> Reply:
        if access is None or not access.reads:
            return in_json(
                401,
                {"error": "a token with the scope admin or viewer is required"},
                WWW_Authenticate="Bearer",
            )
        return Reply(200, self._exposition(), metrics.CONTENT_TYPE, {"Cache-Control": "no-store"})

    def _cross_origin(self, request: Request) -> dict[str, str]:
        origin = request.headers.get("origin")
        if origin is None or not self._gate.lists(origin):
            return {"Vary": "Origin"}
        allowed = {
            "Vary": "Origin",
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Credentials": "true",
            "Cross-Origin-Resource-Policy": "cross-origin",
        }
        if request.method == "OPTIONS":
            allowed |= {
                "Access-Control-Allow-Methods": ", ".join(self._methods_of(request)),
                "Access-Control-Allow-Headers": f"Authorization, Content-Type, {ACTION_HEADER}",
                "Access-Control-Max-Age": "600",
            }
        return allowed


def _refuse_socketio(request: Request) -> Reply | None:
    if request.query.get("transport") != "websocket":
        return in_json(400, {"code": 0, "message": 'use transports: ["websocket"]'})
    if request.query.get("EIO") != _EIO:
        return in_json(400, {"code": 5, "message": "Unsupported protocol version: use EIO=4"})
    return None


def _refuse_handshake(request: Request) -> Reply | None:
    """Return an error for what is not the beginning of a WebSocket connection (RFC 6455, 4.1 and 4.4)."""
    if not request.wants_websocket:
        return in_json(426, {"error": "this path is for WebSocket connections only"}, Upgrade="websocket")
    if request.method != "GET":
        return in_json(405, {"error": f"{request.method} is not supported here"}, Allow="GET, OPTIONS")
    if request.headers.get("sec-websocket-version", _VERSION) != _VERSION:
        error = f"only version {_VERSION} of WebSocket is supported"
        return in_json(426, {"error": error}, Upgrade="websocket", Sec_WebSocket_Version=_VERSION)
    if request.body:
        return in_json(400, {"error": "a WebSocket handshake has no body"})
    return None
