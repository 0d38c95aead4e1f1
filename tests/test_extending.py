"""docs/extending.md: what the page shows is what orderctl does."""

import json
import re
from pathlib import Path

import pytest

from orderctl import failures
from tests.shop import Shop

PAGE = (Path(__file__).parents[1] / "docs/extending.md").read_text(encoding="utf-8")


def shown(name: str) -> str:
    """Return the example below the comment that names it."""
    [example] = re.findall(
        rf"<!-- checked by tests/test_extending.py: {name} -->\n```\w*\n(.*?)```", PAGE, re.DOTALL
    )
    return example


@pytest.mark.databases("sqlite")
def test_webhooks_have_the_fields_that_are_shown(shop: Shop) -> None:
    [task_id] = shop.paid()

    shop.transact(
        lambda c: failures.report(c, task_id, failures.describe("disk full"), source="python_worker")
    )

    task, order = (row.payload for row in shop.outbox() if row.kind == "webhook")
    assert task.keys() == json.loads(shown("task")).keys()
    assert order.keys() == json.loads(shown("order")).keys()
    assert [task["source"], order["source"]] == ["python_worker"] * 2
