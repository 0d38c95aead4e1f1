"""How an order's code may be meant by a transfer's text. Pure: which of the readings are codes, ``codes`` asks.

Customers and banks change codes: ``DH3`` is told as ``dh3``, ``DH 3`` or ``D.H-3``, and ``ORD-2024-001`` as
``ORD2024001`` or ``ord 2024 001``. A database finds a code by its index only if it is spelled out, so each part of a
text that may be a code is read in each way that it may be spelled.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import product
from typing import Final, NamedTuple

from orderctl.payments.transfer import MOST_CONTENT

#: Characters of a code, at most.
MOST_CODE: Final = 64
#: Words of a text that one code may be told as, if they are not short: banks put blanks into it.
_MOST_WORDS: Final = 6
#: Short words of a text that one code may be told as, and characters of all of them.
_MOST_SHORT_WORDS: Final = 16
#: Letters of which each may be in either case. Longer readings are tried in the usual spellings only.
_MOST_CASES: Final = 4
_MOST_CASES_OF_A_WORD: Final = 6
#: Forms of codes that are tried, the most frequent ones.
_MOST_FORMS: Final = 20
_WORD: Final = re.compile(r"(?:[^\W_]|[\u0300-\u036f])+")
#: What may stand between two words of one code: at most one separator, with blanks around it.
_INSIDE: Final = re.compile(r" ?[-_./]? ?")
#: What may stand inside codes and names, and tells nothing.
SEPARATORS: Final = re.compile(r"[-_./ ]+")
_BLANKS_AND_DOTS: Final = re.compile(r"[. ]")
_JOINED_BY: Final = ("", "-", "_", ".", "/")
_PUNCTUATION: Final = ".,;:!?()[]{}<>'\"\u2018\u2019\u201c\u201d"
_BLANKS: Final = re.compile(r"\s+")
#: A code with letters behind its last digit: ``DH3va``.
_WITH_TAIL: Final = re.compile(r"([^ ]*\d)[^\W\d_]+")


class Reading(NamedTuple):
    """A part of a text as a code.

    Attributes:
        start: Where the part begins.
        end: Where it ends.
        part: The part.
        key: What all codes that it may mean have in common: see :func:`key`.
        spellings: How such a code may be spelled, but for the case of its letters.
    """

    start: int
    end: int
    part: str
    key: str
    spellings: frozenset[str]

    def is_within(self, other: Reading) -> bool:
        """Whether another reading takes in this one and more."""
        shorter = self.end - self.start < other.end - other.start
        return shorter and other.start <= self.start and self.end <= other.end

    def overlaps(self, other: Reading) -> bool:
        """Whether two readings have a part of the text in common."""
        return self.start < other.end and other.start < self.end


class _Cut(NamedTuple):
    """A separator in a code, after so many other characters, and whether there are digits before and after it."""

    offset: int
    separator: str
    after_digit: bool
    before_digit: bool


Form = tuple[_Cut, ...]


def key(code: str) -> str:
    """Return the code without its separators, in the case and the characters that a comparison needs."""
    return SEPARATORS.sub("", _normalised(code).casefold())


def has_letter(code: str) -> bool:
    """Whether there is a letter in a code. Numbers in a text are amounts, dates and phone numbers, not codes."""
    return any(letter.isalpha() for letter in code)


def forms(codes: Iterable[str]) -> list[Form]:
    """Return how codes have separators inside, the most frequent way first.

    Args:
        codes: Some of the shop's codes.
    """
    found = Counter(form for code in codes if (form := _form(code)))
    return [form for form, _ in found.most_common(_MOST_FORMS)]


def plain(text: str) -> str:
    """Return a text in one line, composed, without what is not seen, with plain digits and dashes.

    The end of a text that may have been cut is left out: the rest of a code is not the code.
    """
    shown = _normalised(text[:MOST_CONTENT])
    # A blank at the end of a cut text is gone, too.
    if len(text) < MOST_CONTENT - 1 and len(shown) < MOST_CONTENT - 1:
        return shown
    words = list(_WORD.finditer(shown[:MOST_CONTENT]))[:-_MOST_SHORT_WORDS]
    return shown[: words[-1].end()] if words else ""


def initials(text: str) -> set[str]:
    """Return the characters with which words of a text begin, in lower case.

    Args:
        text: What :func:`plain` returned.
    """
    return {match[0][0].lower() for match in _WORD.finditer(text)}


def of(text: str, begins: Collection[str], forms: Sequence[Form] = ()) -> Iterator[Reading]:
    """Yield the readings of a text: its words, adjacent words together, and what stands between blanks.

    Args:
        text: What :func:`plain` returned.
        begins: Those of the text's :func:`initials` with which a code may begin.
        forms: How the shop's codes have separators inside.
    """
    words = list(_WORD.finditer(text))
    for first, word in enumerate(words):
        if word[0][0].lower() not in begins:
            continue
        for last in _together(text, words, first):
            if _may_be_code(text[word.start() : words[last].end()]):
                yield _reading(text, word.start(), words[last].end(), forms)
    yield from _with_punctuation(text)


def matches(text: str, pattern: re.Pattern[str], forms: Sequence[Form] = ()) -> Iterator[Reading]:
    """Yield a reading of each match of a pattern: of its first group, if it has one.

    Banks put blanks and dots into codes, so adjacent words that match it together are readings, too, unless the
    pattern has a group: then it says itself what stands around the code, and in it.

    Args:
        text: What :func:`plain` returned.
        pattern: What the codes of orders look like.
        forms: How the shop's codes have separators inside.
    """
    for match in pattern.finditer(text):
        group = 1 if pattern.groups and match[1] is not None else 0
        if key(match[group]) and len(match[group]) <= 2 * MOST_CODE:
            yield _reading(text, *match.span(group), forms)
    for reading in () if pattern.groups else of(text, initials(text), forms):
        if any(map(pattern.fullmatch, reading.spellings)):
            yield reading


def has_tail(reading: Reading) -> bool:
    """Whether a reading ends with letters behind a digit, which may be the next word of the text."""
    match = _WITH_TAIL.fullmatch(reading.part)
    return match is not None and has_letter(match[1])


def without_tail(reading: Reading, forms: Sequence[Form] = ()) -> Reading:
    """Return a reading that :func:`has_tail` without these letters.

    Args:
        reading: The reading.
        forms: How the shop's codes have separators inside.
    """
    bare = reading.part.rstrip("".join(filter(str.isalpha, reading.part)))
    return _reading(bare, 0, len(bare), forms)._replace(start=reading.start, end=reading.start + len(bare))


def cases(spelling: str) -> set[str]:
    """Return a spelling with its letters in either case: all of them if there are few, else the usual ones."""
    cased = sum(letter.lower() != letter.upper() for letter in spelling)
    most = _MOST_CASES_OF_A_WORD if spelling.isalnum() else _MOST_CASES
    if cased > most:
        return {spelling, spelling.lower(), spelling.upper(), spelling.capitalize(), spelling.title()}
    return set(map("".join, product(*({letter.lower(), letter.upper()} for letter in spelling))))


def _normalised(text: str) -> str:
    composed = unicodedata.normalize("NFKC", text)
    seen = "".join(_seen(letter) for letter in composed)
    return _BLANKS.sub(" ", unicodedata.normalize("NFKC", seen)).strip()


def _seen(letter: str) -> str:
    if letter.isascii():
        return letter if letter.isprintable() else " "
    category = unicodedata.category(letter)
    if category == "Cf":  # zero-width characters, soft hyphens, directions
        return ""
    if category == "Pd" or letter == "\N{MINUS SIGN}":
        return "-"
    if category == "Nd":
        return str(unicodedata.decimal(letter))
    return " " if category in {"Cc", "Cs", "Zl", "Zp", "Zs"} else letter


def _together(text: str, words: Sequence[re.Match[str]], first: int) -> Iterator[int]:
    """Yield the numbers of the words with which a code that begins with the first one may end."""
    letters = 0
    for last in range(first, min(first + _MOST_SHORT_WORDS, len(words))):
        letters += len(words[last][0])
        is_long = last - first >= _MOST_WORDS and letters > _MOST_SHORT_WORDS
        if is_long or (
            last > first and not _INSIDE.fullmatch(text, words[last - 1].end(), words[last].start())
        ):
            return
        yield last


def _may_be_code(part: str) -> bool:
    """Whether a part of a text may be a code: not digits alone, nor several words of letters, as all texts have."""
    if len(part) > 2 * MOST_CODE or not has_letter(part):
        return False
    return " " not in part or any(letter.isdigit() for letter in part)


def _reading(text: str, start: int, end: int, forms: Sequence[Form]) -> Reading:
    part = text[start:end]
    words = [word for word in SEPARATORS.split(part) if word]
    compact = "".join(words)
    spellings = {part, _BLANKS_AND_DOTS.sub("", part)}
    spellings.update(separator.join(words) for separator in _JOINED_BY)
    spellings.update(spelled for form in forms if (spelled := _put(form, compact)))
    kept = frozenset(spelling for spelling in spellings if 0 < len(spelling) <= MOST_CODE)
    return Reading(start, end, part, key(part), kept)


def _with_punctuation(text: str) -> Iterator[Reading]:
    """Yield what stands between blanks and has other characters than words and separators, as it is."""
    for match in re.finditer(r"\S+", text):
        part, start = match[0], match.start()
        if len(part) <= MOST_CODE and has_letter(part) and not SEPARATORS.sub("", part).isalnum():
            bare = part.strip(_PUNCTUATION)
            for as_is, begin in ((part, start), (bare, start + part.index(bare))):
                yield Reading(begin, begin + len(as_is), as_is, key(as_is), frozenset({as_is}))


def _form(code: str) -> Form:
    cuts, removed = [], 0
    for match in SEPARATORS.finditer(code):
        after = code[match.end() : match.end() + 1]
        before = code[max(match.start() - 1, 0) : match.start()]
        cuts.append(_Cut(match.start() - removed, match[0], before.isdigit(), after.isdigit()))
        removed += len(match[0])
    return tuple(cut for cut in cuts if cut.offset)


def _put(form: Form, compact: str) -> str | None:
    """Return a code with separators put into it, or None if it has not that form."""
    parts, begin = [], 0
    for offset, separator, after_digit, before_digit in form:
        before, after = compact[max(offset - 1, 0) : offset], compact[offset : offset + 1]
        if not after or before.isdigit() != after_digit or after.isdigit() != before_digit:
            return None
        parts += [compact[begin:offset], separator]
        begin = offset
    return "".join([*parts, compact[begin:]])
