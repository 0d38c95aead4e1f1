import pytest

from orderctl.counting import counted


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 tasks"), (1, "1 task"), (2, "2 tasks"), (12_345, "12,345 tasks")]
)
def test_a_noun_is_singular_for_one_only(number, text):
    assert counted(number, "task") == text


def test_an_irregular_plural_is_given():
    assert [counted(number, "reply", "replies") for number in (1, 2)] == ["1 reply", "2 replies"]
