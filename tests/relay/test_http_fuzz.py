"""A short run of ``make fuzz-relay``: mutated requests, each answered or ended by the rules."""

from __future__ import annotations

import asyncio

import pytest

from bench.relay.fuzz_http import storm
from bench.relay.servers import Bystander
from tests.relay.conftest import SECRET, StartRelay, mint


@pytest.mark.databases("sqlite")
def test_no_request_breaks_the_rules(start_relay: StartRelay, migrated_url: str):
    settings = {"relay_token_secret": SECRET, "database_url": migrated_url}
    relay = start_relay("--max-connections-per-address", "0", **settings)
    token = mint("admin")
    fields = [f"Authorization: Bearer {token}"]

    async def scenario():
        async with await Bystander.connect(relay, token) as bystander:
            return await storm(relay.port, 300, 12, fields=fields, bystander=bystander)

    report = asyncio.run(scenario())

    assert not report.counts, str(report)
    assert report.kept > 20
    assert relay.stop() == 0
    assert relay.close() == ""
