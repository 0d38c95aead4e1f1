"""Tokens: signed, with scopes and an end (JWT, HMAC-SHA256)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import jwt

from orderctl.errors import InvalidInput
from orderctl.relay.access import Access, Unauthorized, read_scopes

_ALGORITHM: Final = "HS256"
_ISSUER: Final = "orderctl"
_CLAIMS: Final = ["exp", "sub", "scope"]
#: Longer ones are not even looked at.
_MAX_LENGTH: Final = 4096


def mint(secret: str, *, scopes: Iterable[str], subject: str, issued: int, ttl: int) -> str:
    """Make a token.

    Args:
        secret: ``relay.token_secret``.
        scopes: ``admin``, or ``order:ID`` for each order.
        subject: Whose it is; the audit log names it.
        issued: Now, in seconds since the epoch.
        ttl: How long it is good, in seconds.

    Raises:
        InvalidInput: When a scope is none.
    """
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
    """What a token grants.

    Raises:
        Unauthorized: When it is not ours, expired, or none at all.
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
