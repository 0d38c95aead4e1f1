"""How much an order adds to the database, by table and index.

The shop is written with all indexes in place, as in use: an index that is built from sorted rows is smaller.
"""

from bench.queries.shop import EVENTS, LONG_EVENTS, TASKS, UNMATCHED
from bench.queries.stores import Store

#: What a paid order of three tasks writes: a message to the dashboards, a mail and a webhook are in the outbox.
_ROWS = {
    "orders": 1,
    "download_tasks": TASKS,
    "order_audit_logs": EVENTS,
    "orderctl_payments": 1,
    "orderctl_outbox": 3,
}


def measure(store: Store, count: int) -> list[tuple[str, str, float, float]]:
    """Return table, index, bytes of a row and bytes of an order, for each index."""
    there = {
        "orders": 2 * count,
        "download_tasks": (TASKS + 1) * count,
        "order_audit_logs": (EVENTS + 1) * count + LONG_EVENTS,
        "orderctl_payments": count * 4 // 5 + UNMATCHED,
        "orderctl_outbox": count * 4 // 5,
    }
    sizes = store.grown(count)
    return [
        (table, index, size / there[table], size / there[table] * number)
        for table, number in _ROWS.items()
        for (of, index), size in sorted(sizes.items())
        if of == table
    ]
