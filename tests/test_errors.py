"""The tree of errors in the docstring of orderctl.errors is the tree in the code."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest

import orderctl
from orderctl import errors
from orderctl.downloads.errors import DownloadError

_LINE = re.compile(
    r"    (?P<branch>[│ ├└─]*)(?P<name>[A-Z]\w+)(?: +(?P<exit>[0-9]+)  (?P<http>[0-9]{3}))?(?: +(?P<rest>\S.*))?$",
    re.MULTILINE,
)
_TYPE = re.compile(r"[A-Z_]+(?=:|$)")


class Drawn(NamedTuple):
    """A line of the tree."""

    parent: str | None
    numbers: tuple[int, int] | None
    error_type: str | None


def drawn() -> dict[str, Drawn]:
    """The docstring's tree, by name."""
    found: dict[str, Drawn] = {}
    above: list[str] = []
    for line in _LINE.finditer(errors.__doc__ or ""):
        depth = len(line["branch"]) // 4
        above[depth:] = [line["name"]]
        parent = above[depth - 1] if depth else None
        inherited = found[parent].numbers if parent else None
        numbers = (int(line["exit"]), int(line["http"])) if line["exit"] else inherited
        error_type = _TYPE.match(line["rest"] or "")
        assert line["name"] not in found
        found[line["name"]] = Drawn(parent, numbers, error_type[0] if error_type else None)
    return found


def coded() -> dict[str, type[BaseException]]:
    """All exception classes that orderctl defines, by name."""
    return {error.__name__: error for error in _below(BaseException) if _is_ours(error)}


def _below(error: type[BaseException]) -> Iterator[type[BaseException]]:
    for below in type.__subclasses__(error):
        yield below
        yield from _below(below)


def _is_ours(error: type[BaseException]) -> bool:
    return error.__module__.startswith("orderctl.")


@pytest.fixture(scope="module", autouse=True)
def whole_package() -> None:
    for module in pkgutil.walk_packages(orderctl.__path__, "orderctl."):
        if not module.name.endswith("__main__") and ".migrations" not in module.name:
            importlib.import_module(module.name)


def test_the_tree_names_every_exception_class_and_no_other():
    named = {name for name, line in drawn().items() if line.parent or name == "OrderctlError"}

    assert named == set(coded())


def test_every_error_is_drawn_below_its_base_class():
    assert {name: drawn()[name].parent for name in coded() if name != "OrderctlError"} == {
        name: error.__bases__[0].__name__ for name, error in coded().items() if name != "OrderctlError"
    }


def test_the_numbers_of_every_error_are_its_exit_code_and_http_status():
    shown = {name: line.numbers for name, line in drawn().items() if line.numbers}

    assert shown == {
        name: (int(error.exit_status), error.http_status)
        for name, error in coded().items()
        if issubclass(error, errors.OrderctlError)
    }


def test_every_failed_download_is_drawn_with_its_error_type():
    downloads = {name: error for name, error in coded().items() if issubclass(error, DownloadError)}
    by_class = {name: str(error.error_type) for name, error in downloads.items() if name != "StatusRefused"}

    assert by_class == {name: drawn()[name].error_type for name in by_class}
    assert drawn()["StatusRefused"].error_type is None  # each status has its own
