"""The way of a mail to the SMTP server, and what its answers mean.

SMTP cannot promise exactly-once: if the process crashes in the milliseconds between the server's 250 and the
commit that records it, the mail is sent twice. Both copies have the same Message-ID, so that the receiver can
recognise them.
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from functools import partial
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from orderctl import faultpoints, hostnames
from orderctl.mailboxes import Mailbox
from orderctl.setting_sections import Mail
from orderctl.worker.cutoff import cutoff

_TIMEOUT: Final = 20.0
#: For the whole conversation; shorter than the courier holds a mail.
_DEADLINE: Final = 90.0
_DEFAULT_PORTS: Final = {"smtp": 587, "smtps": 465}
_ACCEPTED: Final = range(200, 300)
#: RFC 4954, 6; of RFC 3207, too, where TLS is required first.
_LOGIN_FIRST: Final = 530
#: Hosts to which a password may be sent without TLS.
_OURSELVES: Final = {"localhost", "127.0.0.1", "::1"}
#: Answers that may say that a recipient is refused for ever (RFC 5321, 4.2.3; RFC 7504).
_FINAL: Final = frozenset({501, 550, 551, 553, 556})
#: RFC 3463: the address or the mailbox is bad; RFC 6531: it is not in ASCII. 5.1.7 and 5.1.8 are about the sender.
_BAD_RECIPIENT: Final = re.compile(r"5\.1\.(?!7\b|8\b)|5\.2\.|5\.6\.7\b")
#: The cause may be a setting, here or at the mail server, which can be corrected.
_BAD_SETTING: Final = re.compile(
    r"5\.(?:1\.[78]\b|3\.|5\.|7\.)|.*(?:relay|authenti|log ?in|sender|policy)", re.IGNORECASE
)
#: How servers name a recipient that they do not know, without an enhanced status.
_NAMED: Final = re.compile(
    r"user|mailbox|recipient|address|account|domain|no such|unknown|not exist|not found", re.IGNORECASE
)


class Undeliverable(OSError):
    """The e-mail address does not exist, or is not one that mail can carry."""


class MailRefused(OSError):
    """The mail server does not accept the mail now."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message with the addresses that the mail server gets."""

    sender: Mailbox
    recipient: Mailbox
    message: EmailMessage


@dataclass(frozen=True, slots=True)
class Greeting:
    """The mail server, which takes mails from us.

    Attributes:
        host: Its name.
        port: Its port.
        secure: Whether the connection is encrypted.
    """

    host: str
    port: int
    secure: bool


def send(envelope: Envelope, settings: Mail, still_ours: Callable[[], bool]) -> bool:
    """Send a message to the SMTP server.

    Args:
        envelope: The message with its addresses.
        settings: ``url`` has the server, the user and the password.
        still_ours: Called right before the body is sent; if it returns False, the mail is not sent.

    Returns:
        False when the mail was not sent because ``still_ours`` returned False.

    Raises:
        Undeliverable: When the address does not exist, or this server cannot carry it.
        OSError: When the server does not accept the mail now (smtplib's errors are OSErrors).
    """
    with _conversation(settings, _TIMEOUT, _DEADLINE) as server:
        return _transfer(server, envelope, still_ours, has_login=bool(urlsplit(settings.url or "").username))


def greet(settings: Mail, seconds: float) -> Greeting:
    """Connect to the SMTP server and log in as for a mail, and send nothing.

    Args:
        settings: As of :func:`send`.
        seconds: For the whole conversation; the look-up of the host's name comes on top.

    Raises:
        OSError: As :func:`send`.
    """
    with _conversation(settings, seconds, seconds) as server:
        host, port = _place(settings)
        return Greeting(host, port, secure=isinstance(server.sock, ssl.SSLSocket))


def _place(settings: Mail) -> tuple[str, int]:
    url = urlsplit(settings.url or "")
    return hostnames.to_ascii(url.hostname or ""), url.port or _DEFAULT_PORTS[url.scheme]


@contextlib.contextmanager
def _conversation(settings: Mail, timeout: float, deadline: float) -> Iterator[smtplib.SMTP]:
    """Connect, begin TLS where it is offered, and log in."""
    url = urlsplit(settings.url or "")
    host, port = _place(settings)
    context = ssl.create_default_context()
    kind: Any = partial(smtplib.SMTP_SSL, context=context) if url.scheme == "smtps" else smtplib.SMTP
    server: smtplib.SMTP = kind(timeout=timeout)
    with cutoff(server, deadline):
        _connect(server, host, port)
        try:
            faultpoints.point("smtp.connected")
            server.ehlo_or_helo_if_needed()
            if url.scheme == "smtp" and server.has_extn("starttls"):
                server.starttls(context=context)
                server.ehlo_or_helo_if_needed()
            if url.username:
                _log_in(server, host, unquote(url.username), unquote(url.password or ""))
            yield server
        finally:
            _leave(server)


def _connect(server: smtplib.SMTP, host: str, port: int) -> None:
    # smtplib verifies the certificate of this name, which it would get from a constructor that connects at once.
    server._host = host  # type: ignore[attr-defined] # noqa: SLF001
    try:
        code, answer = server.connect(host, port)
    except OSError as error:
        reason = f"{type(error).__name__}: {error}"
        raise MailRefused(f"no connection to the mail server {host}:{port} (mail.url): {reason}") from error
    if code not in _ACCEPTED:
        server.close()
        raise MailRefused(f"the mail server does not serve us now: {_said(code, answer)}")


def _log_in(server: smtplib.SMTP, host: str, user: str, password: str) -> None:
    if not isinstance(server.sock, ssl.SSLSocket) and host not in _OURSELVES:
        raise MailRefused("the mail server offers no TLS, so the password was not sent to it")
    if not (user + password).isascii():
        raise MailRefused("the user or the password in mail.url is not in ASCII, which smtplib requires")
    try:
        server.login(user, password)
    except smtplib.SMTPResponseException as error:
        raise MailRefused(
            f"the mail server refuses the login (mail.url): {_said(error.smtp_code, error.smtp_error)}"
        ) from None
    except smtplib.SMTPNotSupportedError:
        raise MailRefused(
            "the mail server offers no login on this port, but mail.url has a user and a password"
        ) from None


def _leave(server: smtplib.SMTP) -> None:
    """Send QUIT and do not wait: a crash before the mail is marked as sent would send it again."""
    with contextlib.suppress(OSError):
        server.putcmd("quit")
    server.close()


def _transfer(
    server: smtplib.SMTP, envelope: Envelope, still_ours: Callable[[], bool], *, has_login: bool
) -> bool:
    policy, options = SMTP, ""
    if not (envelope.sender.is_ascii and envelope.recipient.is_ascii):
        _require_utf8(server, envelope)
        policy, options, server.command_encoding = SMTPUTF8, " SMTPUTF8", "utf-8"
    code, answer = server.docmd("mail", f"FROM:<{envelope.sender.address}>{options}")
    _require_login(code, answer, has_login=has_login)
    if code not in _ACCEPTED:
        raise MailRefused(
            f"the mail server refuses the sender {envelope.sender.address} (mail.sender): {_said(code, answer)}"
        )
    code, answer = server.docmd("rcpt", f"TO:<{envelope.recipient.address}>")
    _require_login(code, answer, has_login=has_login)
    _require_accepted(envelope.recipient, code, answer)
    if not still_ours():
        return False
    faultpoints.point("smtp.data.before")
    try:
        code, answer = server.data(envelope.message.as_bytes(policy=policy))
    except smtplib.SMTPDataError as error:
        _require_accepted(envelope.recipient, error.smtp_code, error.smtp_error)
    faultpoints.point("smtp.data.after")
    _require_accepted(envelope.recipient, code, answer)
    return True


def _require_login(code: int, answer: bytes | str, *, has_login: bool) -> None:
    """Explain the answer of a server that wants a login first, which mail.url does not have."""
    if code == _LOGIN_FIRST and not has_login and "starttls" not in _text(answer).lower():
        raise MailRefused(
            f"the mail server requires a login, but mail.url has no user and password: {_said(code, answer)}"
        )


def _require_utf8(server: smtplib.SMTP, envelope: Envelope) -> None:
    if server.has_extn("smtputf8"):
        return
    lack = "needs SMTPUTF8, which the mail server does not offer"
    if not envelope.sender.is_ascii:
        raise MailRefused(f"the sender {envelope.sender.address} (mail.sender) {lack}")
    raise Undeliverable(f"{envelope.recipient.address} {lack}")


def _require_accepted(recipient: Mailbox, code: int, answer: bytes | str) -> None:
    if code in _ACCEPTED:
        return
    kind = Undeliverable if _is_final(code, answer) else MailRefused
    raise kind(f"the mail server refuses the mail to {recipient.address}: {_said(code, answer)}")


def _is_final(code: int, answer: bytes | str) -> bool:
    """Whether a recipient will be refused for ever, whatever is set here."""
    text = _text(answer)
    if _BAD_RECIPIENT.match(text):
        return code >= 500  # noqa: PLR2004 - the first digit says that it is final
    return code in _FINAL and not _BAD_SETTING.match(text) and bool(_NAMED.search(text))


def _said(code: int, answer: bytes | str) -> str:
    return f"{code} {_text(answer)}".strip()


def _text(answer: bytes | str) -> str:
    text = answer if isinstance(answer, str) else answer.decode("utf-8", "replace")
    return " ".join(text.split())
