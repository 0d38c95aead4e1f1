"""docs/developing.md: every file, command and name that it mentions exists, and the map of the house is complete.

docs/payments.md: its commands and settings exist. docs/performance.md: its commands and files exist, and its indexes
are those of the shop's tables.
"""

import importlib
import re
from functools import cache
from pathlib import Path

from orderctl import channels, schema, settings
from orderctl.cli.main import root
from tests.servers.databases import KINDS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/developing.md").read_text(encoding="utf-8")
MAP = re.search(r"^```\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[1]
COMMANDS = "".join(re.findall(r"^    .*\n", PAGE, re.MULTILINE))
PROSE = re.sub(r"^    .*$", "", PAGE.replace(MAP, "").replace("```", ""), flags=re.MULTILINE)
#: Names of things outside of the repository.
ELSEWHERE = {"vX.Y.Z", "~/.cache", "@N", "NNNN_word.py", "/ws", "orderctl.handlers"}
MISSING = object()
PLACES = r"(?:orderctl|tests|migrations|docs|bench|man|completions)/[\w./-]*"


def quoted() -> list[str]:
    return sorted(set(re.findall(r"`([^`\n]+)`", PROSE)) - ELSEWHERE)


def mapped() -> list[str]:
    """The paths in the map, each below the folder that stands above it with less indent."""
    found: list[str] = []
    folders: list[tuple[int, str]] = []
    for line in MAP.splitlines():
        indent = len(line) - len(line.lstrip())
        folders = [(depth, name) for depth, name in folders if depth < indent]
        above = "".join(name for _, name in folders)
        for name in re.findall(r"(?<![\w/])\w+(?:/(?!\w)|\.py)", line):
            inside = folders[-1][1] if name.endswith(".py") and folders and folders[-1][0] == indent else ""
            found.append(above + inside + name)
            if name.endswith("/") and not inside:
                folders.append((indent, name))
    return found


@cache
def sources() -> str:
    files = (file for name in ("orderctl", "migrations", "tests") for file in (ROOT / name).rglob("*.py"))
    return "".join(file.read_text(encoding="utf-8") for file in files if file != Path(__file__))


def exists(name: str) -> bool:
    if name.startswith("orderctl "):
        return is_command(name.split()[1:])
    if name.startswith("make "):
        return is_target(name.split()[1])
    if "/" in name or re.search(r"\.(md|cfg|toml)$", name):
        return (ROOT / name).exists()
    if ":" in name:
        return channels.parse(name.replace("ID", "1")) is not None or is_written(name.partition(":")[0])
    return is_dotted(name) if "." in name else is_written(name.partition("(")[0])


def is_command(words: list[str]) -> bool:
    context = root.make_context("orderctl", [], resilient_parsing=True)
    command = root
    for word in words:
        if not hasattr(command, "get_command"):
            break
        command = command.get_command(context, word)
        if command is None:
            return False
    return True


def is_target(word: str) -> bool:
    return bool(re.search(rf"^{word}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def is_dotted(name: str) -> bool:
    """A module, something in a module, a setting, or a table's column."""
    parts = name.removeprefix("orderctl.").split(".")
    return is_in_package(parts) or is_setting(parts) or is_column(parts)


def is_in_package(parts: list[str]) -> bool:
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(("orderctl", *parts[:end])))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            found = getattr(found, part, None)
        return found is not None
    return False


def is_setting(parts: list[str]) -> bool:
    found: object = settings.load(environ={})
    for part in parts:
        found = getattr(found, part, MISSING)
    return found is not MISSING


def is_column(parts: list[str]) -> bool:
    return parts[0] in schema.metadata.tables and parts[-1] in schema.metadata.tables[parts[0]].c


def is_written(name: str) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", sources()))


def test_what_the_page_names_exists():
    assert len(quoted()) > 100
    assert [name for name in quoted() if not exists(name)] == []


def test_what_does_not_exist_is_noticed():
    gone = (
        "orderctl/gone.py",
        "orders.gone",
        "orderctl gone",
        "make gone",
        "worker.gone",
        "gone_gone",
        "App.gone",
    )
    assert [name for name in gone if exists(name)] == []


def test_the_commands_and_settings_of_the_page_on_payments_exist():
    page = (ROOT / "docs/payments.md").read_text(encoding="utf-8")
    commands = re.findall(r"(?:^    (?:\$ )?|`)orderctl ((?:[a-z-]+ ?)+)", page, re.MULTILINE)
    named = re.findall(r"`((?:payments|relay|mail|display)\.[a-z_]+)(?=[` ])", page)

    assert len(set(commands)) > 5
    assert len(set(named)) > 10
    assert [words for words in commands if not is_command(words.split())] == []
    assert [name for name in named if not is_setting(name.removesuffix("_file").split("."))] == []


def test_the_commands_files_and_indexes_of_the_page_on_performance_exist():
    page = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    commands = re.findall(r"`orderctl ((?:[a-z-]+ ?)+)", page)
    files = re.findall(rf"(?<![\w/]){PLACES}\.(?:py|md)", page)

    assert len(commands) > 5
    assert [words for words in commands if not is_command(words.split())] == []
    assert [file for file in files if not (ROOT / file).exists()] == []
    assert _indexes(page) == {
        (name, ", ".join(column.name for column in index.columns))
        for name, table in importlib.import_module("migrations.versions.0001_tables").metadata.tables.items()
        for index in table.indexes
    }


def _indexes(page: str) -> set[tuple[str, str]]:
    """The tables and columns in the page's table of indexes; a row without a table belongs to that of the row above."""
    found, table = set(), ""
    for named, columns in re.findall(
        r"^\| (?:`(\w+)`)? ?\| `([\w, ]+)`(?:, unique)? \| [^|]+ \|$", page, re.MULTILINE
    ):
        table = named or table
        found.add((table, columns))
    return {one for one in found if one[0] in {"orders", "download_tasks", "order_audit_logs"}}


def test_the_map_names_every_module_and_package():
    flat = {f"orderctl/{file.name}" for file in (ROOT / "orderctl").glob("[a-z]*.py")}
    packages = {f"orderctl/{file.parent.name}/" for file in (ROOT / "orderctl").glob("*/__init__.py")}
    wings = {
        f"orderctl/{name}/{file.name}"
        for name in ("relay", "worker")
        for file in (ROOT / "orderctl" / name).glob("[a-z]*.py")
    }

    assert (flat | packages | wings) - set(mapped()) == set()
    assert [path for path in mapped() if not (ROOT / path).exists()] == []


def test_the_glossary_explains_the_words_that_only_we_use():
    explained = set(
        re.findall(r"^\| ([a-z ]+) \| .+ \| .+ \|$", PAGE.partition("## Glossary")[2], re.MULTILINE)
    )

    assert explained >= {
        "adopted", "attempt", "claim", "courier", "doorbell", "drain", "fence", "keeper", "lease", "outbox",
        "release", "round", "seal",
    }  # fmt: skip


def test_a_word_that_selects_tests_selects_some():
    chosen = re.findall(r"pytest (tests/[\w/.]+) -k ([\w.]+)", COMMANDS)

    assert len(chosen) == 3
    for file, word in chosen:
        assert word in KINDS or word in (ROOT / file).read_text(encoding="utf-8")


def test_the_commands_of_the_page_name_files_and_targets_that_exist():
    paths = re.findall(rf"(?<![\w/.]){PLACES}", COMMANDS)
    targets = re.findall(r"\bmake ([a-z-]+)", COMMANDS)

    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert [target for target in targets if not is_target(target)] == []
