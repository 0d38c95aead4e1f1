"""The bars of ``tail``: their order, their width, and when they leave."""

import pytest

from orderctl.channels import Channel, MessageKind, Scope
from orderctl.cli import bar_lines
from orderctl.cli.board import Board
from orderctl.terminal.table import width
from orderctl.watched import End, Found, Standing, Update, Waiting

LONG = "Khóa học tiếng Việt nâng cao 🎬🎬 dành cho người mới bắt đầu"


def task(task_id: int, status: str = "downloading", label: str = LONG, order_id: int = 1) -> Standing:
    percent = 100.0 if status == "completed" else 0.0
    return Standing(Scope.TASK, task_id, label, status, order_id, percent)


def order(order_id: int = 1, status: str = "processing") -> Standing:
    percent = 100.0 if status == "completed" else 0.0
    return Standing(Scope.ORDER, order_id, f"DH{order_id}", status, order_id, percent)


def progress(task_id: int, percent: float, file: str = "a.mp4") -> Update:
    data = {"taskId": task_id, "percent": percent, "currentFile": file, "speed": 2_000_000, "timestamp": 1}
    return Update(Channel(Scope.TASK, task_id, MessageKind.PROGRESS), data, False)


def status(task_id: int, new: str, scope: Scope = Scope.TASK, error: str | None = None) -> Update:
    data = {"newStatus": new, "previousStatus": None, "timestamp": 1, "error": error}
    return Update(Channel(scope, task_id, MessageKind.STATUS), data, False)


def board(*standings: Standing, subjects: bool = True) -> Board:
    made = Board(subjects=subjects)
    made.find(Found(standings, first=True))
    return made


def lines(made: Board, now: float = 100.0, columns: int = 100, rows: int = 24) -> list[str]:
    return ["".join(piece.text for piece in line) for line in bar_lines.lines(made, now, columns, rows)]


def keys(made: Board, now: float = 100.0, room: int = 24) -> list[int]:
    return [bar.key[1] for bar in made.shown(now, room)[0]]


def test_what_runs_stands_above_what_waits_and_what_has_ended():
    made = board(
        order(9),
        *(task(at, one, order_id=9) for at, one in enumerate(("completed", "pending", "downloading"), 1)),
    )

    assert keys(made) == [9, 3, 2, 1]
    made.update(status(2, "downloading"), 100, "")
    assert keys(made) == [9, 2, 3, 1]


@pytest.mark.parametrize("columns", [20, 30, 40, 60, 80, 200])
@pytest.mark.parametrize("text", [LONG, "x" * 300, "🎬" * 100, "a\x1b[2J\nb"])
def test_no_line_is_wider_than_the_terminal(columns, text):
    made = board(order(), task(1, label=text), task(2, "failed", label=text))
    made.update(progress(1, 40, text), 100, "")
    made.update(status(2, "failed", error=text), 100, "")
    made.wait(Waiting((Scope.ORDER, 1), "no-worker", text, "orderctl worker start"))

    drawn = lines(made, columns=columns)

    assert max(map(width, drawn)) < columns
    assert not any("\x1b" in line or "\n" in line for line in drawn)


def test_the_height_of_the_screen_limits_the_bars():
    made = board(order(), *(task(at) for at in range(1, 30)))

    drawn = lines(made, rows=8)

    assert len(drawn) == 8
    assert drawn[0].startswith("DH1")
    assert drawn[-1] == "23 more"


def test_of_everything_what_has_ended_fades_and_leaves():
    made = board(task(1, label="DH1 a"), task(2, label="DH2 b"), subjects=False)
    made.update(status(1, "completed"), 100, "")

    assert keys(made, 101) == [2, 1]
    [first, ended] = bar_lines.lines(made, 108, 80, 24)
    assert {piece.style for piece in ended} == {"dim"}
    assert {piece.style for piece in first} != {"dim"}
    assert keys(made, 111) == [2]


def test_an_order_is_not_shown_beside_its_task_among_all():
    made = board(task(1), subjects=False)
    made.update(status(1, "processing", Scope.ORDER), 100, "")
    made.update(status(2, "processing", Scope.ORDER), 100, "")

    assert [bar.key for bar in made.shown(100, 9)[0]] == [(Scope.TASK, 1), (Scope.ORDER, 2)]


def test_a_task_that_no_worker_carries_out_any_more_is_forgotten():
    made = board(task(1), subjects=False)
    made.update(progress(1, 40), 100, "")
    made.find(Found((), first=True))

    assert keys(made, 120) == [1]
    assert keys(made, 140) == []
    assert lines(made, 140) == ["Nothing is running. New messages appear here; Ctrl-C ends."]


def test_a_late_message_does_not_make_an_ended_task_run():
    made = board(task(1))
    made.update(status(1, "completed"), 100, "")
    made.update(progress(1, 100), 101, "")
    assert "completed" in lines(made)[0]

    made.update(progress(1, 5), 102, "")  # it was retried
    assert "completed" not in lines(made, 102)[0]


def test_an_order_falls_with_the_task_whose_worker_was_killed():
    made = board(order(), task(1), task(2, "completed"), task(3, "cancelled"))
    share = Update(Channel(Scope.ORDER, 1, MessageKind.PROGRESS), {"percent": 65.9}, False)
    made.update(progress(1, 31.8), 100, "")
    made.update(share, 100, "")
    assert "65.9 %" in lines(made, 110)[0]

    made.update(status(1, "pending"), 120, "")
    assert "50.0 %" in lines(made, 120)[0]
    made.update(share, 121, "")  # it was sent before
    assert "50.0 %" in lines(made, 130)[0]

    made.update(progress(1, 40), 140, "")
    made.update(Update(share.channel, {"percent": 70.0}, False), 140, "")
    assert "70.0 %" in lines(made, 160)[0]


def test_speed_time_left_and_file_are_shown():
    made = board(task(1, label="task 1"))
    made.update(progress(1, 40), 100, "")
    made.update(Update(progress(1, 50).channel, progress(1, 50).data | {"timestamp": 5001}, False), 105, "")

    assert "1.9 MiB/s  24s left  a.mp4" in lines(made, 106)[0]
    assert "1.9 MiB/s  24s left (~45.8 MiB)  a.mp4" in lines(made, 106, columns=120)[0]
    assert "no message for 25s" in lines(made, 130)[0]


def test_a_reason_and_its_command_take_two_lines_where_the_terminal_is_narrow():
    made = board(order(status="pending"))
    waiting = Waiting(
        (Scope.ORDER, 1), "no-worker", "no worker is running", "orderctl worker start --concurrency 2"
    )
    made.wait(waiting)

    assert lines(made)[1:] == ["Waiting: no worker is running: orderctl worker start --concurrency 2"]
    assert lines(made, columns=60)[1:] == [
        "Waiting: no worker is running",
        "  orderctl worker start --concurrency 2",
    ]
    made.wait(Waiting((Scope.ORDER, 1), "", ""))
    assert len(lines(made)) == 1


@pytest.mark.parametrize("subjects", [True, False])
def test_the_reason_of_a_failure_stands_in_full_below_its_bar(subjects):
    """It is what is copied and searched for."""
    reason = "NETWORK: connection refused while reading from http://127.0.0.1:8000/courses/1/video.mp4"
    made = board(task(1, label="task 1"), task(2, label="task 2"), subjects=subjects)
    made.update(status(1, "failed", error=reason), 100, "")

    drawn = lines(made, columns=80)

    at = next(index for index, line in enumerate(drawn) if line.startswith("task 1")) + 1
    assert " ".join(line.strip() for line in drawn[at : at + 2]) == reason
    assert max(map(width, drawn)) < 80
    assert len(drawn) == 4
    assert len(lines(made, columns=80, rows=3)) == 2  # running bars are worth more than the rest of a reason
    assert len(lines(made, columns=200)) == 2


def test_the_last_frame_has_what_the_database_says():
    made = board(order(), task(1), task(2))
    made.wait(Waiting((Scope.ORDER, 1), "no-worker", "no worker is running"))

    ended = (order(status="completed"), task(1, "completed"), task(2, "completed"))
    made.end(End(Scope.ORDER, 1, "order DH1", "completed", "2 of 2 tasks completed", standings=ended), 100)

    assert [("100.0 %" in line, "completed" in line) for line in lines(made)] == [(True, True)] * 3


def test_an_order_that_failed_has_the_percent_of_its_tasks():
    failed = Standing(Scope.ORDER, 1, "DH1", "failed", 1, 50.0)
    own = (task(1, "completed"), task(2, "failed"))
    watched = board(order(), task(1), task(2))
    watched.update(Update(Channel(Scope.ORDER, 1, MessageKind.PROGRESS), {"percent": 41.0}, False), 99, "")

    watched.end(End(Scope.ORDER, 1, "order DH1", "failed", "1 of 2 tasks", standings=(failed, *own)), 100)

    opened_later = board(failed, *own)
    assert ["50.0 %" in lines(made)[0] for made in (watched, opened_later)] == [True, True]
