"""Mails: the messages that ``smtp`` sends, made of what a letter says by the templates."""

from __future__ import annotations

import hashlib
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final
from urllib.parse import urlsplit

from orderctl import mailboxes, texts
from orderctl.mailboxes import Mailbox
from orderctl.setting_sections import Mail
from orderctl.worker import templates
from orderctl.worker.letters import Letter
from orderctl.worker.smtp import Envelope, Undeliverable

#: Characters of a subject or a name, and of a word in it: a line of a header has 78.
_LONGEST_LINE: Final = 300
_LONGEST_WORD: Final = 70


def compose(letter: Letter, settings: Mail, dedup_key: str, date: datetime) -> Envelope:
    """Build the message, as text and as HTML. With the same arguments, it is the same to the byte.

    Args:
        letter: The content.
        settings: Say who the sender is, and where the shop's own templates are.
        dedup_key: The Message-ID is made from it, so that it is the same at every try.
        date: Value of the ``Date`` header.

    Raises:
        Undeliverable: When the recipient is not an e-mail address.
        TemplateFault: A template cannot be read or rendered.
    """
    sender, recipient = _sender(settings), _recipient(letter.recipient)
    about_us = {"name": texts.legible(sender.name, _LONGEST_LINE), "address": sender.address}
    written = templates.render(letter.name, {**letter.facts, "sender": about_us}, settings.templates)
    digest = hashlib.sha256(dedup_key.encode()).hexdigest()[:32]
    message = EmailMessage()
    message["From"] = _header(sender)
    message["To"] = _header(recipient)
    message["Subject"] = _one_line(written.subject)
    message["Date"] = format_datetime(date)
    message["Message-ID"] = f"<{digest}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    # Not every server accepts 8-bit text.
    message.set_content(written.text, cte="quoted-printable")
    message.add_alternative(written.html, subtype="html", cte="quoted-printable")
    message.set_boundary(f"=={digest}")  # Python's own is random
    return Envelope(sender, recipient, message)


def _sender(settings: Mail) -> Mailbox:
    if settings.sender:
        return mailboxes.parse_named(settings.sender)
    return mailboxes.at_host("orderctl", urlsplit(settings.url or "").hostname or "localhost")


def _recipient(text: str) -> Mailbox:
    """Read an address that the shop may have written.

    Raises:
        Undeliverable: When it is not an address.
    """
    try:
        return mailboxes.parse_named(text)
    except ValueError as error:
        raise Undeliverable(f"{texts.shown(text)} is not an e-mail address: {error}") from None


def _header(mailbox: Mailbox) -> Address:
    return Address(_one_line(mailbox.name), mailbox.local, mailbox.domain)


def _one_line(text: str) -> str:
    """Return a text for a header, without what Python's writer of headers would make more than one line of.

    It decodes the words of RFC 2047, which may contain anything, and folds a word that is longer than a line into
    an empty line, which ends the headers.
    """
    printable = "".join(c if c.isprintable() else " " for c in text[:_LONGEST_LINE]).replace("=?", "= ?")
    pieces = (
        word[at : at + _LONGEST_WORD]
        for word in printable.split()
        for at in range(0, len(word), _LONGEST_WORD)
    )
    return " ".join(pieces)
