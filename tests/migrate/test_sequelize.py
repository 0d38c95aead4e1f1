"""What a shop's programs with Sequelize may do in the tables: the models and the table of ``docs/adopting.md``.

The lines of the table are in ``sequelize/``. They run in one process of Node.js for each server; while they do, the
shop's program lets this test run the commands of orderctl.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from orderctl import database
from orderctl.cli.main import run
from tests.servers.availability import needed
from tests.servers.databases import fresh_name
from tests.servers.mysql import MysqlServer
from tests.servers.node import node_modules
from tests.servers.programs import find
from tests.shop import Shop

PROGRAM = Path(__file__).parent / "sequelize/shop.cjs"
PAGE = (Path(__file__).parents[2] / "docs/adopting.md").read_text(encoding="utf-8")
PACKAGES = ("sequelize@6.37", "mysql2@3", "umzug@3")


def models() -> str:
    """Return the models of the page."""
    [block] = re.findall(r"```js\n(.*?)```", PAGE, re.DOTALL)
    return str(block)


def table() -> list[list[str]]:
    """Return the first two columns of the page's table: what a program does, and whether it works."""
    [rows] = re.findall(r"\| the shop's program \|.*\n\|---.*\n((?:\|.*\n)+)", PAGE)
    return [[cell.strip() for cell in row.split("|")[1:3]] for row in rows.splitlines()]


class Program:
    """The shop's program, and the commands of orderctl that it asks for.

    Raises:
        UnavailableError: Node.js or one of the packages is missing.
    """

    def __init__(self, server: MysqlServer, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.server = server
        self.capsys = capsys
        self.command = [find("node"), PROGRAM]
        self.databases = {"ADOPTED": fresh_name(), "MADE": fresh_name()}
        self.models = folder / "models.js"
        self.env = self.databases | {
            "PORT": str(server.port),
            "MODELS": str(self.models),
            "NODE_PATH": str(node_modules(*PACKAGES)),
            "DUMP": str(find("mariadb-dump", "mysqldump")),
            "CLIENT": str(find("mariadb", "mysql")),
        }

    def results(self) -> list[Any]:
        """Run the program, and return what it found for each of its lines."""
        self.models.write_text(models(), encoding="utf-8")
        for name in self.databases.values():
            self.server.create_database(name)
        pipe = subprocess.PIPE
        with subprocess.Popen(
            self.command, env=os.environ | self.env, stdin=pipe, stdout=pipe, text=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for line in process.stdout:
                message = json.loads(line)
                if "results" in message:
                    return list(message["results"])
                process.stdin.write(json.dumps(self.answer(**message)) + "\n")
                process.stdin.flush()
        raise AssertionError("the program ended before it had results")

    def answer(self, database: str, words: list[str]) -> dict[str, Any]:
        """Run a command of orderctl, or a worker's part of an order."""
        url = self.server.url(database)
        self.capsys.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ORDERCTL_DATABASE_URL", url)
            status = work(url, *words[1:]) if words[0] == "work" else run(words)
        out, err = self.capsys.readouterr()
        return {"status": int(status), "out": out, "err": err}

    def close(self) -> None:
        for name in self.databases.values():
            self.server.drop_database(name)
            self.server.drop_database(f"{name}_copy")


def work(url: str, code: str) -> int:
    """Carry out the tasks of an order, as a worker does."""
    engine = database.connect(url)
    try:
        shop = Shop(engine)
        for task in shop.tasks(shop.order(code).id):
            claim = shop.claim(task.id, take_all=True)
            assert claim is not None
            shop.start(claim)
            shop.complete(claim)
    finally:
        engine.dispose()
    return 0


@pytest.fixture
def program(
    database_server: MysqlServer,
    redis_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Program]:
    """The shop's program, with databases on this server."""
    monkeypatch.setenv("ORDERCTL_REDIS_URL", redis_url)
    with needed():
        made = Program(database_server, tmp_path, capsys)
    with closing(made):
        yield made


@pytest.mark.databases("mariadb", "mysql")
def test_the_shops_programs_work_as_the_page_says(program: Program) -> None:
    results = program.results()

    if problems := [line["title"] + problem for line in results for problem in line["problems"]]:
        pytest.fail("\n".join(problems), pytrace=False)
    assert [[line["title"], line["works"]] for line in results] == table()
