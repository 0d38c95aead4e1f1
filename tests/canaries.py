"""Secrets that no output may contain, and the search for them in whatever form they were written."""

import itertools
import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, unquote


@dataclass(frozen=True)
class Canary:
    """A secret whose two ends can be recognised wherever it is cut, encoded or escaped in between.

    Attributes:
        where: Where it was planted.
        text: The secret, with the characters that programs get wrong.
    """

    where: str
    text: str
    ends: tuple[str, str]

    @property
    def quoted(self) -> str:
        """The secret as it has to be written in a URL."""
        return quote(self.text, safe="")

    def forms(self) -> Iterator[str]:
        """Yield what a text contains that contains an end of the secret, also in base64 at any offset."""
        for end in self.ends:
            yield end
            for shift, cut in ((0, 0), (1, 2), (2, 3)):
                yield b64encode(bytes(shift) + end.encode()).decode()[cut : (shift + len(end)) * 8 // 6]


class Canaries:
    """All secrets that a test has planted."""

    def __init__(self) -> None:
        self.planted: list[Canary] = []
        self._numbers = itertools.count(101)
        self._forms: dict[str, str] = {}
        self._pattern = re.compile("(?!)")

    def plant(self, where: str) -> Canary:
        """Return a new secret."""
        number = next(self._numbers)
        ends = f"hEAd{number}qzxjv", f"taIl{number}qzxjv"
        self.planted.append(Canary(where, f"{ends[0]}@:/%#?&+=' {ends[1]}", ends))
        self._forms |= dict.fromkeys(self.planted[-1].forms(), where)
        self._pattern = re.compile("|".join(map(re.escape, self._forms)))
        return self.planted[-1]

    def found(self, place: str, text: str) -> list[str]:
        """Return which secrets a text has, as "secret in place: its surroundings"."""
        for _ in range(3):
            text = f"{text}\n{unquote(text)}" if "%" in text else text
        return [
            f"{self._forms[found[0]]} in {place}: ...{text[max(0, found.start() - 60) : found.end() + 20]!r}"
            for found in self._pattern.finditer(text)
        ]
