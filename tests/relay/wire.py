"""An HTTP client that sends any bytes, and a strict reader of answers that shares no code with the relay."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Self, TypeVar

from tests.relay.conftest import play

T = TypeVar("T")

_STATUS: Final = re.compile(rb"HTTP/1\.1 ([1-5]\d\d) [\x20-\x7e]*")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\t]*)")
_BODILESS: Final = frozenset({204, 304})
#: Fields that may stand in an answer more than once.
_LISTS: Final = frozenset({"set-cookie", "vary"})
#: A field that an answer with this status must have.
_NEEDED: Final = {401: "www-authenticate", 405: "allow", 426: "upgrade"}
#: Type of the empty ``data`` of an error at a path of the API; None elsewhere.
_SHAPES: Final[dict[str, type]] = {
    "/api/admin/orders/paid": list,
    "/api/admin/errors": list,
    "/api/admin/payments": dict,
    "/api/admin/dashboard/stats": dict,
}
_BANKS: Final = "/api/payment/webhook"


class MalformedAnswer(AssertionError):
    """Bytes from the relay are not what RFC 9112 allows."""


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        status: Its code.
        headers: By name in lower case.
        body: Empty for HEAD.
        interim: Codes of the answers 1xx before it.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    interim: tuple[int, ...] = ()

    @property
    def closes(self) -> bool:
        """Whether it says that it is the connection's last."""
        return "close" in re.split(r"[ \t,]+", self.headers.get("connection", "").lower())

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def read_head(head: bytes) -> tuple[int, dict[str, str]]:
    """Return the status and the fields of an answer's head.

    Raises:
        MalformedAnswer: It is not well-formed.
    """
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    found = _STATUS.fullmatch(first)
    if found is None:
        raise MalformedAnswer(f"no status line: {first[:200]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise MalformedAnswer(f"no field: {line[:200]!r}")
        name, value = field[1].decode().lower(), field[2].decode().rstrip()
        if name in headers and name not in _LISTS:
            raise MalformedAnswer(f"twice: {line[:200]!r}")
        headers[name] = value
    return int(found[1]), headers


def size_of_body(status: int, headers: dict[str, str], *, to_head: bool = False) -> int:
    """Return how many bytes follow a head.

    Raises:
        MalformedAnswer: Its length is missing, wrong or contradicted.
    """
    length = headers.get("content-length")
    if "transfer-encoding" in headers:
        raise MalformedAnswer("the relay sends no Transfer-Encoding")
    if length is not None and not re.fullmatch(r"[0-9]{1,9}", length):
        raise MalformedAnswer(f"Content-Length: {length}")
    if status < 200 or status == 204:
        if length is not None:
            raise MalformedAnswer(f"{status} with Content-Length")
        return 0
    if status in _BODILESS or to_head:
        return 0
    if length is None:
        raise MalformedAnswer(f"{status} without Content-Length")
    return int(length)


def check(answer: Answer) -> None:
    """Check what RFC 9110 demands of an answer with such a status.

    Raises:
        MalformedAnswer: It lacks something.
    """
    needed = _NEEDED.get(answer.status)
    if needed is not None and needed not in answer.headers:
        raise MalformedAnswer(f"{answer.status} without {needed}")
    if answer.status >= 200 and "date" not in answer.headers:
        raise MalformedAnswer(f"{answer.status} without Date")
    if answer.body and answer.headers.get("content-type", "").startswith("application/json"):
        json.loads(answer.body)


def split(data: bytes, *, heads: int = 0) -> tuple[list[Answer], bytes]:
    """Return the answers in all bytes of a connection, and what follows a 101.

    Args:
        data: The bytes.
        heads: How many of the requests may have been HEAD; which of them, the bytes show.

    Raises:
        MalformedAnswer: They are not whole, well-formed answers.
    """
    if not data:
        return [], b""
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        raise MalformedAnswer(f"cut off: {data[:200]!r}")
    status, headers = read_head(head)
    if status == 101:
        return [Answer(status, headers, b"")], rest
    size = size_of_body(status, headers)
    try:
        body = _body(rest, size)
        others, left = split(rest[size:], heads=heads)
    except MalformedAnswer:
        if not heads or not size:
            raise
        body = b""
        others, left = split(rest, heads=heads - 1)
    answer = Answer(status, headers, body)
    check(answer)
    return [answer, *others], left


def _body(rest: bytes, size: int) -> bytes:
    if len(rest) < size:
        raise MalformedAnswer(f"{len(rest)} of {size} bytes: {rest[:200]!r}")
    return rest[:size]


class Caller:
    """A connection to the relay."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, patience: float) -> None:
        self.reader = reader
        self.writer = writer
        self.patience = patience
        #: Whether the answers are the relay's own; a proxy's may lack what :func:`check` wants.
        self.strict = True

    @classmethod
    async def connect(
        cls, port: int, *, address: str = "127.0.0.1", patience: float = 30.0, **options: Any
    ) -> Self:
        """Connect from an address of this machine; each answer has to come within ``patience`` seconds."""
        opened = asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0), limit=2**20, **options)
        return cls(*await opened, patience)

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, *, to_head: bool = False) -> Answer:
        """Read the next answer, with the interim ones before it.

        Raises:
            MalformedAnswer: It is not well-formed.
            asyncio.IncompleteReadError: The relay closed the connection instead.
        """
        interim: list[int] = []
        async with asyncio.timeout(self.patience):
            while True:
                status, headers = read_head(await self.reader.readuntil(b"\r\n\r\n"))
                size = size_of_body(status, headers, to_head=to_head)
                answer = Answer(status, headers, await self.reader.readexactly(size), tuple(interim))
                if self.strict:
                    check(answer)
                if status >= 200 or status == 101:
                    return answer
                interim.append(status)

    async def ask(self, data: bytes) -> Answer:
        """Send one request and read its answer."""
        self.send(data)
        return await self.answer(to_head=data.startswith(b"HEAD "))

    async def rest(self) -> bytes:
        """Return what still comes until the relay closes the connection."""
        data = bytearray()
        async with asyncio.timeout(self.patience):
            try:
                while more := await self.reader.read(65_536):
                    data += more
            except ConnectionError:
                pass
        return bytes(data)

    async def close(self) -> None:
        self.writer.transport.abort()
        await asyncio.sleep(0)


def request(method: str, target: str, *fields: str, body: bytes = b"", host: str = "localhost") -> bytes:
    """Return a well-formed request; a body gets its Content-Length."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def probe(number: int, *fields: str) -> bytes:
    """Return a request whose answer repeats the number, so that no other answer is taken for it."""
    return request("GET", f"/api/admin/orders/paid?limit=x{number}x", *fields)


def is_probed(answer: Answer, number: int) -> bool:
    """Whether it is the answer to that probe."""
    return answer.status == 400 and b"x%dx" % number in answer.body


def complaint_about_api(answer: Answer, path: str) -> str | None:
    """Return what an error below ``/api/`` lacks, None when nothing."""
    if answer.status < 400:
        return None
    if not answer.headers.get("content-type", "").startswith("application/json"):
        return f"not JSON: {answer}"
    said = answer.json
    if not isinstance(said, dict) or not isinstance(said.get("error"), str) or "data" not in said:
        return f"no error or no data: {answer}"
    if path.partition("?")[0] == _BANKS or path.startswith(f"{_BANKS}/"):
        return None if said["data"] == [] and said.get("success") is False else f"not for banks: {answer}"
    kind = dict if path.endswith("/logs") else _SHAPES.get(path, type(None))
    return None if isinstance(said["data"], kind) else f"data of another shape: {answer}"


def talk(port: int, scenario: Callable[[Caller], Awaitable[T]]) -> T:
    async def whole() -> T:
        caller = await Caller.connect(port)
        try:
            return await scenario(caller)
        finally:
            await caller.close()

    return play(whole())


async def is_kept(caller: Caller, answer: Answer) -> bool:
    """Whether the connection answers one more request; if not, check that the answer said so."""
    if answer.closes:
        assert await caller.rest() == b""
        return False
    assert is_probed(await caller.ask(probe(7)), 7)
    return True


def ask(port: int, data: bytes) -> tuple[Answer, bool]:
    """Send one request; return its answer, and whether the connection is kept."""

    async def scenario(caller: Caller) -> tuple[Answer, bool]:
        answer = await caller.ask(data)
        return answer, await is_kept(caller, answer)

    return talk(port, scenario)


def chunks(*parts: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + end
