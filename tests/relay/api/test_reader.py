"""Queries of the relay while the database is away."""

import asyncio

import pytest
from sqlalchemy import Connection

from orderctl import database
from orderctl.errors import DatabaseUnavailable
from orderctl.relay.api.reader import Reader


def test_an_outage_is_logged_once(caplog: pytest.LogCaptureFixture):
    engine = database.connect("mysql+pymysql://shop@127.0.0.1:1/shop")
    reader = Reader(engine)

    def query(connection: Connection) -> None:
        raise AssertionError(connection)

    for _ in range(3):
        with pytest.raises(DatabaseUnavailable):
            asyncio.run(reader.read(query, deadline=60))
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("waiting: the database does not answer")
