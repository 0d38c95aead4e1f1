"""Whether a response carries the file that was asked for, and its body if it does.

Evidence counts before labels: a checksum, then the length, then the first bytes, and only then what the header
says about the content.
"""

from __future__ import annotations

import re

from orderctl.downloads import coding, evidence, headers
from orderctl.downloads.body import Body
from orderctl.downloads.client import Answer
from orderctl.downloads.errors import BadAnswer, NotAFile, SizeMismatch, StatusRefused, TooLarge
from orderctl.downloads.protocol import RemoteFile

#: A proxy may have changed the response of a 203; checksum and first bytes are looked at as of any other.
_WHOLE = {200, 203}
_ACCEPTED, _PARTIAL, _BAD_REQUEST = 202, 206, 400
_HANDLER = "a course that is a page or a stream needs a handler of the shop's own: see docs/extending.md"
#: A body in many parts, each with a head of its own. ``multipart/x-zip`` and the like are labels of files.
_MANY_PARTS = {"multipart/byteranges", "multipart/x-byteranges"}
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)\Z", re.ASCII | re.IGNORECASE)


def accept(
    answer: Answer, file: RemoteFile, max_bytes: int, *, raw: bool = False, is_course: bool = False
) -> Body:
    """Return the body of the file in a response.

    Args:
        answer: The response to a request for the whole file.
        file: What is known of the file.
        max_bytes: The largest file that is allowed.
        raw: Whether to ignore the label that says that the body is compressed.
        is_course: Whether it is the whole course. That may be a manifest, and is not an HTML page, whatever its
            name, unless the server sends it as an attachment.

    Raises:
        StatusRefused: Its status is an HTTP error.
        NotAFile: It is a page, a playlist or an error message.
        TooLarge: It is larger than allowed.
        SizeMismatch: Its size is not the announced one.
        BadAnswer: It is compressed, or a truncated file could not be detected.
    """
    shown = answer.url.shown
    if not is_whole(answer):
        check_status(answer)
        raise BadAnswer(f"HTTP {answer.status} from {shown}, expected 200")
    if answer.length is not None and answer.length > max_bytes:
        raise TooLarge(f"{shown} has {answer.length} bytes, more than download.max_bytes ({max_bytes})")
    body = coding.open_body(answer, answer.header("Content-Encoding"), file, raw=raw)
    if not file.sha256:
        what = evidence.mismatch(
            file.name,
            answer.content_type,
            body.head(),
            may_be_manifest=is_course,
            may_be_page=not is_course or answer.is_attachment,
        )
        if what is not None:
            raise not_a_file(shown, what)
    if not body.delimited and file.size is None and file.sha256 is None:
        raise BadAnswer(f"{shown} has no Content-Length, so a truncated file could not be detected")
    if body.length is not None and file.size not in {None, body.length}:
        raise SizeMismatch(f"{shown} has {body.length} bytes instead of {file.size}")
    return body


def is_whole(answer: Answer) -> bool:
    """Whether a response is a success and claims to have the whole file."""
    if answer.status != _PARTIAL:
        return answer.status in _WHOLE
    span = content_range(answer)  # some servers answer all requests as if for a part
    return span is not None and answer.length == span[2] and span == (0, span[2] - 1, span[2])


def check_status(answer: Answer) -> None:
    """Raise an error when the status of a response is an HTTP error.

    Raises:
        StatusRefused: It is; 202 counts as one: the server has not made the file yet.
    """
    if answer.status >= _BAD_REQUEST or answer.status == _ACCEPTED:
        raise StatusRefused(answer.status, answer.url.shown, retry_after=answer.retry_after)


def content_range(answer: Answer) -> tuple[int, int, int] | None:
    """Return the first and last byte of a partial response and the size of the file; None when it has no range.

    A response in many parts has none of its own, whatever it says (RFC 9110, section 15.3.7.2).
    """
    if answer.content_type in _MANY_PARTS:
        return None
    found = _CONTENT_RANGE.match(answer.header("Content-Range"))
    first, last, size = map(headers.number, found.groups()) if found else (None,) * 3
    return None if first is None or last is None or size is None else (first, last, size)


def not_a_file(name: str, what: str) -> NotAFile:
    """Return the error for something that came in place of a file, such as "an HTML page"."""
    needs_handler = "page" in what or "playlist" in what
    return NotAFile(f"{name} is {what}, not the expected file", hint=_HANDLER if needs_handler else None)
