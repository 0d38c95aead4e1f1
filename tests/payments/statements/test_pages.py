"""One page of a list that an API gives out in several."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orderctl.payments.statements import Options, pages, read

ONE = {"date": "2026-11-01", "amount": 5, "reference": "FT1"}


@pytest.mark.parametrize(
    ("more", "part"),
    [
        ({}, None),
        ({"page": 1}, None),
        ({"page": 1, "totalPages": 1, "nextPage": None, "totalRecords": 2}, None),
        ({"page": 1, "pageSize": 2, "nextPage": 2, "totalPages": 2, "totalRecords": 3}, "page 1 of 2"),
        ({"current_page": "3", "last_page": "3"}, "page 3 of 3"),
        ({"page": 0, "total_pages": 1200}, "page 1 of 1,200"),
        ({"total": 3}, "2 of 3 transfers"),
        ({"total": 2, "limit": 50}, None),
        ({"total": 600_000}, None),  # their sum
        ({"total": 600_000, "per_page": 2}, "2 of 600,000 transfers"),
        ({"count": 2}, None),
        ({"total": 3.5}, None),
        ({"has_more": True}, "one page of several (has_more)"),
        ({"has_more": False, "next_cursor": ""}, None),
        ({"meta": {"next_cursor": "abc"}}, "one page of several (next_cursor)"),
        ({"meta": {"pagination": {"nextPageToken": "abc"}}}, "one page of several (nextPageToken)"),
        ({"links": {"next": "https://bank.example/?token=geheim"}}, "one page of several (next)"),
        ({"links": {"next": None, "prev": "https://bank.example/"}}, None),
        ({"page": 2, "has_more": False}, "page 2 of several"),
    ],
)
def test_a_page_of_several_is_seen(more: dict[str, Any], part: str | None):
    for path in (("records",), ("data", "records")):
        document: dict[str, Any] = {**more, path[-1]: [ONE, ONE]}
        if len(path) > 1:
            document = {"error": 0, "data": document}
        assert pages.part(document, path, 2) == part


def test_a_statement_says_which_part_it_is():
    document = {"meta": {"has_more": True}, "data": {"records": [ONE]}}
    found = read(json.dumps(document).encode(), Options())
    assert (found.part, found.path) == ("one page of several (has_more)", ("data", "records"))
    assert read(json.dumps([ONE]).encode(), Options()).part is None
