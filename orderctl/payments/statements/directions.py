"""How a statement's column says whether the shop got the money."""

from __future__ import annotations

from typing import Final

from orderctl.payments.statements import headers
from orderctl.payments.transfer import Direction

_IN: Final = (
    "in|incoming|credit|credited|cr|c|co|ghi co|ps co|phat sinh co|thu|vao|den|tien vao|nhan|nhan tien|nhan tien ve|"
    "chuyen tien den|chuyen khoan den|tien ve|nop tien|deposit|received|receive|money in|paid in|h|haben|eingang|"
    "gutschrift|crdt|plus"
)
_OUT: Final = (
    "out|outgoing|debit|debited|dr|db|d|n|no|ghi no|ps no|phat sinh no|chi|ra|di|tien ra|chuyen tien|chuyen tien di|"
    "chuyen khoan di|rut tien|withdrawal|withdraw|sent|money out|paid out|s|soll|ausgang|lastschrift|belastung|dbit|minus"
)
_WORDS: Final = {
    **dict.fromkeys(_IN.split("|"), Direction.IN),
    **dict.fromkeys(_OUT.split("|"), Direction.OUT),
}
_SIGNS: Final = {
    "+": Direction.IN,
    "(+)": Direction.IN,
    "-": Direction.OUT,
    "(-)": Direction.OUT,
    "\u2212": Direction.OUT,
}


def read(text: str) -> Direction | None:
    """Return the direction that a word or a sign means; None for another word."""
    stripped = text.strip().lstrip("'")
    if len(stripped) > 40:  # noqa: PLR2004 - no word is as long
        return None
    return _SIGNS.get(stripped) or _WORDS.get(headers.normal(stripped))
