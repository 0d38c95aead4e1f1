"""The result of a run: what was lost and what was doubled."""

from collections import Counter
from dataclasses import dataclass, field

from orderctl.outbox import EntryKind
from tests.faults.chaos.history import Answer, History
from tests.faults.world import World

#: Seconds in which a second mail is allowed: its courier died this soon after the mail server's 250, or after
#: the end of an outage of the database that kept it from recording the 250 (it tries again twice a second).
WINDOW = 0.6
COURIERS = {"supervisor", "worker, keeper or courier"}


@dataclass
class Verdict:
    """The counts, and the faults in words: what was ``lost`` and what was ``doubled``."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    rows: list[tuple[str, object]] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.lost and not self.doubled


def judge(world: World, history: History) -> Verdict:
    """Compare what was asked for and acknowledged with what exists."""
    verdict = Verdict()
    rows = {row.order_code: row for row in world.shop.order_rows()}
    tasks = world.shop.task_rows()
    by_order = Counter(task.order_id for task in tasks)
    for asked in history.acknowledged():
        if asked.code not in rows or rows[asked.code].payment_status != "paid":
            verdict.lost.append(f"order {asked.code} was acknowledged and is not there, paid")
    for code, row in rows.items():
        asked = history.orders[code]
        if asked.paid is Answer.FAILED and row.payment_status == "paid":
            verdict.doubled.append(f"order {code} is paid, and its customer was told that it is not")
        if by_order[row.id] != asked.good + asked.bad:
            verdict.lost.append(f"order {code} has {by_order[row.id]} tasks")
        wanted = "failed" if asked.bad else "completed"
        if row.payment_status == "paid" and row.order_status != wanted:
            verdict.lost.append(f"order {code} is {row.order_status} and not {wanted}")
    for fault in world.faults():
        (verdict.doubled if " times " in fault else verdict.lost).append(fault)
    for task in tasks:
        if task.id in history.retried and task.attempt <= history.retried[task.id]:
            verdict.lost.append(f"the acknowledged retry of task {task.id}")
    paid = [row for row in rows.values() if row.payment_status == "paid"]
    ends = sum(row.round + 1 for row in paid)
    _judge_messages(world, verdict, ends, history)
    killed = history.killed()
    verdict.rows = [
        ("kills", sum(killed.values())),
        *((f"  {victim}", count) for victim, count in sorted(killed.items())),
        *((f"({what})", count) for what, count in sorted(history.other.items())),
        ("orders asked for", len(history.orders)),
        ("orders acknowledged as paid", len(history.acknowledged())),
        ("orders paid", len(paid)),
        ("tasks of theirs", sum(by_order[row.id] for row in paid)),
        ("tasks retried by the shop", len(history.retried)),
        ("ends of orders", ends),
        ("attempts at the tasks", sum(task.attempt for task in tasks)),
        ("  of workers that were lost", world.recovered()),
        *verdict.rows,
        ("lost", len(verdict.lost)),
        ("doubled", len(verdict.doubled)),
    ]
    return verdict


def _judge_messages(world: World, verdict: Verdict, ends: int, history: History) -> None:
    sent = Counter(entry.kind for entry in world.shop.outbox() if entry.sent_at and not entry.last_error)
    heard, mails, posts = world.listener.completions(), world.post.count(), world.receiver.count()
    if len(mails) != ends:
        verdict.lost.append(f"{len(mails)} mails for {ends} ends of orders")
    if sent[EntryKind.COMPLETION] != ends:
        verdict.lost.append(f"{sent[EntryKind.COMPLETION]} completion messages for {ends} ends of orders")
    for number, count in mails.items():
        if count > 1 and not _in_window(world, history, number):
            first, second = _arrivals(world, number)[:2]
            verdict.doubled.append(
                f"mail {number} came {count} times, outside of SMTP's window: +0.00 the first,"
                f" {second - first:+.2f} the second; {history.around(first, second)}"
            )
    verdict.rows += [
        ("completion messages sent", sent[EntryKind.COMPLETION]),
        ("  heard by a listener that was cut off now and then", len(heard)),
        ("  heard again", sum(heard.values()) - len(heard)),
        ("mails", len(mails)),
        ("  second ones inside SMTP's window", sum(mails.values()) - len(mails)),
        ("webhook deliveries", len(posts)),
        ("  repeated under the same key", sum(posts.values()) - len(posts)),
    ]


def _in_window(world: World, history: History, message_id: str) -> bool:
    """Return whether a courier died between the acceptance of the first mail and its record in the outbox.

    The record waits while the database is away, which makes the window longer.
    """
    first = _arrivals(world, message_id)[0]
    end = first + WINDOW
    for since, until, what in sorted(history.outages):
        if what == "database" and since <= end:
            end = max(end, until + WINDOW)
    return any(victim in COURIERS and first - WINDOW <= at <= end for at, victim in history.kills)


def _arrivals(world: World, message_id: str) -> list[float]:
    return sorted(letter.at for letter in world.post.letters if letter.id == message_id)
