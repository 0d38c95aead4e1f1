"""Questions in the background."""

import itertools

import pytest

from orderctl.errors import RedisUnavailable
from orderctl.inquiries import Inquiry


@pytest.mark.parametrize("error", [RedisUnavailable("away"), ValueError("a fault of the program")])
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_question_that_fails_is_asked_again_and_prints_nothing(
    error: Exception, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = itertools.count()

    def ask() -> str:
        if next(asked) == 0:
            raise error
        return "here"

    inquiry = Inquiry(ask, 0)
    assert inquiry.poll() is None
    assert inquiry.finish(60) is None
    assert inquiry.poll() is None

    assert inquiry.finish(60) == "here"
    assert capfd.readouterr() == ("", "")
