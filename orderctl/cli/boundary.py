"""The one place where an error becomes a line on stderr and an exit code."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import click
from click.exceptions import Exit, NoArgsIsHelpError

from orderctl import environment
from orderctl.cli.streams import abandon
from orderctl.errors import ExitStatus, OrderctlError

#: Errors of writing to stdout or stderr, if the error names no file.
_OUTPUT_ERRORS: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}


def guard(program: Callable[[], object]) -> int:
    """Run the program, report its error on stderr, and return the exit code.

    Args:
        program: Returns an exit status, or anything else for success.
    """
    try:
        result = program()
        if sys.stdout is not None:
            sys.stdout.flush()
    except Exit as error:
        return _flushed(error.exit_code)
    except BaseException as error:  # noqa: BLE001 - the outermost frame: users get no traceback
        return _report(error)
    return int(result) if isinstance(result, int) else ExitStatus.DONE


def _flushed(status: int) -> int:
    # --help and --version end with an exception. A full disk has to be reported there, too.
    return guard(lambda: status)


def _report(error: BaseException) -> int:
    for kind, report in _REPORTERS:
        if isinstance(error, kind):
            return report(error)
    raise error


def _report_known(error: OrderctlError) -> int:
    _say(str(error), error.hint)
    return error.exit_status


def _report_usage(error: click.UsageError) -> int:
    if isinstance(error, NoArgsIsHelpError):
        _line(error.format_message())
    else:
        path = error.ctx.command_path if error.ctx else "orderctl"
        _say(_lowered(error.format_message()), f"{path} --help")
    return ExitStatus.USAGE


def _report_click(error: click.ClickException) -> int:
    _say(_lowered(error.format_message()))
    return ExitStatus.USAGE


def _report_interrupt(_error: BaseException) -> int:
    _say("interrupted")
    return ExitStatus.INTERRUPTED


def _report_closed(_error: BrokenPipeError) -> int:
    # The reader has closed the pipe, as in `orderctl orders list | head -1`.
    abandon(sys.stdout, sys.stderr)
    return ExitStatus.DONE


def _report_system(error: OSError) -> int:
    if error.filename is None and error.errno in _OUTPUT_ERRORS:
        abandon(sys.stdout)
        _say(f"cannot write the output: {error.strerror}")
        return ExitStatus.FAILED
    if error.filename is not None:
        _say(f"{error.filename}: {error.strerror}")
        return ExitStatus.FAILED
    if isinstance(error, FileNotFoundError):  # only the search for the current folder names no file
        _say("the current folder no longer exists", "cd")
        return ExitStatus.FAILED
    return _report_unexpected(error)


def _report_unexpected(error: BaseException) -> int:
    if environment.ambient().debug:
        import traceback

        from orderctl import masking

        _line(masking.foreign("".join(traceback.format_exception(error))))
    kind = type(error).__name__
    first = str(error).partition("\n")[0]
    _say(
        f"internal error: {kind}: {first}" if first else f"internal error: {kind}",
        "please report it; ORDERCTL_DEBUG=1 shows the traceback",
    )
    return ExitStatus.INTERNAL


def _report_exit(error: SystemExit) -> int:
    return error.code if isinstance(error.code, int) else ExitStatus.DONE


_REPORTERS: Final[tuple[tuple[type[BaseException], Callable[..., int]], ...]] = (
    (OrderctlError, _report_known),
    (click.UsageError, _report_usage),
    (click.ClickException, _report_click),
    (KeyboardInterrupt, _report_interrupt),
    (click.Abort, _report_interrupt),
    (BrokenPipeError, _report_closed),
    (OSError, _report_system),
    (SystemExit, _report_exit),
    (Exception, _report_unexpected),
)


def _say(message: str, hint: str | None = None) -> None:
    from orderctl import masking
    from orderctl.terminal import sanitise

    if _logged(f"orderctl: {message}" + (f"\nhint: {hint}" if hint else "")):
        return
    _line(f"orderctl: {sanitise.line(masking.foreign(message))}")
    if hint:
        _line(f"hint: {sanitise.line(hint)}")


def _logged(text: str) -> bool:
    """Write an error as a line of the log, if programs read stderr: systemd's journal, or those of JSON."""
    journal = environment.ambient().journal
    if not journal and "orderctl.cli.log_lines" not in sys.modules:
        return False
    import logging

    from orderctl.cli import log_lines

    with suppress(OSError):
        return log_lines.say(text, logging.ERROR, sys.stderr, journal)
    return False


def _line(text: str) -> None:
    with suppress(OSError):
        click.echo(text, err=True)


def _lowered(message: str) -> str:
    return (message[:1].lower() + message[1:]).removesuffix(".")
