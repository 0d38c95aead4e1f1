"""The templates of mails: the shop's own, and what is wrong with them."""

import os
import re
from pathlib import Path

import pytest

from orderctl.errors import ExitStatus
from orderctl.worker import samples, templates
from orderctl.worker.templates import TemplateFault

DOCS = (Path(__file__).parents[2] / "docs/mails.md").read_text(encoding="utf-8")
SENDER = {"name": "Cửa hàng", "address": "shop@example.com"}
COURSE = {
    "id": 1,
    "title": "Go",
    "status": "completed",
    "state": "Ready",
    "link": "https://f.example/1/",
    "error_type": None,
    "reason": None,
}
ORDER = {"code": "DH1", "outcome": "partly", "total": 3, "completed": 1, "failed": 2, "cancelled": 1}
FACTS = {
    "order": ORDER,
    "courses": [
        COURSE,
        {**COURSE, "title": "Rust", "status": "cancelled", "link": None},
        {**COURSE, "title": "C", "status": "failed", "link": None, "error_type": "NOT_FOUND", "reason": "..."},
        {**COURSE, "title": "D", "status": "failed", "link": None, "error_type": "CHECKSUM", "reason": "..."},
    ],
    "sender": SENDER,
}  # fmt: skip
MAIL = "Subject: S\n\ntext\n"


def put(folder: Path, **files: str | bytes) -> Path:
    for name, content in files.items():
        path = folder / name.replace("_", ".")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def test_every_sample_is_a_mail():
    for name, facts in samples.every():
        written = templates.render(name, facts, None)

        assert written.subject
        assert "\n\n\n" not in written.text
        assert written.html.startswith("<!doctype html>\n<html lang=")
        assert f"<title>{written.subject}</title>" in written.html


def test_the_html_parts_load_nothing_and_are_for_every_screen():
    for name, facts in samples.every():
        html = templates.render(name, facts, None).html

        assert not re.search(r"<(?:img|script|link|iframe|form|style)\b|url\(|@import", html)
        assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in html


def test_one_file_is_replaced_and_the_others_stay_ours(tmp_path: Path):
    ours = templates.render("order", FACTS, None)
    put(tmp_path, order_txt=b"\xef\xbb\xbfSubject: Xong {{ order.code }}\r\n\r\nXin ch\xc3\xa0o\r\n")

    written = templates.render("order", FACTS, tmp_path)

    assert (written.subject, written.text) == ("Xong DH1", "Xin chào\n")
    assert written.html == ours.html.replace(ours.subject, "Xong DH1")


def test_the_layout_is_replaced_alone(tmp_path: Path):
    put(tmp_path, layout_html="<html><p>{{ sender.name }}{% block content %}{% endblock %}")

    for name, facts in samples.every():
        written = templates.render(name, facts, tmp_path)

        assert written.html.startswith("<html><p>")
        assert written.text == templates.render(name, facts, None).text


def test_a_file_that_changes_or_goes_is_noticed(tmp_path: Path):
    put(tmp_path, order_txt="Subject: a\n\none")
    assert templates.render("order", FACTS, tmp_path).text == "one\n"

    put(tmp_path, order_txt="Subject: a\n\nanother")
    assert templates.render("order", FACTS, tmp_path).text == "another\n"

    (tmp_path / "order.txt").unlink()
    assert templates.render("order", FACTS, tmp_path).text.startswith("Hello,")


def test_only_html_is_escaped(tmp_path: Path):
    put(
        tmp_path,
        order_txt="Subject: {{ order.code }}\n\n{{ order.code }}",
        order_html="{{ order.code }} {{ subject }}",
    )

    written = templates.render("order", {**FACTS, "order": {"code": "<&>"}}, tmp_path)

    assert (written.subject, written.text, written.html) == ("<&>", "<&>\n", "&lt;&amp;&gt; &lt;&amp;&gt;\n")


#: What is wrong in a folder: its files, and what the message says.
BAD_FILES = [
    (
        {"orders_html": "x"},
        "orders.html is not a template of a mail: allowed is order.txt, order.html, failure.txt,",
    ),
    ({"Order_txt": "x"}, "Order.txt is not a template"),
    ({"order_txt": b"Subject: a\n\nb \xe9"}, "order.txt, line 3: it is not in UTF-8"),
    ({"order_txt": "Subject: a\n\n{% if x %}"}, "order.txt, line 3: Unexpected end of template"),
    ({"order_html": "a\n{{ order.code"}, "order.html, line 2: unexpected end of template"),
    ({"layout_html": "\n\n{{ 1 | upside }}"}, "layout.html, line 3: No filter named 'upside'"),
    ({"failure_txt": "{% raw"}, "failure.txt, line 1:"),
]
#: What reads well, but is no mail.
BAD_MAILS = [
    ({"order_txt": "Subject: a\n\n{{ order.cod }}"}, "order.txt, line 3: there is no variable 'cod': there are id, code,"),
    ({"order_txt": "Subject: {{ ordr.code }}\n\nb"}, "order.txt, line 1: there is no variable 'ordr'"),
    ({"layout_html": "a\n{{ me }}"}, "layout.html, line 2: there is no variable 'me'"),
    ({"order_txt": "Hello"}, "order.txt: the first line has to be Subject:"),
    ({"order_txt": "Subject:\n\nHello"}, "order.txt: the first line has to be Subject:"),
    ({"order_txt": "Subject: a\nBcc: x@y.z\n\nHello"}, "order.txt: the first line has to be Subject:"),
    ({"order_txt": "Subject: a\n\n  \n"}, "order.txt: the mail is empty"),
    ({"order_html": "{% if 0 %}x{% endif %}\n"}, "order.html: the mail is empty"),
    ({"order_txt": ""}, "order.txt: the first line has to be Subject:"),
    ({"webhook_txt": "Subject: a\n\n{{ number / 0 }}"}, "webhook.txt, line 3: ZeroDivisionError: division by zero"),
    ({"order_html": "{% include 'logo.html' %}"}, "order.html, line 1: the template logo.html does not exist: allowed"),
    ({"order_html": "{% include '../setup.cfg' %}"}, "the template ../setup.cfg does not exist"),
    ({"layout_html": "{% extends 'layout.html' %}"}, "layout.html, line 1: RecursionError"),
    ({"order_html": "{{ order.update(code=1) }}"}, "order.html, line 1: access to attribute 'update'"),
    ({"order_html": "{{ ''.__class__.mro() }}"}, "order.html, line 1: access to attribute '__class__'"),
    ({"order_html": "\n{% for x in range(10**9) %}{% endfor %}"}, "order.html, line 2: OverflowError: Range too big"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "message"), BAD_FILES)
def test_a_file_that_is_no_template_is_refused(tmp_path: Path, files, message):
    with pytest.raises(TemplateFault) as caught:
        templates.check(put(tmp_path, **files))

    assert message in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert str(caught.value).startswith("setting mail.templates: ")
    assert caught.value.exit_status == ExitStatus.CONFIGURATION


@pytest.mark.parametrize(("files", "message"), BAD_MAILS)
def test_a_template_that_writes_no_mail_is_refused(tmp_path: Path, files, message):
    templates.check(put(tmp_path, **files))  # nothing is wrong with its syntax

    with pytest.raises(TemplateFault) as caught:
        templates.check(tmp_path, samples.every())

    assert message in str(caught.value)


@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling link"])
def test_what_is_not_a_file_is_refused(tmp_path: Path, kind):
    path = tmp_path / "order.txt"
    {"folder": path.mkdir, "pipe": lambda: os.mkfifo(path), "dangling link": lambda: path.symlink_to("gone")}[
        kind
    ]()

    with pytest.raises(TemplateFault, match=r"order\.txt: it (?:is not a file|cannot be read: No such file)"):
        templates.check(tmp_path)


def test_a_folder_that_is_not_there_is_refused_and_never_replaced_by_ours(tmp_path: Path):
    file = tmp_path / "file"
    file.touch()
    for folder, reason in ((tmp_path / "gone", "No such file or directory"), (file, "Not a directory")):
        with pytest.raises(TemplateFault, match=f"the folder {folder} cannot be read: {reason}"):
            templates.check(folder)
        with pytest.raises(TemplateFault, match=r"the folder .* cannot be read"):
            templates.render("order", FACTS, folder)


def test_hidden_files_and_copies_of_editors_do_not_count(tmp_path: Path):
    for name in (".git", ".order.txt.swp", "order.txt~"):
        (tmp_path / name).touch()

    templates.check(tmp_path, samples.every())


def test_the_example_of_the_page_is_a_mail(tmp_path: Path):
    [example] = re.findall(r"^```jinja\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
    put(tmp_path, order_txt=example)

    templates.check(tmp_path, samples.every())
    written = templates.render("order", FACTS, tmp_path)

    assert written.subject == "Đơn hàng DH1: 1/3 khóa học đã sẵn sàng"
    assert written.text == (
        "Xin chào,\n\n"
        "1. Go\n   Đã sẵn sàng: https://f.example/1/\n"
        "2. C\n   Chưa hoàn thành: không tìm thấy khóa học tại địa chỉ đã cho\n"
        "3. D\n   Chưa hoàn thành: đã xảy ra lỗi\n"
        "\nCửa hàng\n"
    )


@pytest.mark.parametrize("name", templates.MAILS)
def test_the_page_lists_every_variable_of_a_mail(name):
    section = DOCS.partition(f"### {name}\n")[2].partition("\n##")[0]
    rows = re.findall(r"^\| (`.+?`) \|", section, re.MULTILINE)
    listed = {word for row in rows for word in re.findall(r"`([\w.]+)`", row)}

    facts = samples.letter(name, "a@b.c").facts
    wanted = {
        f"{key}.{inner}" if inner else key
        for key, value in facts.items()
        for inner in (value if isinstance(value, dict) else [None])
    }
    if name == "order":
        wanted |= {f"course.{inner}" for inner in facts["courses"][0]}
    assert listed == wanted


def test_the_page_names_every_file():
    for name in templates.FILES:
        assert f"`{name}`" in DOCS
