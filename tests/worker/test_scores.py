"""The counters that all processes of a supervisor share."""

import os

from orderctl.states import ErrorType
from orderctl.worker import scores
from orderctl.worker.scores import BOUNDS, Board, Outcome, Phase


def ends(board: Board) -> dict[tuple[str, str], int]:
    return {(str(outcome), error_type): number for outcome, error_type, number in board.ends() if number}


def test_what_forked_processes_count_is_seen_by_all_and_outlives_them():
    board = Board(2)
    for number in (1, 2):
        if not (child := os.fork()):
            score = board.score(number)
            for _ in range(100):
                score.begin()
                score.add(Phase.ENROLL, 0.25)
                score.end(Outcome.FAILED, ErrorType.NETWORK)
            os._exit(0)
        os.waitpid(child, 0)

    assert ends(board) == {("failed", "NETWORK"): 200}
    assert board.seconds(Phase.ENROLL) == 50.0
    assert board.buckets(Phase.ENROLL) == [200] * (len(BOUNDS) + 1)


def test_an_attempt_that_never_ended_was_killed():
    board = Board(1)
    board.score(1).begin()
    assert ends(board) == {}

    board.score(1).begin()
    board.score(1).end(Outcome.COMPLETED)

    assert ends(board) == {("killed", ""): 1, ("completed", ""): 1}


def test_a_phase_is_in_the_bucket_of_its_length_and_in_all_longer_ones():
    board = Board(1)
    for seconds in (0.5, 0.6, 20_000.0):
        board.score(1).add(Phase.DOWNLOAD, seconds)

    assert board.buckets(Phase.DOWNLOAD) == [1, 2, 2, 2, 2, 2, 2, 2, 2, 3]
    assert board.seconds(Phase.DOWNLOAD) == 20_001.1


def test_a_worker_without_a_supervisor_counts_for_itself():
    one, other = scores.alone(), scores.alone()
    one.begin()
    one.end(Outcome.RELEASED)
    other.begin()
    one.begin()

    numbers = [list(each._numbers) for each in (one, other)]
    assert [sum(each) for each in numbers] == [2, 1]
    assert [each[0] for each in numbers] == [1, 1]
