"""Log in to MySQL or MariaDB. What is no MySQL server, or too old a one, gets an error of its own.

The driver, a client of the protocol, meets whatever listens on the port: its errors of reading are no errors of
a database, and would be reported as bugs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from orderctl import account_errors
from orderctl.errors import Misconfigured

#: The oldest versions with all that orderctl uses (CHECK, SKIP LOCKED, instant changes of tables).
OLDEST: Final = {"MariaDB": (10, 6), "MySQL": (8, 0)}
#: The driver waits this long for each message of the login, in seconds.
_PATIENCE: Final = 10


def log_in(connect: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Return a connection of the driver.

    Args:
        connect: The driver's function.
        arguments: Its arguments.

    Raises:
        MySQLError: The driver's error, always with a number.
        Misconfigured: The server is older than orderctl supports.
    """
    from pymysql.err import MySQLError, OperationalError  # noqa: PLC0415 - only for servers

    read_timeout = arguments["read_timeout"]
    try:
        # A server of another kind may say nothing, and a frozen one does not, either.
        connection = connect(**arguments | {"read_timeout": min(read_timeout or _PATIENCE, _PATIENCE)})
    except MySQLError as error:
        if number := _number(error):
            raise OperationalError(number, _first_line(error)) from error
        raise
    except Exception as error:
        raise OperationalError(account_errors.NO_SERVER, _first_line(error)) from error
    connection._read_timeout = read_timeout  # noqa: SLF001 - the driver has one limit for both
    try:
        _check_tls(connection, arguments)
        check_version(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _number(error: Exception) -> int | None:
    """Return the number that an error of the login lacks, or has although another one is meant."""
    import ssl  # noqa: PLC0415 - the driver has imported it

    cause = getattr(error, "original_exception", None)
    # The driver reports a certificate that is not valid as a server that does not answer.
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return account_errors.NO_TLS
    return None if error.args and isinstance(error.args[0], int) else account_errors.NO_SERVER


def _first_line(error: Exception) -> str:
    text = str(error.args[-1]) if error.args else type(error).__name__
    return text.partition("\n")[0]


def _check_tls(connection: Any, arguments: dict[str, Any]) -> None:
    """Refuse a connection without TLS where the URL asks for TLS; older drivers go on without it."""
    import ssl  # noqa: PLC0415 - as above

    from pymysql.err import OperationalError  # noqa: PLC0415 - as above

    if "ssl" in arguments and not isinstance(connection._sock, ssl.SSLSocket):  # noqa: SLF001 - not public
        raise OperationalError(account_errors.NO_TLS, "the server does not offer TLS")


def check_version(connection: Any) -> None:
    """Check that a server is new enough.

    Args:
        connection: A connection of the driver.

    Raises:
        Misconfigured: It is not.
    """
    shown = connection.get_server_info()
    if _is_old(shown):  # a proxy may show a version of its own
        with connection.cursor() as cursor:
            cursor.execute("SELECT VERSION()")
            [shown] = cursor.fetchone()
    if _is_old(shown):
        raise Misconfigured(
            f"the server's version is {shown}: orderctl needs MySQL 8.0, MariaDB 10.6, or newer",
            hint="upgrade the server, or set database.url to another one",
        )


def _is_old(shown: str) -> bool:
    kind = "MariaDB" if "mariadb" in shown.lower() else "MySQL"
    # MariaDB puts 5.5.5- before its version, for old replicas.
    found = re.match(r"(?:5\.5\.5-)?(\d+)\.(\d+)", shown)
    return found is not None and (int(found[1]), int(found[2])) < OLDEST[kind]
