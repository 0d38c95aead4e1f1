"""HTTP requests and replies as values, without sockets, and the files of the page."""

from __future__ import annotations

import hashlib
import json
import math
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

#: Sent with every reply: no foreign code runs in orderctl's page, and no foreign page can embed it.
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
_ABSOLUTE: Final = re.compile(r"https?://([^/?#]+)(.*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        method: In capitals.
        path: Without the query.
        query: The last value of each parameter.
        headers: By name in lower case. The values of a header that occurs twice are joined with a comma.
        body: Its bytes.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def wants_websocket(self) -> bool:
        """Whether it asks for an upgrade to WebSocket."""
        return self.headers.get("upgrade", "").lower() == "websocket"

    def cookie(self, name: str) -> str | None:
        """Return the value of a cookie, None when there is none."""
        found = None
        # Not http.cookies: it drops them all if one, perhaps of another program on this host, is not to its liking.
        for pair in re.split("[;,]", self.headers.get("cookie", "")):
            key, _, value = pair.partition("=")
            if key.strip() == name:
                found = value.strip().strip('"')
        return found


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a request."""

    status: int
    body: bytes = b""
    type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """What a request's first line asks for.

    Attributes:
        path: As it was sent: nothing in it is decoded or resolved, so it is what a proxy in front has seen.
        query: The last value of each parameter.
        host: The host in a target that is a whole URL. It takes the place of the header ``Host``.
    """

    path: str
    query: Mapping[str, str]
    host: str | None = None


def split_target(target: str) -> tuple[str | None, str, str]:
    """Split the target of a request into host, path and query, without a check: it may be malformed."""
    host = None
    if found := _ABSOLUTE.fullmatch(target):
        host, target = found[1], found[2]
        target = target if target.startswith("/") else f"/{target}"
    path, _, query = target.partition("?")
    return host, path, query


def read_target(target: str) -> Target:
    """Read the target of a request, in one of the forms of RFC 9112, section 3.2.

    Raises:
        ValueError: When it is malformed, or has too many parameters.
    """
    host, path, query = split_target(target)
    if not path.startswith("/") and target != "*":
        raise ValueError("the target is neither a path nor a URL")
    if "#" in target:
        raise ValueError("the target has a fragment")
    if query.count("&") >= _MAX_QUERY:
        raise ValueError(f"the target has more than {_MAX_QUERY} parameters")
    return Target(path, dict(parse_qsl(query, keep_blank_values=True)), host)


def in_json(status: int, value: Any, **headers: str) -> Reply:
    """Return a reply in JSON."""
    try:
        body = _dump(value)
    except ValueError:  # another program may have stored NaN, which browsers cannot parse
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
    """Return the value with None in place of NaN and infinite numbers."""
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Pages:
    """The files of a folder, read once at the start.

    Args:
        folder: The folder that is served at ``/``; ``/`` itself is its ``index.html``.
    """

    def __init__(self, folder: Path) -> None:
        self._files = {}
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not file.name.startswith("."):
                self._files["/" + file.relative_to(folder).as_posix()] = _page(file)
        if "/index.html" in self._files:
            self._files["/"] = self._files["/index.html"]

    def find(self, request: Request) -> Reply | None:
        """Return the file of a path, or None; 304 if the browser has it already."""
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
