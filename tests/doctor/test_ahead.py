"""Looks that begin ahead: those that hang are left alone, and those that fail say so."""

import threading

import pytest

from orderctl.deadlines import Begun
from orderctl.doctor.ahead import Peers
from orderctl.settings import load


def test_a_look_that_hangs_is_left_alone_and_one_that_fails_says_so() -> None:
    hanging = Begun(threading.Event().wait)
    with pytest.raises(TimeoutError):
        hanging.result(0.01)
    with pytest.raises(ZeroDivisionError):
        Begun(lambda: 1 / 0).result(10)
    assert Begun(lambda: 7).result(10) == 7
    assert Peers(load({}, environ={})).longest < 6
