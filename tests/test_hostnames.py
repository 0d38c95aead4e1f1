"""Names of hosts in ASCII."""

import pytest

from orderctl import hostnames


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ("Example.COM", "example.com"),
        ("müller.de", "xn--mller-kva.de"),
        ("MÜLLER.DE", "xn--mller-kva.de"),
        ("xn--mller-kva.de", "xn--mller-kva.de"),
        ("straße.de", "xn--strae-oqa.de"),  # IDNA 2003, as Python's codec has it, is another host: strasse.de
        ("مثال.إختبار", "xn--mgbh0fb.xn--kgbechtv"),
        ("b。c", "b.c"),
        ("db_1", "db_1"),
        ("localhost.", "localhost."),
        ("192.0.2.1", "192.0.2.1"),
        ("::1", "::1"),
    ],
)
def test_host_in_ascii(host: str, wanted: str) -> None:
    assert hostnames.to_ascii(host) == wanted


@pytest.mark.parametrize(
    "host",
    ["", ".", "a..b", "-a.b", "a-.b", "a b", "a\x00b", "a\r\nb", "a/b", "a℀b", "a\u202eb.de", "x" * 64, "ü" * 64,
     "ü-.de", ".".join(["x" * 60] * 5), "ü" * 5000, ":", "a@b"],
)  # fmt: skip
def test_what_is_not_a_host_says_so(host: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        hostnames.to_ascii(host)
