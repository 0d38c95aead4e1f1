"""Text in columns of a terminal: cut and wrapped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl.terminal import widths


@given(st.text(), st.integers(1, 40))
def test_a_cut_text_fits(words, room):
    assert widths.width(widths.cut(words, room)) <= max(room, 1)
    assert widths.width(widths.cut_middle(words, room)) <= max(room, 1)


@pytest.mark.parametrize(
    ("text", "room", "cut"),
    [
        ("DH1234567890", 7, "DH1…890"),
        ("Kho\u0301abc", 4, "Kho\u0301…"),
        ("Kho\u0301ab", 3, "Kh…"),
        ("a👩‍💻👩‍💻", 4, "a👩‍💻…"),
    ],
)
def test_a_text_is_cut_between_letters(text, room, cut):
    assert (widths.cut_middle if text.isascii() else widths.cut)(text, room) == cut


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])), st.integers(2, 40))
def test_wrapped_text_fits_and_is_complete(words, room):
    lines = widths.wrap(words, room)

    assert all(widths.width(line) <= room for line in lines)
    assert "".join("".join(lines).split()) == "".join(words.split())


def test_a_colour_goes_on_in_the_next_line():
    assert widths.wrap(f"a {widths.paint('red words', 'red')} b", 6) == [
        "a \x1b[31mred\x1b[0m",
        "\x1b[31mwords\x1b[0m",
        "b",
    ]
