"""Measure how long orderctl takes to start, compared with importing the packages that it needs.

Usage: python bench/startup.py [ROUNDS]
"""

import compileall
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import orderctl
from tests.script import SCRIPT

TAB = {"_ORDERCTL_COMPLETE": "zsh_complete"}

SHOP = tempfile.TemporaryDirectory(prefix="orderctl-bench-")
EMBEDDED = {"ORDERCTL_STATE_DIR": SHOP.name}
#: The least that `orders list` has to do: import its packages, and run one query.
QUERY = (
    "import click, sqlalchemy, tabulate\n"
    f"with sqlalchemy.create_engine('sqlite:///{SHOP.name}/orderctl.db').connect() as connection:\n"
    "    connection.execute(sqlalchemy.text('SELECT * FROM orders LIMIT 50')).all()\n"
)

#: Name, command, environment, the name of what it is compared with, and the ratio to reach.
CASES = [
    ("import click", [sys.executable, "-c", "import click"], {}, None, None),
    ("its packages and a query", [sys.executable, "-c", QUERY], {}, None, None),
    ("orderctl --help", [SCRIPT, "--help"], {}, "import click", 1.35),
    ("orderctl <TAB>", [SCRIPT, ""], TAB, "import click", 1.35),
    ("orderctl orders show DH<TAB>", [SCRIPT, "orders", "show", "DH"], TAB | EMBEDDED, "import click", None),
    ("orderctl orders list", [SCRIPT, "orders", "list"], EMBEDDED, "its packages and a query", 1.25),
    ("orderctl config show", [SCRIPT, "config", "show", "-o", "json"], {}, "import click", None),
]


def once(command: list[str], env: dict[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, env=os.environ | env, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def main() -> None:
    # Installed packages have bytecode. With PYTHONDONTWRITEBYTECODE each start would compile orderctl again.
    compileall.compile_dir(Path(orderctl.__file__).parent, quiet=1)
    order = ["--code", "DH1", "--email", "a@example.com", "--amount", "1", "--course", "http://example.com/"]
    for command in (["migrate", "up"], ["orders", "add", *order]):
        subprocess.run([SCRIPT, *command], env=os.environ | EMBEDDED, capture_output=True, check=True)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    # The cases take turns, so that load on the machine affects all of them alike.
    measured = {name: [] for name, *_ in CASES}
    for _ in range(rounds + 1):
        for name, command, env, _, _ in CASES:
            measured[name].append(once(command, env))
    middle = {name: statistics.median(values[1:]) for name, values in measured.items()}
    for name, _, _, base, goal in CASES:
        ratio = f"{middle[name] / middle[base]:5.2f}x of {base}" if base else ""
        reached = (
            f"  (goal {goal}x: {'reached' if middle[name] <= goal * middle[base] else 'MISSED'})"
            if goal
            else ""
        )
        print(f"{name:<36} {middle[name] * 1000:7.1f} ms  {ratio}{reached}")


if __name__ == "__main__":
    main()
