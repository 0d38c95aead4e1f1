"""The garbage collector rests while libraries are imported: `orders list` starts an eighth sooner."""

from __future__ import annotations

import gc


def rest() -> None:
    """Let the collector rest until :func:`resume`: at the start of the program."""
    gc.disable()


def resume() -> None:
    """Let the collector work again, and leave out what has been imported, which stays anyway."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
