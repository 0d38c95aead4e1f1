"""The pictures of the documentation: they are there, and what makes them draws what a terminal shows."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from wcwidth import wcswidth

from docs.pictures import drawing, screens, stand_ins
from docs.pictures.recorder import Terminal

DOCS = Path(__file__).parents[1] / "docs"
SVG = "{http://www.w3.org/2000/svg}"


def test_a_recording_shows_each_frame_and_the_colours(tmp_path: Path):
    terminal = Terminal(30, 4)
    terminal.type("printf hello")
    code = terminal.run(["printf", r"a\r\033[31mb <&\033[0m 学 c"], dict(os.environ), tmp_path)

    drawn = ET.fromstring(drawing.animation(terminal.frames, 30, 4, str.upper))

    assert code == 0
    texts = [(text.text, text.get("fill")) for text in drawn.iter(f"{SVG}text")]
    assert texts[-2:] == [("B <&", "#ff7b72"), ("学 C", "#d7dae0")]
    assert [text.get("textLength") for text in drawn.iter(f"{SVG}text")][
        -1
    ] == "33.6"  # 学 is two columns wide
    assert "PRINTF HELLO" in {text for text, _ in texts}
    assert sum(len(group) > 0 for group in drawn.iter(f"{SVG}g")) > 4


def test_what_stands_for_a_name_is_as_long():
    shown = stand_ins.replacing("127.0.0.1:41234")

    for text in (f"http://127.0.0.1:41234/a {socket.gethostname()}-7", "http://127.0.0.1…", "http://127.0…"):
        assert len(shown(text)) == len(text)
        assert "127.0" not in shown(text)
    with pytest.raises(AssertionError):
        stand_ins.replacing("127.0.0.1:80")


def test_the_pictures_name_no_machine_and_are_small():
    recording = (DOCS / "demo.svg").read_text(encoding="utf-8")

    ET.fromstring(recording)
    assert len(recording) < 300_000
    texts = [recording, *(path.read_text(encoding="utf-8") for path in (DOCS / "screens").glob("*.txt"))]
    assert [
        found for text in texts for found in re.findall(r"127\.0\.0\.1:\d|/tmp/\S+demo\S+|root@", text)
    ] == []


@pytest.mark.parametrize("width", screens.WIDTHS)
def test_each_command_has_its_screen(width: int):
    text = (DOCS / "screens" / f"{width}-columns.txt").read_text(encoding="utf-8")
    shown = re.findall(r"^\$ orderctl (\S+)", text, re.MULTILINE)

    assert shown == [command.split()[0] for command in screens.COMMANDS]
    assert re.findall(r"^orderctl: .*", text, re.MULTILINE) == []
    assert [line for line in text.splitlines() if not 0 <= wcswidth(line) <= width] == []


def test_of_bars_that_moved_a_screen_has_what_stays():
    moved = b"\x1b[?25l\x1b[2KDH1   0 %\r\ntask 1\r\x1b[2K\x1b[1A\x1b[2KDH1 \x1b[2m--\x1b[0m 50 %\r\ntask 1\r\n\x1b[?25hfailed\r\n"

    assert screens.last_frame(moved) == "DH1 -- 50 %\ntask 1\nfailed\n"
