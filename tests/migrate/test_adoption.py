"""``migrate up`` on every database of the gallery."""

import re

from sqlalchemy import Engine

from orderctl import migrate, schema
from tests.migrate.gallery import Style, column_definitions, definitions, rows, shape


def test_rows_stay_and_columns_only_ever_become_looser(adopted_shop: Engine) -> None:
    columns = shape(adopted_shop)
    before, old_rows = definitions(adopted_shop), rows(adopted_shop, columns)

    migrate.up(adopted_shop)

    assert rows(adopted_shop, columns) == old_rows
    after = definitions(adopted_shop)
    for table in columns:
        new = column_definitions(after[table])
        for column, old in column_definitions(before[table]).items():
            assert loosened(without_charset(old), without_charset(new[column])), (
                f"{table}.{column}: {old} -> {new[column]}"
            )


def test_second_run_does_nothing_and_the_shop_goes_on(adopted_shop: Engine, style: Style) -> None:
    migrate.up(adopted_shop)
    before = definitions(adopted_shop)

    report = migrate.up(adopted_shop)

    assert report.added == ()
    assert report.up_to_date
    assert definitions(adopted_shop) == before
    migrate.check(adopted_shop)
    assert migrate.status(adopted_shop).wanting == ()
    with adopted_shop.connect() as connection:
        for table in schema.TABLES:
            columns = ", ".join(f"COUNT({column.name})" for column in table.columns)
            connection.exec_driver_sql(f"SELECT {columns} FROM {table.name}")
    style.go_on(adopted_shop)


def without_charset(definition: str) -> str:
    """Remove the character set, which MySQL writes only sometimes; the collation implies it."""
    return re.sub(r" CHARACTER SET \w+", "", definition)


def loosened(old: str, new: str) -> bool:
    """Return whether one definition differs from the other only by allowing more."""
    if old == new:
        return True
    allowed = [
        (r"^enum\(.*?'\)", lambda old, new: new.startswith(old.removesuffix(")"))),
        (r"^(var)?char\(\d+\)", lambda old, new: length(new) > length(old)),
        (r" (NOT NULL|DEFAULT NULL)", lambda _old, _new: True),
        (r" DEFAULT (\(.*\)|'\w*'|0|\w+\(.*?\))(?=$| )", lambda old, _new: not old),
    ]
    for pattern, is_looser in allowed:
        parts = [match.group() if (match := re.search(pattern, text)) else "" for text in (old, new)]
        if parts[0] != parts[1] and is_looser(*parts):
            old, new = old.replace(parts[0], "", 1), new.replace(parts[1], "", 1)
    return " ".join(old.split()) == " ".join(new.split())


def length(type_: str) -> int:
    return int(re.findall(r"\d+", type_)[0])
