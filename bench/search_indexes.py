"""Measure what the indexes of ``orderctl logs search`` cost: how long they take to build, and what each event costs.

Usage: python bench/search_indexes.py [--rows N] [--events N] [--rounds N] [--server mysql|mariadb]

Each round drops the indexes, builds none, one or both, and writes the same events in batches. What the server spends is
told in CPU time and in bytes of its redo log: both depend less than seconds do on what else the machine does.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from sqlalchemy import Engine, text

from bench.audit import events, rate
from orderctl import audit, database, migrate
from tests import rows
from tests.servers.mysql import MysqlServer, find_mariadb, find_mysql

TABLE = "order_audit_logs"
INDEXES = {name: f"ix_orderctl_{TABLE}_{name}_created_at_id" for name in ("actor", "event_type")}
CHOICES = {"none": (), "actor": ("actor",), "both": ("actor", "event_type")}
ACTORS = f"UPDATE {TABLE} SET actor = CONCAT('host-', MOD(id, 7), '.worker-1.', MOD(id, 50))"


def rebuild(engine: Engine, chosen: tuple[str, ...], there: set[str]) -> None:
    """Leave only the chosen indexes, each built anew, and tell how long that took."""
    with engine.begin() as connection:
        for name in sorted(there):
            connection.execute(text(f"DROP INDEX {INDEXES[name]} ON {TABLE}"))
        for name in chosen:
            began = time.monotonic()
            connection.execute(text(f"CREATE INDEX {INDEXES[name]} ON {TABLE} ({name}, created_at, id)"))
            print(f"  {name}: built in {time.monotonic() - began:.2f} s", flush=True)


def spent(engine: Engine, pid: int) -> tuple[float, int]:
    """Return the server's CPU seconds, and the bytes of its redo log."""
    words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    with engine.connect() as connection:
        redo = connection.execute(text("SHOW GLOBAL STATUS LIKE 'Innodb_os_log_written'")).one()[1]
    return (int(words[11]) + int(words[12])) / 100, int(redo)


def measure(server: MysqlServer, given: argparse.Namespace) -> None:
    server.create_database("shop")
    engine = database.connect(server.url("shop"))
    migrate.up(engine)
    rows.fill(engine, given.rows // 14)
    with engine.begin() as connection:
        connection.execute(text(ACTORS))
    there, assured = set(INDEXES), server.pid
    assert assured is not None
    for number in range(given.rounds):
        for name, chosen in CHOICES.items():
            rebuild(engine, chosen, there)
            there = set(chosen)
            cpu, redo = spent(engine, assured)
            rate(engine, audit.record_all, events(1, f"{number}:{name}", given.events))
            after, written = spent(engine, assured)
            micros, octets = (after - cpu) / given.events * 1e6, (written - redo) / given.events
            print(
                f"  {name:5}  {micros:5.0f} us of the server and {octets:4.0f} bytes of redo per event",
                flush=True,
            )
    engine.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what the indexes of a search cost.")
    parser.add_argument("--rows", type=int, default=150_000)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--server", choices=["mysql", "mariadb"], default="mariadb")
    given = parser.parse_args()
    server = MysqlServer(find_mysql() if given.server == "mysql" else find_mariadb()).start()
    try:
        measure(server, given)
    finally:
        server.close()


if __name__ == "__main__":
    main()
