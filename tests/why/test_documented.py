"""Every cause stands in docs/oncall.md, and is planted by a test."""

import ast
import re
from pathlib import Path
from textwrap import dedent

import orderctl.why

CODE = Path(orderctl.why.__file__).parent
#: `status` has some of the causes, too.
FILES = (*CODE.glob("*.py"), CODE.parent / "health" / "redis_causes.py")
HERE = Path(__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "oncall.md"
#: Words of the code that are spelled like a cause, and are none.
OTHERS: set[str] = {"q-sign-time"}


def documented() -> set[str]:
    """Return the words of the table of causes."""
    part = PAGE.read_text().partition("\n## why\n")[2].partition("\n## ")[0].partition("| cause |")[2]
    return set(re.findall(r"^\| ([a-z-]+) \|", part, re.MULTILINE))


def in_code() -> set[str]:
    """Return the literals of the code that are spelled like a cause of several words."""
    found = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(re.findall(r"\A[a-z]+(?:-[a-z]+)+\Z", node.value))
    return found - OTHERS


def test_each_cause_of_the_code_is_documented() -> None:
    assert in_code() - documented() == set()


def test_each_documented_cause_is_one_of_the_code() -> None:
    text = "".join(path.read_text() for path in FILES)
    assert {word for word in documented() if f'"{word}"' not in text} == set()


def expected(module: ast.Module) -> set[str]:
    """Return the words that the tests of a module expect: in what they assert, and in the tables that they go through."""
    nodes = list(ast.walk(module))
    through: list[ast.AST] = [one.iter for one in nodes if isinstance(one, ast.For)]
    through += [part for one in nodes if isinstance(one, ast.FunctionDef) for part in one.decorator_list]
    names = {part.id for one in through for part in ast.walk(one) if isinstance(part, ast.Name)}
    tables = [one for one in module.body if _assigned(one) & names]
    asserted = [one.test for one in nodes if isinstance(one, ast.Assert)]
    parts = [part for one in (*through, *tables, *asserted) for part in ast.walk(one)]
    return {str(part.value).partition(" (")[0] for part in parts if isinstance(part, ast.Constant)}


def _assigned(statement: ast.stmt) -> set[str]:
    """Return the names that a statement gives a value."""
    if isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    else:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def test_each_documented_cause_is_planted() -> None:
    modules = [ast.parse(path.read_text()) for path in HERE.glob("test_*.py") if path != Path(__file__)]
    assert documented() - set().union(*map(expected, modules)) == set()


def test_only_what_a_test_expects_is_planted() -> None:
    module = """
        OTHER = {"unpaid": 1}
        CASES: dict = {"gone (again)": 2}
        def test():
            "unpaid"
            for case in CASES:
                print("unpaid")
                assert case.cause == "timeout"
    """
    assert expected(ast.parse(dedent(module))) == {"gone", "2", "timeout"}
