"""Which modules the program imports, and when."""

import json
import os
import subprocess
import sys
from pkgutil import walk_packages

import pytest

import orderctl.cli
from orderctl.cli.main import COMMANDS, PACKAGE
from tests.shop import Shop

HEAVY = (
    "sqlalchemy",
    "redis",
    "rq",
    "rich",
    "tabulate",
    "websockets",
    "alembic",
    "pymysql",
    "prometheus_client",
    "jinja2",
)
#: Uses rich; ``tail`` imports it on a terminal, when it draws the first bar.
BARS = "orderctl.cli.bars"
COMMAND_MODULES = sorted(f"{PACKAGE}.{name}" for name in COMMANDS)

#: Runs the program as its script does, then lists its modules on stderr.
PROBE = """
import atexit, os, sys
def tell():
    os.write(2, "\\n".join(sorted(sys.modules)).encode())
def leave(status, leave=os._exit):  # the TAB key waits for no thread
    tell()
    leave(status)
os._exit = leave
atexit.register(tell)
from orderctl.cli.main import main
sys.argv[1:] = {arguments!r}
main()
"""


def imported(*arguments: str, **env: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(arguments=list(arguments))],
        capture_output=True,
        text=True,
        env=os.environ | env,
        check=False,
    )
    return set(done.stderr.splitlines())


#: What the script of zsh sets when it asks the program.
TAB = {"_ORDERCTL_COMPLETE": "zsh_complete"}


def completing(*words: str, **env: str) -> set[str]:
    return imported(*words, **TAB, **env)


def typed(line: str) -> list[str]:
    """The arguments of a line, of which the last is to be completed."""
    return line.split(" ")[1:]


def offered(answer: str) -> list[str]:
    """The words that the program has answered to the script of zsh."""
    return [line.split("\t")[1] for line in answer.splitlines()]


def test_help_imports_neither_a_command_nor_a_store():
    modules = imported("--help")

    assert "orderctl.cli.main" in modules
    assert not modules & {*HEAVY, *COMMAND_MODULES}


@pytest.mark.parametrize("word", ["", "o", "--"])
def test_the_tab_key_imports_neither_a_command_nor_a_store(word):
    modules = completing(word)

    assert "click.shell_completion" in modules
    assert not modules & {*HEAVY, *COMMAND_MODULES}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_tab_key_behind_a_command_imports_no_store(name):
    modules = completing(name, "")

    assert f"{PACKAGE}.{name}" in modules
    assert not modules & {*HEAVY}


def test_no_module_of_the_command_line_but_the_bars_imports_a_store():
    names = [module.name for module in walk_packages(orderctl.cli.__path__, "orderctl.cli.")]
    names.remove(BARS)
    code = f"import sys, importlib; [importlib.import_module(n) for n in {names!r}]; print('\\n'.join(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not set(done.stdout.splitlines()) & {*HEAVY}


#: What each command needs of the libraries; with rows to show, and nothing that downloads.
NEEDED = {
    "orders list": {"sqlalchemy", "tabulate"},
    "orders list --search DH": {"sqlalchemy", "tabulate"},
    # What it waits for depends on the workers, which Redis knows.
    "orders show DH1": {"sqlalchemy", "redis"},
    "orders stats": {"sqlalchemy", "tabulate"},
    "payments list": {"sqlalchemy", "tabulate"},
    "tasks list": {"sqlalchemy", "tabulate"},
    "tasks show 1": {"sqlalchemy", "redis"},
    "tasks retry 77": {"sqlalchemy"},
    "logs DH1": {"sqlalchemy", "tabulate"},
    "logs search": {"sqlalchemy", "tabulate"},
    "logs summary": {"sqlalchemy", "tabulate"},
    "outbox list": {"sqlalchemy", "tabulate"},
    "ops list": {"sqlalchemy", "tabulate"},
    "migrate check": {"sqlalchemy", "alembic"},
    "config show": {"tabulate"},
    "embedded status": set(),
    "relay token": set(),
    "completion bash": set(),
    "help times": set(),
    "status": {"sqlalchemy", "redis"},
    "config check --connect": {"sqlalchemy", "redis"},
    "worker list": {"sqlalchemy", "redis", "tabulate"},
    "worker list -o json": {"sqlalchemy", "redis"},
    "worker rejected list": {"sqlalchemy", "redis", "rq"},  # RQ spells the names of jobs and queues
    "reconcile --check": {"sqlalchemy", "redis", "rq", "tabulate"},
    "orders add --code DH2 --email a@example.com --amount 1 --course http://example.com/": {
        "sqlalchemy",
        "tabulate",
    },
    "orders pay DH1 --amount 1": {"sqlalchemy"},  # it is paid already
    "orders cancel DH1 --dry-run": {"sqlalchemy", "tabulate"},
    "orders wait DH1 --timeout 0s": {"sqlalchemy", "redis"},
    "payments show 1": {"sqlalchemy"},
    "outbox show 1": {"sqlalchemy"},
    "relay probe http://127.0.0.1:1": set(),
    "config check": {"sqlalchemy"},
    "migrate status": {"sqlalchemy", "alembic", "tabulate"},
    "tail DH1 --timeout 0s": {"sqlalchemy", "redis"},
    "why DH1": {"sqlalchemy", "redis", "rq"},
    "doctor --only settings,database": {"sqlalchemy", "redis", "alembic"},
}

#: Runs commands, each in a copy of a process that has imported only the root, and for the last ones the database, and
#: prints the modules of each.
FORKS = """
import json, os, sys
from orderctl.cli.main import run
for line in json.loads(sys.argv[1]):
    if line is None:
        import orderctl.database
        continue
    if not (child := os.fork()):
        told = os.dup(1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        run(line.split())
        os.write(told, (json.dumps([line, [name for name in sys.modules if "." not in name]]) + "\\n").encode())
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.mark.databases("sqlite")
def test_a_command_imports_what_it_needs_only(shop: Shop):
    shop.paid("DH1")

    lines = [line for line, names in NEEDED.items() if "sqlalchemy" not in names]
    lines += [None, *(line for line in NEEDED if line not in lines)]

    told = subprocess.check_output([sys.executable, "-c", FORKS, json.dumps(lines)], text=True)

    found = {line: {*HEAVY} & {*modules} for line, modules in map(json.loads, told.splitlines())}
    # A table of no rows needs no tabulate.
    assert {line: names - {"tabulate"} for line, names in found.items()} == {
        line: names - {"tabulate"} for line, names in NEEDED.items()
    }
    assert {line for line, names in found.items() if "tabulate" in names - NEEDED[line]} == set()
