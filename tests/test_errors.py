"""The tree of errors in the docstring of orderctl.errors is the tree in the code."""

import importlib
import pkgutil
import re
from collections.abc import Iterator

import pytest

import orderctl
from orderctl import errors
from orderctl.errors import OrderctlError

_LINE = re.compile(r"    ([│ ├└─]*)([A-Z]\w+)(?: +([0-9]+)  ([0-9]{3}))?(?:  |$)", re.MULTILINE)


def drawn() -> dict[str, tuple[str | None, tuple[int, int]]]:
    """Each error of the docstring, with its parent, its exit code and its HTTP status."""
    found: dict[str, tuple[str | None, tuple[int, int]]] = {}
    above: list[str] = []
    for branch, name, code, status in _LINE.findall(errors.__doc__ or ""):
        depth = len(branch) // 4
        above[depth:] = [name]
        parent = above[depth - 1] if depth else None
        found[name] = (parent, (int(code), int(status)) if code else found[parent or ""][1])
    return found


def walk(error: type[OrderctlError] = OrderctlError) -> Iterator[type[OrderctlError]]:
    yield error
    for below in error.__subclasses__():
        if below.__module__.startswith("orderctl."):
            yield from walk(below)


@pytest.fixture(scope="module", autouse=True)
def whole_package() -> None:
    for module in pkgutil.walk_packages(orderctl.__path__, "orderctl."):
        if not module.name.endswith("__main__") and ".migrations" not in module.name:
            importlib.import_module(module.name)


def test_the_tree_names_every_error():
    shown = drawn()
    # The kinds of a failed download have a tree of their own.
    missing = {
        error.__name__
        for error in walk()
        if error.__name__ not in shown and not error.__module__.startswith("orderctl.downloads.")
    }

    assert missing == set()
    assert set(shown) <= {error.__name__ for error in walk()}


def test_each_error_stands_where_it_belongs_with_its_exit_code_and_http_status():
    shown = drawn()
    real = {
        error.__name__: (
            None if error is OrderctlError else error.__mro__[1].__name__,
            (int(error.exit_status), error.http_status),
        )
        for error in walk()
        if error.__name__ in shown
    }

    assert real == shown


def test_a_failed_download_has_one_exit_code_and_http_status():
    _, expected = drawn()["DownloadError"]

    downloads = [error for error in walk() if error.__module__.startswith("orderctl.downloads.")]
    assert {(int(error.exit_status), error.http_status) for error in downloads} == {expected}
