"""The JSON manifest of a course: ``{"title", "files": [{"name", "url", "size", "sha256"}]}``."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urljoin

from orderctl.downloads import names, urls
from orderctl.downloads.errors import InvalidManifest, UrlRefused
from orderctl.downloads.protocol import Enrollment, RemoteFile

#: Longest manifest, in bytes.
MAX_BYTES = 8 * 2**20
MAX_FILES = 10_000
MAX_TITLE = 255
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


def parse(body: bytes, url: str, *, title: str) -> Enrollment | None:
    """Read a manifest.

    Args:
        body: The JSON text.
        url: The manifest's own URL; relative URLs in it are resolved against it.
        title: The course's title when the manifest has none.

    Returns:
        What there is to download, with reduced and distinct names; None when the JSON is not a manifest, that
        is not an object with ``files``.

    Raises:
        InvalidManifest: It is a manifest with an error. The message says where the error is.
    """
    document = _document(body)
    if not isinstance(document, dict) or "files" not in document:
        return None
    entries = document["files"]
    if not isinstance(entries, list) or not 0 < len(entries) <= MAX_FILES:
        raise InvalidManifest(f"'files' in the manifest is not a list of 1 to {MAX_FILES} files")
    found = [_file(entry, url, f"files[{index}]") for index, entry in enumerate(entries)]
    distinct = names.distinct(file.name for file in found)
    files = (
        RemoteFile(name, file.url, file.size, file.sha256) for name, file in zip(distinct, found, strict=True)
    )
    return Enrollment(_title(document.get("title"), title), tuple(files))


def _document(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _title(value: object, default: str) -> str:
    text = value if isinstance(value, str) else ""
    printable = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(printable.split())[:MAX_TITLE] or default


def _file(entry: object, base: str, where: str) -> RemoteFile:
    if not isinstance(entry, dict):
        raise InvalidManifest(f"{where} in the manifest is not an object")
    url = _url(entry.get("url"), base, where)
    name = entry.get("name")
    if name is not None and not isinstance(name, str):
        raise InvalidManifest(f"{where}.name in the manifest is not a string")
    reduced = names.given_path(name) if name else names.of_url(url)
    return RemoteFile(reduced, url, _size(entry.get("size"), where), _sha256(entry.get("sha256"), where))


def _url(value: object, base: str, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidManifest(f"{where}.url in the manifest is not a non-empty string")
    try:
        url = urljoin(base, value)
        urls.parse(url)
    except (UrlRefused, ValueError) as error:
        raise InvalidManifest(f"{where}.url in the manifest: {error}") from None
    return url


def _size(value: object, where: str) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise InvalidManifest(f"{where}.size in the manifest is not a whole number of bytes")
    return value


def _sha256(value: object, where: str) -> str | None:
    if value is None:
        return None
    lowered = value.lower() if isinstance(value, str) else ""
    if not _SHA256.match(lowered):
        raise InvalidManifest(f"{where}.sha256 in the manifest is not 64 hexadecimal digits")
    return lowered
