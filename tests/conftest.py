"""Fixtures for all tests."""

import signal

from hypothesis import settings

pytest_plugins = ["tests.servers.fixtures", "tests.servers.skipping"]

# On a busy machine a slow example says nothing about the code.
settings.register_profile("orderctl", deadline=None)
settings.load_profile("orderctl")

# A shell starts what it puts into the background with SIGINT ignored, and every program below would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
