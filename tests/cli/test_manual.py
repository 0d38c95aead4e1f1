"""The generated man pages and completions are current, and man and the shells accept them."""

import shlex
import subprocess
from pathlib import Path

import pytest

from orderctl import environment, setting_sections
from orderctl.cli import manual, roff
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
    others = {"man/orderctl.1", "man/orderctl-config.5", "man/orderctl-exit-codes.7"}

    assert {f"man/orderctl-{name}.1" for name in COMMANDS} | others == set(PAGES)


def test_writing_removes_pages_of_commands_that_no_longer_exist(tmp_path):
    (tmp_path / "man").mkdir()
    (tmp_path / "man" / "orderctl-gone.1").touch()

    manual.write(tmp_path)

    assert sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "man").iterdir()) == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_formatted_without_a_warning_in_80_columns(page):
    with needed():
        groff = find("groff")
    done = subprocess.run(
        [str(groff), "-man", "-Tutf8", "-P-cbu", "-k", "-ww", "-rLL=78n", str(ROOT / page)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stderr == ""
    assert [line for line in done.stdout.splitlines() if len(line) > 80] == []
    headings = {line for line in done.stdout.splitlines() if line[:1].strip()}
    assert {"EXIT STATUS", "ENVIRONMENT", "EXAMPLES", "SEE ALSO"} <= headings


def test_the_page_of_the_program_has_every_exit_code_and_variable():
    page = manual.documents()["man/orderctl.1"]

    assert all(f"\\fB{int(status)}\\fR" in page for status in ExitStatus)
    assert "ORDERCTL_RELAY_TOKEN_SECRET_FILE" in page


def test_the_page_of_the_settings_has_every_setting_with_its_variable_and_default():
    page = manual.documents()["man/orderctl-config.5"]

    assert [key for key in setting_sections.declared() if environment.variable(key) not in page] == []
    assert "Needs a whole number from 1 to 256. Default: 1." in page


def test_a_long_command_goes_on_in_the_next_line():
    example = "orderctl orders add --code DH1 --email customer@example.com --amount 300000 --reason 'a --b c'"

    folded = list(roff._folded(example))

    assert max(map(len, folded)) <= 66
    assert [word for word in shlex.split("\n".join(folded)) if word.strip()] == shlex.split(example)


def test_text_cannot_become_a_request():
    assert roff.escape(".SH x") == "\\&.SH x"
    assert roff.escape("'x' \\n ~/-") == "\\(aqx\\(aq \\en \\(ti/\\-"
