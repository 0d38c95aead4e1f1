"""Long lists, in pages of two rows."""

import json
import weakref
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from orderctl import broker, listing
from orderctl.cli import pages
from orderctl.cli.app import App
from orderctl.cli.options import Paging
from orderctl.cli.pages import Pages
from orderctl.errors import DatabaseUnavailable
from orderctl.terminal.render import Format
from tests.cli.conftest import Program
from tests.shop import Shop

ONE_KIND = pytest.mark.databases("sqlite")
ALL = ("-L", "0")


@pytest.fixture
def shop(shop: Shop, monkeypatch) -> Shop:
    """Five orders, each with a payment, a task that has failed, and messages about it."""
    for number in range(5):
        shop.paid(f"DH{number}", 1, titled=True)
        shop.fail(number + 1)
    monkeypatch.setattr(pages, "SIZE", 2)
    return shop


@pytest.fixture
def reads(monkeypatch) -> list[int]:
    """The numbers of orders that were asked for."""
    asked: list[int] = []
    page = listing.page

    def noted(connection, wanted, *, limit, after):
        asked.append(limit)
        return page(connection, wanted, limit=limit, after=after)

    monkeypatch.setattr(listing, "page", noted)
    return asked


@pytest.mark.parametrize("noun", ["orders", "tasks", "payments", "outbox"])
def test_a_list_without_a_limit_has_all_rows_once(noun, shop: Shop, inside: Program, monkeypatch):
    paged = {form: inside(noun, "list", *ALL, "-o", str(form)) for form in Format}
    monkeypatch.setattr(pages, "SIZE", 100)
    whole = {form: inside(noun, "list", "-L", "100", "-o", str(form)) for form in Format}

    assert len(json.loads(paged["json"].out)) >= 5
    for form in set(Format) - {Format.TABLE, Format.WIDE, Format.MARKDOWN}:
        assert paged[form] == whole[form]
    for form in (Format.TABLE, Format.WIDE, Format.MARKDOWN):  # their columns may get wider
        assert [len(line.split()) for line in paged[form].out.splitlines()[2:]] == [
            len(line.split()) for line in whole[form].out.splitlines()[2:]
        ]


@ONE_KIND
@pytest.mark.parametrize("form", Format)
def test_an_empty_list_without_a_limit(form, shop: Shop, inside: Program):
    ended = inside("orders", "list", *ALL, "--email", "none@example.com", "-o", str(form))

    assert ended.status == 0
    assert ended.out == inside("orders", "list", "--email", "none@example.com", "-o", str(form)).out
    assert form is not Format.JSON or ended.out == "[]\n"


@ONE_KIND
@pytest.mark.parametrize(
    ("limit", "asked"), [(1, [1]), (2, [2]), (3, [2, 1]), (5, [2, 2, 1]), (9, [2, 2, 2])]
)
def test_a_limit_beyond_a_page_is_kept(limit, asked, shop: Shop, inside: Program, reads):
    ended = inside("orders", "list", "-L", str(limit), "-o", "name")

    assert ended.out.split() == ["DH4", "DH3", "DH2", "DH1", "DH0"][:limit]
    assert ended.err.startswith("next page: --after ") is (limit < 5)
    assert reads == asked
    if limit < 5:
        after = ended.err.split()[-1]
        rest = inside("orders", "list", *ALL, "--after", after, "-o", "name").out.split()
        assert ended.out.split() + rest == ["DH4", "DH3", "DH2", "DH1", "DH0"]


def test_what_is_added_meanwhile_neither_repeats_nor_hides_a_row(shop: Shop, inside: Program, monkeypatch):
    write, added = App.write, []

    def write_and_add(app, text):
        write(app, text)
        added.append(shop.add(f"NEW{len(added)}"))

    monkeypatch.setattr(App, "write", write_and_add)

    assert inside("orders", "list", *ALL, "-o", "name").out.split() == ["DH4", "DH3", "DH2", "DH1", "DH0"]
    assert len(added) == 3


@ONE_KIND
@pytest.mark.parametrize("form", [Format.JSON, Format.CSV, Format.TABLE])
def test_a_database_that_goes_away_ends_the_list(form, shop: Shop, inside: Program, monkeypatch):
    page = listing.page

    def breaking(connection, wanted, *, limit, after):
        if after is not None:
            raise DatabaseUnavailable("the database went away")
        return page(connection, wanted, limit=limit, after=after)

    monkeypatch.setattr(listing, "page", breaking)

    ended = inside("orders", "list", *ALL, "-o", str(form))

    assert (ended.status, ended.err) == (69, "orderctl: the database went away\n")
    assert [code for code in ("DH4", "DH3", "DH2") if code in ended.out] == ["DH4", "DH3"]
    assert ended.out.endswith("\n")
    assert "]" not in ended.out


@ONE_KIND
@pytest.mark.parametrize(("error", "status"), [(BrokenPipeError, 0), (KeyboardInterrupt, 130)])
def test_a_list_ends_with_its_reader(error, status, shop: Shop, inside: Program, reads, monkeypatch):
    def write(_app, _text):
        raise error

    monkeypatch.setattr(App, "write", write)

    assert inside("orders", "list", *ALL, "-o", "json").status == status
    assert reads == [2]


@ONE_KIND
def test_redis_that_does_not_answer_is_asked_once(shop: Shop, inside: Program, monkeypatch):
    shop.execute("UPDATE download_tasks SET status = 'downloading'")
    monkeypatch.setenv("ORDERCTL_REDIS_URL", "redis://127.0.0.1:1/0")
    hasty, asked = broker.hasty, []
    monkeypatch.setattr(broker, "hasty", lambda url: asked.append(url) or hasty(url))

    assert len(inside("tasks", "list", *ALL, "-o", "name").out.split()) == 5
    assert len(asked) == 1


@ONE_KIND
@pytest.mark.parametrize("limit", ["0", "10001"])
@pytest.mark.parametrize(("command", "option"), [("orders", ["--watch"]), ("tasks", ["--group-by", "error"])])
def test_what_needs_all_rows_at_once_needs_a_limit(command, option, limit, shop: Shop, inside: Program):
    ended = inside(command, "list", *option, "-L", limit)

    assert ended.status == 2
    assert ended.err == f"orderctl: with {option[0]}, --limit needs a number from 1 to 10,000\n"


def test_no_page_is_kept_in_memory():
    class Row:
        pass

    alive, most = weakref.WeakSet(), 0

    def read(connection, wanted, limit, after):
        nonlocal most
        rows = [Row() for _ in range(limit)]
        alive.update(rows)
        most = max(most, len(alive))
        number = int(after or 0) + 1
        return rows, str(number) if number < 20 else None

    app = SimpleNamespace(reading=lambda: nullcontext(None))
    found = Pages(app, Paging(0), lambda _: None, read)

    assert sum(map(len, found)) == found.count == 20 * pages.SIZE
    assert most <= 2 * pages.SIZE
