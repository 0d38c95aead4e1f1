"""Secrets are masked in URLs, in texts that contain them, and in every form in which a program may print them."""

import html
import json
import time
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderctl import masking

CANARY = "c@:/%#n?&€ Ary'x\"\\"


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("https://h/x", "https://h/x"),
        ("https://u:p@h/path?X-Amz-Signature=ab&id=1", "https://***@h/path?X-Amz-Signature=***&id=***"),
        ("https://token@h", "https://***@h"),
        ("https://h:8080/x", "https://h:8080/x"),
        ("https://[::1]:80/x?y=1", "https://[::1]:80/x?y=***"),
        ("https://müller.de/ä", "https://müller.de/ä"),
        ("https://h.de:80/@user/film", "https://h.de:80/@user/film"),
        ("https://h/@user/film", "https://h/@user/film"),
        # What should have been escaped in a user or a password.
        ("https://u:p@ss/w#r?d@h/path?x", "https://***@h/path?***"),
        ("https://u:12/w@h/x", "https://***@h/x"),
        ("https://u:pa?ss@h/x", "https://***@h/x"),
        ("https://u:p@h.de/x?mail=a@b.c", "https://***@h.de/x?mail=***"),
        ("https://u:password/x", "https://u:***/x"),
        ("u:p@h/x?sig=1", "***@h/x?sig=***"),
        ("u:p@h/x?next=http://h", "***@h/x?next=***"),
        # Misspelt, or without a scheme.
        ("//u:p@h/x?y=1", "//***@h/x?y=***"),
        ("http//u:p@h/x", "http//***@h/x"),
        ("https:/u:p@h", "https:/***@h"),
        ("https:///u:p@h", "https:///***@h"),
        ("http:\\\\u:p@h", "http:\\\\***@h"),
        (" http://u:p@h", " http://***@h"),
        ("h//x/@y", "h//x/@y"),
        ("sqlite:////tmp/a:b@c/x", "sqlite:////tmp/a:b@c/x"),
        # Tokens without a name, of Java, in a fragment.
        ("https://h/?dG9rZW4=", "https://h/?***"),
        ("https://h/?a=&b=2&c", "https://h/?a=&b=***&***"),
        ("https://h/x;jsessionid=12/y#access_token=1", "https://h/x;jsessionid=***/y#***"),
        # A URL in the path of another.
        ("https://w.org/https://u:p@h/x?sig=1", "https://w.org/https://***@h/x?sig=***"),
        ("https://w.org/https%3A%2F%2Fu%3Ap%40h", "https://w.org/https%3A%2F%2F***"),
        # A query in a path.
        ("https://h/a.mp4%3Fsig%3Dab%26x%3D1/b?y=1", "https://h/a.mp4%3F***/b?y=***"),
        ("https://h/What%3F/100%25", "https://h/What%3F/100%25"),
        ("", ""),
    ],
)
def test_a_url_keeps_its_place_and_loses_its_secrets(url, masked):
    assert masking.url(url) == masked
    assert masking.url(masked) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Algebra 1: what? a=b", "Algebra 1: what? a=b"),
        ("see 'https://u:p@h/x?t=1', then", "see 'https://***@h/x?t=***', then"),
        ("(ftp://u:p@h/x?y=1), https://h/x?y=1.", "(ftp://***@h/x?y=***), https://h/x?y=***."),
        ('{"url": "https://h/x?t=1"}', '{"url": "https://h/x?t=***"}'),
        ("with url: /p/q?token=ab&x=1 (Caused by", "with url: /p/q?token=***&x=*** (Caused by"),
        ("is /p?x a file?", "is /p?x a file?"),
        ("back=https%3A%2F%2Fu%3Ap%40h%2F&x", "back=https%3A%2F%2F***&x"),
        ("back=https%3A//u%3Ap%40h%2F&x", "back=https%3A//***&x"),
        ("<a href='//u:p@h/x'>, // a comment, a//b@c", "<a href='//***@h/x'>, // a comment, a//b@c"),
        # As PHP writes JSON.
        (r'{"url":"https:\/\/u:p@h\/x?a=1\u0026t=2"}', r'{"url":"https:\/\/***@h\/x?a=***"}'),
        (r'{"path":"C:\\x","and\/or?":"a=b"}', r'{"path":"C:\\x","and\/or?":"a=b"}'),
        ("with url: 1/a.mp4?token=ab&x=1 (Caused by", "with url: 1/a.mp4?token=***&x=*** (Caused by"),
        ("Do you know e.g. what a.b? a=b", "Do you know e.g. what a.b? a=b"),
    ],
)
def test_each_url_in_a_text_is_masked(text, masked):
    assert masking.text(text) == masked
    assert masking.text(masked) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Authorization: Basic dXNlcjpwdw== failed", "Authorization: *** failed"),
        ("{'Proxy-Authorization': 'Bearer ab', 'Host': 'h'}", "{'Proxy-Authorization': ***, 'Host': 'h'}"),
        ("('cookie', b'a=b; c=d')", "('cookie', ***)"),
        ('{"Authorization": "Basic it\'s", "a": 1}', '{"Authorization": ***, "a": 1}'),
        ("X-Api-Key: ab12", "X-Api-Key: ***"),
    ],
)
def test_headers_with_credentials_are_masked_in_what_others_wrote(text, masked):
    assert masking.foreign(text) == masked


def forms(secret):
    """Return the forms in which programs print a secret."""
    yield from (
        secret,
        repr(secret),
        repr(secret.encode()),
        json.dumps(secret),
        quote_plus(secret),
        quote(secret),
    )
    yield from (repr([secret, "'"]), repr(repr([secret, '"']).encode()), html.escape(secret))
    encoded = secret
    for _ in range(3):
        encoded = quote(encoded, safe="")
        yield encoded
    yield quote(secret, safe="").replace("%2F", "%2f")
    for before in ("", "u", "\0u", "\0user\0", "user:"):
        yield b64encode(f"{before}{secret}z".encode()).decode()
        yield urlsafe_b64encode(f"{before}{secret}".encode()).decode()


def is_in(text, secret):
    inner = b64encode(b"\0\0\0" + secret.encode()).decode()[4:-4]
    return secret in text or quote(secret, safe="") in text or inner in text


@pytest.mark.parametrize("secret", [CANARY, quote(CANARY, safe=""), "s3cr3t-words", "a/b?c=d+e~f"])
def test_a_known_secret_is_masked_in_any_form(secret):
    for form in forms(secret):
        masked = masking.text(f"the server said: {form}", secret)

        assert masking.HIDDEN in masked, form
        assert not is_in(masked, secret), form


@settings(max_examples=25)
@given(st.text(alphabet="aB1@:/%#?&=;'\"\\ é€", min_size=8, max_size=20))
def test_any_known_secret_is_masked_in_any_form(secret):
    if not secret.isalnum() and secret != masking.HIDDEN:
        for form in forms(secret):
            assert not is_in(masking.text(form, secret), secret)


@given(st.text(alphabet="aB1@:/%#?&=;'.[]", max_size=30))
def test_masking_a_url_twice_is_masking_it_once(rest):
    once = masking.url(f"https://{rest}")

    assert masking.url(once) == once


@given(st.text(alphabet="aB1@:/%#?&=;", max_size=12))
def test_no_password_is_left_whatever_its_characters(odd):
    assert "k3y" not in masking.url(f"https://u:k3y{odd}k3y@h.de/x")


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("mysql://shop:secret@h:3306/db?ssl-key=/k", "mysql://shop:***@h:3306/db?ssl-key=***"),
        ("mysql+pymysql://shop@h/db", "mysql+pymysql://shop@h/db"),
        ("mysql://shop:@:/%#x@h/db", "mysql://shop:***@h/db"),
        ("redis://shop:secret@h/0", "redis://shop:***@h/0"),
        ("rediss://:secret@h?password=secret", "rediss://***@h?password=***"),
        ("redis://secret@h", "redis://***@h"),
        ("smtp://a@b.c:se/cr#et@h:587", "smtp://***@h:587"),
        ("https://token:x-oauth@h/x", "https://***@h/x"),
        ("sqlite:////x/a@b.db", "sqlite:////x/a@b.db"),
    ],
)
def test_the_url_of_a_server_keeps_its_account(url, masked):
    assert masking.setting(url) == masked


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("https://hooks.h/services/T1/B2/secret", "https://hooks.h/***"),
        ("https://token@h/?x=1", "https://***@h/***"),
        ("https://h/", "https://h/"),
    ],
)
def test_the_url_of_a_webhook_keeps_its_server(url, masked):
    assert masking.webhook(url) == masked


def test_a_word_is_masked_only_as_a_word():
    assert masking.text("shoplift at the shopping, not the shopper: shoppe", "shoppe").endswith(
        "shopper: ***"
    )


def test_a_short_secret_is_not_searched_for_in_texts():
    assert masking.text("a cat sat", "cat") == "a cat sat"
    assert masking.secrets("https://u:cat@h/?a=1") == ()


def test_the_secrets_of_a_url_are_its_password_values_and_fragment():
    url = "https://user:pass%40word@h/x;id=p4r4m3ter?sig=signature&tokentoken&a=1#fragment"

    assert masking.secrets(url) == ("pass%40word", "fragment", "p4r4m3ter", "signature", "tokentoken")
    assert masking.secrets("https://lonelytoken@h/x") == ("lonelytoken",)


def test_json_is_masked_all_through_and_links_for_customers_stay():
    value = {
        "a": ["https://h/?x=1", 5, None],
        "driveLink": "https://drive/?id=1",
        "https://u:p@h": {"b": True},
    }

    assert masking.values(value) == {
        "a": ["https://h/?x=***", 5, None],
        "driveLink": "https://drive/?id=1",
        "https://***@h": {"b": True},
    }


def test_what_the_process_knows_is_masked_in_what_others_wrote_only(monkeypatch):
    monkeypatch.setattr(masking, "_settings", ())
    masking.learn(["of-settings"])
    with masking.knowing("of-a-task"):
        assert masking.foreign("of-settings, of-a-task") == "***, ***"
        assert masking.text("of-settings, of-a-task") == "of-settings, of-a-task"
    assert masking.foreign("of-settings, of-a-task") == "***, of-a-task"


@pytest.mark.parametrize(
    "piece", ["a", "a.", "/", "//", "-/", "\\/", "x-", "?a=", "https://", "https://u@h/", "//u@", "%3F"]
)
@pytest.mark.parametrize("end", ["", "?a=1"])
def test_a_long_text_is_masked_quickly_and_without_recursion(piece, end):
    text = piece * (60_000 // len(piece)) + end

    began = time.process_time()
    masking.foreign(text)
    masking.url(text)
    # Some of these took up to 32 s, or ended in a RecursionError.
    assert time.process_time() - began < 2


def test_a_secret_behind_many_urls_in_one_another_is_masked():
    text = "https://h/" * 50 + "x?sig=secret"
    assert "secret" not in masking.text(text)
    assert "secret" not in masking.url("https://h/" + "https://u:secret@h/" * 50)
