"""A private MySQL or MariaDB server."""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql

from tests.servers.availability import ENVIRONMENT, UnavailableError
from tests.servers.debs import PATIENCE, cache_folder, command, fetch, locked
from tests.servers.process import Server, ServerError
from tests.servers.programs import search_path

#: The folder of MySQL's packages, if they are unpacked already.
MYSQL_ROOT = "ORDERCTL_TEST_MYSQL_ROOT"

#: No fsync: data survives the server's death, not the machine's. Small buffers, no messages.
OPTIONS = (
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-flush-method=nosync",
    "--innodb-buffer-pool-size=64M",
    "--performance-schema=OFF",
    "--max-connections=300",
    "--secure-file-priv=",
)


@dataclass(frozen=True)
class Program:
    """A server program that can be run.

    Attributes:
        command: Path and first arguments (the loader, if it has its own libraries).
        version: Output of ``--version``.
        share: Folder with the SQL of MariaDB's system tables.
        options: Options of this program besides OPTIONS.
    """

    command: tuple[str, ...]
    version: str
    share: Path
    options: tuple[str, ...]

    @property
    def is_mariadb(self) -> bool:
        """Return whether it is MariaDB: a ``mysqld`` can be either."""
        return "MariaDB" in self.version


def find_mysql() -> Program:
    """Find MySQL 8 or newer: unpacked already, on the PATH, or downloaded from Debian's unstable suite.

    Raises:
        UnavailableError: All three failed.
    """
    if given := ENVIRONMENT.get(MYSQL_ROOT):
        return _program_in(Path(given))
    for program in _installed("mysqld"):
        if not program.is_mariadb and int(re.findall(r"Ver (\d+)", program.version)[0]) >= 8:
            return program
    return _program_in(fetch("mysql-server-core", "unstable"))


def find_mariadb() -> Program:
    """Find MariaDB: on the PATH, or downloaded from the machine's own suite.

    Raises:
        UnavailableError: Both failed.
    """
    for program in _installed("mariadbd", "mysqld"):
        if program.is_mariadb:
            return program
    return _program_in(fetch("mariadb-server-core"))


def _installed(*names: str) -> Iterator[Program]:
    for name in names:
        if found := shutil.which(name, path=search_path()):
            yield _program((str(Path(found).absolute()),), Path(found).resolve().parents[1])


def _program_in(root: Path) -> Program:
    """Describe the server in unpacked packages."""
    return _program(command(root, "mariadbd", "mysqld"), root.absolute() / "usr")


def _program(words: tuple[str, ...], base: Path) -> Program:
    answer = subprocess.run(
        [*words, "--no-defaults", "--version"], capture_output=True, text=True, check=False
    )
    if answer.returncode:
        raise UnavailableError(f"{words[-1]} does not run: {answer.stderr.strip()[-300:]}")
    share = next(
        (base / "share" / name for name in ("mariadb", "mysql") if (base / "share" / name).is_dir()), base
    )
    options = [f"--basedir={base}", f"--lc-messages-dir={share}"]
    if os.geteuid() == 0:
        options.append("--user=root")
    if "MariaDB" in answer.stdout:
        options += ["--innodb-log-file-size=16M", "--plugin-dir=/nonexistent"]
        options += ["--loose-debug-no-sync", "--loose-skip-sync-frm"]  # 120 of the 196 fsyncs of a migration
    else:
        options += ["--innodb-redo-log-capacity=32M", "--mysqlx=OFF", "--information-schema-stats-expiry=0"]
    return Program(words, answer.stdout.strip(), share, tuple(options))


def data_template(program: Program) -> Path:
    """Return a data folder with the system's tables only, prepared once for each version of a server.

    Args:
        program: The server.

    Raises:
        ServerError: The server could not prepare it.
        UnavailableError: The folder cannot be created.
    """
    recipe = repr((program, OPTIONS, MARIADB_ROOT_SQL, MYSQL_ROOT_SQL))
    name = f"data-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}"
    template = cache_folder() / name
    if template.is_dir():
        return template
    with locked(template.with_name(f"{name}.lock"), PATIENCE):
        if not template.is_dir():
            work = template.with_name(f"{name}.work")
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            prepare: Callable[..., None] = _prepare_mariadb if program.is_mariadb else _prepare_mysql
            prepare(program, work)
            work.rename(template)
    return template


MYSQL_ROOT_SQL = (
    "CREATE USER 'root'@'127.0.0.1';\n"
    "GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;\n"
    "GRANT PROXY ON ''@'' TO 'root'@'127.0.0.1' WITH GRANT OPTION;\n"
)

MARIADB_ROOT_SQL = (
    "DELETE FROM mysql.global_priv WHERE User = '';\n"
    "REPLACE INTO mysql.global_priv SELECT '127.0.0.1', User, Priv FROM mysql.global_priv"
    " WHERE Host = 'localhost' AND User = 'root';\n"
)

#: In the order of their dependencies; MariaDB 11 renamed some.
MARIADB_SYSTEM_SQL = (
    "*_system_tables.sql",
    "*_performance_tables.sql",
    "*_system_tables_data.sql",
    "maria_add_gis_sp_bootstrap.sql",
    "*_sys_schema.sql",
)


def _prepare_mysql(program: Program, data: Path) -> None:
    script = data.with_suffix(".sql")
    script.write_text(MYSQL_ROOT_SQL)
    _prepare(program, data, ["--initialize-insecure", f"--init-file={script}"], "")
    script.unlink()


def _prepare_mariadb(program: Program, data: Path) -> None:
    files = [path for pattern in MARIADB_SYSTEM_SQL for path in sorted(program.share.glob(pattern))]
    start = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n"
    script = "\n".join([start, *(path.read_text(encoding="utf-8") for path in files), MARIADB_ROOT_SQL])
    _prepare(program, data, ["--bootstrap"], script)


def _prepare(program: Program, data: Path, options: list[str], script: str) -> None:
    words = [*program.command, "--no-defaults", *OPTIONS, *program.options, f"--datadir={data}", *options]
    done = subprocess.run(words, input=script, capture_output=True, text=True, check=False, timeout=PATIENCE)
    if done.returncode:
        raise ServerError(f"no system tables in {data}: {done.stderr[-1000:]}")


class MysqlServer(Server):
    """A MySQL or MariaDB server; ``root`` has no password.

    Args:
        program: The server's program.
        options: Further options, which override the others.
    """

    def __init__(self, program: Program, *options: str) -> None:
        super().__init__()
        self.program = program
        self.options = options
        template = data_template(program)
        if not self.data.exists():
            subprocess.run(["cp", "-a", "--reflink=auto", template, self.data], check=True)

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    def command(self) -> list[str]:
        places = [
            f"--datadir={self.data}",
            f"--socket={self.socket_path}",
            f"--pid-file={self.folder / 'pid'}",
            # At its start MariaDB deletes all temporary tables in the folder, also those of other servers.
            f"--tmpdir={self.folder}",
        ]
        words = [
            "--no-defaults",
            *OPTIONS,
            *self.program.options,
            *places,
            f"--port={self.port}",
            *self.options,
        ]
        return [*self.program.command, *words]

    def ping(self) -> None:
        self.execute("SELECT 1")

    def url(self, database: str = "") -> str:
        """Return the SQLAlchemy URL of a database."""
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/{database}?charset=utf8mb4"

    def execute(
        self, statement: str, arguments: Any = None, *, database: str | None = None
    ) -> list[tuple[Any, ...]]:
        """Run one statement as ``root``, commit it, and return its rows."""
        with self.connect(database) as cursor:
            cursor.execute(statement, arguments)
            return list(cursor.fetchall())

    def create_database(self, name: str, *, charset: str = "utf8mb4", collation: str | None = None) -> str:
        """Create an empty database and return its URL.

        Args:
            name: Its name.
            charset: Its character set.
            collation: Its collation, by default the server's for the character set.
        """
        collate = f" COLLATE {collation}" if collation else ""
        self.execute(f"CREATE DATABASE `{name}` CHARACTER SET {charset}{collate}")
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, if it exists, and end all connections to it."""
        self.disconnect(name)
        self.execute(f"DROP DATABASE IF EXISTS `{name}`")

    def disconnect(self, name: str) -> None:
        """End all connections to a database, because open ones hold locks."""
        for (number,) in self.execute("SELECT id FROM information_schema.processlist WHERE db = %s", [name]):
            try:
                self.execute(f"KILL {number}")
            except pymysql.err.MySQLError as error:
                if error.args[0] != pymysql.constants.ER.NO_SUCH_THREAD:
                    raise

    @contextmanager
    def connect(self, database: str | None = None) -> Iterator[pymysql.cursors.Cursor]:
        """Yield a cursor of ``root`` with autocommit, over the unix socket."""
        connection = pymysql.connect(
            unix_socket=str(self.socket_path),
            user="root",
            database=database,
            autocommit=True,
            read_timeout=60,
        )
        try:
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()
