"""What each of our sessions on MySQL and MariaDB is set to, whatever the server's own settings are.

A shop may have set any variable for its whole server. One that would change what our statements do is set here
for our sessions; one that a session cannot set is named below, with what is done instead.

Not set, because it changes no result of ours or needs a right that a shop's account does not have:

- ``sql_require_primary_key``, ``sql_generate_invisible_primary_key``, ``innodb_strict_mode``,
  ``explicit_defaults_for_timestamp``, ``default_collation_for_utf8mb4`` and ``restrict_fk_on_non_standard_key``
  (MySQL: needs SESSION_VARIABLES_ADMIN): each table of ours has a primary key, no row format and no TIMESTAMP,
  names its collations, and references primary keys only;
- ``binlog_format`` (needs the same right): ``STATEMENT`` is an error of its own, see ``orderctl.database``;
- ``autocommit`` and the character set: the driver sets them for each session;
- ``idle_transaction_timeout`` and its like (MariaDB), ``net_read_timeout``: they end a session that hangs, which is
  a lost connection for us; the shop's protection stays;
- ``max_join_size``: without effect while ``sql_big_selects`` is 1;
- ``group_concat_max_len``, ``max_sort_length``, ``cte_max_recursion_depth``, ``lc_time_names``,
  ``default_week_format``: nothing of ours uses them; ``optimizer_switch`` and its like: only the plan;
- ``enforce_storage_engine`` (MariaDB), ``disabled_storage_engines``: the server refuses our tables, and says so;
- ``max_allowed_packet`` and ``lower_case_table_names``: no session can set them; :func:`warnings` looks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: Unknown variable; a right is missing; the variable is read-only: in other versions of the servers.
_NOT_SETTABLE: Final = {1193, 1227, 1238}
_MYSQL: Final = "mysql"
_MARIADB: Final = "mariadb"
#: With less, in bytes, a long error message or a page of tasks may not reach the server.
_ENOUGH_PACKET: Final = 1024 * 1024
_YEAR: Final = 365 * 86400


class Setting(NamedTuple):
    """A variable of a session.

    Attributes:
        name: Its name.
        value: Its value, as SQL.
        only: ``mysql`` or ``mariadb``, if the other one does not have it.
    """

    name: str
    value: str
    only: str = ""


#: The variables, with what a server's own value could do.
SETTINGS: Final = (
    # Not strict: 1,500,000 becomes 999,999.99 in a DECIMAL(8,2), and a long code is cut. ANSI_QUOTES,
    # NO_BACKSLASH_ESCAPES, PIPES_AS_CONCAT, ORACLE ...: our SQL means something else. PAD_CHAR_TO_FULL_LENGTH: a
    # code in a CHAR comes with spaces. NO_ZERO_DATE and NO_ZERO_IN_DATE are left out: shops have such rows, and
    # a change of such a table would fail. NO_ENGINE_SUBSTITUTION: an error instead of another engine.
    Setting("sql_mode", "'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"),
    Setting("sql_quote_show_create", "1"),  # 0: names without backticks, which the migration reads
    Setting("time_zone", "'+00:00'"),  # NOW() and TIMESTAMPs: all times are in UTC
    Setting("lc_messages", "'en_US'"),  # some errors can be told apart by their text only
    Setting("sql_safe_updates", "0"),  # 1: no UPDATE or DELETE without a key, which the plan decides
    Setting("sql_select_limit", "18446744073709551615"),  # a lower one cuts lists and counts in silence
    Setting("sql_big_selects", "1"),  # 0: queries that the server estimates as long are refused
    Setting("sql_auto_is_null", "0"),  # 1: "id IS NULL" after an INSERT finds the new row
    Setting("foreign_key_checks", "1"),  # 0: tasks without an order
    Setting("unique_checks", "1"),  # 0: a payment twice
    Setting("check_constraint_checks", "1", _MARIADB),  # 0: a status that the shop's CHECK forbids
    Setting("default_storage_engine", "InnoDB"),  # another one: no transactions
    Setting("old_alter_table", "0", _MYSQL),  # 1: tables are copied, and writers wait
    Setting("alter_algorithm", "'DEFAULT'", _MARIADB),  # COPY: the same
    Setting("sql_if_exists", "0", _MARIADB),  # 1: an ALTER of something that is not there succeeds
    Setting("completion_type", "0"),  # CHAIN: a COMMIT begins the next transaction; RELEASE: it disconnects
    Setting("max_execution_time", "0", _MYSQL),  # a long report or survey is ended ...
    Setting("max_statement_time", "0", _MARIADB),  # ... and so is the building of an index
    Setting("wait_timeout", "28800"),  # a low one ends the session that holds a migration's lock
    Setting("div_precision_increment", "4"),  # digits of a quotient
    Setting("default_regex_flags", "''", _MARIADB),  # our REGEXPs are plain
    Setting("system_versioning_asof", "DEFAULT", _MARIADB),  # a time: rows as they were then
    Setting("show_gipk_in_create_table_and_information_schema", "1", _MYSQL),  # 0: hides an id's column
)
#: SET TRANSACTION, because the variables' names differ between versions. READ COMMITTED: each statement sees what is
#: committed. READ WRITE: a server may make every transaction read-only by default.
_TRANSACTION: Final = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE"


def statements(kind: str, *, lock_wait: int = 10, table_wait: int | None = None) -> list[str]:
    """Return the statements that set a session up.

    Args:
        kind: ``mysql`` or ``mariadb``.
        lock_wait: Seconds to wait for a row that another transaction holds.
        table_wait: Seconds to wait for a table that another session changes; None: a year, as the server does.
    """
    return [f"SET {', '.join(_assignments(kind, lock_wait, table_wait))}", _TRANSACTION]


def _assignments(kind: str, lock_wait: int, table_wait: int | None) -> list[str]:
    waits = (
        Setting("innodb_lock_wait_timeout", str(lock_wait)),
        Setting("lock_wait_timeout", str(table_wait or _YEAR)),
    )
    return [f"{name}={value}" for name, value, only in (*SETTINGS, *waits) if only in {"", kind}]


def prepare(connection: Any, *, lock_wait: int, table_wait: int | None) -> None:
    """Set up a new session.

    Args:
        connection: The driver's connection, right after its login.
        lock_wait: As for :func:`statements`.
        table_wait: As for :func:`statements`.
    """
    kind = _MARIADB if "mariadb" in connection.get_server_info().lower() else _MYSQL
    settings, transaction = statements(kind, lock_wait=lock_wait, table_wait=table_wait)
    with connection.cursor() as cursor:
        if not _try(cursor, settings):
            for assignment in _assignments(kind, lock_wait, table_wait):
                _try(cursor, f"SET {assignment}")
        cursor.execute(transaction)


def _try(cursor: Any, statement: str) -> bool:
    """Run a SET; return False if this server does not have the variable, or lets nobody set it."""
    from pymysql.err import MySQLError  # noqa: PLC0415 - the driver, which is loaded by now

    try:
        cursor.execute(statement)
    except MySQLError as error:
        if error.args[0] not in _NOT_SETTABLE:
            raise
        return False
    return True


def warnings(connection: Connection) -> list[str]:
    """Return what is wrong with the server's settings that no session can change.

    Args:
        connection: A connection to MySQL or MariaDB.
    """
    query = "SHOW VARIABLES WHERE Variable_name IN ('max_allowed_packet', 'binlog_format', 'log_bin')"
    found = {name.lower(): value for name, value in connection.exec_driver_sql(query)}
    wrong = []
    if int(found["max_allowed_packet"]) < _ENOUGH_PACKET:
        wrong.append(
            f"the server's max_allowed_packet is {found['max_allowed_packet']} bytes, and longer statements fail; to"
            f" change it: SET GLOBAL max_allowed_packet = {16 * _ENOUGH_PACKET}"
        )
    if found.get("log_bin") == "ON" and found.get("binlog_format") == "STATEMENT":
        wrong.append(
            "the server's binlog_format is STATEMENT, with which orderctl cannot write; to change it: SET GLOBAL"
            " binlog_format = ROW"
        )
    return wrong
