"""A shop's database as a draft that quirks change, and the statements of the shop's own programs for it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

COLUMNS = {
    "orders": ("order_code", "user_email", "order_status", "payment_status", "total_amount", "created_at"),
    "download_tasks": ("order_id", "course_url", "title", "status", "drive_link", "error_log"),
    "order_audit_logs": ("order_id", "event_type", "message"),
}


def quoted(name: str) -> str:
    escaped = name.replace("`", "``")
    return f"`{escaped}`"


def text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


@dataclass
class Table:
    """A table of the shop's.

    Attributes:
        name: Its name, as the shop spells it.
        columns: The definition of each column, by orderctl's name for it or else by its own.
        spelled: The names of columns that the shop spells in another way.
        lines: Keys and constraints.
        options: What stands after the columns.
        values: What the shop's INSERTs give further columns.
    """

    name: str
    columns: dict[str, str]
    spelled: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)

    def create(self) -> str:
        columns = [f"{self.column(name)} {definition}" for name, definition in self.columns.items()]
        return (
            f"CREATE TABLE {quoted(self.name)} ({', '.join(columns + self.lines)}) {' '.join(self.options)}"
        )

    def column(self, name: str) -> str:
        """Return a column's name as it stands in statements."""
        return quoted(self.spelled.get(name, name))

    def insert(self, **values: str) -> str:
        """Return an INSERT with these values, in SQL."""
        given = {name: value for name, value in values.items() if name in self.columns} | self.values
        columns = ", ".join(map(self.column, given))
        return f"INSERT INTO {quoted(self.name)} ({columns}) VALUES ({', '.join(given.values())})"


@dataclass
class Shop:
    """A shop's whole database.

    Attributes:
        kind: ``mysql`` or ``mariadb``.
        random: Where its details come from.
        tables: The tables by orderctl's names for them.
        spell: How it spells a status.
        mode: The sql_mode of its sessions.
        before: Statements before the tables are made.
        after: Statements after that.
        features: What is special in it.
        rejects: Whether a trigger of its rejects what orderctl writes.
        filled: Whether it has rows.
    """

    kind: str
    random: Random
    tables: dict[str, Table] = field(default_factory=dict)
    spell: Callable[[str], str] = str.lower
    mode: str = ""
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    features: list[str] = field(default_factory=list)
    rejects: bool = False
    filled: bool = True

    @property
    def orders(self) -> Table:
        return self.tables["orders"]

    @property
    def tasks(self) -> Table:
        return self.tables["download_tasks"]

    @property
    def audit(self) -> Table | None:
        return self.tables.get("order_audit_logs")

    @property
    def is_mariadb(self) -> bool:
        return self.kind == "mariadb"

    def statements(self) -> Iterator[str]:
        """Yield the statements that make the database."""
        yield f"SET sql_mode = '{self.mode}'"
        yield from self.before
        yield from (table.create() for table in self.tables.values())
        yield from self.after
        if self.filled:
            for number, status in ((1, "pending"), (2, "paid")):
                yield from self.order(f"DH00000{number}", status, courses=1)

    def order(self, code: str, payment: str = "pending", *, courses: int = 2) -> Iterator[str]:
        """Yield the statements with which the shop takes an order."""
        if "id" in self.orders.values:
            self.orders.values["id"] = str(int(self.orders.values["id"]) + 1)
        yield self.orders.insert(
            order_code=text(code),
            user_email=text(f"{code.lower()}@example.com"),
            order_status=text(self.spell("pending")),
            payment_status=text(self.spell(payment)),
            total_amount="250000",
            created_at="UTC_TIMESTAMP()",
        )
        order = f"(SELECT id FROM {quoted(self.orders.name)} WHERE {self._is(code)})"
        for number in range(courses):
            yield self.tasks.insert(
                order_id=order,
                course_url=text(f"https://courses.example.com/{number}"),
                title=text("Course"),
                status=text(self.spell("pending")),
                drive_link="''",
                error_log="''",
            )
        if self.audit:
            yield self.audit.insert(order_id=order, event_type=text("task_created"), message=text("new"))

    def work(self, code: str) -> Iterator[str]:
        """Yield what the shop's programs do all day: its statements must work as before."""
        yield from self.order(code)
        orders, tasks = quoted(self.orders.name), quoted(self.tasks.name)
        order = f"(SELECT id FROM {orders} WHERE {self._is(code)})"
        yield f"UPDATE {orders} SET {self.orders.column('user_email')} = 'new@example.com' WHERE {self._is(code)}"
        yield (
            f"UPDATE {tasks} SET {self.tasks.column('status')} = {text(self.spell('pending'))},"
            f" {self.tasks.column('title')} = 'Title' WHERE {self.tasks.column('order_id')} = {order}"
        )
        yield f"SELECT COUNT(*) FROM {tasks} WHERE {self.tasks.column('order_id')} = {order}"
        yield from self.order(f"X{code[1:]}", courses=1)
        gone = f"(SELECT id FROM {orders} WHERE {self._is('X' + code[1:])})"
        for table in [self.audit, self.tasks] if self.audit else [self.tasks]:
            yield f"DELETE FROM {quoted(table.name)} WHERE {table.column('order_id')} = {gone}"
        yield f"DELETE FROM {orders} WHERE {self._is('X' + code[1:])}"

    def _is(self, code: str) -> str:
        return f"{self.orders.column('order_code')} = {text(code)}"


def draw(seed: int, kind: str) -> Shop:
    """Return the plain shop of a seed, whose types, lengths and defaults are drawn."""
    random = Random(seed)
    shop = Shop(kind, random, spell=random.choice([str.lower, str.lower, str.upper, str.capitalize]))
    shop.filled = random.random() < 0.8
    number = random.choice(["INT", "BIGINT", "INT UNSIGNED", "BIGINT UNSIGNED", "MEDIUMINT"])
    collations = ["utf8mb4_bin", "utf8mb4_general_ci", "utf8mb4_unicode_ci", "latin1_swedish_ci", "utf8_bin"]
    charset = random.choice([*collations, "uca" if shop.is_mariadb else "utf8mb4_0900_ai_ci"])
    charset = {"uca": "utf8mb4_unicode_520_ci", "utf8_bin": "utf8mb3_bin"}.get(charset, charset)
    options = [f"DEFAULT CHARSET={charset.partition('_')[0]} COLLATE={charset}"]
    shop.tables["orders"] = Table("orders", _orders(shop, number), options=list(options))
    shop.tables["download_tasks"] = Table("download_tasks", _tasks(shop, number), options=list(options))
    if random.random() < 0.75:
        shop.tables["order_audit_logs"] = Table(
            "order_audit_logs", _audit(shop, number), options=list(options)
        )
    if random.random() < 0.7:
        action = random.choice(["", " ON DELETE CASCADE", " ON DELETE RESTRICT ON UPDATE CASCADE"])
        shop.tasks.lines.append(f"CONSTRAINT fk_task FOREIGN KEY (order_id) REFERENCES orders (id){action}")
    return shop


def _words(shop: Shop, *words: str) -> str:
    """Return the type of a status."""
    spelled = [text(shop.spell(word)) for word in words]
    default = f" DEFAULT {spelled[0]}"
    some = spelled[: shop.random.randint(2, len(spelled))]
    return shop.random.choice(
        [
            f"VARCHAR({shop.random.choice([16, 20, 50, 255])}) NOT NULL{default}",
            f"VARCHAR(20){default}",
            f"VARCHAR(9) NOT NULL{default}",
            f"CHAR(20) NOT NULL{default}",
            "TINYTEXT NOT NULL",
            f"ENUM({','.join(spelled)}) NOT NULL{default}",
            f"ENUM({','.join(some)}) NOT NULL{default}",
            f"ENUM({','.join([*some, text('O`Brien')])}){default}",
        ]
    )


def _time(shop: Shop) -> str:
    return shop.random.choice(
        [
            "DATETIME NOT NULL",
            "DATETIME",
            "DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)",
            "TIMESTAMP NULL",
        ]
    )


def _orders(shop: Shop, number: str) -> dict[str, str]:
    choose = shop.random.choice
    return {
        "id": f"{number} NOT NULL AUTO_INCREMENT PRIMARY KEY",
        "order_code": f"VARCHAR({choose([10, 32, 64, 191])}) NOT NULL{choose(['', ' UNIQUE'])}",
        "user_email": f"VARCHAR({choose([100, 190, 255])}) NOT NULL",
        "order_status": _words(shop, "pending", "processing", "completed", "failed", "cancelled"),
        "payment_status": _words(shop, "pending", "paid", "failed", "refunded"),
        "total_amount": choose(
            ["DECIMAL(12,2)", "DECIMAL(10,2) NOT NULL", "DECIMAL(15,4) NOT NULL", "BIGINT", "INT"]
        ),
        "created_at": _time(shop),
    }


def _tasks(shop: Shop, number: str) -> dict[str, str]:
    choose = shop.random.choice
    words = ("pending", "enrolled", "downloading", "completed", "failed", "cancelled")
    return {
        "id": f"{choose(['INT', 'BIGINT'])} NOT NULL AUTO_INCREMENT PRIMARY KEY",
        "order_id": f"{number}{choose([' NOT NULL', ''])}",
        "course_url": choose(["VARCHAR(255) NOT NULL", "VARCHAR(700)", "TEXT NOT NULL"]),
        "title": choose(["VARCHAR(255)", "VARCHAR(40) NOT NULL", "TEXT"]),
        "status": _words(shop, *words),
        "drive_link": choose(["VARCHAR(255)", "TEXT", "VARCHAR(255) NOT NULL DEFAULT ''"]),
        "error_log": choose(["TEXT", "MEDIUMTEXT", "VARCHAR(100)", "TEXT NOT NULL"]),
    }


def _audit(shop: Shop, number: str) -> dict[str, str]:
    choose, more = shop.random.choice, {}
    if shop.random.random() < 0.6:
        more = {
            "task_id": choose(["INT", "BIGINT", "INT NOT NULL DEFAULT 0"]),
            "event_category": choose(["VARCHAR(30)", "ENUM('payment','task') DEFAULT 'task'"]),
            "severity": choose(
                ["VARCHAR(20) DEFAULT 'info'", "ENUM('info','error') NOT NULL DEFAULT 'info'"]
            ),
            "details": choose(["JSON", "TEXT", "VARCHAR(500)"]),
            "previous_status": choose(["VARCHAR(20)", "VARCHAR(9)", "ENUM('pending','completed')"]),
        }
    return {
        "id": f"{choose(['INT', 'BIGINT'])} NOT NULL AUTO_INCREMENT PRIMARY KEY",
        "order_id": f"{number} NOT NULL",
        "event_type": choose(["VARCHAR(64) NOT NULL", "VARCHAR(30)", "ENUM('task_created','x') NOT NULL"]),
        "message": choose(["TEXT", "VARCHAR(255)", "VARCHAR(20) NOT NULL DEFAULT ''"]),
        "created_at": choose(["DATETIME DEFAULT CURRENT_TIMESTAMP", "TIMESTAMP DEFAULT CURRENT_TIMESTAMP"]),
        **more,
    }
