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
        ("http://BÜCHER.example/", "xn--bcher-kva.example", "/"),
        ("http://b%C3%BCcher.example/", "xn--bcher-kva.example", "/"),
        ("http://straße.example/", "xn--strae-oqa.example", "/"),
        ("http://bücher。example/", "xn--bcher-kva.example", "/"),
        ("http://my_courses.example.:8080/", "my_courses.example.:8080", "/"),
        ("http://127.0.0.1/", "127.0.0.1", "/"),
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
        "http://ho%00st/", "http://ho%2Fst/", "http://ho%40st/", "http://ho%FCst/", "http://-a.b/", f"http://{'a' * 64}.example/", "http://" + "a.b" * 100,
        "http://xn--ü.test/", "http://[fe80::1%25eth0]/", "http://a℀b/", "http://a..b.ü/", "http://host\\@other/", "http://\ud800/", "http://host/\ud800",
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


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/b.bin", "http://host/b.bin"),
        (" /b.bin\t", "http://host/b.bin"),
        ("/bài b.bin?q=ü#f", "http://host/b%C3%A0i%20b.bin?q=%C3%BC"),
        ("/100%.bin?a=%zz", "http://host/100%.bin?a=%zz"),
        ("//bücher.example/ü", "http://xn--bcher-kva.example/%C3%BC"),
        ("http://straße.example", "http://xn--strae-oqa.example/"),
        ("http://bücher.example:81/a", "http://xn--bcher-kva.example:81/a"),
    ],
)
def test_follows_a_redirect(location, url):
    assert str(urls.follow(urls.parse("http://host/a/b"), location.encode().decode("latin-1"))) == url


def test_a_location_that_is_not_utf_8_keeps_its_bytes():
    assert str(urls.follow(urls.parse("http://host/a"), "/b\xe0i b")) == "http://host/b%E0i%20b"


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1\\@evil.test/",
        "//127.0.0.1\\@evil.test/\xff",
        "http://a b/",
        "http://b\xfccher.test/",
        "http://[::1",
    ],
)
def test_reads_the_host_of_a_redirect_as_strictly_as_any(location):
    with pytest.raises(UrlRefused, match="malformed"):
        urls.follow(urls.parse("http://host/a"), location)


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
