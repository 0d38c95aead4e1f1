"""The page's JavaScript agrees with the types in its comments, as TypeScript reads them."""

import re
import subprocess
from pathlib import Path

from orderctl.relay.assembly import PAGE
from tests.servers.availability import needed
from tests.servers.node import node_modules
from tests.servers.programs import find

OPTIONS = Path(__file__).with_name("tsconfig.json")


def test_every_script_has_the_types_that_it_declares():
    with needed():
        node = find("node")
        compiler = node_modules("typescript@5.9") / "typescript/lib/tsc.js"

    done = subprocess.run(
        [node, compiler, "--project", OPTIONS], capture_output=True, text=True, check=False, timeout=110
    )

    assert (done.stdout, done.returncode) == ("", 0)


def test_no_type_is_left_unchecked():
    unchecked = re.compile(r"@ts-(ignore|nocheck|expect-error)|\{[^{}\n]*\bany\b[^{}\n]*\}")

    assert [file.name for file in PAGE.glob("*.js") if unchecked.search(file.read_text())] == []
