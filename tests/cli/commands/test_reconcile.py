"""``orderctl reconcile``."""

import json

import pytest

from orderctl import broker, findings
from tests.cli.conftest import Program
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")


def test_check_lists_what_is_wrong_and_changes_nothing(shop: Shop, redis_url: str, inside: Program):
    shop.paid("DH1", 1)

    first = inside("reconcile", "--check", "-o", "json")
    second = inside("reconcile", "--check", "-o", "json")

    assert first == second
    assert first.status == 1
    [finding] = json.loads(first.out)
    assert (finding["kind"], finding["task_id"], finding["repaired"]) == ("not-rung", 1, False)
    client = broker.brisk(redis_url)
    assert list(client.scan_iter("rq:*")) == []
    client.close()


def test_reconcile_repairs_and_then_finds_nothing(shop: Shop, inside: Program):
    shop.paid("DH1", 1)

    first = inside("reconcile", "-o", "json")
    second = inside("reconcile", "-o", "json")

    assert first.status == second.status == 0
    assert [finding["repaired"] for finding in json.loads(first.out)] == [True]
    assert json.loads(second.out) == []
    assert inside("reconcile", "--check").status == 0


def test_quiet_reconcile_prints_nothing_when_nothing_is_wrong(shop: Shop, inside: Program):
    ended = inside("reconcile", "--quiet")

    assert (ended.status, ended.out, ended.err) == (0, "", "")


def test_nothing_is_wrong_is_said(shop: Shop, inside: Program):
    assert inside("reconcile", "--check").err == "Nothing to repair.\n"
    assert inside("reconcile").err == "Nothing to repair.\n"


def test_quiet_reconcile_prints_nothing_when_all_was_repaired(shop: Shop, inside: Program):
    shop.paid("DH1", 2)
    assert inside("worker", "list").status == 0
    shop.execute(
        "UPDATE download_tasks SET status = 'downloading', worker = 'w', lease_token = 'x',"
        " lease_until = '2001-01-01', attempt = 1 WHERE id = 1"
    )

    ended = inside("reconcile", "--quiet")

    assert (ended.status, ended.out, ended.err) == (0, "", "")
    assert json.loads(inside("reconcile", "--check", "-o", "json").out) == []
    assert shop.task(1).status == "pending"


def test_quiet_reconcile_prints_only_what_is_left(shop: Shop, inside: Program):
    shop.paid("DH1", 1)
    shop.paid("DH2", 1)
    shop.execute("DELETE FROM order_audit_logs WHERE task_id = 2")
    shop.execute("DELETE FROM download_tasks WHERE id = 2")

    ended = inside("reconcile", "--fix", "--quiet", "-o", "json")

    assert ended.status == 1
    assert [finding["kind"] for finding in json.loads(ended.out)] == ["no-tasks"]


def test_check_says_that_there_may_be_more(shop: Shop, inside: Program, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(findings, "BATCH", 2)
    shop.paid("DH1", 2)

    found = json.loads(inside("reconcile", "--check", "-o", "json").out)

    assert [one["task_id"] for one in found] == [1, 2, None]
    assert found[-1]["kind"] == "not-rung"
    assert found[-1]["text"] == "only the first 2 were looked at: there may be more"


def test_a_paid_order_without_tasks_is_a_finding(shop: Shop, inside: Program):
    shop.paid("DH1", 1)
    with shop.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM order_audit_logs")
        connection.exec_driver_sql("DELETE FROM download_tasks")

    ended = inside("reconcile", "--fix", "-o", "json")

    assert ended.status == 1
    assert [finding["kind"] for finding in json.loads(ended.out)] == ["no-tasks"]


def test_fix_and_check_exclude_each_other(inside: Program):
    assert inside("reconcile", "--fix", "--check").status == 2
