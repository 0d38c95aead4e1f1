"""The table of revoked tokens."""

import time

from orderctl import revoked_tokens
from orderctl.moments import utc_now
from orderctl.schema import revoked_tokens as table
from tests.shop import Shop


def revoke(shop: Shop, token_id: str, expires: float, actor: str = "ana@host") -> bool:
    with shop.engine.begin() as connection:
        return revoked_tokens.revoke(connection, token_id, expires=expires, actor=actor)


def in_force(shop: Shop, *token_ids: str) -> list[tuple[str, str]]:
    with shop.engine.connect() as connection:
        found = revoked_tokens.in_force(connection, token_ids or None)
    return [(row.token_id, row.revoked_by) for row in found]


def test_a_token_is_revoked_once(shop: Shop):
    later = time.time() + 3600

    assert revoke(shop, "a", later)
    assert not revoke(shop, "a", later, "bo@host")
    assert revoke(shop, "A", later)

    assert sorted(in_force(shop)) == [("A", "ana@host"), ("a", "ana@host")]
    assert in_force(shop, "a", "other") == [("a", "ana@host")]


def test_rows_of_tokens_that_have_expired_are_removed(shop: Shop):
    for number, days in enumerate((-3, -0.5, 1)):
        revoke(shop, f"t{number}", time.time() + days * 86400)
    with shop.engine.begin() as connection:
        connection.execute(table.insert().values(token_id="never", revoked_at=utc_now(), revoked_by="x"))

    assert revoke(shop, "new", time.time() + 60)

    assert {token_id for token_id, _ in in_force(shop)} == {"t1", "t2", "never", "new"}
    with shop.engine.connect() as connection:
        assert len(connection.execute(table.select()).all()) == 4
