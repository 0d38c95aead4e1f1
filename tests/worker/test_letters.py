"""What the customer's mail says, whatever stands in the order."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update

from orderctl.orders import NewCourse
from orderctl.schema import download_tasks
from orderctl.setting_sections import Mail
from orderctl.states import ErrorType
from orderctl.worker import letters, mail, samples
from tests.shop import COURSE, Shop

pytestmark = pytest.mark.databases("sqlite")

_MAIL = Mail(url="smtp://mail.example", sender="The shop <shop@example.com>")
_NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def parts(shop: Shop, order: str = "DH1", settings: Mail = _MAIL) -> tuple[str, str, str]:
    """Return the subject, the text and the HTML of an order's mail."""
    letter = shop.read(lambda c: letters.summary(c, shop.order(order).id))
    message = mail.compose(letter, settings, "key", _NOW).message
    text, html = (message.get_body((kind,)).get_content() for kind in ("plain", "html"))
    return message["Subject"], text, html


def write(shop: Shop, task_id: int, **values: Any) -> None:
    """Write columns of a task as another program would."""
    shop.transact(
        lambda c: c.execute(update(download_tasks).where(download_tasks.c.id == task_id).values(**values))
    )


@pytest.mark.parametrize(
    ("statuses", "subject", "sentence"),
    [
        (["completed"], "Your order DH1 is ready", "the course is ready."),
        (["completed"] * 2, "Your order DH1 is ready", "both courses are ready."),
        (["completed"] * 3, "Your order DH1 is ready", "all 3 courses are ready."),
        (["completed", "cancelled"], "Your order DH1 is ready", "the course is ready."),
        (
            ["completed", "failed", "cancelled"],
            "Your order DH1: 1 of 2 courses ready",
            "1 of 2 courses of your order is ready. 1 could not be prepared yet; below you find the reason.",
        ),
        (
            ["failed"],
            "Your order DH1 is not ready yet",
            "The course of your order could not be prepared yet.",
        ),
        (["failed"] * 2, "Your order DH1 is not ready yet", "The 2 courses of your order could not be"),
        (["cancelled"] * 2, "Your order DH1 was cancelled", "Your order was cancelled."),
        (["completed", "pending"], "Your order DH1 is in preparation", "1 of 2 courses ready."),
        (["archived"], "Your order DH1 is in preparation", "0 of 1 courses ready."),
    ],
)
def test_each_end_of_an_order_has_its_words(shop: Shop, statuses, subject, sentence):
    tasks = shop.paid("DH1", len(statuses), titled=True)
    for task_id, status in zip(tasks, statuses, strict=True):
        write(shop, task_id, status=status)

    given, text, html = parts(shop)

    assert given == subject
    assert sentence in text
    assert sentence in html


def test_the_order_the_courses_their_links_and_their_failures_stand_in_this_order(shop: Shop):
    first, second, third = shop.paid("DH1", 3, titled=True)
    write(shop, first, status="completed", drive_link="https://files.example.com/DH1/a b/")
    write(shop, second, status="failed", error_type="NOT_FOUND", drive_link="https://old.example.com/")
    write(shop, third, status="cancelled")

    _, text, html = parts(shop)

    reason = "The course is not at the address that we have."
    for part, link in (
        (text, "Ready: https://files.example.com/DH1/a%20b/"),
        (html, 'href="https://files.example.com/DH1/a%20b/"'),
    ):
        wanted = ["Order DH1", "Course 1", link, "Course 2", "Not ready yet", reason, "Course 3", "Cancelled"]
        found = [part.index(one) for one in wanted]
        assert found == sorted(found)
        assert "old.example.com" not in part


def test_nothing_technical_of_a_failure_reaches_the_customer(shop: Shop):
    [task_id] = shop.paid("DH1", [NewCourse("https://me:hidden@courses.example/x?token=hidden", "Go")])
    shop.fail(task_id, ErrorType.UNKNOWN, "OSError: db7.internal /srv/files/x.mp4 https://a.example/?k=1")
    secrets = ["OSError", "internal", "/srv", "a.example", "hidden", "courses.example", "Traceback", "host-7"]
    for error_type in [*ErrorType, "A_WORD_OF_THE_SHOP", None]:
        write(
            shop,
            task_id,
            error_type=error_type,
            error_log="Traceback (most recent call last)",
            worker="host-7",
        )

        for part in parts(shop):
            assert [word for word in [*secrets, str(error_type)] if word in part] == []


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("http://files.example/a", "http://files.example/a"),
        (' https://files.example/"><b>', "https://files.example/%22%3E%3Cb%3E"),
        ("https://files.example/khóa-học", "https://files.example/khóa-học"),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("file:///srv/files/1", None),
        ("/srv/files/1", None),
        ("https://", None),
        ("https://[", None),
        ("https://good.example\\@evil.example/", None),
        ("https://files.example/\r\nBcc: x@y.z", None),
        ("https://files.example/" + "x" * 5000, None),
        ("", None),
        (None, None),
    ],
)
def test_only_links_of_the_web_are_links(link, shown):
    assert letters._link(link) == shown


@pytest.mark.parametrize(
    ("title", "in_text", "in_html"),
    [
        ("<script>alert(1)</script>", "<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("{{ 7 * 7 }} {% raw %}", "{{ 7 * 7 }} {% raw %}", "{{ 7 * 7 }} {% raw %}"),
        ('" onload="x', '" onload="x', "&#34; onload=&#34;x"),
        ("a\r\nSubject: b\r\n\r\nc", "a Subject: b c", "a Subject: b c"),
        ("a\u202egpj.exe\u2066\x1b[31m\x00\x9b", "agpj.exe[31m", "agpj.exe[31m"),
        ("دورة البرمجة", "دورة البرمجة", '<strong dir="auto">دورة البرمجة</strong>'),
        ("👩\u200d💻 नेपा\u200dल", "👩\u200d💻 नेपा\u200dल", "👩\u200d💻"),
        ("x" * 5000, "x" * 499 + "…", "x" * 499 + "…"),
        ("\u2028\u200b", "http://courses.example/one", "http://courses.example/one"),
    ],
)
def test_a_title_is_a_line_of_text(shop: Shop, title, in_text, in_html):
    [task_id] = shop.paid("DH1", [NewCourse(COURSE)])
    write(shop, task_id, status="completed", title=title.replace("\x00", ""))

    _, text, html = parts(shop)

    assert f"1. {in_text}\n   Ready\n" in text
    assert in_html in html
    assert "<script" not in html


def test_an_order_of_500_courses_is_one_mail(shop: Shop):
    [task_id] = shop.paid("DH1", titled=True)
    write(shop, task_id, status="completed", drive_link=f"https://f.example/{'y' * 60}")
    letter = shop.read(lambda c: letters.summary(c, shop.order().id))
    many = replace(letter, facts={**letter.facts, "courses": letter.facts["courses"] * 500})

    message = mail.compose(many, _MAIL, "key", _NOW).message

    text, html = (message.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert (text.count("Ready: https://f.example/"), html.count("<li")) == (500, 500)
    assert "500. Course 1\n" in text


def test_a_mail_is_the_same_to_the_byte_for_one_key(shop: Shop):
    shop.paid("DH1")
    letter = shop.read(lambda c: letters.summary(c, shop.order().id))

    first, again, other = (mail.compose(letter, _MAIL, key, _NOW).message for key in ("a", "a", "b"))

    assert first.as_bytes() == again.as_bytes()
    assert first["Message-ID"] != other["Message-ID"]
    assert [part["Content-Transfer-Encoding"] for part in first.iter_parts()] == ["quoted-printable"] * 2


def test_samples_have_the_variables_that_real_mails_have(shop: Shop):
    shop.paid("DH1")
    real = shop.read(lambda c: letters.summary(c, shop.order().id)).facts

    for sample in (facts for name, facts in samples.every() if name == "order"):
        assert sample.keys() - {"sender"} == real.keys()
        assert sample["order"].keys() == real["order"].keys()
        assert all(course.keys() == real["courses"][0].keys() for course in sample["courses"])
