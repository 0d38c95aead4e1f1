"""What the notes of the courier are taken for."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from orderctl.outbox import EntryKind
from orderctl.outgoing import Message
from orderctl.settings import load
from orderctl.why import handling, refusals


@dataclass(frozen=True)
class Case:
    """A refusal of a message.

    Attributes:
        kind: Of the message.
        error: As the courier notes it.
        cause: How it is named; None: by the state of the message.
        blocked: Whether something has to be done before the command.
    """

    kind: EntryKind
    error: str
    cause: str | None
    blocked: bool = False


MAIL, HOOK = EntryKind.SUMMARY, EntryKind.WEBHOOK
CASES = [
    Case(MAIL, "MailRefused: no connection to the mail server h:587 (mail.url): refused", "mail-unreachable"),
    Case(MAIL, "MailRefused: the mail server refuses the login (mail.url): 535 no", "mail-login"),
    Case(MAIL, "MailRefused: the mail server requires a login, but mail.url has no user", "mail-login"),
    Case(
        MAIL, "MailRefused: the mail server offers no TLS, so the password was not sent to it", "mail-login"
    ),
    Case(MAIL, "MailRefused: the mail server refuses the sender a@b (mail.sender): 550", "mail-sender"),
    Case(MAIL, "MailRefused: the mail server does not serve us now: 421", None),
    Case(MAIL, "TemplateFault: order.txt: unexpected end", "mail-template"),
    Case(MAIL, "SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED]", "mail-certificate"),
    Case(
        MAIL, "Undeliverable: the mail server refuses the mail to x: 550 5.1.1", "mail-address", blocked=True
    ),
    Case(MAIL, "its payload is not valid: orderId is missing", "message-invalid", blocked=True),
    Case(MAIL, "", None),
    Case(HOOK, "WebhookRefused: https://h/...: HTTP 410", "webhook-gone", blocked=True),
    Case(HOOK, "WebhookRefused: https://h/...: HTTP 401", "webhook-secret"),
    Case(HOOK, "WebhookRefused: https://h/...: HTTP 500", None),
    Case(HOOK, "WebhookRefused: https://h/...: HTTP 301: a redirect to https://i/...", "webhook-redirect"),
    Case(HOOK, "WebhookRefused: https://h/...: no answer within 10 s", None),
    Case(HOOK, "EndpointRemoved: the endpoint crm is not configured any more", None),
    Case(HOOK, "the dedup_key has more than 150 characters", "message-invalid", blocked=True),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.error)
def test_a_note_has_its_cause(tmp_path: Path, case: Case) -> None:
    settings = load(
        environ={"ORDERCTL_STATE_DIR": str(tmp_path), "ORDERCTL_NOTIFY_WEBHOOK_URL": "https://h/"}
    )
    found = refusals.of(settings, message(case.kind, case.error))
    assert (found.cause, found.first is not None) == (case.cause, case.blocked)


def message(kind: EntryKind, error: str) -> Message:
    when = dict.fromkeys(("created_at", "due_at", "sent_at", "failed_at"))
    return Message(
        id=41, kind=kind, state="failed", event=None, order_id=1, order_code="DH1", task_id=None, endpoint=None,
        receiver=None, attempts=3, resent=0, last_error=error, dedup_key="order:1:round:0:x", webhook_id=None, **when,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [("notify.webhook_url has a fault", "notify.webhook_url has a fault"), ("it ends", "It ends"), ("", "")],
)
def test_a_setting_at_the_begin_of_a_sentence_keeps_its_spelling(text: str, said: str) -> None:
    assert handling.sentence(text) == said
