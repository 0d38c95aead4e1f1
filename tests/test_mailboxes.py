"""E-mail addresses: one address that a mail server takes, or a reason."""

import pytest

from orderctl import mailboxes

#: What is given, and what the mail server gets.
VALID = [
    ("jo@example.com", "jo@example.com"),
    ("Jo.Doe+shop@EXAMPLE.com", "Jo.Doe+shop@example.com"),
    ("jo@müller.de", "jo@xn--mller-kva.de"),
    ("jo@xn--mller-kva.de", "jo@xn--mller-kva.de"),
    ("jürgen@müller.de", "jürgen@xn--mller-kva.de"),
    ("مثال@مثال.إختبار", "مثال@xn--mgbh0fb.xn--kgbechtv"),
    ('"a b"@c.d', '"a b"@c.d'),
    (r'"a\"\\@b"@c.d', r'"a\"\\@b"@c.d'),
    ('"plain"@c.d', "plain@c.d"),
    ("user@localhost", "user@localhost"),
    ("user@[192.0.2.1]", "user@[192.0.2.1]"),
    ("user@[ipv6:2001:DB8::1]", "user@[IPv6:2001:db8::1]"),
    (f"{'x' * 64}@b.c", f"{'x' * 64}@b.c"),
]
WRONG = [
    "", "nodomain", "@b.c", "a@", "a@b@c.d", "a@b.c,d@e.f", "a@b.c;d@e.f", "<script>@b.c", "a b@c.d", " a@b.c",
    "a@b.c\r\nBcc: x@y.z", "a\r\nBcc: x@y.z\r\n@b.c", "a@b.c\x00", "a\x00@b.c", "a\u202e@b.c", "a@b\u202e.c", "a@b.c.",
    "a@.b.c", "a@b..c", ".a@b.c", "a.@b.c", "a..b@c.d", "a@192.0.2.1", "a@[192.0.2.256]", "a@[::1]", "a@[IPv6:::1%1]",
    "a@b c.d", "a@-b.c", "a@b:25", f"{'x' * 65}@b.c", f"{'ü' * 33}@b.c", f"a@{'x' * 300}.c", f"a@{'x.' * 126}c",
    '"a"b@c.d', '""@c.d', '"a\r\nb"@c.d', '"a@c.d', "=?utf-8?q?a=0D=0AX=3A?=@b.c", "a(x)@b.c", "[a]@b.c",
]  # fmt: skip


@pytest.mark.parametrize(("text", "address"), VALID)
def test_address_as_the_mail_server_gets_it(text: str, address: str) -> None:
    found = mailboxes.parse(text)

    assert (found.address, found.is_ascii) == (address, address.isascii())
    assert mailboxes.parse(found.address) == found


@pytest.mark.parametrize("text", [*WRONG, "Jo <a@b.c>", "<a@b.c>"])
def test_what_is_not_one_address_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        mailboxes.parse(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a@b.c", ""),
        ("<a@b.c>", ""),
        (" The shop <a@b.c>\n", "The shop"),
        ("Smith, Jo <a@b.c>", "Smith, Jo"),
        ('"Smith, \\"Jo\\" <x>" <a@b.c>', 'Smith, "Jo" <x>'),
        ("Jürgen <a@b.c>", "Jürgen"),
    ],
)
def test_name_before_an_address(text: str, name: str) -> None:
    found = mailboxes.parse_named(text)

    assert (found.name, found.address) == (name, "a@b.c")


@pytest.mark.parametrize(
    "text", [*(wrong for wrong in WRONG if wrong != " a@b.c"), "a@b.c>", "x <a@b.c>, y <d@e.f>", "d@e.f, <a@b.c>",
             "x\r\nBcc: y <a@b.c>", "x <<a@b.c>>", "x <>"]
)  # fmt: skip
def test_a_name_makes_no_wrong_address_right(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        mailboxes.parse_named(text)


@pytest.mark.parametrize(
    ("host", "domain"),
    [("mail.example.com", "mail.example.com"), ("127.0.0.1", "[127.0.0.1]"), ("::1", "[IPv6:::1]")],
)
def test_address_at_a_host(host: str, domain: str) -> None:
    found = mailboxes.at_host("orderctl", host)

    assert found.address == f"orderctl@{domain}"
    assert mailboxes.parse(found.address) == found
