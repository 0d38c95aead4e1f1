"""Values of the shop that a user is typing, for the TAB key: read straight through the driver.

SQLAlchemy alone takes as long as a user waits for the key. A lookup never starts a server, creates no file, and gives up
after a moment: then nothing is found.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import quote

from orderctl import channels, database_urls, driver_options, embedded, foreign, logins, masking, sqlite_files
from orderctl.database_urls import DEFAULT
from orderctl.settings import Settings

T = TypeVar("T")

#: How long the stores may take.
SECONDS: Final = 0.25
_MOST: Final = 50
#: Of how many of the newest rows the statuses, the errors and the codes are looked at.
_NEWEST: Final = 200
#: Among how many of the newest tasks those that failed are looked for.
_LOOKED: Final = 5000
#: No id has more digits.
_DIGITS: Final = 18
_LAST: Final = "\U0010ffff"
_DELETED: Final = ("deleted_at", "deletedat")

Row = dict[str, Any]


class Found(NamedTuple):
    """A value, and what tells a user which one it is."""

    value: str
    about: str = ""


class Rows:
    """The rows of a database.

    Args:
        execute: Runs a statement, and returns a cursor.
        server: Whether it is MySQL or MariaDB.
    """

    def __init__(self, execute: Callable[[str, Sequence[Any]], Any], *, server: bool) -> None:
        self._execute, self._server = execute, server

    def read(self, query: str, *values: Any) -> list[Row]:
        """Return rows by the names of their columns in lower case, without those that the shop has deleted."""
        cursor = self._execute(query.replace("?", "%s") if self._server else query, values)
        names = [one[0].lower() for one in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        return [row for row in rows if not any(row.get(name) for name in _DELETED)]

    def begins(self, column: str, text: str) -> tuple[str, list[str]]:
        """Return the condition that a column begins with a text, for an index, with its values."""
        if not self._server:
            return f"{column} >= ? AND {column} < ?", [text, text + _LAST]
        for special in ("!", "%", "_"):
            text = text.replace(special, "!" + special)
        return f"{column} LIKE ? ESCAPE '!'", [text + "%"]


@dataclass(frozen=True, slots=True)
class Lookup:
    """A kind of values.

    Attributes:
        find: Finds those that begin with a text.
        redis: Whether they are in Redis, and not in the database.
    """

    find: Callable[[Any, str], list[Found]]
    redis: bool = False


def ask(settings: Settings, wanted: Lookup, begin: str, *, seconds: float = SECONDS) -> list[Found]:
    """Return values that begin with a text, as far as they are found in time.

    Args:
        settings: Name the stores.
        wanted: The kind of values.
        begin: What the user has typed.
        seconds: The longest time that a server may take.

    Raises:
        Exception: Any error of a store, or of its driver.
    """
    if wanted.redis:
        import redis  # noqa: F401, PLC0415 - its import does not count

        return _within(seconds, lambda: wanted.find(_redis(settings), begin))
    if settings.database.url is None or settings.database.url.startswith("sqlite"):
        with _file(settings) as rows:
            return wanted.find(rows, begin)
    import pymysql  # noqa: F401, PLC0415 - as above

    def look() -> list[Found]:
        with _server(str(settings.database.url)) as rows:
            return wanted.find(rows, begin)

    return _within(seconds, look)


def _within(seconds: float, look: Callable[[], list[T]]) -> list[T]:
    found: list[T] = []

    def run() -> None:
        with suppress(Exception):  # a thread would print it
            found.extend(look())

    # The resolver of names cannot be interrupted. This thread is left behind.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    return [] if thread.is_alive() else found


@contextmanager
def _file(settings: Settings) -> Iterator[Rows]:
    url = settings.database.url or embedded.database_url(settings.state_dir)
    path = database_urls.parse(url).name
    sqlite_files.check(path, DEFAULT)
    with closing(
        sqlite3.connect(sqlite_files.uri(path, writable=False), uri=True, timeout=0.1)
    ) as connection:
        connection.text_factory = foreign.decode
        yield Rows(connection.execute, server=False)


@contextmanager
def _server(url: str) -> Iterator[Rows]:
    import pymysql  # noqa: PLC0415 - not for the embedded default

    address = database_urls.parse(url)
    arguments = driver_options.of(address, 1) | {"connect_timeout": 1, "autocommit": True}
    place = {"host": address.host, "port": address.port, "user": address.user, "database": address.name}
    arguments |= {name: value for name, value in place.items() if value is not None}
    with closing(logins.log_in(pymysql.connect, arguments)) as connection:

        def execute(query: str, values: Sequence[Any]) -> Any:
            cursor = connection.cursor()
            cursor.execute(query, tuple(values))
            return cursor

        yield Rows(execute, server=True)


def _redis(settings: Settings) -> Any:
    from orderctl import broker  # noqa: PLC0415 - only for what is in Redis
    from orderctl.redis_urls import Prefixed  # noqa: PLC0415 - as above

    url = settings.redis.url
    if url is None:
        server = embedded.status(settings.state_dir)
        if not server.running:
            raise ConnectionError("the embedded server does not run")
        url = f"unix://{quote(str(server.socket))}"
    return broker.hasty(Prefixed(url, settings.redis.prefix))


# --- The kinds of values

#: With a condition on the status, MariaDB walks all ids for the last few tasks that failed.
_FAILED: Final = (
    f"SELECT task.* FROM (SELECT id, status FROM download_tasks{{}} ORDER BY id DESC LIMIT {_LOOKED}) AS newest"  # noqa: S608
    " JOIN download_tasks AS task ON task.id = newest.id WHERE newest.status = 'failed' ORDER BY newest.id DESC"
)


def _orders(rows: Rows, begin: str) -> list[Found]:
    newest = rows.read(f"SELECT * FROM orders ORDER BY id DESC LIMIT {_NEWEST}")  # noqa: S608 - a number
    found = [row for row in newest if _text(row, "order_code").casefold().startswith(begin.casefold())]
    for spelled in dict.fromkeys((begin, begin.upper(), begin.lower())) if begin else ():
        condition, values = rows.begins("order_code", spelled)
        query = f"SELECT * FROM orders WHERE {condition} ORDER BY order_code DESC LIMIT {_MOST}"  # noqa: S608
        found += rows.read(query, *values)
    by_code = {_text(row, "order_code"): row for row in found}
    return [Found(code, _about(row, "order_status", "payment_status")) for code, row in by_code.items()]


def _customers(rows: Rows, begin: str) -> list[Found]:
    if not begin:
        return []
    condition, values = rows.begins("user_email", begin.lower())
    query = f"SELECT * FROM orders WHERE {condition} ORDER BY user_email LIMIT {_MOST}"  # noqa: S608 - as above
    return [Found(_text(row, "user_email")) for row in rows.read(query, *values)]


def _tasks(rows: Rows, begin: str) -> list[Found]:
    return _told(_by_id(rows, "SELECT * FROM download_tasks{} ORDER BY id DESC", begin))


def _failed_tasks(rows: Rows, begin: str) -> list[Found]:
    return _told(_by_id(rows, _FAILED, begin))


def _told(found: Sequence[Row]) -> list[Found]:
    for row in found:
        row["title"] = masking.of_task(_text(row, "title"), _text(row, "course_url"))
    return [Found(str(row["id"]), _about(row, "status", "title")) for row in found]


def _payments(rows: Rows, begin: str) -> list[Found]:
    found = _by_id(rows, "SELECT id, outcome, reference FROM orderctl_payments{} ORDER BY id DESC", begin)
    return [Found(str(row["id"]), _about(row, "outcome", "reference")) for row in found]


def _messages(rows: Rows, begin: str) -> list[Found]:
    found = _by_id(rows, "SELECT id, kind FROM orderctl_outbox{} ORDER BY id DESC", begin)
    return [Found(str(row["id"]), _about(row, "kind")) for row in found]


def _operations(rows: Rows, begin: str) -> list[Found]:
    newest = rows.read(f"SELECT name, state FROM orderctl_operations ORDER BY id DESC LIMIT {_MOST}")  # noqa: S608
    found = [Found(_text(row, "name"), _about(row, "state")) for row in newest]
    return [one for one in found if one.value.startswith(begin)]


def _by_id(rows: Rows, query: str, begin: str) -> list[Row]:
    """Return the newest rows whose id begins with a text; the query has ``{}`` for the condition on ids."""
    if not begin:
        return rows.read(f"{query.format('')} LIMIT {_MOST}")
    if not (begin.isascii() and begin.isdigit() and not begin.startswith("0") and len(begin) < _DIGITS):
        return []
    tens = [10**more for more in range(_DIGITS - len(begin))]
    ranges = " OR ".join(f"id BETWEEN {int(begin) * ten} AND {(int(begin) + 1) * ten - 1}" for ten in tens)
    return rows.read(f"{query.format(f' WHERE {ranges}')} LIMIT {_MOST}")


def _fingerprints(rows: Rows, begin: str) -> list[Found]:
    found = rows.read(f"{_FAILED.format('')} LIMIT {_NEWEST}")
    marks = {_text(row, "error_fingerprint"): _about(row, "error_type") for row in found}
    return [Found(mark, about) for mark, about in marks.items() if mark.startswith(begin)]


def _statuses(table: str, column: str) -> Callable[[Rows, str], list[Found]]:
    def find(rows: Rows, begin: str) -> list[Found]:
        newest = rows.read(f"SELECT {column} FROM {table} ORDER BY id DESC LIMIT {_NEWEST}")  # noqa: S608
        words = dict.fromkeys(_text(row, column) for row in newest)
        return [Found(word) for word in words if word.startswith(begin)]

    return find


def _supervisors(client: Any, begin: str) -> list[Found]:
    from orderctl import broker  # noqa: PLC0415 - as above

    before = broker.key(client, channels.supervisor(""))
    names = [foreign.decode(key).removeprefix(before) for key in client.scan_iter(before + "*", count=1000)]
    return [Found(name) for name in sorted(names) if name.startswith(begin)]


def _text(row: Row, column: str) -> str:
    return foreign.text(row.get(column)) or ""


def _about(row: Row, *columns: str) -> str:
    return ", ".join(filter(None, (_text(row, column) for column in columns)))


ORDERS: Final = Lookup(_orders)
CUSTOMERS: Final = Lookup(_customers)
TASKS: Final = Lookup(_tasks)
FAILED_TASKS: Final = Lookup(_failed_tasks)
PAYMENTS: Final = Lookup(_payments)
MESSAGES: Final = Lookup(_messages)
OPERATIONS: Final = Lookup(_operations)
FINGERPRINTS: Final = Lookup(_fingerprints)
ORDER_STATUSES: Final = Lookup(_statuses("orders", "order_status"))
TASK_STATUSES: Final = Lookup(_statuses("download_tasks", "status"))
SUPERVISORS: Final = Lookup(_supervisors, redis=True)
