"""Cookies between the redirects of one request: a server may set one, and expect it at the next step.

The rules for which cookie goes to which host and path are those of :mod:`http.cookiejar`. Nothing is kept
after the request.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from itertools import accumulate
from typing import Self
from urllib.request import Request

from orderctl.downloads.urls import Url

#: Without control characters, and at most 4 KiB long (RFC 6265, section 6.1).
_SENDABLE = re.compile(r"[ -~\x80-\xff]{1,4096}")
#: Bytes of the longest header: servers refuse longer ones.
_MAX_HEADER = 8192


class Cookies:
    """The cookies of one request and its redirects."""

    def __init__(self) -> None:
        # A cookie without a domain goes back to its own host only, as in RFC 6265.
        policy = DefaultCookiePolicy(strict_ns_domain=DefaultCookiePolicy.DomainStrictNonDomain)
        self._jar = CookieJar(policy)

    def take(self, url: Url, values: Sequence[str]) -> None:
        """Keep the cookies that a response sets, except those that cannot be sent.

        Args:
            url: The URL that responded.
            values: Its headers ``Set-Cookie``.
        """
        sendable = [value for value in values if _SENDABLE.fullmatch(value.partition(";")[0])]
        self._jar.extract_cookies(_Response(sendable), _request(url))  # type: ignore[arg-type]

    def header(self, url: Url) -> dict[str, str]:
        """Return the header with the cookies for a URL, nothing when there are none."""
        request = _request(url)
        self._jar.add_cookie_header(request)
        pairs = (request.get_header("Cookie") or "").split("; ")
        lengths = accumulate(len(pair) + len("; ") for pair in pairs)
        value = "; ".join(pair for pair, length in zip(pairs, lengths, strict=True) if length <= _MAX_HEADER)
        return {"Cookie": value} if value else {}


@dataclass(frozen=True, slots=True)
class _Response:
    """The part of a response that the jar reads."""

    values: Sequence[str]

    def info(self) -> Self:
        return self

    def get_all(self, name: str, default: Sequence[str]) -> Sequence[str]:
        return self.values if name == "Set-Cookie" else default


def _request(url: Url) -> Request:
    return Request(f"{url.scheme}://{url.authority}{url.target}")  # noqa: S310 - it is never opened
