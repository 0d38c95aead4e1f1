"""The statements of ``docs/adopting.md`` that remove orderctl from a shop's database."""

import re
from pathlib import Path

import pytest
from sqlalchemy import Engine

from orderctl import migrate
from tests.migrate.gallery import Style, rows, run, shape

ADOPTING = Path(__file__).parents[2] / "docs/adopting.md"


@pytest.mark.styles("sequelize", "sequelize_audit")
def test_statements_of_the_document_leave_what_the_shop_had(adopted_shop: Engine, style: Style) -> None:
    columns = shape(adopted_shop)
    before = rows(adopted_shop, columns)
    migrate.up(adopted_shop)
    not_for_it = (
        "ALTER TABLE order_audit_logs" if "order_audit_logs" not in columns else "DROP TABLE order_audit_logs"
    )

    # As the document says: otherwise the foreign key has no index.
    run(adopted_shop, ["ALTER TABLE download_tasks ADD INDEX (order_id)"])
    for statement in statements():
        if statement.startswith("SELECT"):
            with adopted_shop.connect() as connection:
                drops = connection.exec_driver_sql(statement).scalars().all()
            run(adopted_shop, [drop.rstrip(";") for drop in drops])
        elif not statement.startswith(not_for_it):
            run(adopted_shop, [statement])

    left = shape(adopted_shop)
    assert left.keys() == columns.keys()
    assert all(left[table] == columns[table] for table in ("orders", "download_tasks"))
    assert rows(adopted_shop, columns) == before
    style.go_on(adopted_shop)


def statements() -> list[str]:
    [block] = re.findall(r"```sql\n(.*?)```", ADOPTING.read_text(encoding="utf-8"), re.DOTALL)
    return [" ".join(statement.split()) for statement in re.split(r";\n", block) if statement.strip()]
