"""What the errors of the databases mean."""

import pymysql
import pytest
from sqlalchemy.exc import OperationalError

from orderctl import database_errors
from orderctl.errors import DatabaseBusy, DatabaseUnavailable, Misconfigured, NotMigrated


def failed(code: int, text: str = "the server's words") -> OperationalError:
    return OperationalError("UPDATE orders", {}, pymysql.err.OperationalError(code, text))


@pytest.mark.parametrize(
    ("code", "kind"),
    [(2013, DatabaseUnavailable), (1213, DatabaseBusy), (1045, Misconfigured), (1146, NotMigrated)],
)
def test_an_error_of_the_server_has_its_kind(code: int, kind: type[Exception]):
    assert type(database_errors.translate(failed(code))) is kind
