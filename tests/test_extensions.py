"""Entry points of installed packages."""

from importlib.metadata import EntryPoint

import pytest

from orderctl import extensions
from orderctl.errors import ExitStatus, Misconfigured
from orderctl.extensions import Group

THINGS = Group("shop.things", "thing", "shop.thing")


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """Entry points of packages that are not installed."""
    entries: list[EntryPoint] = []
    monkeypatch.setattr(extensions, "entry_points", lambda group: [e for e in entries if e.group == group])
    return entries


def test_an_unknown_name_is_refused_with_the_known_ones(offered: list[EntryPoint]) -> None:
    offered.append(EntryPoint("cup", "a:Cup", "shop.things"))

    with pytest.raises(
        Misconfigured, match=r"setting shop\.thing: thing 'jug' not found; installed: cup"
    ) as caught:
        THINGS.load("jug")

    assert caught.value.exit_status is ExitStatus.CONFIGURATION
    assert "shop.things" in str(caught.value.hint)


def test_a_class_that_cannot_be_imported_is_misconfigured(offered: list[EntryPoint]) -> None:
    offered.append(EntryPoint("mine", "no_such_package:Thing", "shop.things"))

    with pytest.raises(Misconfigured, match=r"the thing mine .*No module named 'no_such_package'"):
        THINGS.load("mine")


def test_a_class_that_needs_arguments_is_misconfigured(offered: list[EntryPoint]) -> None:
    offered.append(EntryPoint("mine", "fractions:gcd_of_nothing", "shop.things"))
    offered.append(EntryPoint("other", "functools:partial", "shop.things"))

    for name in ("mine", "other"):
        with pytest.raises(Misconfigured, match=f"the thing {name} "):
            THINGS.load(name)


def test_one_name_for_two_classes_is_misconfigured(offered: list[EntryPoint]) -> None:
    offered.append(EntryPoint("mine", "a:Thing", "shop.things"))
    offered.append(EntryPoint("mine", "b:Thing", "shop.things"))

    with pytest.raises(Misconfigured, match="several packages provide a thing 'mine': a:Thing, b:Thing"):
        THINGS.load("mine")


def test_one_class_that_is_announced_twice_is_one(offered: list[EntryPoint]) -> None:
    offered += [EntryPoint("mine", "decimal:Decimal", "shop.things")] * 2

    assert THINGS.load("mine") == 0
