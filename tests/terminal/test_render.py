"""Values, cards and trees as text for people."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from orderctl.terminal import render
from orderctl.terminal.render import Branch, Column, View
from tests import units

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
COLUMNS = (Column("id"), Column("title"), Column("total_amount", show=render.amount))
ROW = {"id": 1, "title": None, "total_amount": Decimal("300000.00")}


def test_a_card_has_a_line_for_each_field():
    assert (
        render.card(ROW, COLUMNS, render.PLAIN) == "id            1\ntitle         -\ntotal_amount  300,000\n"
    )


def test_a_tree_is_drawn():
    leaf = Branch("leaf\nmore")
    root = Branch("root", (Branch("first", (leaf,)), Branch("last", (leaf,))))

    assert render.tree(root) == ("root\n├─ first\n│  └─ leaf\n│     more\n└─ last\n   └─ leaf\n      more\n")


@pytest.mark.parametrize(("ago", "shown"), units.AGES)
def test_relative_times(ago, shown):
    assert render.relative(NOON - timedelta(seconds=ago), NOON) == shown


def test_local_times_are_in_the_zone():
    view = View(times="local", zone=timezone(timedelta(hours=7)))

    assert render.moment(NOON, view) == "2026-05-01 19:00:00"


@pytest.mark.parametrize(("count", "shown"), units.SIZES)
def test_sizes(count, shown):
    assert render.size(count) == shown


def test_a_tree_and_a_card_go_on_below_on_a_narrow_terminal():
    root = Branch("root", (Branch("a long line of text", (Branch("leaf"),)), Branch("last")))

    assert render.tree(root, 16) == ("root\n├─ a long line\n│    of text\n│  └─ leaf\n└─ last\n")
    assert render.card({"note": "a long line of text"}, [Column("note")], View(width=22)) == (
        "note  a long line of\n      text\n"
    )
    assert render.card({"note": "a long line of text"}, [Column("note")], View(width=20)) == (
        "note\n  a long line of\n  text\n"
    )
