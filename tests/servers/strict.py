"""The programs that tests start run under Python's strictest rules, and what they complain of is found."""

from collections.abc import Mapping

#: Python's deprecations, and files and connections that were never closed, are errors in every program of ours.
ENVIRONMENT: Mapping[str, str] = {"PYTHONWARNINGS": "error"}

#: In development mode Python also tells what a finalizer runs into; before 3.13 it hides that otherwise.
DEVELOPMENT: Mapping[str, str] = {**ENVIRONMENT, "PYTHONDEVMODE": "1"}

#: How a finalizer, or anything else that nobody waits for, says that it failed.
SIGNS = ("Exception ignored", "Exception in thread", "never retrieved", "never awaited", "Warning:")


def complaints(said: str) -> list[str]:
    """The lines in which Python itself complains, in what a program wrote to stderr."""
    return [line for line in said.splitlines() if any(sign in line for sign in SIGNS)]
