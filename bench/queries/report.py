"""The tables of the results, for a terminal and for ``docs/performance.md``."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

RATIO = 2.0
#: Times up to this are not compared by ratio, which would measure noise.
FLOOR_MS = 1.0


@dataclass
class Result:
    """The times of a case, in milliseconds.

    Attributes:
        name: The case.
        goal: Most milliseconds with the most orders; None: no goal.
        times: By number of orders.
        by_hand: Of the statement written by hand; more than ``limit_ms`` means that it was ended then.
        errors: What went wrong.
    """

    name: str
    goal: float | None
    times: dict[int, float] = field(default_factory=dict)
    by_hand: dict[int, float] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """The time with the most orders, as a multiple of that with the fewest."""
        return self.times[max(self.times)] / self.times[min(self.times)]

    @property
    def is_reached(self) -> bool:
        if self.errors:
            return False
        if self.goal is None:
            return True
        last = self.times[max(self.times)]
        return last <= self.goal and (last <= FLOOR_MS or self.ratio <= RATIO)

    @property
    def verdict(self) -> str:
        if self.errors:
            return f"FAILED: {self.errors[0]}"
        if self.goal is None:
            return "no goal"
        return f"{self.goal:g} ms, {RATIO:g}x: {'reached' if self.is_reached else 'MISSED'}"


def table(results: Sequence[Result], sizes: Sequence[int], limit_ms: float) -> str:
    """Return the results as text."""
    head = ["median, ms", *(f"{size:,}" for size in sizes), "ratio", "by hand", "goal"]
    rows = [_cells(result, sizes, limit_ms) for result in results]
    return _aligned([head, *rows])


def markdown(results: Sequence[Result], sizes: Sequence[int], limit_ms: float) -> str:
    """Return the results as a table of Markdown."""
    head = ["median, ms", *(f"{size:,}" for size in sizes), "ratio", f"by hand, {sizes[-1]:,}", "goal"]
    rows = [_cells(result, sizes, limit_ms) for result in results]
    return _in_markdown([head, *([_code(row[0]), *row[1:]] for row in rows)])


def _cells(result: Result, sizes: Sequence[int], limit_ms: float) -> list[str]:
    times = [_shown(result.times.get(size)) for size in sizes]
    hand = result.by_hand.get(sizes[-1])
    ratio = f"{result.ratio:.1f}" if result.times else ""
    shown = "" if hand is None else f"> {limit_ms:,.0f}" if hand > limit_ms else _shown(hand)
    return [result.name, *times, ratio, shown, result.verdict]


def _shown(milliseconds: float | None) -> str:
    if milliseconds is None:
        return ""
    return f"{milliseconds:,.0f}" if milliseconds >= 100 else f"{milliseconds:.1f}"


def _code(name: str) -> str:
    """Return a name with its command in code: what stands before a colon, or a comma and a blank."""
    command = re.match(r"(?:orders|logs|tasks|payments|reconcile)\b(?:[^,:]|,(?! ))*", name)
    return name if command is None else f"`{command[0]}`{name[command.end() :]}"


def growth(rows: Sequence[tuple[str, str, float, float]], per_year: int) -> tuple[str, list[list[str]]]:
    """Return a sentence and the cells of a table: bytes by table and index.

    Args:
        rows: Table, index, bytes of a row, and bytes of an order.
        per_year: The number of orders in a year.
    """
    total = sum(order for *_, order in rows)
    cells = [["table", "index", "bytes per row", "bytes per order"]]
    cells += [[table, _columns(index), f"{row:,.0f}", f"{order:,.0f}"] for table, index, row, order in rows]
    cells.append(["all", "", "", f"{total:,.0f}"])
    year = total * per_year / 1e9
    return (
        f"{total / 1000:,.1f} kB for each order; {per_year:,} orders, a year of 1,000 a day: {year:,.1f} GB",
        cells,
    )


def _columns(index: str) -> str:
    """Return what an index of orderctl's is named after."""
    tables = "orders|download_tasks|order_audit_logs|payments|outbox"
    return re.sub(rf"^(ix|uq)_orderctl_({tables})_", "", index)


def aligned_growth(rows: Sequence[tuple[str, str, float, float]], per_year: int) -> str:
    """Return the growth as text."""
    sentence, cells = growth(rows, per_year)
    return f"{_aligned(cells)}\n{sentence}"


def markdown_growth(rows: Sequence[tuple[str, str, float, float]], per_year: int) -> str:
    """Return the growth as a table of Markdown."""
    sentence, cells = growth(rows, per_year)
    marked = [cells[0], *([f"`{row[0]}`", f"`{row[1]}`", *row[2:]] for row in cells[1:-1])]
    marked.append(cells[-1])
    return f"{_in_markdown(marked)}\n\n{sentence}."


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    last = len(widths) - 1
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place in (0, last) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _in_markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def replace(page: Path, parts: Mapping[str, str]) -> None:
    """Replace parts of a page, each between the comments ``<!-- NAME -->`` and ``<!-- end -->``.

    Raises:
        ValueError: The page has no such part.
    """
    text = page.read_text(encoding="utf-8")
    for name, part in parts.items():
        pattern = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"{page} has no part {name}")
        text = pattern.sub(lambda found, part=part: f"{found[1]}\n{part}\n\n{found[2]}", text)
    page.write_text(text, encoding="utf-8")
