"""Reduce file names from servers and manifests to names that are safe on every file system.

A reduced name has no slash, no control or formatting character, no character that Windows forbids, and no dot
at its start. Names with a leading dot are orderctl's own (``.lesson.mp4.part``), so the two cannot collide.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import count
from urllib.parse import unquote, urlsplit

from orderctl import masking

#: Longest component in bytes. Common file systems allow 255; orderctl adds a prefix and a suffix.
MAX_BYTES = 200
#: Most components of a path; of a longer one the last are kept.
MAX_DEPTH = 8
_MAX_SUFFIX = 20
_NAMELESS = "file"
#: The end of a file's name. Those of programs on the server are not.
_SUFFIX = re.compile(
    r"[^.]\.(?!(?:php\d?|aspx?|ashx|jspx?|cgi|do|action|pl)\Z)[a-z]\w{0,9}\Z", re.ASCII | re.IGNORECASE
)
#: A name that is a URL, and what is a query rather than words behind a question mark.
_URL = re.compile(r"(?:https?|ftps?|s3|gs|file)://", re.IGNORECASE)
_QUERY = re.compile(r"[A-Za-z][\w.~%\[\]-]*=.+", re.DOTALL)
_MAX_QUERY = 1000
_FORBIDDEN = re.compile(r'[/\\<>:"|?*]')
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[\d¹²³])(?=\s*(?:\.|\Z))", re.IGNORECASE)


def reduce_name(text: str) -> str:
    """Return one safe component, never empty, ``.`` or ``..``. A safe name is returned unchanged."""
    visible = "".join(map(_reduce_character, text))
    name = _trim(" ".join(unicodedata.normalize("NFC", visible).split()))
    if _DEVICE.match(name):
        name = f"_{name}"
    return _cut(name) or _NAMELESS


def reduce_path(text: str) -> str:
    """Return a safe relative path, which never leads out of its folder."""
    components = [part for part in re.split(r"[/\\]", text) if part.strip(". ")]
    return "/".join(map(reduce_name, components[-MAX_DEPTH:])) or _NAMELESS


def given_name(text: str) -> str:
    """Return the reduced name of what a server calls a file, without the rest of the URL that it may have been in."""
    return reduce_name(_without_url(text))


def given_path(text: str) -> str:
    """Return the safe relative path of a manifest's name, without the rest of the URL that it may have been in."""
    return reduce_path(_without_url(text))


def _without_url(text: str) -> str:
    """Return a name without the server and the query of a URL: a name is shown, a signature in it would be, too."""
    if _URL.match(text):
        text = masking.url(text).partition("://")[2].partition("/")[2]
    name, mark, query = text.partition("?")
    if (
        mark
        and _QUERY.fullmatch(query)
        and (_SUFFIX.search(name) or masking.carries_secret(f"?{query[:_MAX_QUERY]}"))
    ):
        return name
    return text


def of_url(url: str) -> str:
    """Return the file name in a URL, as a reduced name."""
    return given_name(unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2]))


def of_urls(asked: str, answered: str) -> str:
    """Return the file name in a URL, or in the one to which it redirects, as a reduced name.

    The name in the course's own URL is the same at each attempt. That of the redirect is taken where only it looks like
    the name of a file (``/download.php?id=5`` that leads to ``/a1b2/lesson.mp4``).

    Args:
        asked: The course's URL.
        answered: The URL that answered.
    """
    own, final = of_url(asked), of_url(answered)
    return final if _SUFFIX.search(final) and not _SUFFIX.search(own) else own


def distinct(paths: Iterable[str]) -> list[str]:
    """Return the same paths, with numbers added where two would collide: ``a.txt``, ``a (2).txt``.

    Two paths collide if they differ only in case, or if one is a folder of the other.
    """
    taken = _Taken()
    return [taken.take(path) for path in paths]


class _Taken:
    """The paths that are taken so far."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()
        self._renamed: dict[str, str] = {}
        self._next: dict[str, Iterator[int]] = {}

    def take(self, path: str) -> str:
        *folders, name = path.split("/")
        prefix = ""
        for folder in folders:
            prefix = self._enter(prefix, folder)
        chosen = prefix + self._first_free(prefix, name, (self._files, self._folders))
        self._files.add(_key(chosen))
        return chosen

    def _enter(self, prefix: str, folder: str) -> str:
        """Return the prefix of a folder's files. All of them get the same prefix, even if the folder was renamed."""
        wanted = _key(prefix + folder)
        if wanted not in self._renamed:
            self._renamed[wanted] = prefix + self._first_free(prefix, folder, (self._files,))
            self._folders.add(_key(self._renamed[wanted]))
        return self._renamed[wanted] + "/"

    def _first_free(self, prefix: str, name: str, occupied: tuple[set[str], ...]) -> str:
        numbers = self._next.setdefault(_key(prefix + name), count(2))
        candidate = name
        while any(_key(prefix + candidate) in paths for paths in occupied):
            candidate = _cut(name, f" ({next(numbers)})")
        return candidate


def _key(path: str) -> str:
    return unicodedata.normalize("NFC", path.casefold())


def _reduce_character(character: str) -> str:
    if character.isspace():
        return " "
    category = unicodedata.category(character)
    if category == "Cf":  # invisible: bidi controls, zero-width joiners, soft hyphens
        return ""
    return (
        "_" if category in {"Cc", "Cs", "Cn", "Co", "Zl", "Zp"} or _FORBIDDEN.match(character) else character
    )


def _trim(name: str) -> str:
    return name.lstrip(". ").rstrip(". ")


def _cut(name: str, number: str = "") -> str:
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix.encode()) > _MAX_SUFFIX:
        stem, dot, suffix = name, "", ""
    suffix = dot + suffix
    stem = stem.rstrip() if number else stem  # the number begins with a blank
    room = MAX_BYTES - len((number + suffix).encode())
    if len(stem.encode()) > room:
        stem = stem.encode()[:room].decode(errors="ignore").rstrip(". ")
    return _trim(stem + number + suffix)
