"""Whether an attempt got on: how much more there is in the task's folder at its end than at its start."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from orderctl.downloads import part

#: What counts as progress, in bytes. Less would let a server that sends a byte each time be tried for ever.
WORTH_IT: Final = 2**20


class Gains:
    """What an attempt adds to a folder.

    A download that begins again from the start each time adds nothing, wherever it breaks off.

    Args:
        folder: The folder; it need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._before = _size(folder)

    def added(self) -> int:
        """Return the number of bytes that were added so far."""
        return max(0, _size(self._folder) - self._before)

    def are_worth_it(self) -> bool:
        """Whether so far at least :data:`WORTH_IT` bytes were added."""
        return self.added() >= WORTH_IT


def _size(folder: Path) -> int:
    """Return the bytes of the files in a folder, as far as they can be read."""
    total = 0
    for path, _, names in os.walk(folder):  # ignores errors
        for name in names:
            try:
                total += part.bytes_seen(Path(path, name))
            except OSError:
                continue
    return total
