"""Run the programs that tests start with Python's strictest rules, and find its complaints."""

from collections.abc import Mapping

#: Makes deprecations, and files and connections that were not closed, errors in every program of orderctl.
ENVIRONMENT: Mapping[str, str] = {"PYTHONWARNINGS": "error"}

#: In development mode Python also reports errors in finalizers, which it hides otherwise before 3.13.
DEVELOPMENT: Mapping[str, str] = {**ENVIRONMENT, "PYTHONDEVMODE": "1"}

#: How a finalizer, or other code for which nothing waits, reports that it failed.
SIGNS = ("Exception ignored", "Exception in thread", "never retrieved", "never awaited", "Warning:")


def complaints(said: str) -> list[str]:
    """Return the lines with Python's complaints in the stderr of a program."""
    return [line for line in said.splitlines() if any(sign in line for sign in SIGNS)]
