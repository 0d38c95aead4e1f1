"""The standard streams at the start of the program: closed ones, full disks, dead readers, missing characters."""

from __future__ import annotations

import codecs
import io
import os
import sys
from contextlib import suppress
from typing import Any, Final, TextIO, cast

from orderctl import environment

#: How a stream writes a character that its encoding lacks.
_ESCAPES: Final = "orderctl.escapes"


def prepare() -> None:
    """Set up the standard streams, before anything is opened or written."""
    _know_unicode()
    # A file that is opened while one of these is closed would get its number, and whatever is printed: SQLite's
    # database, for example. Output that is closed stays unwritable, so that a write fails. Input is empty.
    _reserve(0, os.O_RDONLY)
    _reserve(1, os.O_RDONLY)
    _reserve(2, os.O_WRONLY)
    codecs.register_error(_ESCAPES, _escape)
    if sys.stdin is None:
        sys.stdin = cast("TextIO", open(0, encoding="utf-8", closefd=False))  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = cast("TextIO", open(1, "w", encoding="utf-8", closefd=False))  # noqa: SIM115
    cast("io.TextIOWrapper", sys.stdout).reconfigure(errors=_ESCAPES)
    sys.stderr = _messages("utf-8" if sys.stderr is None else sys.stderr.encoding)


def abandon(*streams: TextIO | None) -> None:
    """Redirect streams to /dev/null, or the interpreter fails again when it flushes them at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        with suppress(OSError, ValueError, AttributeError):
            os.dup2(nowhere, stream.fileno())  # type: ignore[union-attr]
    os.close(nowhere)


def _know_unicode() -> None:
    """Start again where Python takes arguments and names of files for ASCII.

    It does so in the locale C with PYTHONUTF8=0, and could neither read "Đ" nor open a file of that name.
    """
    if codecs.lookup(sys.getfilesystemencoding()).name != "ascii":
        return
    environ = environment.in_utf8(sys.stdout.encoding if sys.stdout else "ascii")
    if environ is None:
        return
    with suppress(OSError):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environ)  # noqa: S606 - this program


def _reserve(number: int, flags: int) -> None:
    try:
        os.fstat(number)
    except OSError:  # it is closed, and those below it are open: so the next file gets this number
        os.set_inheritable(os.open(os.devnull, flags), True)


def _messages(encoding: str) -> TextIO:
    # Large enough for a line with a traceback: lines of several processes must not be mixed.
    buffer = io.BufferedWriter(_Messages(2, "w", closefd=False), 1 << 16)
    return io.TextIOWrapper(buffer, encoding, _ESCAPES, line_buffering=True)


class _Messages(io.FileIO):
    """Standard error. A message that cannot be written is lost, and changes nothing else.

    Its disk may be full and its reader may have ended; commands have done their work nevertheless, and workers go on.
    """

    def write(self, data: Any, /) -> int:
        try:
            written = super().write(data)
        except OSError:
            written = None
        # None: it would block. What is not lost would be written again, and then at the end, which fails then.
        return memoryview(data).nbytes if written is None else written


def _escape(error: UnicodeError) -> tuple[str, int]:
    r"""Write what an encoding lacks as ``\u1ecd``, in UTF-16 as JSON does, so that JSON stays JSON."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2)), error.end
