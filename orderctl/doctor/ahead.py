"""Looks at what may need its time to answer: they begin before the stores are opened, and beside each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from orderctl.settings import Settings

#: Seconds that a look may take longer than its peers may, which all have deadlines of their own.
SLACK: Final = 2.0


@dataclass(frozen=True, slots=True)
class Peers:
    """What a look that begins ahead knows.

    Attributes:
        settings: All settings.
        patience: Seconds for the answer of each peer: a relay, a mail server, a receiver of webhooks.
        listen: Seconds for which channels are listened to.
    """

    settings: Settings
    patience: float = 1.5
    listen: float = 2.0

    @property
    def longest(self) -> float:
        """The seconds after which a look has ended, or hangs where no deadline helps."""
        return max(2 * self.patience, self.listen) + SLACK
