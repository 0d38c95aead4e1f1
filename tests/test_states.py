"""The types of events are the same in the code, in the database and in the documentation."""

import importlib
import re
from pathlib import Path

import migrations.versions
from orderctl.states import Category, ErrorType, EventType, Severity

ROOT = Path(__file__).parents[1]


def test_the_newest_revision_of_the_audit_log_allows_exactly_these_events() -> None:
    folder = Path(migrations.versions.__file__).parent
    revisions = [
        importlib.import_module(f"migrations.versions.{file.stem}") for file in sorted(folder.glob("0*.py"))
    ]
    described = [
        table
        for revision in revisions
        if hasattr(revision, "metadata")
        if (table := revision.metadata.tables.get("order_audit_logs")) is not None
    ]

    assert sorted(described[-1].c.event_type.info["values"]) == sorted(EventType)


def test_documentation_names_each_event_with_its_category_and_severity() -> None:
    text = (ROOT / "docs/audit.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (\w+) \|", text, re.MULTILINE)

    assert rows == [(event.value, event.category.value, event.severity.value) for event in EventType]


def test_each_event_has_a_message() -> None:
    for event in EventType:
        places = re.findall(r"{(\w+)}", event.template)
        message = event.template.format_map(dict.fromkeys(places, "x"))
        assert message
        assert "{" not in message
        assert event.category in Category
        assert event.severity in Severity


def test_the_contract_has_six_words_and_that_of_lost_workers() -> None:
    contract = {
        "DISK_SPACE", "AUTHENTICATION", "TIMEOUT", "NETWORK", "PERMISSION", "UNKNOWN", "WORKER_LOST",
    }  # fmt: skip

    assert {kind.contract for kind in ErrorType} == contract
    assert all(kind.contract is kind for kind in ErrorType if kind in contract)
    assert {kind.contract for kind in ErrorType if kind not in contract} == {ErrorType.UNKNOWN}
