"""What is measured of a server, a file and clocks, and what the checks make of it: values, and the verdicts on them."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from orderctl import counting, migrate, moments
from orderctl.doctor import account, audit_log, file, measures, server, tables
from orderctl.doctor.audit_log import Window
from orderctl.doctor.checks import Verdict
from orderctl.doctor.mounts import nearest
from orderctl.doctor.surroundings import Opened, Surroundings
from orderctl.health.signs import Role
from orderctl.migrate import rights
from orderctl.migrate.rights import Rights
from orderctl.settings import load
from tests.shop import Shop


@pytest.mark.parametrize(
    ("product", "version", "verdict"),
    [
        ("MySQL", "8.0.36", "well"),
        ("MySQL", "9.7.4", "well"),
        ("MySQL", "5.7.44", "fault"),
        ("MariaDB", "10.6.1", "well"),
        ("MariaDB", "11.4.2", "well"),
        ("MariaDB", "10.5.9", "fault"),
        ("SQLite", "3.40.1", "well"),
        ("SQLite", "3.31.0", "fault"),
    ],
)
def test_versions(product, version, verdict):
    assert server.judge_version(product, version).verdict == verdict


@pytest.mark.parametrize(
    ("seconds", "verdict", "text"),
    [
        (0.0004, "well", "the clock of the database is 0 ms ahead of this machine's"),
        (-0.99, "well", "the clock of the database is 990 ms behind this machine's"),
        (1.0, "warning", "the clock of the database is 1.0 s ahead of this machine's"),
        (-59.0, "warning", "the clock of the database is 59.0 s behind this machine's"),
        (-60.0, "fault", "the clock of the database is 60.0 s behind this machine's"),
        (25_200, "fault", "the clock of the database is 7.0 h ahead of this machine's"),
    ],
)
def test_clocks(seconds, verdict, text):
    check = server.clock_skew(seconds)

    assert (check.verdict, check.text) == (verdict, text)
    assert (check.repair is None) == (verdict == "well")


def test_a_replica_is_a_store_that_is_down():
    check = server.judge_role(Role.REPLICA)

    assert (check.verdict, check.repair, check.exit_status) == ("fault", "orderctl config show", 69)
    assert server.judge_role(Role.READ_ONLY).repair == "SET GLOBAL read_only = OFF"
    assert server.judge_role(Role.PRIMARY).verdict == "well"


GOOD = {
    "sql_mode": "STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION",
    "max_allowed_packet": "67108864",
    "binlog_format": "ROW",
    "log_bin": "ON",
    "lower_case_table_names": "0",
    "max_connections": "100",
    "innodb_flush_log_at_trx_commit": "1",
}


@pytest.mark.parametrize(
    ("name", "values", "connections", "verdict", "repair"),
    [
        ("sql-mode", {"sql_mode": ""}, 1, "warning", "SET GLOBAL sql_mode = CONCAT("),
        ("max-allowed-packet", {"max_allowed_packet": "16384"}, 1, "fault", "SET GLOBAL max_allowed_packet = 16777216"),
        ("binlog-format", {"binlog_format": "STATEMENT"}, 1, "fault", "SET GLOBAL binlog_format = ROW"),
        ("connections", {}, 81, "warning", "SET GLOBAL max_connections = 200"),
        ("durability", {"innodb_flush_log_at_trx_commit": "2"}, 1, "warning", "SET GLOBAL innodb_flush_log_at_trx_commit"),
    ],
)  # fmt: skip
def test_settings_of_a_server(name, values, connections, verdict, repair):
    assert {check.verdict for check in server.judge(GOOD, 1)} == {"well"}

    [found] = [check for check in server.judge(GOOD | values, connections) if check.verdict != "well"]

    assert (found.name, found.verdict) == (name, verdict)
    assert found.repair.startswith(repair)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/shop/orderctl.db", "nfs4"),
        ("/srv/other.db", "ext4"),
        ("/mnt/my disk/a.db", "cifs"),
        ("/x", "ext4"),
    ],
)
def test_the_file_system_of_a_path_is_the_one_that_is_mounted_nearest(path, kind):
    mounts = {"/": "ext4", "/srv/shop": "nfs4", "/mnt/my\\040disk": "cifs"}
    lines = [
        f"36 35 98:0 / {place} rw,noatime master:1 - {kind_of} /dev/x rw" for place, kind_of in mounts.items()
    ]

    assert nearest(path, lines)[1] == kind
    check = file.file_system(Path(path), kind)
    assert (check.verdict, check.exit_status) == ("well", 1) if kind == "ext4" else ("fault", 78)


def test_free_space_and_the_journal():
    path = Path("/srv/shop/orderctl.db")

    assert [file.free_space(path, free).verdict for free in (2 << 30, 500 << 20, 10 << 20)] == [
        "well",
        "warning",
        "fault",
    ]
    assert [file.journal(mode).verdict for mode in ("wal", "delete")] == ["well", "warning"]
    assert file.writable([]).verdict == "well"
    assert file.writable([path, path.parent]).repair == "chmod u+w /srv/shop/orderctl.db /srv/shop"


def account_of(*lines, user="orderctl"):
    grants = tuple(grant for line in lines if (grant := rights.parse(line)))
    return Rights(f"{user}@%", "shop", grants)


DOCUMENTED = "GRANT SELECT, INSERT, UPDATE, DELETE ON `shop`.* TO `orderctl`@`%`"


NEEDED = "GRANT SELECT, INSERT, UPDATE, DELETE ON `shop`.* TO 'orderctl'@'%'"
ALL = "GRANT ALL PRIVILEGES ON *.* TO `orderctl`@`%`"


@pytest.mark.parametrize(
    ("line", "found", "revoked"),
    [
        ("GRANT USAGE ON *.* TO `orderctl`@`%`", "", None),
        ("GRANT FILE, SUPER ON *.* TO `orderctl`@`%`", "SUPER, FILE", "SUPER, FILE"),
        (ALL, "ALL PRIVILEGES", "ALL PRIVILEGES"),
        (f"{ALL} WITH GRANT OPTION", "ALL PRIVILEGES, GRANT OPTION", "ALL PRIVILEGES, GRANT OPTION"),
        (f"{ALL} REQUIRE SSL WITH GRANT OPTION", "ALL PRIVILEGES, GRANT OPTION", "ALL PRIVILEGES, GRANT OPTION"),
    ],
)  # fmt: skip
def test_rights_that_are_too_many(line, found, revoked):
    check = account.too_many(account_of(line, DOCUMENTED), [line, DOCUMENTED])

    assert (check.verdict, check.value or "") == ("warning" if found else "well", found)
    assert check.repair == (revoked and f"REVOKE {revoked} ON *.* FROM 'orderctl'@'%'; {NEEDED}")


def test_of_root_nothing_is_revoked():
    line = "GRANT ALL PRIVILEGES ON *.* TO `root`@`%` WITH GRANT OPTION"

    check = account.too_many(account_of(line, user="root"), [line])

    assert check.repair.startswith("CREATE USER 'orderctl'@'%' IDENTIFIED BY 'PASSWORD'; GRANT SELECT,")


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        (DOCUMENTED, "well"),
        ("GRANT ALL PRIVILEGES ON `shop`.* TO `orderctl`@`%`", "well"),
        ("GRANT SELECT ON `shop`.* TO `orderctl`@`%`", "warning"),
        ("GRANT SELECT, INSERT ON `shop`.* TO `orderctl`@`%`", "fault"),
        ("GRANT SELECT, INSERT, UPDATE ON `shop`.* TO `orderctl`@`%`", "fault"),
    ],
)
def test_rights_that_are_too_few(line, verdict):
    check = next(iter(account.too_few(account_of(line))))

    assert (check.name, check.verdict) == ("grants", verdict)
    assert (check.repair is None) == (verdict == "well")


@pytest.mark.parametrize(
    "table", ["orderctl_revoked_tokens", "orderctl_operations", "orderctl_operation_tasks"]
)
def test_the_right_to_remove_rows_is_needed_on_each_of_some_tables(table):
    tables = {"orderctl_revoked_tokens", "orderctl_operations", "orderctl_operation_tasks"}
    lines = [f"GRANT DELETE ON `shop`.`{one}` TO `orderctl`@`%`" for one in sorted(tables - {table})]
    written = "GRANT SELECT, INSERT, UPDATE ON `shop`.* TO `orderctl`@`%`"

    check = next(iter(account.too_few(account_of(written, *lines))))

    assert (check.verdict, table in check.text) == ("fault", True)


@pytest.mark.parametrize(
    ("recent", "earlier", "verdict"),
    [
        (Window(7, {"download": 1000}, 100), Window(28, {"download": 4000}, 400), "well"),
        (Window(7, {"download": 1500}, 100), Window(28, {"download": 4000}, 400), "well"),
        (Window(7, {"download": 1600}, 100), Window(28, {"download": 4000}, 400), "warning"),
        (Window(7, {"download": 1600}, 10), Window(28, {"download": 40}, 40), "well"),
        (Window(7, {}, 0), Window(28, {}, 0), "well"),
    ],
)
def test_growth_per_order(recent, earlier, verdict):
    check = audit_log.per_order(recent, earlier)

    assert check.verdict == verdict
    assert audit_log.growth(recent, earlier, 300.0).verdict == "well"


def test_the_offset_of_a_zone_is_what_the_newest_row_is_ahead_and_a_little_more():
    assert tables.offset(timedelta(hours=6, minutes=57)) == "+07:00"
    assert tables.offset(timedelta(hours=5, minutes=29, seconds=50)) == "+05:30"


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("later", "which", "repair"),
    [
        (timedelta(hours=7), (1, 2), "export ORDERCTL_DATABASE_TIME_ZONE=+07:00"),
        (timedelta(hours=7), (3,), "export ORDERCTL_DATABASE_TIME_ZONE=+07:00"),
        (timedelta(hours=7), (2,), None),
        (timedelta(hours=15), (2, 3), None),
        (timedelta(days=1492), (3,), None),
    ],
)
def test_a_time_that_no_zone_makes_is_a_wrong_row(shop: Shop, later, which, repair):
    for code in ("DH1", "DH2", "DH3"):
        shop.add(code)
    for row in which:
        shop.execute(
            "UPDATE orders SET created_at = :later WHERE id = :row",
            row=row,
            later=(shop.now() + later).replace(tzinfo=None).isoformat(" ", "microseconds"),
        )

    [check] = tables.times(Surroundings(load(environ={}), Opened(shop.engine)))

    assert (check.verdict, check.repair) == (Verdict.WARNING, repair)
    assert repair or f"row {which[-1]} in orders.created_at lies" in check.text
    [text] = shop.read(moments.ahead).values()
    assert ("set database.time_zone" in text) is (repair is not None)


def test_measures():
    assert [counting.size(number) for number in (0, 1023, 1536, 3 * 2**40, 5000 * 2**40)] == [
        "0 bytes", "1,023 bytes", "1.5 KiB", "3.0 TiB", "5000.0 TiB",
    ]  # fmt: skip
    assert [measures.time(seconds) for seconds in (0.04, 1.5, 180, 25_200, 86400 * 12)] == [
        "40 ms", "1.5 s", "3 min", "7.0 h", "12 days",
    ]  # fmt: skip
    assert [measures.number(value) for value in (0, 1.25, 12345.6)] == ["0", "1.2", "12,346"]


@pytest.mark.databases("sqlite")
def test_what_is_missing_is_one_fault_for_an_account_that_only_reads(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    step = SimpleNamespace(adds=("an index",), what="an index", statements=())
    lost = replace(
        migrate.status(shop.engine), drift=(step,), obstacles=("the account a@b lacks INDEX on orders",)
    )
    monkeypatch.setattr(tables.migrate, "status", lambda _: lost)

    checks = list(tables.examine(Surroundings(load(environ={}), Opened(shop.engine))))

    [fault] = [check for check in checks if check.verdict is Verdict.FAULT]
    assert fault.name == "complete"
    assert fault.explanation == "By another account: the account a@b lacks INDEX on orders"
