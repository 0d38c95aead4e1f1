"""What the admin's mails say. That they are sent, and how often, is in ``test_mail.py``."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, select

from orderctl import database, outbox, schema
from orderctl.setting_sections import Mail
from orderctl.worker import alerts, mail, samples
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")

_MAIL = Mail(url="smtp://mail.example", sender="shop@example.com")
_NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
GONE = {
    "about": "webhook",
    "endpoint": "crm",
    "receiver": "https://hooks.example.com",
    "error": "WebhookRefused: https://hooks.example.com: HTTP 410",
    "since": None,
}


def given_up(
    shop: Shop, endpoint: str | None = "crm", *, ago: float = 60, kind: str = "webhook", failed: bool = True
) -> None:
    """Add an entry of the outbox; it was given up that number of seconds ago."""
    values = {
        "kind": kind,
        "dedup_key": f"k{len(shop.outbox())}",
        "payload": {},
        "created_at": database.utc_now(-ago),
        "due_at": outbox.NEVER if failed else database.utc_now(-ago),
        "attempts": 30,
        "endpoint": endpoint,
        "failed_at": database.utc_now(-ago) if failed else None,
    }
    shop.transact(lambda c: c.execute(insert(schema.outbox).values(values)))


def parts(shop: Shop, payload: dict[str, object]) -> tuple[str, str, str]:
    letter = shop.read(lambda c: alerts.alert(c, payload, "admin@example.com"))
    message = mail.compose(letter, _MAIL, "key", _NOW).message
    text, html = (message.get_body((kind,)).get_content() for kind in ("plain", "html"))
    return message["Subject"], text, html


def test_deliveries_that_were_given_up_are_counted_by_endpoint(shop: Shop):
    for ago in (60, 60, 7200):
        given_up(shop, ago=ago)
    given_up(shop, "other")
    given_up(shop, failed=False)
    given_up(shop, kind="summary")

    subject, text, html = parts(shop, GONE)

    assert subject == "Webhook crm: deliveries were given up"
    for part in (text, html):
        assert "Deliveries to the endpoint crm were given up: 2 in the last hour, 3 in all." in part
        assert "410 Gone: it does not want any further message" in part
        assert "WebhookRefused: https://hooks.example.com: HTTP 410" in part
        assert "orderctl outbox list --failed --endpoint crm" in part
        assert "orderctl outbox resend --failed --endpoint crm" in part
    assert "href" not in html


def test_mail_about_deliveries_that_were_sent_again_says_so(shop: Shop):
    """The next mail waits for up to an hour: it said "0 in all", and how to send them again."""
    subject, text, html = parts(shop, GONE)

    assert subject == "Webhook crm: no delivery is given up any more"
    for part in (text, html):
        assert "All of them have been sent again since, or wait to be." in part
        assert "orderctl outbox resend" not in part


def test_the_next_mail_counts_since_the_last_one(shop: Shop):
    given_up(shop, ago=0)
    given_up(shop, ago=7200)
    hour_ago = shop.read(lambda c: c.execute(select(database.utc_now(-3600))).scalar_one())

    _, text, _ = parts(
        shop, {**GONE, "since": hour_ago.isoformat(), "error": "TimeoutError at https://a.example:410"}
    )

    assert "given up: 1 since the last mail, 2 in all." in text
    assert "410 Gone" not in text


def test_text_of_a_receiver_is_a_line_and_no_markup(shop: Shop):
    given_up(shop, "a b")
    _, text, html = parts(
        shop, {**GONE, "endpoint": "a b", "receiver": None, "error": "500 <b>\r\nSubject: x\u202e"}
    )

    assert "last error  500 <b> Subject: x\n" in text
    assert "<b>" not in html
    assert "--endpoint 'a b'" in text
    assert "receiver" not in text


def test_samples_have_the_variables_that_real_mails_have(shop: Shop):
    order_id = shop.add("DH1")
    failure = {
        "orderId": order_id,
        "taskId": 1,
        "errorType": "DISK_SPACE",
        "message": "full",
        "fingerprint": "f00d",
    }
    payloads = (failure, {"about": "payments", "paymentId": 1}, GONE)

    for payload in payloads:
        real = shop.read(lambda c, one=payload: alerts.alert(c, one, "admin@example.com"))
        for facts in (facts for name, facts in samples.every() if name == real.name):
            assert facts.keys() - {"sender"} == real.facts.keys()
