"""URLs that come from a shop or a course's server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl.downloads import urls
from orderctl.downloads.errors import UrlRefused


@pytest.mark.parametrize(
    ("text", "authority", "target"),
    [
        ("http://Host", "host", "/"),
        ("https://host:443/a", "host", "/a"),
        ("https://host:80/a", "host:80", "/a"),
        ("HTTP://host/a b/ü?q=ü x&y=%20#f", "host", "/a%20b/%C3%BC?q=%C3%BC%20x&y=%20"),
        ("http://bücher.example/", "xn--bcher-kva.example", "/"),
        ("http://[2001:DB8::1]:8080/", "[2001:db8::1]:8080", "/"),
        ("http://user:pass@host/", "host", "/"),
    ],
)
def test_reads_a_url(text, authority, target):
    url = urls.parse(text)

    assert (url.authority, url.target) == (authority, target)


@pytest.mark.parametrize(
    "text",
    [
        "", "host/a", "//host/a", "file:///a", "ftp://host/", "javascript:alert(1)", "http://", "http:///a",
        "http://:80/", "http://host:x/", "http://host:70000/", "http://[::1", "http://ho st/", "http://h\x7f/",
        "http://ho%00st/", "http://a..b.ü/", "http://host\\@other/", "http://\ud800/", "http://host/\ud800",
    ],
)  # fmt: skip
def test_refuses_what_is_not_a_url(text):
    with pytest.raises(UrlRefused):
        urls.parse(text)


def test_shows_neither_password_nor_query():
    url = urls.parse("https://user:hunter2@host/a?token=hunter2")

    assert url.shown == "https://host/a"
    assert "user:hunter2" not in repr(url)
    assert len(urls.parse("https://host/" + "a" * 5000).shown) < 250


@given(st.text(), st.text(st.characters(max_codepoint=255)))
def test_a_request_line_has_only_printable_ascii(text, location):
    for make in (
        lambda: urls.parse("http://host/" + text),
        lambda: urls.follow(urls.parse("http://h/a"), location),
    ):
        try:
            url = make()
        except UrlRefused:
            continue
        line = url.authority + url.target
        assert line.isascii()
        assert line.isprintable()
        assert " " not in line


@pytest.mark.parametrize(
    "url",
    [
        "https://u:geheim/x@h/y",
        "https://u:x@h:geheim/",
        "https://u:[geheim]@h/",
        "https://u:geheim\u2100@h/",
        "https://[geheim]",
    ],
)
def test_what_is_wrong_with_a_url_does_not_quote_its_password(url: str):
    with pytest.raises(UrlRefused) as caught:
        urls.parse(url)

    assert "geheim" not in str(caught.value)
