"""Reads tokens and their ids, and tells what is known of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from orderctl.cli.app import App
from orderctl.counting import counted
from orderctl.errors import InvalidInput, Misconfigured, NotFound, NotMigrated, Unavailable
from orderctl.terminal.render import Column
from orderctl.terminal.table import UUID

if TYPE_CHECKING:
    from orderctl.relay.tokens import Token

TOKENS: Final = (
    Column("token_id", "ID", keep=True, least=UUID),
    Column("state"),
    Column("subject"),
    Column("scopes", show=" ".join),
    Column("issued_at", "ISSUED"),
    Column("expires_at", "EXPIRES"),
    Column("revoked_at", "REVOKED"),
    Column("revoked_by", "BY"),
)
REVOKED: Final = (
    Column("token_id", "ID", keep=True, least=UUID),
    Column("revoked_at", "REVOKED"),
    Column("revoked_by", "BY"),
    Column("expires_at", "UNTIL"),
)
_SECRET_HINT: Final = "openssl rand -hex 32 creates one; relay.token_secret_file reads it from a file"  # noqa: S105
_MOST: Final = 1_000_000


def secret(app: App) -> str:
    """Return ``relay.token_secret``.

    Raises:
        Misconfigured: When it is not set.
    """
    found = app.settings.relay.token_secret
    if found is None:
        raise Misconfigured(
            "setting relay.token_secret is not set; tokens are signed with it", hint=_SECRET_HINT
        )
    return found


def read(app: App, source: TextIO | None) -> list[Token]:
    """Return the tokens in a file or on standard input.

    Raises:
        InvalidInput: When there is none.
        NotFound: When one was not signed with our secret.
    """
    key = secret(app)
    return [_token(key, line) for line in _lines(app, source)]


def read_ids(
    app: App, given: Sequence[str], source: TextIO | None
) -> tuple[dict[str, float], list[NotFound]]:
    """Return the ids of tokens that are to be revoked, each with the time at which its token expires.

    Args:
        app: The application.
        given: The arguments: ids.
        source: A file of ids or tokens; without arguments, standard input is read.

    Returns:
        The ids, and what is wrong with the rest of the input.

    Raises:
        InvalidInput: When an argument is a token, or there is nothing to revoke.
    """
    from orderctl.relay import tokens

    key, latest = secret(app), time.time() + tokens.MAX_TTL
    if any("." in text for text in given):
        raise InvalidInput(
            "a token is not accepted as an argument, which other users of this machine can see",
            hint="orderctl relay revoke < FILE",
        )
    found: dict[str, float] = {}
    wrong = []
    for text in (*given, *([] if given and source is None else _lines(app, source))):
        if tokens.is_id(key, text):
            found[text] = latest
            continue
        try:
            token = _token(key, text)
        except NotFound as error:
            wrong.append(error)
        else:
            found[token.id] = token.expires
    return found, wrong


def revoke(app: App, found: dict[str, float]) -> None:
    """Revoke tokens, and say so."""
    from orderctl import revoked_tokens

    now = time.time()
    for token_id in [token_id for token_id, expires in found.items() if expires <= now]:
        app.say(f"{token_id} has expired; there is nothing to revoke.")
        del found[token_id]

    def work(connection: Any) -> list[str]:
        return [
            token_id
            for token_id, expires in sorted(found.items())  # in one order, against deadlocks
            if revoked_tokens.revoke(connection, token_id, expires=expires, actor=app.actor)
        ]

    new = app.transact(work) if found else []
    for token_id in found.keys() - set(new):
        app.say(f"{token_id} was revoked before.")
    if new:
        app.say(f"Revoked {counted(len(new), 'token')}; relays close the connections within 5 s.")


def described(app: App, found: Sequence[Token]) -> list[dict[str, Any]]:
    """Return what tokens say, and whether they were revoked; None where the database cannot tell."""
    revocations = _revocations(app, found)
    now = time.time()
    rows = []
    for token in found:
        revocation = None if revocations is None else revocations.get(token.id)
        state = "revoked" if revocation else "expired" if token.expires <= now else "valid"
        rows.append(
            {
                "token_id": token.id,
                "state": state,
                "subject": token.subject,
                "scopes": list(token.scopes),
                "issued_at": _moment(token.issued),
                "expires_at": _moment(token.expires),
                "revoked_at": revocation and revocation.revoked_at,
                "revoked_by": revocation and revocation.revoked_by,
            }
        )
    return rows


def _revocations(app: App, found: Sequence[Token]) -> dict[str, Any] | None:
    from orderctl import revoked_tokens

    try:
        with app.reading() as connection:
            rows = revoked_tokens.in_force(connection, [token.id for token in found])
    except (Unavailable, NotMigrated) as error:
        app.warn(f"warning: cannot tell whether a token was revoked: {error}")
        return None
    return {row.token_id: row for row in rows}


def _moment(seconds: float | None) -> datetime | None:
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):  # another program has signed it
        return None


def _token(key: str, text: str) -> Token:
    from orderctl.relay import access, tokens

    try:
        return tokens.read(key, text)
    except access.Unauthorized:
        # Never the text itself: it may be a token that is valid elsewhere, or lacks a letter only.
        what = "the input has a line that" if "." in text else f"{text[:40]!r}"
        raise NotFound(
            f"{what} is neither a token that was signed with relay.token_secret nor the id of one"
        ) from None


def _lines(app: App, source: TextIO | None) -> Iterator[str]:
    stream = click.open_file("-", errors="replace") if source is None else source
    if stream.isatty():
        app.say("Enter the tokens, one on each line, then Ctrl-D:")
    text = stream.read(_MOST)
    lines = [line.strip().removeprefix("Bearer ").strip() for line in text.splitlines()]
    found = [line for line in lines if line]
    if not found:
        raise InvalidInput("no token was given", hint=f"{click.get_current_context().command_path} < FILE")
    yield from found
