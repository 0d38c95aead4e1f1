"""``--watch``: a table that is refreshed in place, in a terminal of 60 columns and 8 lines."""

import re
import sys
from collections.abc import Callable
from contextlib import closing

import pytest

from orderctl import broker, clock, listing, settings
from orderctl.cli import watch
from orderctl.errors import DatabaseUnavailable
from orderctl.terminal.widths import bare, width
from orderctl.worker import fleet
from tests.cli.conftest import Ended, Program
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")

COLUMNS = 60
WATCHED = (
    "orders list",
    "tasks list",
    "tasks list --group-by error",
    "worker list",
    "logs errors",
    "payments list",
    "outbox list",
)


class Watched:
    """A run with ``--watch`` that Ctrl-C ends; each argument is done after one more frame."""

    def __init__(self, inside: Program, monkeypatch: pytest.MonkeyPatch) -> None:
        self._inside, self._monkeypatch = inside, monkeypatch
        monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True)
        for name, value in {"COLUMNS": str(COLUMNS), "LINES": "8", "TERM": "xterm"}.items():
            monkeypatch.setenv(name, value)

    def __call__(self, command: str, *changes: Callable[[], object]) -> tuple[list[list[str]], Ended]:
        """Return the frames, each with its lines, and how the command has ended."""
        todo = list(changes)

        def wait(_seconds: float) -> None:
            if not todo:
                raise KeyboardInterrupt
            todo.pop(0)()

        self._monkeypatch.setattr(watch, "_wait", wait)
        ended = self._inside(*command.split(), "--watch")
        drawn = re.findall("\x1b\\[H(.*?)(?:\r\n\x1b\\[J)?\x1b\\[\\?2026l", ended.out, re.DOTALL)
        lines = [[bare(line) for line in one.split("\r\n")] for one in drawn]
        assert all(
            line.endswith("\x1b[K") is (width(line.removesuffix("\x1b[K")) < COLUMNS)
            for one in lines
            for line in one
        )
        return [[line.removesuffix("\x1b[K") for line in one] for one in lines], ended


@pytest.fixture
def watched(inside: Program, monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(inside, monkeypatch)


def test_the_status_is_refreshed(shop: Shop, watched: Watched):
    frames, ended = watched("status", shop.paid)

    assert [frame[1].split()[0] for frame in frames] == ["database", "database"]
    assert ended.status == 130


def test_a_frame_has_a_clock_fits_the_screen_and_says_what_is_left_out(shop: Shop, watched: Watched):
    for number in range(1, 10):
        shop.paid(f"DH{number}", email=f"{'customer' * 6}@example.com")

    [first, second], ended = watched("orders list", lambda: shop.paid("DH10"))
    [limited], _ = watched("orders list -L 7")
    [exact], _ = watched("orders list -L 6")

    assert re.fullmatch(r"every 2 s · \d\d:\d\d:\d\d · Ctrl-C ends", first[0])
    assert [line.split()[0] for line in first[1:]] == ["CODE", "DH9", "DH8", "DH7", "DH6", "DH5", "4"]
    assert (first[-1], second[-1], limited[-1], exact[-1]) == ("4 more", "5 more", "2+ more", "1+ more")
    assert second[2].startswith("DH10 ")
    assert all(len(one) == 8 and max(map(width, one)) <= COLUMNS for one in (first, second, limited, exact))
    assert (ended.status, ended.err) == (130, "orderctl: interrupted\n")


def test_the_last_frame_stays_on_the_usual_screen(shop: Shop, watched: Watched):
    shop.paid("DH1")

    frames, ended = watched("orders list --interval 5s", lambda: shop.paid("DH2"))

    left = ended.out.partition("\x1b[?1049l")[2]
    assert bare(left).splitlines() == frames[-1]
    assert bare(left).startswith("every 5 s")
    assert "DH2" in left
    assert ended.out.startswith("\x1b[?1049h\x1b[?25l")
    assert "\x1b[?25h" in ended.out


def test_an_outage_is_shown_and_then_it_goes_on(
    shop: Shop, watched: Watched, monkeypatch: pytest.MonkeyPatch
):
    shop.paid("DH1")
    away = DatabaseUnavailable("the database does not answer")

    def refuse(*_: object, **__: object) -> None:
        raise away

    page = listing.page
    frames, _ = watched(
        "orders list",
        lambda: monkeypatch.setattr(listing, "page", refuse),
        lambda: monkeypatch.setattr(listing, "page", page),
    )

    assert [frame[1].split()[0] for frame in frames] == ["CODE", "the", "CODE"]
    assert frames[1][1] == str(away)
    assert frames[1][2:] == frames[0][1:]


@pytest.mark.parametrize("command", WATCHED)
def test_each_list_can_be_watched_even_if_it_is_empty(command: str, shop: Shop, watched: Watched):
    [frame], ended = watched(command)

    assert frame[1].startswith(("There are no ", "No "))
    assert ended.status == 130


def test_what_the_user_has_typed_is_safe_to_show(shop: Shop, watched: Watched):
    [frame], _ = watched("orders list --paid --email \x1b[2Ja@b.exam --status completed")

    assert frame[1:] == ["No orders match: paid, status completed, email", "\\x1b[2Ja@b.exam."]


@pytest.mark.parametrize("command", WATCHED)
def test_without_a_terminal_it_is_refused(command: str, shop: Shop, inside: Program):
    ended = inside(*command.split(), "--watch")

    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("orderctl: --watch needs a terminal\n")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--interval 5s", "--interval needs --watch"),
        ("--watch -o json", "--watch shows a table, not json"),
        ("--watch --limit 0", "with --watch, --limit needs a number from 1 to 10,000"),
        ("--watch --status nonsense", "nonsense"),
        ("--watch --interval 0s", "from 1s to 1h"),
    ],
)
def test_what_cannot_be_watched_is_refused_before_the_screen_is_taken(
    options: str, said: str, shop: Shop, watched: Watched, inside: Program
):
    ended = inside("orders", "list", *options.split())

    assert (ended.status, ended.out) == (2, "")
    assert said in ended.err


def test_a_change_of_size_is_seen_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(watch.time, "sleep", lambda _: monkeypatch.setenv("COLUMNS", "60"))

    watch._wait(3600)


def test_an_embedded_redis_that_is_started_meanwhile_is_seen(
    shop: Shop, watched: Watched, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "running_url", lambda _: None)

    def start() -> None:
        monkeypatch.setattr(broker, "running_url", lambda _: redis_url)
        with closing(broker.brisk(redis_url)) as client:
            fleet.announce(client, settings.load(), "web1-7", started=clock.milliseconds())

    frames, _ = watched("worker list", start)

    assert ["web1-7" in "".join(frame) for frame in frames] == [False, True]
