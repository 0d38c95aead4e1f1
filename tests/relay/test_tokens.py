"""Tokens: what they grant, and which are refused."""

from __future__ import annotations

import time

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl.errors import Misconfigured
from orderctl.relay import tokens
from orderctl.relay.access import Unauthorized, require_secret
from tests.relay.conftest import SECRET, mint


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
