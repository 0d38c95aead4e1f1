"""Mails: what they contain, and that each is sent once although mail servers misbehave."""

from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from orderctl import failures, orders
from orderctl.failures import Failure
from orderctl.orders import NewCourse
from orderctl.payments import decisions
from orderctl.payments.transfer import Transfer
from orderctl.schema import download_tasks, order_audit_logs
from orderctl.schema import outbox as outbox_table
from orderctl.states import ErrorType
from tests.faults.world import World
from tests.servers.process import free_port
from tests.shop import TESTER
from tests.worker.conftest import Office, ended_order, failed_order, make_due, send

pytestmark = pytest.mark.databases("sqlite")


def test_summary_has_the_link_of_each_course(posted: World, office: Office) -> None:
    courses = [
        NewCourse("http://courses.example/1", "Khóa học <b>1</b>"),
        NewCourse("http://courses.example/2"),
    ]
    shop = posted.shop
    good, bad = shop.tasks(shop.add("DH1", courses))
    shop.pay("DH1")
    shop.carry_out(good.id)
    link = "https://files.example.com/DH1/1/"
    posted.shop.transact(lambda c: c.execute(download_tasks.update().values(drive_link=link)))
    shop.fail(bad.id, ErrorType.UNKNOWN)

    send(posted)

    [letter] = office.letters
    assert letter["To"] == "customer@example.com"
    assert letter["From"] == "The shop <shop@example.com>"
    assert "DH1" in letter["Subject"]
    assert (letter["Auto-Submitted"], letter["Date"] is not None) == ("auto-generated", True)
    text = letter.get_body(("plain",)).get_content()
    html = letter.get_body(("html",)).get_content()
    assert "1 of 2 courses" in text
    assert "1. Khóa học <b>1</b>\r\n   Ready: https://files.example.com/DH1/1/" in text
    assert "2. http://courses.example/2\r\n   Not ready yet: Something went wrong" in text
    assert "Khóa học &lt;b&gt;1&lt;/b&gt;" in html
    assert f'<a href="{link}"' in html
    assert "<b>" not in html
    assert office.raw[0].isascii()


def test_summary_mail_is_written_down_once(posted: World, office: Office) -> None:
    order_id = ended_order(posted)

    for _ in range(2):
        send(posted)

    assert len(office.letters) == 1
    event = posted.shop.event(order_id, "email_sent")
    assert (event.event_category, event.details["kind"]) == ("email", "summary")


def test_nothing_in_an_order_can_add_a_header(posted: World, office: Office) -> None:
    order_id = ended_order(posted)
    posted.shop.transact(
        lambda c: c.execute(orders.orders.update().values(order_code="DH1\r\nBcc: x@example.com"))
    )

    send(posted)

    [letter] = office.letters
    assert letter["Bcc"] is None
    assert order_id == 1


def test_server_that_drops_the_connection_after_data_gets_the_mail_again(
    posted: World, office: Office
) -> None:
    ended_order(posted)
    office.rude = 2

    for tries in (1, 2):
        assert any(":summary" in key for key in send(posted).postponed)
        assert office.letters == []
        assert [row.attempts for row in posted.shop.outbox() if row.kind == "summary"] == [tries]
        assert not any(":summary" in key for key in send(posted).sent), "it is not due yet"
        make_due(posted)
    send(posted)

    assert len(office.letters) == 1
    events = [event.event_type for event in posted.shop.events(1)]
    assert (events.count("email_sent"), events.count("email_failed")) == (1, 0)


def test_mail_that_a_rude_server_took_comes_again_under_the_same_id(posted: World, office: Office) -> None:
    """The window of SMTP: the receiver recognises the mail by its Message-ID."""
    ended_order(posted)
    office.rude, office.accepts_first = 1, True

    send(posted)
    make_due(posted)
    send(posted)

    first, second = office.letters
    assert first["Message-ID"] == second["Message-ID"]
    assert [event.event_type for event in posted.shop.events(1)].count("email_sent") == 1


def test_other_mails_have_other_ids(posted: World, office: Office) -> None:
    ended_order(posted, "DH1")
    ended_order(posted, "DH2")

    send(posted)

    assert len({letter["Message-ID"] for letter in office.letters}) == 2


def test_mail_waits_for_a_server_that_is_away(posted: World, office: Office) -> None:
    ended_order(posted)
    posted.more["ORDERCTL_MAIL_URL"] = f"smtp://127.0.0.1:{free_port()}"

    send(posted)

    [entry] = [row for row in posted.shop.outbox() if row.kind == "summary"]
    assert entry.sent_at is None
    assert "refused" in entry.last_error
    del posted.__dict__["settings"]
    posted.more["ORDERCTL_MAIL_URL"] = f"smtp://{office.address}"
    make_due(posted)
    send(posted)
    assert len(office.letters) == 1


@pytest.mark.databases("sqlite", "mariadb")
def test_address_of_the_shop_s_is_sent_to_or_given_up_at_once(posted: World, office: Office) -> None:
    """The shop may have written anything into its row."""
    expected = {
        "jo@müller.de": "jo@xn--mller-kva.de",
        "Jo Doe <jo@straße.de>\n": "jo@xn--strae-oqa.de",
        '"a b"@c.d': '"a b"@c.d',
        "jürgen@müller.de": None,  # the server does not offer SMTPUTF8
        "a@b.c,d@e.f": None,
        "<script>@b.c": None,
        "": None,
        "a@b.c\r\nBcc: x@y.z": None,
        "=?utf-8?q?a=0D=0AX=3A?=@b.c": None,
        "a@b.c.": None,
        "nodomain": None,
        f"{'x' * 240}@b.c": None,
    }
    orders_of = {}
    for number, address in enumerate(expected):
        orders_of[ended_order(posted, f"DH{number}")] = address
    for order_id, address in orders_of.items():
        posted.shop.execute("UPDATE orders SET user_email = :a WHERE id = :i", a=address, i=order_id)

    report = send(posted)

    sent = [address for address in expected.values() if address]
    assert [str(letter["To"].addresses[0].addr_spec) for letter in office.letters] == sent
    assert report.postponed == []
    for order_id, address in orders_of.items():
        [event] = [event for event in posted.shop.events(order_id) if event.event_category == "email"]
        assert event.event_type == ("email_sent" if expected[address] else "email_failed"), address
        if not expected[address]:
            assert "address" in event.message or "needs SMTPUTF8" in event.message
            assert event.details["attempts"] == 1


def test_address_beyond_ascii_gets_its_mail_where_the_server_takes_it(posted: World) -> None:
    office = Office(enable_SMTPUTF8=True)
    try:
        posted.more["ORDERCTL_MAIL_URL"] = f"smtp://{office.address}"
        order_id = ended_order(posted)
        posted.shop.execute("UPDATE orders SET user_email = 'jürgen@müller.de'")

        send(posted)

        [letter] = office.letters
        assert letter["To"] == "jürgen@xn--mller-kva.de"
        assert posted.shop.event(order_id, "email_sent").severity == "info"
    finally:
        office.close()


def test_recipient_that_does_not_exist_is_given_up_at_once(posted: World, office: Office) -> None:
    order_id = ended_order(posted)
    office.refuse = "550 5.1.1 no such user"

    report = send(posted)

    assert any(":summary" in key for key in report.dropped)
    event = posted.shop.event(order_id, "email_failed")
    assert (event.severity, event.event_category) == ("error", "email")
    assert "no such user" in event.message
    [entry] = [row for row in posted.shop.outbox() if row.kind == "summary"]
    assert entry.failed_at is not None


@pytest.mark.parametrize("answer", ["451 4.7.1 greylisted", "554 5.7.1 relay access denied", "550 no"])
def test_recipient_that_may_be_taken_later_is_tried_again(posted: World, office: Office, answer: str) -> None:
    ended_order(posted)
    office.refuse = answer
    send(posted)
    office.refuse = ""
    make_due(posted)

    send(posted)

    assert len(office.letters) == 1


def test_sender_that_is_refused_waits_for_the_correction(posted: World, office: Office) -> None:
    ended_order(posted)
    posted.more["ORDERCTL_MAIL_SENDER"] = "jürgen@example.com"

    report = send(posted)

    [entry] = [row for row in posted.shop.outbox() if row.kind == "summary"]
    assert "mail.sender" in entry.last_error
    assert entry.dedup_key in report.postponed


def test_alert_to_an_address_that_mail_cannot_carry_leaves_a_trace(posted: World, office: Office) -> None:
    posted.more["ORDERCTL_MAIL_ADMIN"] = "jürgen@example.com"  # without SMTPUTF8
    failed_order(posted, "DH1")

    send(posted)

    event = posted.shop.event(1, "email_failed")
    assert (event.details["kind"], event.task_id) == ("alert", 1)


def test_mail_is_given_up_after_a_day(posted: World, office: Office) -> None:
    order_id = ended_order(posted)
    posted.shop.transact(lambda c: c.execute(outbox_table.update().values(attempts=29)))
    office.refuse = "451 4.3.0 try again"

    send(posted)

    assert posted.shop.event(order_id, "email_failed").details["error"]
    make_due(posted)
    assert send(posted).sent == []


def test_password_is_not_sent_in_the_clear(posted: World) -> None:
    office = Office("127.0.0.2", auth_require_tls=False, auth_required=False)
    try:
        posted.more["ORDERCTL_MAIL_URL"] = f"smtp://user:secret@{office.address}"
        ended_order(posted)

        send(posted)

        [entry] = [row for row in posted.shop.outbox() if row.kind == "summary"]
        assert "TLS" in entry.last_error
        assert "secret" not in entry.last_error
        assert (office.letters, office.logins) == ([], [])
    finally:
        office.close()


def _write_and_ask_in_one_moment(world: World) -> None:
    """Give the failure and its alert the same time, as happens on a fast machine."""
    due_at = select(func.max(outbox_table.c.due_at)).where(outbox_table.c.kind == "alert").scalar_subquery()
    failed = order_audit_logs.c.event_type == "download_failed"
    world.shop.transact(lambda c: c.execute(update(order_audit_logs).where(failed).values(created_at=due_at)))


def _alerts(office: Office) -> list[str]:
    return [
        letter.get_body(("plain",)).get_content()
        for letter in office.letters
        if letter["To"] == "admin@example.com"
    ]


def test_alert_leaves_at_once_and_the_next_an_hour_later_with_a_count(posted: World, office: Office) -> None:
    failed_order(posted, "DH1")
    _write_and_ask_in_one_moment(posted)
    send(posted)
    for number in range(2, 6):
        failed_order(posted, f"DH{number}")
        send(posted)

    [first] = _alerts(office)
    assert "no space left" in first
    assert "failures in the last hour  1" in first
    assert "orderctl tasks retry --fingerprint f00d" in first
    make_due(posted)
    send(posted)
    _, second = _alerts(office)
    assert "failures since the last mail  4" in second


def test_alert_about_a_task_of_the_shop_s_own_workers_suggests_a_command_that_takes_it(
    posted: World, office: Office
) -> None:
    [task] = posted.shop.paid("DH1")
    posted.shop.execute("UPDATE download_tasks SET managed = 0")
    failure = Failure(ErrorType.DISK_SPACE, "no space left", "f00d")
    posted.shop.transact(lambda c: failures.report(c, task, failure))

    send(posted)

    [mail] = _alerts(office)
    assert "orderctl tasks retry --fingerprint f00d --take" in mail


def test_alert_without_an_admin_goes_nowhere(posted: World, office: Office) -> None:
    del posted.more["ORDERCTL_MAIL_ADMIN"]
    failed_order(posted, "DH1")

    send(posted)

    assert [letter["To"] for letter in office.letters] == ["customer@example.com"]
    assert all(row.sent_at is not None for row in posted.shop.outbox())


def _told(world: World, code: str | None, amount: int = 300_000, bank: str = "ACB") -> int:
    """Tell of a transfer that pays nothing; return the id of its payment."""
    key = str(len(world.shop.ledger()))
    raw = {"content": "not-for-mails"}
    transfer = Transfer("sepay", Decimal(amount), provider_id=key, code=code, bank=bank, raw=raw)
    [receipt] = world.shop.receive(transfer)
    return receipt.payment.id


def test_alert_about_payments_counts_those_that_wait_and_names_the_newest(
    posted: World, office: Office
) -> None:
    posted.shop.add("DH1")
    _told(posted, "DH1", 1, bank="https://evil.example/<b>\r\nBcc: x@example.com")
    send(posted)
    _told(posted, "DH9")
    _told(posted, None, 5)
    send(posted)

    [first] = office.letters
    assert first["Subject"] == "1 payment waits for a decision"
    assert first["Bcc"] is None
    text, html = (first.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert "mismatch  1, of which 1 came in the last hour" in text
    assert "payment 1  1, https://evil.example/<b> Bcc: x@example.com, order DH1, mismatch: 1 was" in text
    assert "orderctl payments match ID ORDER" in text
    assert "orderctl payments list --open" in html
    assert "<a" not in html
    assert "<b>" not in html
    assert "not-for-mails" not in text + html

    make_due(posted)
    send(posted)
    _, second = _alerts(office)
    assert "3 payments wait for a decision" in second
    assert "unmatched  2, of which 2 came since the last mail" in second
    assert "mismatch  1, of which 0 came since the last mail" in second
    assert second.index("payment 3  5, ACB, unmatched") < second.index("payment 2  300000, ACB")


def test_alert_about_payments_that_were_decided_meanwhile_says_so(posted: World, office: Office) -> None:
    payment = _told(posted, None)
    posted.shop.transact(lambda c: decisions.refuse(c, payment, reason="a test", origin=TESTER))

    send(posted)

    [letter] = office.letters
    assert letter["Subject"] == "No payment waits for a decision"
    assert f"Payment {payment} came in and paid no order." in letter.get_body(("plain",)).get_content()


def test_template_that_fails_delays_its_own_mails_only_and_loses_none(
    posted: World, office: Office, tmp_path: Path
) -> None:
    template = tmp_path / "order.txt"
    template.write_text(
        'Subject: S\n\n{% if order.code == "DH1" %}\n{{ order.discount }}\n{% endif %}\nyours'
    )
    posted.more["ORDERCTL_MAIL_TEMPLATES"] = str(tmp_path)
    ended_order(posted, "DH1")
    ended_order(posted, "DH2")
    failed_order(posted, "DH3")

    report = send(posted)

    addresses = [letter["To"] for letter in office.letters]
    assert sorted(addresses) == ["admin@example.com", "customer@example.com", "customer@example.com"]
    [waiting] = [row for row in posted.shop.outbox() if row.dedup_key in report.postponed]
    assert "order:1:" in waiting.dedup_key
    assert f"{template}, line 4: there is no variable 'discount': there are id, code" in waiting.last_error

    template.write_text("Subject: S\n\nyours")
    make_due(posted)
    send(posted)

    assert office.letters[-1].get_body(("plain",)).get_content() == "yours\r\n"
    assert all(row.sent_at is not None for row in posted.shop.outbox())
    assert posted.shop.event(1, "email_sent").severity == "info"
