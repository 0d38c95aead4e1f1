"""Tokens: what they grant, and which are refused."""

from __future__ import annotations

import json
import string
import time

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl.errors import InvalidInput, Misconfigured
from orderctl.relay import tokens
from orderctl.relay.access import Unauthorized, require_secret
from tests.relay.conftest import SECRET, mint


def is_valid(token: str) -> bool:
    try:
        tokens.verify(SECRET, token)
    except Unauthorized:
        return False
    return True


class TestTokens:
    def test_a_token_says_what_it_grants(self):
        before = int(time.time())
        access = tokens.verify(SECRET, mint("order:1", "order:2", ttl=60))

        assert (access.subject, access.admin, access.orders) == ("tester", False, frozenset({1, 2}))
        assert before + 60 <= access.expires <= time.time() + 60

    @pytest.mark.parametrize(
        "token",
        [
            "",
            "x",
            "x" * 5000,
            mint("admin", ttl=-1),
            mint("admin", secret="another secret of thirty-two characters!"),
            mint("admin")[:-2],
            jwt.encode({"sub": "x", "scope": "admin", "exp": 2**40, "iss": "orderctl"}, "", algorithm="none"),
            jwt.encode({"sub": "x", "scope": "admin", "exp": 2**40, "iss": "other"}, SECRET),
            jwt.encode({"sub": "x", "scope": "admin", "iss": "orderctl"}, SECRET),
            jwt.encode({"sub": "x", "scope": "root", "exp": 2**40, "iss": "orderctl"}, SECRET),
            jwt.encode({"scope": "admin", "exp": 2**40, "iss": "orderctl"}, SECRET),
            jwt.encode({"sub": "x", "scope": "admin", "exp": 2**40, "iss": "orderctl"}, SECRET, "HS512"),
        ],
        ids=range(12),
    )
    def test_what_is_not_a_token(self, token: str):
        with pytest.raises(Unauthorized):
            tokens.verify(SECRET, token)

    def test_each_token_has_an_id_of_its_own_that_is_checked(self):
        first, second = (tokens.read(SECRET, mint("admin")).id for _ in range(2))

        assert first != second
        assert tokens.is_id(SECRET, first)
        for wrong in (
            first[:-1],
            first[:-1] + ("0" if first[-1] != "0" else "1"),
            first.upper(),
            "",
            "x" * 22,
        ):
            assert not tokens.is_id(SECRET, wrong)
        assert not tokens.is_id("another secret of thirty-two characters!", first)

    @pytest.mark.parametrize("jti", [None, "a-uuid-of-another-program", 7, "x" * 500, "0" * 22])
    def test_a_token_without_an_id_of_ours_gets_one(self, jti):
        claims = {"sub": "x", "scope": "admin", "exp": 2**40, "iss": "orderctl"}
        token = jwt.encode(claims if jti is None else claims | {"jti": "y"}, SECRET)
        if jti is not None:  # PyJWT itself would not sign each of them
            token = jwt.api_jws.encode(json.dumps(claims | {"jti": jti}).encode(), SECRET)
        found = tokens.read(SECRET, token).id

        assert tokens.is_id(SECRET, found)
        assert tokens.verify(SECRET, token).token_id == found
        assert found == tokens.read(SECRET, token).id
        # The last character of the signature has two bits that do not count.
        letters = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
        same = [token[:-1] + letter for letter in letters]
        assert {tokens.verify(SECRET, one).token_id for one in same if is_valid(one)} == {found}

    def test_an_expired_token_can_be_read(self):
        token = tokens.read(SECRET, mint("order:1", "order:2", ttl=-60))

        assert token.expires < time.time()
        assert token.scopes == ("order:1", "order:2")

    def test_no_token_is_made_for_more_than_a_year(self):
        with pytest.raises(InvalidInput, match="365 days"):
            mint("admin", ttl=tokens.MAX_TTL + 1)

    def test_no_token_is_made_that_a_relay_would_refuse(self):
        with pytest.raises(InvalidInput, match="fewer scopes"):
            mint(*(f"order:{number}" for number in range(1, 500)))

    @given(st.text(max_size=200))
    def test_arbitrary_text_raises_nothing_else(self, text: str):
        with pytest.raises(Unauthorized):
            tokens.verify(SECRET, text)

    def test_only_loopback_goes_without_a_secret(self):
        for host in ("127.0.0.1", "::1", "localhost", "127.1.2.3"):
            require_secret(host, None)
        require_secret("0.0.0.0", SECRET)
        for host in ("0.0.0.0", "::", "192.168.1.2", "shop.example", ""):
            with pytest.raises(Misconfigured, match=r"relay\.token_secret"):
                require_secret(host, None)
