"""Which commands only read, and what a mistyped command may mean.

A suggestion is pasted without much thought. So it never names a command that changes something.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

#: Commands that change nothing, and so may be suggested. Groups stand here, too: alone they show their help.
READING: Final = frozenset(
    {
        "orders", "orders list", "orders show", "orders stats", "orders wait",
        "payments", "payments list", "payments show",
        "tasks", "tasks list", "tasks show",
        "logs", "logs show", "logs search", "logs errors", "logs summary",
        "tail", "tail task", "tail order", "tail all", "tail pattern",
        "why",
        "outbox", "outbox list", "outbox show",
        "status",
        "ops", "ops list", "ops show", "ops wait",
        "worker", "worker list", "worker rejected", "worker rejected list", "worker rejected show",
        "relay", "relay probe", "relay inspect", "relay revoked",
        "doctor",
        "migrate", "migrate status", "migrate history", "migrate check", "migrate sql",
        "embedded", "embedded status",
        "config", "config show", "config check", "config path",
        "completion",
        "help",
    }
)  # fmt: skip
#: Commands that change something, or start a process that does.
CHANGING: Final = frozenset(
    {
        "orders add", "orders pay", "orders cancel",
        "payments match", "payments reconcile",
        "tasks retry", "tasks cancel",
        "outbox resend", "outbox test",
        "ops stop",
        "worker start", "worker stop", "worker pause", "worker resume", "worker rejected requeue", "worker rejected drop",
        "worker rejected dismiss",
        "relay start", "relay token", "relay revoke",
        "reconcile",
        "migrate up",
        "embedded stop",
        "demo",
        "config init",
    }
)  # fmt: skip
#: Options with which a command of :data:`CHANGING` changes nothing, beside ``--dry-run``.
_LOOKING: Final = {"reconcile": "check", "config init": "stdout"}
#: Options without which such a command changes nothing.
_APPLYING: Final = {"payments reconcile": "apply"}
#: What other programs call a command.
_SYNONYMS: Final = {
    "status": ("list", "stats"),
    "ls": ("list",),
    "ps": ("list",),
    "all": ("list",),
    "search": ("list",),
    "find": ("list", "show"),
    "get": ("show", "list"),
    "view": ("show",),
    "info": ("show",),
    "describe": ("show",),
    "count": ("stats", "summary"),
    "jobs": ("worker",),
    "workers": ("worker",),
    "queue": ("worker",),
    "log": ("logs",),
    "watch": ("tail",),
    "follow": ("tail",),
}


def changes(command: str, given: Mapping[str, object]) -> bool:
    """Return whether a command would change something.

    Args:
        command: The command with its groups, separated by blanks.
        given: The values of its options by the names of their parameters.
    """
    if command not in CHANGING or given.get("dry_run") or given.get(_LOOKING.get(command, "")):
        return False
    return command not in _APPLYING or bool(given.get(_APPLYING[command]))


def suggestions(group: str, typed: str, names: Iterable[str]) -> list[str]:
    """Return the commands that only read and that a user may have meant, the most similar one first.

    Args:
        group: The names of the groups before the command, separated by blanks; empty at the root.
        typed: What stands in the command's place.
        names: The commands of the group.
    """
    from difflib import get_close_matches

    reading = [name for name in names if f"{group} {name}".strip() in READING]
    meant = [name for name in _SYNONYMS.get(typed.lower(), ()) if name in reading]
    similar = get_close_matches(typed.lower(), reading)
    return list(dict.fromkeys([*meant[:1], *similar]))
