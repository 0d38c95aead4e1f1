"""Manifests."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl.downloads import RemoteFile, manifest, names, urls
from orderctl.downloads.errors import InvalidManifest
from orderctl.states import ErrorType

BASE = "https://host/go/course.json"
ANY_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)),
    max_leaves=10,
)
NEARLY = st.fixed_dictionaries(
    {
        "url": st.one_of(
            ANY_JSON, st.sampled_from(["a.mp4", "https://x/y", "//x", "file:///a", "http://[", "\ud800"])
        )
    },
    optional={
        "name": st.one_of(ANY_JSON, st.text()),
        "size": st.one_of(ANY_JSON, st.integers(0, 2**40)),
        "sha256": st.one_of(ANY_JSON, st.text("0123456789abcdefABCDEF", min_size=64, max_size=64)),
    },
)
MANIFESTS = st.fixed_dictionaries(
    {"files": st.one_of(ANY_JSON, st.lists(st.one_of(NEARLY, ANY_JSON), max_size=5))},
    optional={"title": ANY_JSON},
)


def parse(document, title="A title"):
    return manifest.parse(json.dumps(document).encode(), BASE, title=title)


def test_reads_a_manifest():
    found = parse(
        {
            "title": " Learn\nGo ",
            "teacher": "unknown fields are left alone",
            "files": [
                {"name": "1/a.mp4", "url": "a.mp4", "size": 5, "sha256": "AB" * 32},
                {"url": "//cdn/b%20c.pdf?x"},
                {"name": "1/A.mp4", "url": "http://other/x", "size": None, "sha256": None},
            ],
        }
    )

    assert found.title == "Learn Go"
    assert found.files == (
        RemoteFile("1/a.mp4", "https://host/go/a.mp4", 5, "ab" * 32),
        RemoteFile("b c.pdf", "https://cdn/b%20c.pdf?x"),
        RemoteFile("1/A (2).mp4", "http://other/x"),
    )
    assert found.total_bytes is None


@pytest.mark.parametrize("title", [None, "", 5, ["x"], " \n"])
def test_uses_the_given_title_where_it_has_none(title):
    assert parse({"title": title, "files": [{"url": "a"}]}).title == "A title"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"5", b'"files"', b"{}", b"[" * 100_000, b"\xff", b"9" * 9999]
)
def test_other_json_is_not_a_manifest(body):
    assert manifest.parse(body, BASE, title="") is None


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([], "1 to 10000 files"),
        ({}, "1 to 10000 files"),
        ([{"url": "a"}] * 10_001, "1 to 10000 files"),
        ([5], r"files\[0\] .*not an object"),
        ([{"url": "a"}, {}], r"files\[1\].url"),
        ([{"url": 5}], r"files\[0\].url"),
        ([{"url": ""}], r"files\[0\].url"),
        ([{"url": "file:///etc/passwd"}], r"files\[0\].url .*not file:"),
        ([{"url": "http://["}], r"files\[0\].url"),
        ([{"url": "http:///a"}], r"files\[0\].url .*no host"),
        ([{"url": "a", "name": 5}], r"files\[0\].name"),
        ([{"url": "a", "size": -1}], r"files\[0\].size"),
        ([{"url": "a", "size": 1.5}], r"files\[0\].size"),
        ([{"url": "a", "size": True}], r"files\[0\].size"),
        ([{"url": "a", "size": 2**63}], r"files\[0\].size"),
        ([{"url": "a", "sha256": "ab"}], r"files\[0\].sha256"),
        ([{"url": "a", "sha256": "g" * 64}], r"files\[0\].sha256"),
    ],
)
def test_says_where_a_manifest_is_wrong(files, words):
    with pytest.raises(InvalidManifest, match=words) as caught:
        parse({"files": files})

    assert caught.value.error_type is ErrorType.UNKNOWN


@given(st.one_of(MANIFESTS, ANY_JSON))
def test_any_json_is_a_manifest_or_wrong_or_none(document):
    try:
        found = parse(document)
    except InvalidManifest:
        return
    for file in found.files if found else ():
        urls.parse(file.url)
        assert names.reduce_path(file.name) == file.name
        assert file.size is None or file.size >= 0


@given(st.binary())
def test_any_bytes_are_read_or_refused(body):
    manifest.parse(body, BASE, title="")
