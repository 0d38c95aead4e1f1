"""What is said of an account of MySQL or MariaDB, and the statement that helps."""

import pytest

from orderctl import account_errors


@pytest.mark.parametrize(
    ("reason", "statement"),
    [
        ("Unknown database 'shop'", "`shop`"),
        ("Unknown database 'a`b c'", "`a``b c`"),
        ("in another language", "NAME"),
    ],
)
def test_the_statement_that_makes_a_database_has_its_name(reason: str, statement: str) -> None:
    error = account_errors.explain(1049, reason)

    assert error is not None
    assert (error.hint or "").startswith(f"CREATE DATABASE {statement} CHARACTER SET utf8mb4")
