"""HTTP, as far as the relay needs it: requests in, replies out; no sockets here."""

from __future__ import annotations

import hashlib
import json
import math
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

#: On everything: nothing of a stranger's runs in our page, and our page runs in no stranger's.
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_TEXT_TYPES: Final = ("text/", "application/javascript", "application/json", "image/svg+xml")
_MAX_QUERY: Final = 50


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        method: In capitals.
        path: Without the query.
        query: The last value of each name.
        headers: By name in small letters; of a header that came twice, both, with a comma.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def wants_websocket(self) -> bool:
        """Whether it asks for an upgrade."""
        return self.headers.get("upgrade", "").lower() == "websocket"

    def cookie(self, name: str) -> str | None:
        """The value of a cookie."""
        try:
            morsel = SimpleCookie(self.headers.get("cookie", "")).get(name)
        except CookieError:
            return None
        return morsel.value if morsel else None


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered."""

    status: int
    body: bytes = b""
    type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


def read_target(target: str) -> tuple[str, dict[str, str]]:
    """Path and query of a request's target.

    Raises:
        ValueError: When it is none, or has too many parameters.
    """
    parts = urlsplit(target)
    return parts.path, dict(parse_qsl(parts.query, keep_blank_values=True, max_num_fields=_MAX_QUERY))


def in_json(status: int, value: Any, **headers: str) -> Reply:
    """A reply in JSON."""
    try:
        body = _dump(value)
    except ValueError:  # NaN, which others may have written and no browser reads
        body = _dump(_finite(value))
    return Reply(
        status,
        body.encode(),
        "application/json",
        {"Cache-Control": "no-store"} | {name.replace("_", "-"): text for name, text in headers.items()},
    )


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _finite(value: Any) -> Any:
    """The value with None for each number that is none."""
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Pages:
    """The files of a folder, read once.

    Args:
        folder: Served at ``/``, with ``index.html`` for ``/`` itself.
    """

    def __init__(self, folder: Path) -> None:
        self._files = {}
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not file.name.startswith("."):
                self._files["/" + file.relative_to(folder).as_posix()] = _page(file)
        if "/index.html" in self._files:
            self._files["/"] = self._files["/index.html"]

    def find(self, request: Request) -> Reply | None:
        """The file of a path, or None; 304 for a browser that has it."""
        page = self._files.get(request.path)
        if page is not None and request.headers.get("if-none-match") == page.headers["ETag"]:
            return Reply(304, b"", page.type, page.headers)
        return page


def _page(file: Path) -> Reply:
    body = file.read_bytes()
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    if kind.startswith(_TEXT_TYPES):
        kind += "; charset=utf-8"
    digest = hashlib.sha256(body).hexdigest()[:32]
    return Reply(200, body, kind, {"ETag": f'"{digest}"', "Cache-Control": "no-cache"})
