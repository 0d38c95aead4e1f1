"""Well-formed, malformed and mutated HTTP requests for the fuzzer, each with what may answer it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tests.relay.wire import request

#: Statuses that a well-formed request may get, and a malformed one.
SERVED: Final = frozenset({200, 204, 304, 400, 401, 403, 404, 405, 409, 413, 415, 417, 421, 426, 431, 501})
REFUSED: Final = frozenset({400, 405, 408, 411, 413, 414, 417, 421, 426, 431, 501, 505})

PATHS: Final = (
    "/",
    "/healthz",
    "/metrics",
    "/ws",
    "/socket.io/?EIO=4&transport=polling",
    "/api/session",
    "/api/session/end",
    "/api/admin/orders/paid?page=1&limit=2",
    "/api/admin/orders/paid?limit=x",
    "/api/admin/orders/1/logs?limit=5",
    "/api/admin/dashboard/stats",
    "/api/admin/errors",
    "/api/admin/payments?open=1&limit=5",
    "/api/admin/payments?before=x",
    "/api/admin/tasks/1/retry",
    "/api/admin/nothing",
    "/api/",
    "/nothing",
    "//x/metrics",
    "//healthz",
    "/./healthz",
    "/%68ealthz",
    "/healthz#x",
    "/?" + "a=b&" * 40,
    "/" + "x" * 3000,
    "http://localhost/healthz",
    "http://localhost:1/api/session",
)
_METHODS: Final = ("GET", "GET", "GET", "HEAD", "OPTIONS", "POST", "POST", "PUT", "DELETE", "PATCH", "TRACE")
_ODD_METHODS: Final = ("get", "BREW", "M-SEARCH", "QUERY", "PROPFIND", "X" * 300, "!#$%&'*+-.^_`|~")

#: The target of a request; some faults change it.
_TARGET: Final = re.compile(rb"[A-Z]+ ([!-~]*)")


@dataclass(frozen=True)
class Case:
    """What is sent on a connection.

    Attributes:
        data: The bytes.
        methods: Of each request, in order; None where the bytes have no certain meaning.
        paths: Of each request.
        served: Whether all requests are well-formed.
        upgrades: Whether it may be a WebSocket handshake, behind which nothing may be sent.
    """

    data: bytes
    methods: tuple[str, ...] | None
    paths: tuple[str, ...] = ()
    served: bool = True
    upgrades: bool = False


def well_formed(chance: random.Random, fields: Sequence[str]) -> Case:
    """Return one request, with a body or without."""
    method = chance.choice(_METHODS if chance.random() < 0.95 else _ODD_METHODS)
    target = chance.choice(PATHS)
    extra = [*fields, *chance.choice(_EXTRAS)]
    data = chance.choice(_BODIES)(chance, method, target, extra)
    return Case(data, (method,), (target,))


def pipelined(chance: random.Random, fields: Sequence[str]) -> Case:
    """Return several requests at once."""
    cases = [well_formed(chance, fields) for _ in range(chance.randrange(2, 9))]
    methods = tuple(case.methods[0] for case in cases if case.methods)
    return Case(b"".join(case.data for case in cases), methods, tuple(case.paths[0] for case in cases))


def malformed(chance: random.Random, fields: Sequence[str]) -> Case:
    """Return one request that breaks a rule, or bytes of another protocol."""
    if chance.random() < 0.15:
        return Case(chance.choice(_FOREIGN)(chance), None, served=False)
    method, target = chance.choice(_METHODS[:6]), chance.choice(PATHS[:18])
    data = chance.choice(_BREAKS)(chance, request(method, target, *fields))
    asked = _TARGET.match(data)
    assert asked is not None
    return Case(data, (method,), (asked[1].decode(),), served=False)


def mutated(chance: random.Random, fields: Sequence[str]) -> Case:
    """Return any of the others with bytes changed, cut, doubled or inserted."""
    make = chance.choice([well_formed, well_formed, pipelined, malformed, upgrade])
    changed = bytearray(make(chance, fields).data[:40_000])
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(changed) + 1)
        match chance.randrange(6):
            case 0 if place < len(changed):
                changed[place] = chance.randrange(256)
            case 1:
                del changed[place : place + chance.randrange(1, 20)]
            case 2:
                changed[place:place] = chance.choice(_INSERTS)
            case 3:
                changed[place:place] = changed[: min(place, 2000)]
            case 4:
                del changed[place:]
            case _:
                changed[place:place] = chance.randbytes(chance.randrange(1, 9))
    return Case(bytes(changed), None, served=False)


def upgrade(chance: random.Random, fields: Sequence[str]) -> Case:
    """Return an upgrade, whole or broken."""
    lines = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
    lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    if chance.random() < 0.7:
        lines[chance.randrange(4)] = chance.choice(
            ["Upgrade: h2c", "Connection: close", "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 99", "X: y"]
        )
    target = chance.choice(
        ["/ws", "/socket.io/?EIO=4&transport=websocket", "/socket.io/?EIO=3", "/x", "/api/"]
    )
    method = chance.choice(["GET"] * 6 + ["POST", "HEAD"])
    return Case(request(method, target, *lines, *fields), None, served=False, upgrades=True)


Body = Callable[[random.Random, str, str, Sequence[str]], bytes]


def _without(_chance: random.Random, method: str, target: str, fields: Sequence[str]) -> bytes:
    return request(method, target, *fields)


def _counted(chance: random.Random, method: str, target: str, fields: Sequence[str]) -> bytes:
    smuggled = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
    body = chance.choice([smuggled, b"{}", chance.randbytes(chance.randrange(1, 1500))])
    return request(method, target, *fields, body=body)


def _chunked(chance: random.Random, method: str, target: str, fields: Sequence[str]) -> bytes:
    head = request(method, target, *fields, "Transfer-Encoding: chunked")
    chunks = b""
    for _ in range(chance.randrange(4)):
        size = chance.choice([1, 2, 17, 300])
        extension = chance.choice([b"", b"", b";a=b", b';a="b c"'])
        chunks += b"%x%b\r\n%b\r\n" % (size, extension, chance.randbytes(size))
    return head + chunks + b"0\r\n" + chance.choice([b"", b"", b"X-Trailer: x\r\n"]) + b"\r\n"


def _expecting(chance: random.Random, method: str, target: str, fields: Sequence[str]) -> bytes:
    return _counted(chance, method, target, [*fields, "Expect: 100-continue"])


_BODIES: Final[Sequence[Body]] = (_without, _without, _counted, _chunked, _expecting)
_EXTRAS: Final[Sequence[Sequence[str]]] = (
    *[()] * 6,
    ("X-Orderctl-Action: 1",),
    ("Cookie: orderctl_token=x; a=b",),
    ("Origin: https://evil.example",),
    ("Accept-Encoding: gzip, br", "User-Agent: fuzz", "Accept: */*"),
    ("X-Same: 1", "X-Same: 2", "X-Empty:"),
    ("connection: keep-alive",),
    ("If-None-Match: *", "Range: bytes=0-1", "If-Modified-Since: x"),
    ("X-Large: " + "x" * 6000,),
)

Break = Callable[[random.Random, bytes], bytes]


def _with_line(line: bytes, body: bytes = b"") -> Break:
    return lambda _chance, whole: whole.removesuffix(b"\r\n") + line + b"\r\n\r\n" + body


def _instead(old: bytes, new: bytes) -> Break:
    return lambda _chance, whole: whole.replace(old, new, 1)


_CHUNKED = b"Transfer-Encoding: chunked"
_BREAKS: Final[Sequence[Break]] = (
    _with_line(b"Content-Length: 3\r\n" + _CHUNKED, b"3\r\nabc\r\n0\r\n\r\n"),
    _with_line(_CHUNKED + b"\r\nContent-Length: 3", b"3\r\nabc\r\n0\r\n\r\n"),
    _with_line(b"Content-Length: 3\r\nContent-Length: 4", b"abcd"),
    _with_line(b"Content-Length: -1"),
    _with_line(b"Content-Length: +3", b"abc"),
    _with_line(b"Content-Length: 0x3", b"abc"),
    _with_line(b"Content-Length: " + b"9" * 30),
    _with_line(b"Content-Length: 99999999"),
    _with_line(_CHUNKED, b"x\r\nabc\r\n0\r\n\r\n"),
    _with_line(_CHUNKED, b"-1\r\nabc\r\n0\r\n\r\n"),
    _with_line(_CHUNKED, b"3\r\nabcd\r\n0\r\n\r\n"),
    _with_line(_CHUNKED, b"f" * 40 + b"\r\n"),
    _with_line(_CHUNKED, b"1;" + b"x" * 70_000),
    _with_line(_CHUNKED, (b"4000\r\n" + b"x" * 0x4000 + b"\r\n") * 8),
    _with_line(_CHUNKED, b"0\r\n" + b"X: y\r\n" * 9000),
    _with_line(b"Transfer-Encoding: gzip"),
    _with_line(b"Transfer-Encoding: gzip, chunked", b"0\r\n\r\n"),
    _with_line(b"Transfer-Encoding: chunked, chunked", b"0\r\n\r\n"),
    _with_line(b"Transfer-Encoding : chunked", b"0\r\n\r\n"),
    _with_line(b"Folded: a\r\n\tTransfer-Encoding: chunked\r\n b\x00"),
    _with_line(b"Space : x"),
    _with_line(b"Nul: a\0b"),
    _with_line(b"Bare: a\rb"),
    _with_line(b"no colon"),
    _with_line(b": no name"),
    _with_line(b"Host: evil.example"),
    _with_line(b"Huge: " + b"x" * 20_000),
    _with_line(b"a: b\r\n" * 9000 + b"x: y"),
    _instead(b"Host: localhost\r\n", b""),
    _instead(b"Host: localhost", b"Host: local host"),
    _instead(b"Host: localhost", b"Host: evil.example"),
    _instead(b" HTTP/1.1", b" HTTP/3.0"),
    _instead(b" HTTP/1.1", b" HTTP/1.1.1"),
    _instead(b" HTTP/1.1", b" http/1.1"),
    _instead(b" HTTP/1.1", b" x HTTP/1.1"),
    _instead(b" HTTP/1.1", b"\0 HTTP/1.1"),
    _instead(b" HTTP/1.1", b"\xff\xfe HTTP/1.1"),
    _instead(b" HTTP/1.1", b"/" + b"x" * 20_000 + b" HTTP/1.1"),
)
_FOREIGN: Final[Sequence[Callable[[random.Random], bytes]]] = (
    lambda _chance: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\x12\x04\0\0\0\0\0" + bytes(18),
    lambda chance: b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + chance.randbytes(500),
    lambda chance: chance.randbytes(chance.randrange(1, 5000)),
    lambda _chance: b"GET /healthz\r\n",
    lambda _chance: b"\r\n" * 9000,
    lambda _chance: b"*1\r\n$4\r\nPING\r\n",
    lambda _chance: b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
    lambda _chance: b"SSH-2.0-OpenSSH_9.6\r\n",
)
_INSERTS: Final = (
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"\x80",
    b"/../",
    b"%00",
    b"HTTP/1.0",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Expect: 100-continue\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"x" * 17_000,
)
