"""Text from a store is only shown on a terminal, and never controls it."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl.terminal import sanitise

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Khóa học Python", "Khóa học Python"),
        ("日本語 👩‍💻 🇻🇳", "日本語 👩‍💻 🇻🇳"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[1;38:5:9mred\x1b[m", "red"),
        ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("invoice\u202egpj.exe", "invoice\\u202egpj.exe"),
        ("\ud800", "\\ud800"),
        ("a\u200bb\ufeff\xad", "a\\u200bb\\ufeff\\xad"),
        ("\U000e0041", "\\U000e0041"),
        ("\x7f\x00", "\\x7f\\x00"),
    ],
)
def test_a_line_shows_unsafe_characters_as_escapes(text, shown):
    assert sanitise.line(text) == shown


@given(ANY_TEXT)
def test_a_line_has_no_controls_and_can_be_written(text):
    line = sanitise.line(text)

    line.encode()
    kinds = {unicodedata.category(character) for character in line} - {"Cn", "Co"}
    assert not kinds & {"Cc", "Cs", "Zl", "Zp"}
    assert "\u202e" not in line


@given(st.text(st.characters(codec="ascii", exclude_categories=("Cc",))))
def test_plain_text_stays(text):
    assert sanitise.line(text) == text


def test_a_block_keeps_its_lines():
    assert sanitise.block("a\r\n\tb\x1b[K\n") == "a\n    b\\x1b[K\n"


@given(st.recursive(st.none() | ANY_TEXT, lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner)))
def test_json_means_the_same_and_is_safe(value):
    document = sanitise.json(json.dumps(value, ensure_ascii=False, indent=2))

    document.encode()
    assert json.loads(document) == json.loads(json.dumps(value))
    assert sanitise.block(document) == document
