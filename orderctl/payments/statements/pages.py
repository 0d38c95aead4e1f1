"""Whether a document of JSON is one page of several, as APIs give long lists out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

_SEPARATOR: Final = re.compile(r"[\W_]+")
_PAGE: Final = ("page", "currentpage", "pagenumber", "pageindex", "pageno")
_PAGES: Final = ("totalpages", "totalpage", "pagecount", "pagetotal", "numpages", "lastpage", "pages")
_MORE: Final = ("hasmore", "hasnext", "hasnextpage", "morerecords", "moredata")
_NEXT: Final = (
    "nextpage", "next", "nextcursor", "nextpagetoken", "nexttoken", "nextlink", "nexturl", "nextoffset", "nextpageurl",
)  # fmt: skip
#: How many records there are in all.
_RECORDS: Final = (
    "totalrecords",
    "totalcount",
    "totalitems",
    "totalelements",
    "totalresults",
    "recordstotal",
)
#: The same, but without a page's number or size beside it, and if it is large, it is a sum of money.
_MAYBE_RECORDS: Final = ("total", "count")
_MOST_TIMES: Final = 100
_SIZE: Final = ("pagesize", "perpage", "limit", "offset", "size", *_PAGE)


def part(document: Any, path: Sequence[str], number: int) -> str | None:
    """Return which part of a list a document has; None: all of it, as far as it says.

    Args:
        document: The document.
        path: The names that lead to its list of transfers.
        number: The number of transfers in the list.
    """
    said = _said(document, path)
    page, pages = _first(said, _PAGE), _first(said, _PAGES)
    if (of := _whole(pages)) is not None:
        return f"page {_whole(page) or 1} of {of:,}" if of > 1 else None
    total = _total(said, number)
    if total is not None and total > number:
        return f"{number:,} of {total:,} transfers"
    for names in (_MORE, _NEXT):
        for name in names:
            if (value := said.get(name)) is not None and _is_more(value[1]):
                return f"one page of several ({value[0]})"  # its value may be a link with a token
    return f"page {page} of several" if (_whole(page) or 0) > 1 else None


def _said(document: Any, path: Sequence[str]) -> dict[str, tuple[str, Any]]:
    """Return the names and values beside the list, and in the objects beside it, such as ``meta``."""
    found: dict[str, tuple[str, Any]] = {}
    levels, inner = [document], document
    for name in path[:-1]:
        inner = inner[name]
        levels.append(inner)
    for level in reversed(levels):
        beside = [value for value in level.values() if isinstance(value, dict)]
        for values in (level, *beside, *(v for one in beside for v in one.values() if isinstance(v, dict))):
            for name, value in values.items():
                found.setdefault(_SEPARATOR.sub("", name.casefold()), (name, value))
    return found


def _first(said: Mapping[str, tuple[str, Any]], names: Sequence[str]) -> Any:
    return next((said[name][1] for name in names if name in said and _whole(said[name][1]) is not None), None)


def _total(said: Mapping[str, tuple[str, Any]], number: int) -> int | None:
    sure = _whole(_first(said, _RECORDS))
    if sure is not None:
        return sure
    maybe = _whole(_first(said, _MAYBE_RECORDS))
    is_paged = any(name in said for name in _SIZE)
    return maybe if maybe is not None and (is_paged or maybe <= _MOST_TIMES * number) else None


def _whole(value: Any) -> int | None:
    """Return a number of pages or records; None for what is none."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:  # noqa: PLR2004
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _is_more(value: Any) -> bool:
    """Whether a value leads to a next page: a number, a link, a token, or just yes."""
    if isinstance(value, str):
        return value.strip().casefold() not in {"", "0", "false", "no", "null", "none", "-1"}
    return isinstance(value, bool | int) and value > 0
