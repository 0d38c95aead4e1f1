"""File names that come from a course's server."""

import os
import unicodedata
from pathlib import PurePosixPath
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orderctl.downloads import names

NASTY = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from(["/", "\\", ".", " ", "\0", "\n", "\u202e", "\u200d", "\ud800", "\u0301", "ﬃ", ":"]),
    )
)


@pytest.mark.parametrize(
    ("given_name", "reduced"),
    [
        ("lesson 1.mp4", "lesson 1.mp4"),
        ("Bài giảng - phần 1.mp4", "Bài giảng - phần 1.mp4"),
        ("e\u0301.txt", "é.txt"),
        ("", "file"),
        (".", "file"),
        ("..", "file"),
        ("...", "file"),
        (".htaccess", "htaccess"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("a\0b\nc", "a_b c"),
        ("\u202egpj.exe", "gpj.exe"),
        ('<a>:"b"|?*', "_a___b____"),
        ("  a \t b  ", "a b"),
        ("ends with dots. . .", "ends with dots"),
        ("NUL", "_NUL"),
        ("con.txt", "_con.txt"),
        ("COM¹.mp4", "_COM¹.mp4"),
        ("lpt³", "_lpt³"),
        ("CONIN$.mp4", "_CONIN$.mp4"),
        ("conout$ .txt", "_conout$ .txt"),
        ("coin$.mp4", "coin$.mp4"),
        ("com².x.mp4", "_com².x.mp4"),
        ("console.txt", "console.txt"),
        ("\ud800", "_"),
        ("x" * 300 + ".mp4", "x" * 196 + ".mp4"),
        ("x." + "y" * 300, "x." + "y" * 198),
        ("é" * 150, "é" * 100),
    ],
)  # fmt: skip
def test_reduces_a_name(given_name, reduced):
    assert names.reduce_name(given_name) == reduced


@pytest.mark.parametrize(
    ("given_path", "reduced"),
    [
        ("part 1/lesson.mp4", "part 1/lesson.mp4"),
        ("../../etc/passwd", "etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("C:\\Windows\\system.ini", "C_/Windows/system.ini"),
        ("a/./b//../c", "a/b/c"),
        ("/", "file"),
        ("1/2/3/4/5/6/7/8/9", "2/3/4/5/6/7/8/9"),
    ],
)
def test_reduces_a_path(given_path, reduced):
    assert names.reduce_path(given_path) == reduced


@given(NASTY)
@example("e\u200d\u0301")
@example("." + "x" * 199 + " .mp4")
@example("x" * 199 + "é")
@example("con" + " " * 300 + ".txt")
@example("\u200dcon")
def test_a_reduced_name_is_safe_and_stays_as_it_is(text):
    name = names.reduce_name(text)

    assert name
    assert not name.startswith(".")
    assert name == name.strip(". ")
    assert 0 < len(name.encode()) <= names.MAX_BYTES
    assert name == os.path.basename(name)  # noqa: PTH119 - the point is the text
    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"} for c in name)
    assert names.reduce_name(name) == name


@given(NASTY)
def test_a_reduced_path_stays_inside(text):
    path = PurePosixPath(names.reduce_path(text))

    assert not path.is_absolute()
    assert 1 <= len(path.parts) <= names.MAX_DEPTH
    assert str(path) == names.reduce_path(str(path))


@given(
    st.lists(
        st.one_of(NASTY, st.sampled_from(["a", "A", "a/b", "a (2)", "a (2)/b", "a/b/c", "é", "e\u0301"]))
    )
)
@example(["a .txt", "a .txt"])
@example(["x" * 194 + " y", "x" * 194 + " y"])
def test_distinct_paths_never_meet(texts):
    paths = names.distinct(map(names.reduce_path, texts))

    assert len(paths) == len(texts)
    keys = [unicodedata.normalize("NFC", path.casefold()) for path in paths]
    assert len(set(keys)) == len(keys)
    folders = {str(parent) for key in keys for parent in PurePosixPath(key).parents}
    assert not folders & set(keys)
    assert all(part == names.reduce_name(part) for path in paths for part in path.split("/"))


def test_distinct_paths_change_only_where_they_must():
    given_paths = ["a.txt", "A.txt", "b", "b/c", "a.txt", "b/c", "x" * 196 + ".mp4", "x" * 196 + ".mp4"]

    assert names.distinct(given_paths) == [
        "a.txt", "A (2).txt", "b", "b (2)/c", "a (3).txt", "b (2)/c (2)",
        "x" * 196 + ".mp4", "x" * 192 + " (2).mp4",
    ]  # fmt: skip


def test_ten_thousand_equal_names_do_not_take_forever():
    assert len(set(names.distinct(["a.txt"] * 10_000))) == 10_000


@pytest.mark.parametrize(
    ("given_name", "reduced"),
    [
        ("lesson.mp4?X-Amz-Signature=ab%2F&id=1", "lesson.mp4"),
        ("lesson.mp4?v=1/2", "lesson.mp4"),
        ("lesson?Expires=1&Signature=ab", "lesson"),
        ("lesson.mp4?sig=a/b c'd&e", "lesson.mp4"),
        ("https://u:p@h/x.bin?sig=ab", "x.bin"),
        ("https://u:p/w@h/x.bin", "x.bin"),
        ("https://u:p@h", "file"),
        # Words, not queries.
        ("What is 2+2?x=4.mp4", "What is 2+2_x=4.mp4"),
        ("Lesson 1.mp4? a=b", "Lesson 1.mp4_ a=b"),
        ("Who wrote it? The author=me.pdf", "Who wrote it_ The author=me.pdf"),
        ("a:b@c.pdf", "a_b@c.pdf"),
    ],
)
def test_a_name_that_was_part_of_a_url_loses_its_query(given_name: str, reduced: str):
    assert names.given_name(given_name) == reduced
    assert names.given_path(given_name) == reduced
    if "://" not in given_name:
        assert names.of_url(f"https://h/{quote(given_name, safe='')}") == reduced


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://host/a/l%C3%A9on%201.mp4?x=/y.mp3#z", "léon 1.mp4"),
        ("https://host/a/", "a"),
        ("https://host", "file"),
        ("https://host/%2e%2e%2fetc%00", "_etc_"),
    ],
)
def test_takes_a_name_from_a_url(url, name):
    assert names.of_url(url) == name


@pytest.mark.parametrize(
    ("asked", "answered", "name"),
    [
        ("https://host/a.mp4?x", "https://cdn/0f3a.bin", "a.mp4"),
        ("https://host/download?id=5", "https://cdn/lesson%201.mp4?sig", "lesson 1.mp4"),
        ("https://host/download.php?id=5", "https://cdn/lesson.mp4", "lesson.mp4"),
        ("https://host/download", "https://cdn/get", "download"),
        ("https://host/download", "https://cdn/get.php", "download"),
        ("https://host/", "https://cdn/v1.2", "file"),
        ("https://host/.htaccess", "https://cdn/a.zip", "a.zip"),
    ],
)
def test_takes_the_name_of_a_redirect_where_only_that_looks_like_a_file(asked, answered, name):
    assert names.of_urls(asked, answered) == name
