"""The close codes of the relay: below 4000 those of RFC 6455, from 4000 its own."""

from __future__ import annotations

from typing import Final

NORMAL: Final = 1000
POLICY_VIOLATION: Final = 1008
RESTART: Final = 1012
TRY_AGAIN: Final = 1013
UNAUTHORIZED: Final = 4401
TIMEOUT: Final = 4408
SLOW: Final = 4008
