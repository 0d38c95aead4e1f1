"""On which file system a path lies (proc_pid_mountinfo(5))."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

_MOUNTS: Final = Path("/proc/self/mountinfo")
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


def mount_of(path: Path) -> tuple[str, str]:
    """Return where the file system of a path is mounted, and its type: that of what a link leads to.

    Args:
        path: It need not exist.

    Returns:
        ``/`` and an empty text where it is not known, as on systems other than Linux.
    """
    try:
        lines = _MOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return "/", ""
    return nearest(os.path.realpath(path), lines)


def nearest(path: str, lines: list[str]) -> tuple[str, str]:
    """Return the same for the lines of mountinfo. Of two mounts on one place, the later one is seen.

    Args:
        path: Without links.
        lines: The lines.
    """
    found = ("/", "")
    for line in lines:
        before, _, after = line.partition(" - ")
        words = before.split(" ")
        if len(words) > 4 and after:  # noqa: PLR2004 - the fifth is the mount point
            mount = _ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), words[4])
            inside = path == mount or path.startswith(mount.rstrip("/") + "/")
            if inside and len(mount) >= len(found[0]):
                found = (mount, after.split(" ")[0])
    return found
