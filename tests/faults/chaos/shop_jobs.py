"""A job of the shop's own, which its own ``rq worker`` runs."""

from pathlib import Path


def note(path: str, number: int) -> None:
    """Note in a file that this job has run."""
    with Path(path).open("a") as file:
        file.write(f"{number}\n")
