"""The same world as the faults' tests have: private servers, an empty shop, everybody listening."""

from tests.faults.conftest import post_office, receiver, stage, world

__all__ = ["post_office", "receiver", "stage", "world"]
