"""What the errors of the databases mean."""

import sqlite3

import pymysql
import pytest
from sqlalchemy.exc import DBAPIError

from orderctl import database_errors
from orderctl.errors import (
    DatabaseBusy,
    DatabaseExhausted,
    DatabaseReadOnly,
    DatabaseUnavailable,
    ExitStatus,
    Misconfigured,
    NotMigrated,
    OrderctlError,
)

#: The servers' own words; those of one number with several meanings, above all.
SERVERS = [
    (
        1290,
        "The MariaDB server is running with the --read-only option so it cannot execute",
        DatabaseReadOnly,
    ),
    (1290, "The MySQL server is running with the --super-read-only option so it cannot", DatabaseReadOnly),
    (1290, "The MariaDB server is running with the NO_LOCK_NO_ADMIN read_only option", DatabaseReadOnly),
    (1290, "The MySQL server is running with the --skip-grant-tables option so it cannot", OrderctlError),
    (1290, "The MySQL server is running with the --secure-file-priv option so it cannot", OrderctlError),
    (1792, "Cannot execute statement in a READ ONLY transaction.", DatabaseReadOnly),
    (1836, "Running in read-only mode", DatabaseReadOnly),
    (1036, "Table 'orders' is read only", DatabaseReadOnly),
    (1015, "Can't lock file (errno: 165 - Table is read only)", DatabaseReadOnly),
    (1015, "Can't lock file (errno: 13 - Permission denied)", OrderctlError),
    (3989, "Schema 'shop' is in read only mode.", DatabaseReadOnly),
    (3100, "Error on observer while running replication hook 'before_commit'.", DatabaseReadOnly),
    (3101, "Plugin instructed the server to rollback the current transaction.", DatabaseBusy),
    (1047, "WSREP has not yet prepared node for application use", DatabaseUnavailable),
    (1047, "Unknown command", OrderctlError),
    (1213, "WSREP detected deadlock/conflict and aborted the transaction.", DatabaseBusy),
    (1235, "doesn't yet support 'GET_LOCK in cluster (WSREP)'", OrderctlError),
    (1040, "Too many connections", DatabaseUnavailable),
    (1203, "User orderctl already has more than 'max_user_connections' active", DatabaseUnavailable),
    (1226, "User 'orderctl' has exceeded the 'max_updates_per_hour' resource", DatabaseExhausted),
    (1129, "Host '10.0.0.7' is blocked because of many connection errors", DatabaseUnavailable),
    (1130, "Host '10.0.0.7' is not allowed to connect to this server", Misconfigured),
    (1053, "Server shutdown in progress", DatabaseUnavailable),
    (1927, "Connection was killed", DatabaseUnavailable),
    (3032, "The server is currently in offline mode", DatabaseUnavailable),
    (4031, "The client was disconnected by the server because of inactivity.", DatabaseUnavailable),
    (0, "", DatabaseUnavailable),
    (2003, "Can't connect to MySQL server on 'db1'", DatabaseUnavailable),
    (2006, "MySQL server has gone away", DatabaseUnavailable),
    (2013, "Lost connection to MySQL server during query", DatabaseUnavailable),
    (9001, "Max connect timeout reached while reaching hostgroup 10", DatabaseUnavailable),
    (1021, "Disk full (/tmp/#sql); waiting for someone to free some space", DatabaseExhausted),
    (1114, "The table 'order_audit_logs' is full", DatabaseExhausted),
    (1030, 'Got error 28 "No space left on device" from storage engine InnoDB', DatabaseExhausted),
    (1030, "Got error 168 from storage engine", OrderctlError),
    (3, 'Error writing file (Errcode: 28 "No space left on device")', DatabaseExhausted),
    (1205, "Lock wait timeout exceeded; try restarting transaction", DatabaseBusy),
    (1467, "Failed to read auto-increment value from storage engine", DatabaseBusy),
    (1317, "Query execution was interrupted", DatabaseBusy),
    (1969, "Query execution was interrupted (max_statement_time exceeded)", DatabaseBusy),
    (3024, "Query execution was interrupted, maximum statement execution time exceeded", DatabaseBusy),
    (1153, "Got a packet bigger than 'max_allowed_packet' bytes", Misconfigured),
    (1045, "Access denied for user 'orderctl'@'10.0.0.7'", Misconfigured),
    (1146, "Table 'shop.download_tasks' doesn't exist", NotMigrated),
    (1062, "Duplicate entry 'no such table, database is locked, no space left' for key", OrderctlError),
]
SQLITE = [
    ("attempt to write a readonly database", Misconfigured),
    ("database or disk is full", DatabaseExhausted),
    ("disk I/O error", DatabaseUnavailable),
    ("unable to open database file", DatabaseUnavailable),
    ("database is locked", DatabaseBusy),
    ("no such table: orders", NotMigrated),
    ("file is not a database", Misconfigured),
    ("database disk image is malformed", Misconfigured),
]


@pytest.mark.parametrize(("code", "text", "kind"), SERVERS)
def test_an_error_of_a_server_has_its_kind(code: int, text: str, kind: type[Exception]):
    assert type(translated(pymysql.err.OperationalError(code, text))) is kind


@pytest.mark.parametrize(("text", "kind"), SQLITE)
def test_an_error_of_sqlite_has_its_kind(text: str, kind: type[Exception]):
    assert type(translated(sqlite3.OperationalError(text))) is kind


def test_an_answer_of_which_bytes_are_missing_is_a_lost_connection():
    error = translated(pymysql.err.InternalError("Packet sequence number wrong - got 3 expected 1"))
    assert type(error) is DatabaseUnavailable


def test_an_error_that_ended_the_connection_is_an_outage_whatever_its_number():
    assert type(translated(pymysql.err.OperationalError(4242, "?"), invalidated=True)) is DatabaseUnavailable


@pytest.mark.parametrize("kind", [DatabaseUnavailable, DatabaseBusy, DatabaseExhausted, DatabaseReadOnly])
def test_every_outage_has_the_exit_code_of_one(kind: type[OrderctlError]):
    assert kind.exit_status is ExitStatus.UNAVAILABLE


def translated(error: Exception, *, invalidated: bool = False) -> Exception:
    return database_errors.translate(DBAPIError("UPDATE", {}, error, connection_invalidated=invalidated))
