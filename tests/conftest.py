"""Fixtures for all tests."""

from hypothesis import settings

pytest_plugins = ["tests.servers.fixtures"]

# On a busy machine a slow example says nothing about the code.
settings.register_profile("orderctl", deadline=None)
settings.load_profile("orderctl")
