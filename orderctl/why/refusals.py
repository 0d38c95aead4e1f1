"""Why a mail or a webhook was not accepted, whether another try can succeed now, and if not, what is to be repaired."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from orderctl import texts, webhook_endpoints
from orderctl.outbox import EntryKind
from orderctl.outgoing import Message
from orderctl.settings import Settings
from orderctl.states import MessageState

_STATUS: Final = re.compile(r"\bHTTP (\d{3})\b", re.ASCII)
_GONE: Final = "410"
_UNAUTHORIZED: Final = ("401", "403")
#: Errors of a payload, or of a kind, that another program has written.
_INVALID: Final = (
    "its payload is not valid",
    "the payload is not an object",
    "does not send messages of the kind",
    "the dedup_key has more than",
)
_ADDRESS: Final = ("Undeliverable", "is not an e-mail address", "needs SMTPUTF8")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message was not accepted.

    Attributes:
        text: For people.
        cause: A stable word for programs; None: no special one.
        first: What has to be done before another try can succeed, and by whom; None: nothing is known of that.
        advice: What to look at; another try may succeed all the same.
    """

    text: str
    cause: str | None = None
    first: str | None = None
    advice: str | None = None


def of(settings: Settings, message: Message) -> Refusal:
    """Return why the last try of a message failed.

    Args:
        settings: As they are now.
        message: One that waits or was given up.
    """
    said = message.last_error or ""
    if any(words in said for words in _INVALID):
        return Refusal(
            "another program has written it, and orderctl cannot send it",
            "message-invalid",
            f"who has written it has to correct its row in the table orderctl_outbox: orderctl outbox show {message.id}",
        )
    if message.kind == EntryKind.WEBHOOK:
        return _of_webhook(settings, message, said)
    if message.kind == EntryKind.COMPLETION:
        return Refusal(
            "Redis does not take it",
            "completion-refused",
            None,
            "orderctl config check says whether Redis works",
        )
    return _of_mail(message, said)


def has_receiver(settings: Settings, message: Message) -> bool:
    """Whether somebody would get a message that was skipped because nobody was to get it.

    Args:
        settings: As they are now.
        message: One that was skipped.
    """
    if message.kind == EntryKind.WEBHOOK:
        return any(one.wants(message.event) for one in webhook_endpoints.of(settings.notify))
    if message.kind == EntryKind.COMPLETION or "not configured" not in (message.last_error or ""):
        return False
    return settings.mail.url is not None and (
        message.kind != EntryKind.ALERT or settings.mail.admin is not None
    )


#: What a mail server says, the cause, and what to look at.
_MAIL: Final[Sequence[tuple[str, str, str, str]]] = (
    ("no connection to the mail server", "mail-unreachable", "the mail server does not answer",
     "the setting mail.url names the server: try it by orderctl outbox test --mail"),
    ("offers no TLS", "mail-login", "the mail server offers no TLS, so it got no password",
     "the setting mail.url has to name another port or server: try it by orderctl outbox test --mail"),
    ("login", "mail-login", "the mail server and orderctl do not agree on the login",
     "the setting mail.url has to have the right user and password: try it by orderctl outbox test --mail"),
    ("refuses the sender", "mail-sender", "the mail server refuses the sender",
     "the setting mail.sender has to be an address that the server lets you use: try it by orderctl outbox test --mail"),
    ("the sender", "mail-sender", "the mail server cannot carry the sender's address",
     "the setting mail.sender has to be in ASCII: try it by orderctl outbox test --mail"),
    ("TemplateFault", "mail-template", "the shop's template of the mail has a fault",
     "the folder mail.templates has it: try it by orderctl outbox test --mail"),
    ("CERTIFICATE", "mail-certificate", "the certificate of the mail server is not valid",
     "the setting mail.url has to name the host of its certificate: try it by orderctl outbox test --mail"),
)  # fmt: skip


def _of_mail(message: Message, said: str) -> Refusal:
    if any(words in said for words in _ADDRESS):
        if message.kind == EntryKind.ALERT:
            whose = "the setting mail.admin has to be an address that can get mail"
        else:
            whose = "the customer has to name another address, which the shop writes into orders.user_email"
        return Refusal("the address cannot get mail", "mail-address", whose)
    for words, cause, text, advice in _MAIL:
        if words in said:
            return Refusal(text, cause, None, advice)
    return Refusal("the mail server does not accept it" if said else "it has not been tried")


def _of_webhook(settings: Settings, message: Message, said: str) -> Refusal:
    names = {one.name: one for one in webhook_endpoints.of(settings.notify)}
    name = message.endpoint or webhook_endpoints.WEBHOOK
    is_meant = (
        message.endpoint is not None or message.state == MessageState.FAILED
    )  # else the courier skips it
    if is_meant and name not in names:
        text = f"the endpoint {name} is not configured any more"
        return Refusal(
            text, "endpoint-removed", f"set up an endpoint with the name {name} again, or leave it"
        )
    if "not configured any more" in said:
        return Refusal(f"the endpoint {name} was not configured, and is now")
    return _by_answer(name, names[name].setting if name in names else "notify.webhook_url", said)


def _by_answer(name: str, setting: str, said: str) -> Refusal:
    found = _STATUS.search(said)
    number = found[1] if found else None
    if number == _GONE:
        text = "the receiver said that it will never accept anything again (HTTP 410)"
        return Refusal(
            text,
            "webhook-gone",
            f"the setting {setting} has to name another URL, or the endpoint is to be removed",
        )
    if number in _UNAUTHORIZED:
        advice = f"the receiver and {setting} have to have the same secret: try it by orderctl outbox test --endpoint {texts.arguments(name)}"
        return Refusal(f"the receiver refuses the signature (HTTP {number})", "webhook-secret", None, advice)
    if "redirect" in said:
        advice = f"the setting {setting} has to have the final URL"
        return Refusal("the receiver redirects, which is not followed", "webhook-redirect", None, advice)
    if number is not None:
        return Refusal(f"the receiver answers with HTTP {number}")
    return Refusal("the receiver does not answer" if said else "it has not been tried")
