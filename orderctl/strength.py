"""Whether a secret that signs something is too weak. No I/O.

Who has one signed token or webhook can try secrets on it, billions each second, without a word to us. The length alone
says little: 31 blanks and a letter are long, too. What is refused here was certainly not made at random; that the rest
was, no function can tell.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

#: The command that makes a good one.
EXAMPLE: Final = "openssl rand -hex 32"

#: Fewest characters: 128 bits in hexadecimal digits.
MIN_LENGTH: Final = 32
#: Fewest different characters. Of 32 random hexadecimal digits, fewer than 8 differ once in 10 million times.
_MIN_DIFFERENT: Final = 8


#: Fewest characters of a key that another system sends, and that nobody can try without a request to us.
MIN_SHARED: Final = 16


def weakness(secret: str, least: int = MIN_LENGTH) -> str | None:
    """Return why a secret is too weak, without any part of it; None when it may be good.

    Args:
        secret: The secret.
        least: The fewest characters.
    """
    text = secret.strip()
    if len(text) < least:
        return f"it has {_counted(len(text))}" + (" besides white space" if text != secret else "")
    different = len(set(text))
    if different < min(_MIN_DIFFERENT, least // 3):
        return f"it has {_counted(different, 'different ')}"
    period = _period(text)
    if period < least and period <= len(text) // 2:
        return f"it repeats {_counted(period)}"
    if _runs(text) > 2 * len(text) // 3:
        return "it is a sequence, such as abcdef or 123456"
    return None


def _counted(number: int, kind: str = "") -> str:
    return f"{number} {kind}character{'' if number == 1 else 's'}"


def _period(text: str) -> int:
    """Return the length of the shortest part that gives the whole text when it is repeated and cut."""
    borders = [0] * len(text)  # the failure function of Knuth, Morris and Pratt
    matched = 0
    for position in range(1, len(text)):
        while matched and text[position] != text[matched]:
            matched = borders[matched - 1]
        matched += text[position] == text[matched]
        borders[position] = matched
    return len(text) - borders[-1]


def _runs(text: str) -> int:
    """Return how many characters are the one before them, or its neighbour in the alphabet."""
    return sum(abs(ord(after) - ord(before)) <= 1 for before, after in pairwise(text))
