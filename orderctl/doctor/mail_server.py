"""The mail server: whether it takes mails from us. It is greeted and logged in to; nothing is sent."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from orderctl import masking, texts
from orderctl.deadlines import Begun
from orderctl.doctor.ahead import Peers
from orderctl.doctor.checks import Area, Check, Verdict
from orderctl.doctor.surroundings import Surroundings
from orderctl.relay import access
from orderctl.worker import smtp
from orderctl.worker.smtp import Greeting

_AREA: Final = Area.MAIL
_TRY: Final = "orderctl outbox test --mail"


@dataclass(frozen=True, slots=True)
class Look:
    """What the mail server has answered.

    Attributes:
        greeting: What is known of it; None: it does not take mails.
        error: Why not.
        seconds: How long the conversation took.
    """

    greeting: Greeting | None = None
    error: str = ""
    seconds: float = 0.0


def look(peers: Peers) -> Look | None:
    """Greet the mail server; return None if there is none in the settings."""
    mail = peers.settings.mail
    if mail.url is None:
        return None
    began = time.monotonic()
    try:
        greeting = Begun(lambda: smtp.greet(mail, peers.patience)).result(peers.patience + 0.5)
    except (OSError, UnicodeError) as error:  # a TimeoutError, too
        return Look(error=texts.legible(masking.foreign(str(error)), 300) or type(error).__name__)
    return Look(greeting, seconds=time.monotonic() - began)


def examine(around: Surroundings, found: Look | None) -> Iterator[Check]:
    """Say what the mail server has answered.

    Args:
        around: The settings.
        found: From :func:`look`.
    """
    if found is None:
        text = "no mail server is set up (mail.url): customers and admins get no mails"
        yield Check(_AREA, "smtp", Verdict.SKIPPED, text)
        return
    if found.greeting is None:
        yield Check(
            _AREA,
            "smtp",
            Verdict.FAULT,
            f"the mail server takes no mails: {found.error}",
            _TRY,
            "Correct mail.url, or the mail server. Mails wait in the outbox and are tried again.",
        )
        return
    yield _accepted(found.greeting, found.seconds)
    if around.settings.mail.admin is None:
        yield Check(
            _AREA,
            "admin",
            Verdict.NOTE,
            "mail.admin is not set: no admin gets a mail when a task fails permanently",
            "export ORDERCTL_MAIL_ADMIN=admin@example.com",
        )


def _accepted(greeting: Greeting, seconds: float) -> Check:
    place = f"{greeting.host}:{greeting.port}"
    took = seconds * 1000
    if greeting.secure or access.is_loopback(greeting.host):
        how = "over TLS" if greeting.secure else "on this machine"
        text = f"the mail server {place} takes mails {how}, in {took:.0f} ms"
        return Check(_AREA, "smtp", Verdict.WELL, text, value=round(took, 1), unit="ms")
    return Check(
        _AREA,
        "smtp",
        Verdict.WARNING,
        f"the mail server {place} takes mails without TLS: everybody on the way can read them",
        "export ORDERCTL_MAIL_URL=smtps://USER:PASSWORD@HOST:465",
        "Or let it offer STARTTLS, which is used then.",
        value=round(took, 1),
        unit="ms",
    )
