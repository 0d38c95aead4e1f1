"""The generated man pages and completions are current, and man and the shells accept them."""

import subprocess
from pathlib import Path

import pytest

from orderctl.cli import manual
from orderctl.cli.main import COMMANDS
from orderctl.errors import ExitStatus
from tests.servers.availability import needed
from tests.servers.programs import find

ROOT = Path(__file__).parents[2]
PAGES = sorted(name for name in manual.documents() if name.startswith("man/"))


def test_the_generated_files_are_current_and_no_others_are_there():
    made = manual.documents()
    present = {
        str(path.relative_to(ROOT)) for name in ("man", "completions") for path in (ROOT / name).glob("*")
    }

    assert present == set(made), "run `make docs`"
    assert [name for name, text in made.items() if (ROOT / name).read_text() != text] == [], "run `make docs`"


def test_every_command_has_a_page():
    assert {f"man/orderctl-{name}.1" for name in COMMANDS} | {"man/orderctl.1"} == set(PAGES)


def test_writing_removes_pages_of_commands_that_no_longer_exist(tmp_path):
    (tmp_path / "man").mkdir()
    (tmp_path / "man" / "orderctl-gone.1").touch()

    manual.write(tmp_path)

    assert sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "man").iterdir()) == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_formatted_without_a_warning(page):
    with needed():
        groff = find("groff")
    done = subprocess.run(
        [str(groff), "-man", "-Tutf8", "-P-cbu", "-k", "-ww", "-rLL=100n", str(ROOT / page)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stderr == ""
    assert "EXAMPLES" in done.stdout


def test_the_page_of_the_program_has_every_exit_code_and_variable():
    page = manual.documents()["man/orderctl.1"]

    assert all(f"\\fB{int(status)}\\fR" in page for status in ExitStatus)
    assert "ORDERCTL_RELAY_TOKEN_SECRET_FILE" in page


def test_text_cannot_become_a_request():
    assert manual._escape(".SH x") == "\\&.SH x"
    assert manual._escape("'x' \\n ~/-") == "\\(aqx\\(aq \\en \\(ti/\\-"
