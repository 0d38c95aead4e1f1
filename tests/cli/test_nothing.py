"""Listings without rows: one line on stderr for people, and nothing there for programs."""

import shlex

import pytest

from tests.cli.conftest import Program
from tests.cli.test_commands import LEAVES
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")

#: What each command says about a shop without rows.
SAID = {
    "orders list": "There are no orders.",
    "orders list --after 20260131T235959000000-42": "There are no more orders.",
    "orders list --paid --status failed,completed --since 2026-05-01T00:00:00Z --email a@b.example": (
        "No orders match: paid, status failed or completed, email a@b.example, since 2026-05-01T00:00:00Z."
    ),
    "orders list --stale 10m": "No orders match: stale 10m.",
    "orders list --deleted": "No orders match: deleted.",
    "orders stats": "There are no paid orders.",
    "tasks list": "There are no tasks.",
    "tasks list --failed --error-type network": "No tasks match: failed, error-type NETWORK.",
    "tasks list --group-by error": "There are no failed tasks.",
    "payments list": "There are no payments.",
    "payments list --open": "No payments match: open.",
    "outbox list": "There are no messages.",
    "outbox list --state sent": "No messages match: state sent.",
    "ops list": "There are no operations.",
    "ops list --state running": "No operations match: state running.",
    "logs errors": "There are no errors.",
    "logs errors --severity warning": "No events match: severity warning.",
    "logs search": "There are no events.",
    "logs search lost --actor anna": "No events match: text lost, actor anna.",
    "logs summary": "There are no events.",
    "reconcile --check": "Nothing to repair.",
    "reconcile": "Nothing to repair.",
    "worker list": "No worker is running.\nnext: orderctl worker start",
    "worker list --rejected": "No jobs were rejected, or they are gone.",
    "worker rejected list": "No jobs were rejected, or they are gone.",
    "relay revoked": "No tokens are revoked.",
}


def test_nothing_is_said_to_people_and_not_into_data(shop: Shop, inside: Program):
    for command, said in SAID.items():
        words = shlex.split(command)
        table = inside(*words)
        quiet = inside("-q", *words)
        data = inside(*words, "-o", "json")

        assert (command, table.status, table.err) == (command, 0, f"{said}\n")
        assert (command, quiet.status, quiet.err) == (command, 0, "")
        assert (command, data.status, data.err) == (command, 0, "")
        assert command == "orders stats" or data.out == "[]\n"


def test_every_list_is_looked_at():
    lists = {
        " ".join(path) for path, _ in LEAVES if path[-1] in {"list", "errors", "search", "summary", "revoked"}
    }

    assert lists - {command.partition(" --")[0] for command in SAID} == set()


def test_the_events_of_an_order_that_match_no_filter(shop: Shop, inside: Program):
    shop.add("DH1")

    ended = inside("logs", "show", "DH1", "--severity", "error", "-g", "timed? out", "-n", "5")

    assert (ended.status, ended.out, ended.err) == (
        0,
        "",
        "No events match: severity error, grep timed? out.\n",
    )


def test_addresses_near_one_without_orders_are_named(shop: Shop, inside: Program):
    for number, email in enumerate(
        ["nguyen.an@shop.example", "nguyen.anh@shop.example", "tran@shop.example"]
    ):
        shop.add(f"DH{number}", email=email)

    ended = inside("orders", "list", "--email", "nguyen.an@shop.exmaple")

    assert ended.err == (
        "No orders match: email nguyen.an@shop.exmaple.\n"
        "near it: nguyen.an@shop.example, nguyen.anh@shop.example\n"
    )
    assert inside("orders", "list", "--email", "xyz@shop.example").err == (
        "No orders match: email xyz@shop.example.\n"
    )


def test_an_address_is_not_near_itself(shop: Shop, inside: Program):
    shop.add("DH1", email="an@shop.example")

    ended = inside("orders", "list", "--email", "an@shop.example", "--paid")

    assert "near it" not in ended.err


def test_codes_that_resemble_what_was_searched_for_are_named(shop: Shop, inside: Program):
    shop.add("DH70025")

    ended = inside("orders", "list", "--search", "DH70052")

    assert ended.err == "No orders match: search DH70052.\nnear it: DH70025\n"
    assert inside("orders", "list", "--search", "DH70052", "-o", "json").err == ""


@pytest.mark.parametrize("command", ["orders list", "payments list", "outbox list", "logs show DH1"])
def test_a_period_that_ends_before_it_begins_is_refused(command: str, shop: Shop, inside: Program):
    shop.add("DH1")

    ended = inside(*command.split(), "--since", "2026-05-02T00:00:00Z", "--until", "2026-05-01T00:00:00Z")

    assert (ended.status, ended.out) == (2, "")
    assert ended.err == (
        "orderctl: --since (2026-05-02T00:00:00Z) is not before --until (2026-05-01T00:00:00Z)\n"
        "hint: --since is the earlier time, --until the later one\n"
    )
