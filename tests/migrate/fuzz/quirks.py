"""What can be special in a shop's database. Each quirk changes a draft; its name is counted as a feature."""

from collections.abc import Callable
from random import Random

from tests.migrate.fuzz.shop import Shop, Table, draw, quoted, text

Quirk = Callable[[Shop], None]

#: Quirks with which a database should be adopted, and such as orderctl may have to refuse.
harmless: list[Quirk] = []
hostile: list[Quirk] = []

ODD_NAMES = ("weird`col", "naïve col", "100%", "it's", "select", 'say "hi"', "%s", ":id", "số_tiền")
ODD_COMMENTS = ("it's 100% `x`", "back\\slash; -- no", 'NOT NULL, "q" (1)', "☃ 雪\nnew line", "%s %(x)s :y")


def any_table(shop: Shop) -> Table:
    return shop.random.choice(list(shop.tables.values()))


@harmless.append
def odd_column_name(shop: Shop) -> None:
    any_table(shop).columns[shop.random.choice(ODD_NAMES)] = shop.random.choice(
        ["INT", "TEXT", "YEAR", "BIT(3)"]
    )


@harmless.append
def odd_comments(shop: Shop) -> None:
    table = any_table(shop)
    for name in table.columns:
        if "PRIMARY" not in table.columns[name] and "GENERATED" not in table.columns[name]:
            table.columns[name] += f" COMMENT {text(shop.random.choice(ODD_COMMENTS))}"
    table.options.append(f"COMMENT={text(shop.random.choice(ODD_COMMENTS))}")


@harmless.append
def names_in_other_case(shop: Shop) -> None:
    table = any_table(shop)
    for name in table.columns:
        table.spelled[name] = shop.random.choice([name, name.upper(), name.title()])


@harmless.append
def invisible_column(shop: Shop) -> None:
    table = any_table(shop)
    table.columns["hidden"] = "INT INVISIBLE DEFAULT 3" if shop.is_mariadb else "INT DEFAULT 3 INVISIBLE"


@harmless.append
def invisible_column_of_ours(shop: Shop) -> None:
    definition = (
        "VARCHAR(255) INVISIBLE DEFAULT NULL" if shop.is_mariadb else "VARCHAR(255) DEFAULT NULL INVISIBLE"
    )
    shop.tasks.columns["drive_link"] = definition


@harmless.append
def generated_column(shop: Shop) -> None:
    kind = "STORED" if shop.is_mariadb else shop.random.choice(["VIRTUAL", "STORED"])
    shop.orders.columns["is_done"] = f"INT GENERATED ALWAYS AS (total_amount IS NULL) {kind}"
    if shop.random.random() < 0.5:
        shop.orders.lines.append("KEY done (is_done)")


@harmless.append
def more_indexes(shop: Shop) -> None:
    shop.orders.lines += [
        "KEY a (created_at DESC)",
        "KEY b (order_code(5), total_amount)",
        "KEY c (id, user_email(9))",
    ]
    shop.tasks.lines += ["KEY d (order_id, id)", "KEY e (title(7))"]


@harmless.append
def functional_index(shop: Shop) -> None:
    if not shop.is_mariadb:
        shop.orders.lines.append("KEY f ((LOWER(user_email)))")


@harmless.append
def row_format(shop: Shop) -> None:
    words = ["COMPACT", "REDUNDANT", "DYNAMIC", "COMPRESSED"]
    for table in shop.tables.values():
        table.options.append(f"ROW_FORMAT={shop.random.choice(words)}")


@harmless.append
def page_compression(shop: Shop) -> None:
    shop.tasks.options.append("PAGE_COMPRESSED=1" if shop.is_mariadb else "COMPRESSION='none'")


@harmless.append
def foreign_keys_of_the_shop(shop: Shop) -> None:
    number = shop.orders.columns["id"].partition(" NOT")[0]
    column = shop.orders.column("id")
    shop.after.append(
        f"CREATE TABLE invoices (id INT PRIMARY KEY AUTO_INCREMENT, order_id {number},"
        f" FOREIGN KEY (order_id) REFERENCES {quoted(shop.orders.name)} ({column}) ON DELETE SET NULL)"
    )


@harmless.append
def required_columns_of_the_shop(shop: Shop) -> None:
    for table in shop.tables.values():
        name, type_, value = shop.random.choice(
            [
                ("user_id", "INT NOT NULL", "7"),
                ("uuid", "CHAR(36) NOT NULL", "UUID()"),
                ("day", "DATETIME NOT NULL", "NOW()"),
            ]
        )
        if table is not shop.audit or "UNIQUE" not in type_:
            table.columns[name], table.values[name] = type_, value


@harmless.append
def sequelize_timestamps(shop: Shop) -> None:
    for table in shop.tables.values():
        for name in ("created_at", "updated_at"):
            table.columns[name] = "DATETIME NOT NULL"
            table.values[name] = "UTC_TIMESTAMP()"


@harmless.append
def updated_by_the_server(shop: Shop) -> None:
    shop.tasks.columns["updated_at"] = "TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP"


@harmless.append
def columns_of_our_names(shop: Shop) -> None:
    shop.tasks.columns |= {
        "worker": "VARCHAR(12) NOT NULL DEFAULT ''",
        "attempt": "TINYINT NOT NULL DEFAULT 0",
    }
    shop.orders.columns |= {"paid_at": "TIMESTAMP NULL", "round": "TINYINT NOT NULL DEFAULT 0"}


@harmless.append
def watching_trigger(shop: Shop) -> None:
    event = shop.random.choice(["AFTER INSERT", "BEFORE UPDATE", "AFTER UPDATE", "AFTER DELETE"])
    shop.after.append(
        f"CREATE TRIGGER watch {event} ON {quoted(any_table(shop).name)} FOR EACH ROW SET @seen = 1"
    )


@harmless.append
def objects_of_our_names(shop: Shop) -> None:
    shop.after += [
        "CREATE PROCEDURE sp_audit_summary() SELECT 1",
        shop.random.choice(
            [
                "CREATE VIEW v_order_latest_events AS SELECT 1 AS x",
                "CREATE TABLE v_order_latest_events (id INT)",
            ]
        ),
    ]


@harmless.append
def table_beside_in_other_case(shop: Shop) -> None:
    shop.before.append("CREATE TABLE ORDERS (id INT PRIMARY KEY)")


@harmless.append
def partitions_by_id(shop: Shop) -> None:
    shop.tasks.lines = [
        line for line in shop.tasks.lines if "FOREIGN KEY" not in line and "UNIQUE" not in line
    ]
    shop.orders.columns["order_code"] = shop.orders.columns["order_code"].replace(" UNIQUE", "")
    shop.after = [statement for statement in shop.after if "invoices" not in statement]
    for table in (shop.orders, shop.tasks):
        table.options = [option for option in table.options if "COMPRESS" not in option]
        table.options.append(f"PARTITION BY {shop.random.choice(['HASH', 'KEY'])} (id) PARTITIONS 2")


@harmless.append
def harmless_checks(shop: Shop) -> None:
    status, paid = shop.orders.column("order_status"), shop.orders.column("payment_status")
    word = {word: text(shop.spell(word)) for word in ("processing", "paid", "pending")}
    shop.orders.lines += [
        f"CONSTRAINT ch1 CHECK ({status} <> {word['processing']} OR {paid} = {word['paid']})",
        f"CONSTRAINT `odd'%` CHECK ({shop.orders.column('total_amount')} >= 0 AND user_email LIKE '%@%')",
    ]
    shop.tasks.lines.append("CHECK (CHAR_LENGTH(course_url) > 3)")
    if shop.audit:
        shop.audit.lines.append("CONSTRAINT ch2 CHECK (event_type REGEXP '^[a-z_]+$')")


@harmless.append
def application_period(shop: Shop) -> None:
    if shop.is_mariadb:
        shop.orders.columns |= {
            "since": "DATE NOT NULL DEFAULT '2000-01-01'",
            "till": "DATE NOT NULL DEFAULT '2999-01-01'",
        }
        shop.orders.lines.append("PERIOD FOR valid (since, till)")


@harmless.append
def other_sql_mode(shop: Shop) -> None:
    shop.mode = shop.random.choice(
        ["ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "ANSI,NO_ZERO_DATE", "STRICT_ALL_TABLES"]
    )
    if "BACKSLASH" in shop.mode:
        shop.before.append("SET sql_mode = 'STRICT_ALL_TABLES'")


@harmless.append
def unusual_types_of_the_shop(shop: Shop) -> None:
    shop.orders.columns |= {
        "place": "POINT", "flags": "SET('a','b') DEFAULT 'a'", "photo": "MEDIUMBLOB", "raw": "VARBINARY(99)",
        "born": "YEAR DEFAULT 2001", "at_day": "TIME(3)", "bits": "BIT(9) DEFAULT b'101'",
    }  # fmt: skip


@harmless.append
def defaults_that_are_expressions(shop: Shop) -> None:
    shop.orders.columns["token"] = "VARCHAR(64) NOT NULL DEFAULT (CONCAT('a', UUID()))"
    if shop.audit:
        shop.audit.columns["uid"] = "VARCHAR(64) NOT NULL DEFAULT (UUID()) UNIQUE"


@harmless.append
def unique_keys_that_our_rows_meet(shop: Shop) -> None:
    if "TEXT" not in shop.tasks.columns["course_url"]:
        shop.tasks.lines.append("UNIQUE KEY one (order_id, course_url)")
    if shop.audit:
        shop.audit.columns["hook"] = "VARCHAR(50) UNIQUE"


@hostile.append
def other_engine(shop: Shop) -> None:
    shop.tasks.lines = [line for line in shop.tasks.lines if "FOREIGN" not in line]
    shop.tasks.options.append(
        "ENGINE=" + shop.random.choice(["MyISAM", "Aria" if shop.is_mariadb else "MyISAM"])
    )


@hostile.append
def composite_primary_key(shop: Shop) -> None:
    shop.tasks.columns["id"] = "INT NOT NULL AUTO_INCREMENT"
    shop.tasks.lines.append("PRIMARY KEY (id, created_day)")
    shop.tasks.columns["created_day"] = "DATE NOT NULL DEFAULT '2025-01-01'"


@hostile.append
def audit_partitions(shop: Shop) -> None:
    if shop.audit:
        shop.audit.columns = {k: v.replace(" UNIQUE", "") for k, v in shop.audit.columns.items()}
        shop.audit.options = [option for option in shop.audit.options if "COMPRESS" not in option]
        shop.audit.options.append("PARTITION BY HASH (id) PARTITIONS 3")


@hostile.append
def system_versioned(shop: Shop) -> None:
    if shop.is_mariadb:
        table = any_table(shop)
        if shop.random.random() < 0.5:
            table.columns["user_note"] = "TEXT WITH SYSTEM VERSIONING"
        else:
            table.options.insert(0, "WITH SYSTEM VERSIONING")


@hostile.append
def table_of_another_kind(shop: Shop) -> None:
    name = shop.random.choice(["orderctl_migrations", "ORDERS_", "orderctl_version", "Orderctl_Migrations"])
    shop.after.append(f"CREATE {shop.random.choice(['VIEW', 'VIEW'])} {name} AS SELECT 1 AS id")


@hostile.append
def orders_in_other_case(shop: Shop) -> None:
    for table in shop.tables.values():
        table.lines = [line for line in table.lines if "REFERENCES" not in line]
    shop.before = [statement for statement in shop.before if "ORDERS" not in statement]
    shop.orders.name = "Orders"


@hostile.append
def camel_case(shop: Shop) -> None:
    shop.orders.spelled["order_code"] = "orderCode"
    shop.orders.lines = [line.replace("order_code", "orderCode") for line in shop.orders.lines]


@hostile.append
def inexact_amounts(shop: Shop) -> None:
    shop.orders.columns["total_amount"] = shop.random.choice(["DOUBLE", "FLOAT", "DOUBLE(12,2) NOT NULL"])


@hostile.append
def narrow_amounts(shop: Shop) -> None:
    shop.orders.columns["total_amount"] = shop.random.choice(
        ["DECIMAL(8,2)", "MEDIUMINT", "DECIMAL(15,0) UNSIGNED"]
    )


@hostile.append
def status_of_another_type(shop: Shop) -> None:
    words = ",".join(text(shop.spell(word)) for word in ("pending", "paid", "failed"))
    shop.orders.columns["payment_status"] = f"SET({words}) NOT NULL"


@hostile.append
def text_as_enum(shop: Shop) -> None:
    shop.tasks.columns["title"] = "ENUM('Course','Title')"


@hostile.append
def generated_column_of_ours(shop: Shop) -> None:
    shop.orders.columns["completed_at"] = "DATETIME GENERATED ALWAYS AS (NULL) VIRTUAL"


@hostile.append
def stored_column_of_ours(shop: Shop) -> None:
    shop.orders.columns["completed_at"] = "DATETIME GENERATED ALWAYS AS ('2025-01-01') STORED"


@hostile.append
def status_too_narrow(shop: Shop) -> None:
    shop.tasks.columns["status"] = f"CHAR(7) NOT NULL DEFAULT {text(shop.spell('pending'))}"


@hostile.append
def fulltext(shop: Shop) -> None:
    shop.tasks.columns["title"] = "VARCHAR(100)"
    shop.tasks.lines.append("FULLTEXT KEY words (title)")


@hostile.append
def ids_without_numbers(shop: Shop) -> None:
    if shop.audit:
        shop.audit.columns["id"] = "CHAR(36) NOT NULL DEFAULT (UUID()) PRIMARY KEY"
    else:
        shop.orders.columns["id"] = shop.orders.columns["id"].replace("AUTO_INCREMENT ", "")
        shop.orders.values["id"] = "100"


@hostile.append
def checks_of_words(shop: Shop) -> None:
    status = shop.orders.column("order_status")
    words = ", ".join(text(shop.spell(word)) for word in ("pending", "completed"))
    shop.orders.lines.append(f"CONSTRAINT ch3 CHECK ({status} IN ({words}))")


@hostile.append
def combined_checks(shop: Shop) -> None:
    random, words = shop.random, {w: text(shop.spell(w)) for w in ("pending", "paid", "completed", "failed")}
    status, paid = shop.orders.column("order_status"), shop.orders.column("payment_status")
    shop.orders.lines.append(
        random.choice(
            [
                f"CONSTRAINT ch4 CHECK ({status} <> {words['completed']} OR {paid} <> {words['paid']})",
                f"CONSTRAINT ch4 CHECK (CHAR_LENGTH({status}) < 9)",
                f"CONSTRAINT ch4 CHECK ({status} = {words['pending']} AND total_amount > 1)",
                f"CONSTRAINT ch4 CHECK ({paid} REGEXP '^p[aeiou]' OR total_amount = 0)",
            ]
        )
    )


@hostile.append
def checks_of_tasks(shop: Shop) -> None:
    done, failed = text(shop.spell("completed")), text(shop.spell("failed"))
    shop.tasks.columns["drive_link"] = "VARCHAR(255)"
    shop.tasks.lines.append(
        shop.random.choice(
            [
                f"CONSTRAINT ch5 CHECK (status <> {done} OR (drive_link IS NOT NULL AND drive_link <> ''))",
                f"CONSTRAINT ch5 CHECK (status <> {failed} OR error_log NOT LIKE '%refused%')",
                "CONSTRAINT ch5 CHECK (JSON_VALID(error_log) OR error_log = '')",
            ]
        )
    )


@hostile.append
def checks_of_events(shop: Shop) -> None:
    if shop.audit:
        shop.audit.lines.append(
            shop.random.choice(
                [
                    "CONSTRAINT ch6 CHECK (event_type LIKE 'task%')",
                    "CONSTRAINT ch6 CHECK (message NOT LIKE '%ayment%')",
                    "CONSTRAINT ch6 CHECK (event_type <> 'order_completed' OR message IS NULL)",
                ]
            )
        )


@hostile.append
def unique_keys_that_our_rows_break(shop: Shop) -> None:
    if shop.audit and shop.random.random() < 0.6:
        shop.audit.lines.append("UNIQUE KEY once (order_id, event_type)")
    else:
        shop.tasks.columns["nr"] = "VARCHAR(36) NOT NULL DEFAULT (UUID())"
        shop.tasks.lines.append(
            "UNIQUE KEY once (course_url(20), status(5), order_id, error_log(5), title(3))"
        )


@hostile.append
def table_of_words(shop: Shop) -> None:
    if shop.audit:
        shop.before += [
            "CREATE TABLE event_types (code VARCHAR(30) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY)",
            "INSERT INTO event_types VALUES ('task_created')",
        ]
        shop.audit.columns["event_type"] = "VARCHAR(30) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL"
        shop.audit.lines.append("FOREIGN KEY (event_type) REFERENCES event_types (code)")


@hostile.append
def required_key_of_events(shop: Shop) -> None:
    if shop.audit:
        shop.before += ["CREATE TABLE users (id INT PRIMARY KEY)", "INSERT INTO users VALUES (1)"]
        shop.audit.columns["user_id"], shop.audit.values["user_id"] = "INT NOT NULL", "1"
        shop.audit.lines.append("FOREIGN KEY (user_id) REFERENCES users (id)")


@hostile.append
def required_point_of_events(shop: Shop) -> None:
    if shop.audit:
        shop.audit.columns["place"], shop.audit.values["place"] = "POINT NOT NULL", "POINT(1, 2)"


@hostile.append
def columns_of_our_names_that_differ(shop: Shop) -> None:
    name, type_ = shop.random.choice(
        [("lease_token", "CHAR(8)"), ("lease_until", "INT"), ("managed", "BIT(1)"), ("error_type", "ENUM('a','b')"),
         ("available_at", "DATE"), ("failing_since", "INT"), ("max_attempts", "VARCHAR(5)")]
    )  # fmt: skip
    shop.tasks.columns[name] = type_


@hostile.append
def indexed_virtual_column(shop: Shop) -> None:
    shop.tasks.columns["half"] = "INT GENERATED ALWAYS AS (order_id) VIRTUAL" if shop.is_mariadb else "INT"
    shop.tasks.lines.append("KEY half (half)")


@hostile.append
def spatial_index(shop: Shop) -> None:
    shop.orders.columns["place"] = "POINT NOT NULL" + ("" if shop.is_mariadb else " SRID 0")
    shop.orders.values["place"] = "POINT(1, 2)"
    shop.orders.lines.append("SPATIAL KEY places (place)")


@hostile.append
def too_many_columns(shop: Shop) -> None:
    shop.tasks.columns |= {f"c{number}": "TINYINT" for number in range(1003)}


@hostile.append
def too_many_indexes(shop: Shop) -> None:
    shop.tasks.lines += [f"KEY k{number} (id, title(3))" for number in range(60)]


@hostile.append
def row_too_long(shop: Shop) -> None:
    used = shop.random.choice([14000, 15000])
    shop.tasks.columns["long_text"] = f"VARCHAR({used}) CHARACTER SET utf8mb4"


@hostile.append
def page_too_full(shop: Shop) -> None:
    for number in range(shop.random.randint(22, 29)):
        shop.tasks.columns[f"c{number}"] = "VARCHAR(60) CHARACTER SET utf8mb4"


@hostile.append
def rejecting_trigger(shop: Shop) -> None:
    done = text(shop.spell("completed"))
    shop.rejects = True
    shop.after.append(
        f"CREATE TRIGGER guard BEFORE UPDATE ON {quoted(shop.orders.name)} FOR EACH ROW BEGIN"
        f" IF NEW.{shop.orders.column('order_status')} = {done} THEN SIGNAL SQLSTATE '45000'"
        " SET MESSAGE_TEXT = 'no'; END IF; END"
    )


def make(seed: int, kind: str) -> Shop:
    """Return the shop of a seed: a plain one with some quirks."""
    shop = draw(seed, kind)
    random = Random(-seed - 1)
    chosen = random.sample(harmless, random.randint(1, 5))
    chosen += random.sample(hostile, random.choices([0, 1, 2], [42, 43, 15])[0])
    for quirk in chosen:
        quirk(shop)
        shop.features.append(quirk.__name__)
    return shop
