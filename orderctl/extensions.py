"""What installed packages announce as entry points: handlers of downloads, providers of payments."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any, NamedTuple

from orderctl.errors import Misconfigured


class Group(NamedTuple):
    """A group of entry points, each a class that is called without arguments.

    Attributes:
        name: The name of the group.
        noun: What its classes are called in messages.
        setting: The setting that names one of them.
    """

    name: str
    noun: str
    setting: str

    def load(self, name: str) -> Any:
        """Return a new instance of the class that is announced under a name.

        Raises:
            Misconfigured: No installed package provides the name, several packages provide different classes for
                it, or the class cannot be loaded.
        """
        return _make(self, self.find(name))

    def find(self, name: str) -> EntryPoint:
        """Return the only entry point of a name.

        Raises:
            Misconfigured: No installed package provides the name, or several provide different classes for it.
        """
        found = self.known()
        if name not in found:
            raise Misconfigured(
                f"setting {self.setting}: {self.noun} {name!r} not found; "
                f"installed: {', '.join(sorted(found)) or 'none'}",
                hint=f"install the Python package that provides it as an entry point of the group {self.name}",
            )
        if len(found[name]) > 1:
            raise Misconfigured(
                f"setting {self.setting}: several packages provide a {self.noun} {name!r}: {', '.join(found[name])}"
            )
        return next(iter(found[name].values()))

    def known(self) -> dict[str, dict[str, EntryPoint]]:
        """Return the entry points by name, then by object; an editable install may repeat one."""
        found: dict[str, dict[str, EntryPoint]] = {}
        for entry in entry_points(group=self.name):
            found.setdefault(entry.name, {})[entry.value] = entry
        return found


def _make(group: Group, entry: EntryPoint) -> Any:
    try:
        return entry.load()()
    except Exception as error:
        raise Misconfigured(
            f"the {group.noun} {entry.name} ({entry.value}) cannot be loaded: {type(error).__name__}: {error}"
        ) from error
