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


@pytest.mark.parametrize(
    ("reason", "hint"),
    [
        (
            "UPDATE command denied to user 'a'@'10.0.0.7' for table `shop`.`orders`",
            "GRANT UPDATE ON `shop`.`orders` TO 'a'@'HOST'",
        ),
        (
            "SELECT command denied to user 'a'@'10.0.0.7' for column 'x' in table 'orders'",
            "GRANT SELECT ON `orders` TO 'a'@'HOST'",
        ),
        ("in another language", "GRANT the right that the message names"),
    ],
)
def test_a_right_that_is_missing_is_granted_by_a_statement(reason: str, hint: str) -> None:
    error = account_errors.explain(1142, reason)

    assert error is not None
    assert (error.hint or "").startswith(hint)
