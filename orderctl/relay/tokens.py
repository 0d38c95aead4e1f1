"""Tokens: signed, with scopes and an expiry (JWT, HMAC-SHA256)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import jwt

from orderctl.errors import InvalidInput
from orderctl.relay.access import Access, Unauthorized, read_scopes

_ALGORITHM: Final = "HS256"
_ISSUER: Final = "orderctl"
_CLAIMS: Final = ["exp", "sub", "scope"]
#: How long a token may be valid, in seconds.
MAX_TTL: Final = 365 * 86400
#: Longest token, in characters. A longer one is refused before it is parsed.
_MAX_LENGTH: Final = 4096


def mint(secret: str, *, scopes: Iterable[str], subject: str, issued: int, ttl: int) -> str:
    """Make a token.

    Args:
        secret: ``relay.token_secret``.
        scopes: ``admin``, or ``order:ID`` for each order.
        subject: The token's owner; the audit log names it.
        issued: The present time, in seconds since the epoch.
        ttl: How long the token is valid, in seconds: at most :data:`MAX_TTL`.

    Raises:
        InvalidInput: When a scope is not valid, or the time is too long.
    """
    if ttl > MAX_TTL:
        raise InvalidInput(f"a token may be valid for {MAX_TTL // 86400} days at most")
    chosen = list(scopes)
    read_scopes(chosen)
    claims = {
        "iss": _ISSUER,
        "sub": subject,
        "scope": " ".join(chosen),
        "iat": issued,
        "exp": issued + ttl,
    }
    return jwt.encode(claims, secret, algorithm=_ALGORITHM)


def verify(secret: str, token: str) -> Access:
    """Return what a token allows.

    Raises:
        Unauthorized: When the token is malformed, has expired, or was not signed with the secret.
    """
    if len(token) > _MAX_LENGTH:
        raise Unauthorized("the token is too long")
    try:
        claims = jwt.decode(
            token, secret, algorithms=[_ALGORITHM], issuer=_ISSUER, options={"require": _CLAIMS}
        )
        admin, orders = read_scopes(str(claims["scope"]).split())
    except jwt.ExpiredSignatureError:
        raise Unauthorized("the token has expired") from None
    except (jwt.InvalidTokenError, InvalidInput):
        raise Unauthorized("the token is not valid") from None
    return Access(str(claims["sub"]), admin=admin, orders=orders, expires=float(claims["exp"]))
