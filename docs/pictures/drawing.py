"""Draws a recording as an SVG that moves, also where scripts do not run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

from docs.pictures.recorder import Frame, Line, Run

_CELL, _LEAD, _MARGIN, _BAR = 8.4, 18, 14, 30
_COLOURS = {
    "default": "#d7dae0", "black": "#5c6370", "red": "#ff7b72", "green": "#7ee787", "brown": "#e3b341",
    "yellow": "#e3b341", "blue": "#79c0ff", "magenta": "#d2a8ff", "cyan": "#76e3ea", "white": "#f0f3f6",
    "brightblack": "#8b949e", "brightred": "#ffa198", "brightgreen": "#a5f3ad", "brightyellow": "#f2cc60",
    "brightblue": "#a5d6ff", "brightmagenta": "#e2c5ff", "brightcyan": "#b3f0ff", "brightwhite": "#ffffff",
}  # fmt: skip


def animation(frames: Sequence[Frame], columns: int, rows: int, shown: Callable[[str], str]) -> str:
    """Return the SVG. Its frames stand beside each other in a strip, which moves behind a window.

    Args:
        frames: What the terminal showed.
        columns: Its width.
        rows: Its height.
        shown: Returns a text as it is to be shown.
    """
    wide, high = columns * _CELL + 2 * _MARGIN, rows * _LEAD + _MARGIN + _BAR
    symbols: dict[Line, str] = {}
    strip = "".join(_placed(frame, number, wide, symbols) for number, frame in enumerate(frames))
    defined = "".join(_symbol(line, name, shown) for line, name in symbols.items())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:g} {high}" width="{wide:g}" height="{high}" '
        f'role="img" aria-label="A recording of orderctl in a terminal">\n{_style(frames, wide)}'
        f"<defs>{defined}</defs>\n"
        f'<rect width="100%" height="100%" rx="8" fill="#161b22"/>\n{_buttons()}'
        f'<svg x="{_MARGIN}" y="{_BAR}" width="{wide - 2 * _MARGIN:g}" height="{high - _BAR}">'
        f'<g id="strip">{strip}</g></svg>\n</svg>\n'
    )


def _style(frames: Sequence[Frame], wide: float) -> str:
    total, passed, steps = sum(frame.seconds for frame in frames), 0.0, []
    for number, frame in enumerate(frames):
        steps.append(f"{100 * passed / total:.2f}%{{transform:translateX({-number * wide:g}px)}}")
        passed += frame.seconds
    last = f"translateX({-(len(frames) - 1) * wide:g}px)"
    return (
        "<style>text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;"
        "white-space:pre}.b{font-weight:700}"
        f"@keyframes play{{{''.join(steps)}100%{{transform:{last}}}}}"
        f"#strip{{animation:play {total:.1f}s steps(1,end) infinite}}"
        f"@media(prefers-reduced-motion:reduce){{#strip{{animation:none;transform:{last}}}}}</style>\n"
    )


def _placed(frame: Frame, number: int, wide: float, symbols: dict[Line, str]) -> str:
    used = []
    for row, line in enumerate(frame.lines):
        if line:
            name = symbols.setdefault(line, f"l{len(symbols)}")
            used.append(f'<use href="#{name}" y="{row * _LEAD}"/>')
    return f'<g transform="translate({number * wide:g})">{"".join(used)}</g>'


def _symbol(line: Line, name: str, shown: Callable[[str], str]) -> str:
    return f'<g id="{name}">{"".join(_text(run, shown) for run in line)}</g>'


def _text(run: Run, shown: Callable[[str], str]) -> str:
    colour = _COLOURS.get(run.colour, f"#{run.colour}")
    bold = ' class="b"' if run.is_bold else ""
    return (
        f'<text x="{run.column * _CELL:g}" y="14" fill="{colour}"{bold} textLength="{run.width * _CELL:g}" '
        f'lengthAdjust="spacingAndGlyphs">{escape(shown(run.text))}</text>'
    )


def _buttons() -> str:
    colours = ("#ff5f57", "#febc2e", "#28c840")
    dots = (
        f'<circle cx="{18 + 18 * at}" cy="15" r="5" fill="{colour}"/>' for at, colour in enumerate(colours)
    )
    return "".join(dots) + "\n"
