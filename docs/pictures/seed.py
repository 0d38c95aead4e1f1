"""The shop of the screens: the same orders each time, carried out by real workers, and then dated back."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import tempfile
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

from docs.pictures.courses import Courses
from orderctl import environment
from orderctl.demo import Shop

_NAMES = [
    "an.pham",
    "hoa.le",
    "minh.nguyen",
    "linh.tran",
    "duc.ho",
    "trang.ngo",
    "son.do",
    "mai.bui",
    "khoa.dang",
    "thu.vo",
]
_AMOUNTS = (199_000, 300_000, 450_000, 1_250_000)
_KINDS = ("fast",) * 12 + ("missing", "locked", "page", "busy")
#: The last orders: a customer who waits, and courses that are running when the screens are made.
_LAST = (("slow", "fast"), ("slow",), ("slow", "fast"), ("slow",), ("fast", "fast"), ("fast",))
_LONG = "KHOAHOC-2026-NGUYEN-THI-MINH-KHAI-0042"
_SHOWN = 34
#: An order one of whose courses is running and one of whose is there.
RUNNING = "DH123596"
_SECONDS = 90.0
#: Columns of times that are dated back, by the order's id. Leases, and what is due, stay as they are.
_TIMES = {
    "orders": ("id", ("created_at", "paid_at", "completed_at")),
    "download_tasks": ("order_id", ("created_at", "updated_at")),
    "order_audit_logs": ("order_id", ("created_at",)),
    "orderctl_payments": ("order_id", ("told_at", "happened_at")),
}
_UNFINISHED = """
    SELECT COUNT(*) FROM download_tasks t JOIN orders o ON o.id = t.order_id
    WHERE o.payment_status = 'paid'
    AND (t.status = 'enrolled' OR t.status = 'downloading' OR t.status = 'pending' AND t.attempt = 0)"""
_RUNNING = "SELECT COUNT(*) FROM download_tasks WHERE status = 'downloading' AND attempt = 1"


def shop(port: int) -> Shop:
    """Return a running shop with a relay, which the caller closes."""
    made = Shop(_folder(), Courses())  # type: ignore[arg-type]
    try:
        _run(made, "migrate", "up", "--quiet")
        made.start("worker", "start", "--concurrency", "4", "--drain-timeout", "1")
        made.start("relay", "start", "--port", str(port), "--accept-payments", "--payments-without-secret")
        made.courses.start()
        _fill(made, port)
        _date_back(made)
    except BaseException:
        made.close()
        raise
    return made


def _folder() -> Path:
    """Make a folder whose name stands in the screens: the same one each time, if no earlier run has left it."""
    for number in count():
        with suppress(FileExistsError):
            folder = Path(tempfile.gettempdir(), f"shop{number or ''}")
            folder.mkdir(mode=0o700)
            return folder
    raise AssertionError


def _fill(shop: Shop, port: int) -> None:
    documents = _orders(shop.courses.host)  # type: ignore[attr-defined]
    (shop.folder / "orders.json").write_text(json.dumps(documents))
    _run(shop, "orders", "add", "--json", "orders.json", "--quiet", "-o", "name")
    *early, unpaid = documents[: -len(_LAST)]
    del unpaid
    _pay(shop, port, early)
    _until(shop, f"({_UNFINISHED}) = 0")
    running = documents[-len(_LAST) : -2]
    _pay(shop, port, running)
    _until(shop, f"({_RUNNING}) = 4")
    _pay(shop, port, documents[-2:])
    # What waits for a decision, and what was paid twice.
    shop.post(port, {"code": "DH999999", "transferAmount": 300_000, "bankName": "ACB", "id": 9001})
    shop.post(
        port, {"code": documents[1]["order_code"], "transferAmount": 450_000, "bankName": "VCB", "id": 9002}
    )


def _orders(host: str) -> list[dict[str, object]]:
    dice, kinds = random.Random(16), [_KINDS[number * 7 % len(_KINDS)] for number in range(200)]
    made = []
    for number in range(_SHOWN):
        at = number - (_SHOWN - len(_LAST))
        courses = _LAST[at] if at >= 0 else [kinds.pop() for _ in range(dice.choice((1, 2, 2, 3)))]
        made.append(
            {
                "order_code": _LONG if number == _SHOWN - len(_LAST) - 3 else f"DH{123_400 + 7 * number}",
                "user_email": f"{dice.choice(_NAMES)}@example.com",
                "total_amount": dice.choice(_AMOUNTS),
                "courses": [f"http://{host}/{kind}/{dice.randrange(10)}/course.json" for kind in courses],
            }
        )
    return made


def _pay(shop: Shop, port: int, orders: list[dict[str, object]]) -> None:
    for order in orders:
        number = int(str(order["order_code"])[-4:])
        document = {
            "code": order["order_code"],
            "transferAmount": order["total_amount"],
            "bankName": "ACB",
            "id": number,
        }
        status, answer = shop.post(port, document)
        assert status == 200, answer


def _until(shop: Shop, condition: str) -> None:
    deadline = time.monotonic() + _SECONDS
    with sqlite3.connect(_database(shop)) as connection:
        while not connection.execute(f"SELECT {condition}").fetchone()[0]:
            if time.monotonic() > deadline:
                raise TimeoutError(condition)
            time.sleep(0.2)


def _date_back(shop: Shop) -> None:
    """Let the orders be hours old, in steps, so that relative times are the same in each run."""
    with sqlite3.connect(_database(shop), timeout=30) as connection:
        for table, (order, columns) in _TIMES.items():
            back = f"printf('-%d seconds', 150 + 780 * ({_SHOWN} - COALESCE({order}, {_SHOWN})))"
            new = ", ".join(
                f"{name} = strftime('%Y-%m-%d %H:%M:%S.000000', {name}, {back})" for name in columns
            )
            connection.execute(f"UPDATE {table} SET {new}")


def _database(shop: Shop) -> Path:
    return Path(shop.overrides[environment.variable("database.url")].removeprefix("sqlite:///"))


def _run(shop: Shop, *arguments: str) -> None:
    subprocess.run(
        shop.command(*arguments), env=shop.environ(), cwd=shop.folder, check=True, stdout=subprocess.DEVNULL
    )
