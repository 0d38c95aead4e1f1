"""A short run of ``make fuzz-relay``: mutated requests, each answered or ended by the rules."""

from __future__ import annotations

import asyncio

import pytest

from bench.relay import deliveries
from bench.relay.fuzz_http import storm
from bench.relay.servers import Bystander
from tests.relay.conftest import SECRET, StartRelay, mint


@pytest.mark.databases("sqlite")
def test_no_request_breaks_the_rules(start_relay: StartRelay, migrated_url: str):
    settings = {"relay_token_secret": SECRET, "database_url": migrated_url, **deliveries.SETTINGS}
    relay = start_relay("--max-connections-per-address", "0", "--accept-payments", **settings)
    token = mint("admin")
    fields = [f"Authorization: Bearer {token}"]

    async def scenario():
        async with await Bystander.connect(relay, token) as bystander:
            return await storm(relay.port, 400, 12, fields=fields, bystander=bystander)

    report = asyncio.run(scenario())

    assert not report.counts, str(report)
    assert report.kept > 20
    written, forged = deliveries.ledger(migrated_url)
    assert written > 0
    assert forged == 0
    assert relay.stop() == 0
    said = relay.close().splitlines()
    assert {
        line for line in said if " INFO payment " not in line and " WARNING a payment webhook" not in line
    } == set()
