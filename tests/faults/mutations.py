"""Remove each defence in a copy, and show which tests notice: ``python -m tests.faults.mutations [NAME...]``.

Exit 1 if no test notices that a defence is missing.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = (
    "faults/test_lost_workers.py",
    "faults/test_workers.py",
    "test_reconcile.py",
    "faults/test_deliveries.py",
)


@dataclass(frozen=True)
class Mutation:
    """A defence: what to replace by what in which file; the old text has to be there.

    Attributes:
        tests: Beside TESTS, in ``tests/``.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = ()


MUTATIONS = (
    Mutation(
        "the lock on the order", "orderctl/orders.py",
        '_STATES.where(orders.c.id == bindparam("order_id")).with_for_update()',
        '_STATES.where(orders.c.id == bindparam("order_id"))',
    ),
    Mutation(
        "the fence around a worker's writes", "orderctl/leases.py",
        "return task.lease_token == claim.token, task.status.in_(UNFINISHED)", "return ()",
    ),
    Mutation(
        "the unique key of events", "orderctl/audit.py", '"dedup_key": event.dedup_key,', '"dedup_key": None,',
        ("faults/test_fault_points.py::test_a_lost_connection_costs_no_attempt",),
    ),
    Mutation(
        "the lease of an operation", "orderctl/operations/carrying.py",
        "_ROW.lease_token == held.token, _ROW.state.in_(CHANGING))", "_ROW.state.in_(CHANGING))",
        ("operations",),
    ),
    Mutation(
        "the stop of an operation, for who carries it out", "orderctl/operations/carrying.py",
        "_ROW.lease_token == held.token, _ROW.state.in_(CHANGING))", "_ROW.lease_token == held.token)",
        ("operations",),
    ),
    Mutation(
        "what a task was when an operation selected it", "orderctl/operations/carrying.py",
        '"seen": seen,', '"seen": None,', ("operations",),
    ),
    Mutation(
        "the wait for an operation's tasks to be written", "orderctl/operations/making.py",
        '"state": State.PREPARING.value,', '"state": State.RUNNING.value,', ("operations",),
    ),
    Mutation(
        "the canary", "orderctl/operations/carrying.py",
        "most = min(most, operation.canary - operation.changed)", "pass", ("operations",),
    ),
    Mutation(
        "the limit of what is made up for after an outage", "orderctl/operations/rates.py",
        "return max(next_at or now, now - late)", "return next_at or now", ("operations",),
    ),
    Mutation(
        "the death of children with their parent", "orderctl/processes.py",
        "    libc = ctypes", "    return\n    libc = ctypes",
    ),
    Mutation(
        "the time to live of a job", "orderctl/doorbell.py", "redis.call('EXPIRE', KEYS[2], ARGV[2])", "",
        ("test_doorbell.py",),
    ),
    Mutation(
        "the respect for another program's job of the same id", "orderctl/doorbell.py",
        "    if allowlist.find_fault(name.encode(), seen) is not None:\n        return None\n", "",
        ("test_doorbell.py",),
    ),
    Mutation(
        "the respect for other programs' jobs in RQ's registries", "orderctl/worker/maintenance.py",
        "    seen = _ours(queue, raw)\n",
        "    seen = allowlist.look(queue.connection, doorbell.job_key(queue, raw))\n",
        ("worker/test_maintenance.py",),
    ),
    Mutation(
        "the patience with a Redis that refuses", "orderctl/worker/consumer.py",
        "            except redis.RedisError as error:\n                if self",
        "            except redis.ConnectionError as error:\n                if self",
        ("worker/test_consumer.py",),
    ),
    Mutation(
        "the ringing of forgotten doorbells", "orderctl/reconcile.py",
        "    if not due + again:\n        return []", "    if due is not None:\n        return []",
    ),
    Mutation(
        "the walk of the open orders", "orderctl/sweep.py",
        "    return after if part.is_cut else part.last\n", "    return None\n", ("test_sweep.py",),
    ),
    Mutation(
        "the note of a task that waits again", "orderctl/lifecycle.py",
        "            reopens=what.reopens,\n        )", "            reopens=what.reopens,\n        ) * 0",
        ("test_readiness.py",),
    ),
    Mutation(
        "the claim's token", "orderctl/worker/attempt.py", "            token=token,\n", "",
        ("faults/test_fault_points.py::test_a_lost_connection_costs_no_attempt",),
    ),
    Mutation(
        "the note of what was sent", "orderctl/worker/settlement.py",
        "database.insist(engine, lambda connection: _note_sent(connection, entry, remark), give_up)",
        "database.transact(engine, lambda connection: _note_sent(connection, entry, remark))",
        ("faults/test_fault_points.py::test_a_courier_that_loses_its_connection_sends_nothing_twice",),
    ),
    Mutation(
        "the words of RFC 2047 in a mail's headers", "orderctl/worker/mail.py",
        '.replace("=?", "= ?")', "",
        ("worker/test_smtp.py::test_nothing_adds_a_header",),
    ),
    Mutation(
        "the condition on the lease's end", "orderctl/reconcile.py",
        "fence = [download_tasks.c.lease_token == token, *_expired_conditions()]", "fence = []",
    ),
    Mutation(
        "the comparison of a retry with what was chosen", "orderctl/choices.py",
        "    if seen is None or seen == Seen.of(task) or _both_unfinished(seen, task):", "    if True:",
        ("test_at_once.py",),
    ),
    Mutation(
        "the look for an end that the shop has recorded", "orderctl/endings.py",
        '    return _ENDS.get(newest or "")', "    return None", ("test_endings.py",),
    ),
    Mutation(
        "the time for a heartbeat after an outage", "orderctl/grace.py",
        "        return now >= self._until", "        return True",
        ("test_grace.py", "faults/test_outages.py"),
    ),
    Mutation(
        "the unique key of transfers", "orderctl/payments/posting.py",
        "    key = key_of(transfer, order_id)\n    values",
        "    key = str(database.random.random())\n    values",
        ("faults/test_payments.py", "payments/test_intake.py"),
    ),
    Mutation(
        "the refusal to write to a demoted server", "orderctl/primary.py",
        "    if is_read_only(connection):", "    if False:",
        ("test_primary.py",),
    ),
)  # fmt: skip


def notice(mutation: Mutation) -> list[str]:
    """Return the names of the tests that fail without the defence."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(
            ROOT,
            copy,
            ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", ".hypothesis"),
        )
        changed = copy / mutation.file
        text = changed.read_text(encoding="utf-8")
        assert text.count(mutation.old) == 1, f"{mutation.name}: its code has changed"
        changed.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
        chosen = [f"tests/{name}" for name in (*TESTS, *mutation.tests)]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-n", "2", "--timeout", "90", *chosen],
            cwd=copy,
            env=os.environ | {"PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
            check=False,
        )
    return re.findall(r"^(?:FAILED|ERROR) tests/(\S+)", done.stdout, re.MULTILINE)


def main(names: list[str]) -> int:
    """Print which tests notice each mutation."""
    if unknown := set(names) - {mutation.name for mutation in MUTATIONS}:
        known = ", ".join(f"'{mutation.name}'" for mutation in MUTATIONS)
        print(f"unknown: {', '.join(sorted(unknown))}; known are {known}", file=sys.stderr)
        return 2
    unnoticed = 0
    for mutation in MUTATIONS:
        if names and mutation.name not in names:
            continue
        found = notice(mutation)
        unnoticed += not found
        print(f"without {mutation.name}: {len(found)} tests fail")
        for name in found:
            print(f"    {name}")
        sys.stdout.flush()
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
