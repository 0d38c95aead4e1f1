"""Tokens: signed, with scopes, an expiry and an id by which they can be revoked (JWT, HMAC-SHA256).

An id ends in a checksum that only the holder of the secret can make: a mistyped one is noticed when it is
revoked, although no table lists the tokens. A token of an earlier version, or one that another program has
signed, has no such id. Its id is made from the token.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

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
_ID: Final = re.compile(r"([0-9a-f]{16})([0-9a-f]{6})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Token:
    """What a token says, whether it has expired or not.

    Attributes:
        id: Its id.
        subject: Its owner.
        scopes: What it allows.
        issued: When it was made, in seconds since the epoch; None if it does not say.
        expires: When it expires, in seconds since the epoch.
    """

    id: str
    subject: str
    scopes: tuple[str, ...]
    issued: float | None
    expires: float


def mint(secret: str, *, scopes: Iterable[str], subject: str, issued: int, ttl: int) -> str:
    """Make a token.

    Args:
        secret: ``relay.token_secret``.
        scopes: ``admin``; ``viewer``, with ``emails``, ``action:retry`` and ``action:cancel``; ``order:ID`` for each order.
        subject: The token's owner; the audit log names it.
        issued: The present time, in seconds since the epoch.
        ttl: How long the token is valid, in seconds: at most :data:`MAX_TTL`.

    Raises:
        InvalidInput: When a scope is not valid, or the time or the token is too long.
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
        "jti": _complete(secret, secrets.token_hex(8)),
    }
    token = jwt.encode(claims, secret, algorithm=_ALGORITHM)
    if len(token) > _MAX_LENGTH:
        raise InvalidInput(
            f"the token would have {len(token)} characters, and a relay refuses more than {_MAX_LENGTH}: it needs"
            " fewer scopes or a shorter subject"
        )
    return token


def is_id(secret: str, text: str) -> bool:
    """Whether a text can be the id of a token that was signed with the secret."""
    match = _ID.fullmatch(text)
    return match is not None and hmac.compare_digest(text, _complete(secret, match[1]))


def read(secret: str, token: str) -> Token:
    """Return what a token says, also when it has expired.

    Raises:
        Unauthorized: When the token is malformed, or was not signed with the secret.
    """
    claims = _decode(secret, token, verify_exp=False)
    issued = claims.get("iat")
    return Token(
        _identify(secret, token, claims.get("jti")),
        str(claims["sub"]),
        tuple(str(claims["scope"]).split()),
        float(issued) if isinstance(issued, int | float) else None,
        float(claims["exp"]),
    )


def verify(secret: str, token: str) -> Access:
    """Return what a token allows.

    Raises:
        Unauthorized: When the token is malformed, has expired, or was not signed with the secret.
    """
    claims = _decode(secret, token, verify_exp=True)
    try:
        allowed = read_scopes(str(claims["scope"]).split())
    except InvalidInput:
        raise Unauthorized("the token is not valid") from None
    token_id = _identify(secret, token, claims.get("jti"))
    return Access(
        str(claims["sub"]),
        allowed.admin,
        allowed.orders,
        float(claims["exp"]),
        token_id,
        viewer=allowed.viewer,
        emails=allowed.emails,
        actions=allowed.actions,
    )


def _decode(secret: str, token: str, *, verify_exp: bool) -> dict[str, Any]:
    if len(token) > _MAX_LENGTH:
        raise Unauthorized("the token is too long")
    options: Any = {"require": _CLAIMS, "verify_exp": verify_exp, "verify_jti": False}
    try:
        return jwt.decode(token, secret, algorithms=[_ALGORITHM], issuer=_ISSUER, options=options)
    except jwt.ExpiredSignatureError:
        raise Unauthorized("the token has expired") from None
    except jwt.InvalidTokenError:
        raise Unauthorized("the token is not valid") from None


def _identify(secret: str, token: str, given: object) -> str:
    if isinstance(given, str) and is_id(secret, given):
        return given
    # Without the signature: some of its last bits do not count, so several texts are the same signature.
    signed = token.rpartition(".")[0]
    return _complete(secret, hashlib.sha256(signed.encode()).hexdigest()[:16])


def _complete(secret: str, start: str) -> str:
    """Return an id from its first 16 digits."""
    digest = hmac.new(secret.encode(), b"orderctl token id " + start.encode(), hashlib.sha256).hexdigest()
    return start + digest[:6]
