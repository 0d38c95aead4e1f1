"""The result of a run: what was lost, doubled, or led astray, and what was done to other programs' jobs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from orderctl.outbox import EntryKind
from tests.faults.chaos.history import Answer, History, Weather
from tests.faults.chaos.site import Site
from tests.faults.world import World
from tests.redis_keys import unowned

#: Seconds in which a second mail is allowed: its courier died this soon after the mail server's 250, or after
#: the end of an outage of the database that kept it from recording the 250 (it tries again twice a second).
WINDOW = 0.6
KINDS = ("lost", "doubled", "strayed", "damaged", "left", "crashed")
COURIERS = {"supervisor", "worker, keeper or courier"}


@dataclass
class Verdict:
    """The counts, and the faults in words.

    Attributes:
        lost: What was promised and did not happen.
        doubled: What happened more than once.
        strayed: What one shop got of another.
        damaged: Jobs and keys of the shops' own programs that are not as these wrote them.
        left: Keys of orderctl that nothing ends.
        crashed: Tracebacks in the logs of orderctl.
        rows: The counts, each with its name; one of all, or one of each shop.
    """

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    strayed: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    crashed: list[str] = field(default_factory=list)
    rows: list[tuple[str, list[object]]] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """All of them."""
        return [fault for kind in KINDS for fault in getattr(self, kind)]

    def add(self, name: str, value: object) -> None:
        """Add a row with one count."""
        self.rows.append((name, [value]))


def judge(sites: Sequence[Site], weather: Weather) -> Verdict:
    """Compare what was asked for, acknowledged and written by other programs with what exists."""
    total = Verdict()
    killed = weather.killed()
    total.add("kills", sum(killed.values()))
    for what, count in [*sorted(killed.items()), *sorted(weather.other.items())]:
        total.add(f"  {what}" if what in killed else f"({what})", count)
    verdicts = [_judge_shop(site) for site in sites]
    for rows in zip(*(verdict.rows for verdict in verdicts), strict=True):
        total.rows.append((rows[0][0], [value for _, (value,) in rows]))
    for kind in KINDS:
        for site, verdict in zip(sites, verdicts, strict=True):
            getattr(total, kind).extend(f"{site.name}: {fault}" for fault in getattr(verdict, kind))
        total.add(kind, len(getattr(total, kind)))
    return total


def _judge_shop(site: Site) -> Verdict:
    verdict = Verdict()
    _judge_orders(site.world, verdict, site.history)
    _judge_messages(site, verdict)
    _judge_borders(site, verdict)
    foreign = site.foreign
    verdict.damaged += foreign.ledger.faults
    prefix = site.world.settings.redis.prefix
    theirs = {name.removeprefix(prefix) for name in foreign.ledger.names()}
    verdict.left += [name for name in unowned(site.world.client, prefix) if name not in theirs]
    verdict.crashed += site.crashes()
    verdict.add("jobs of other programs", sum(foreign.queued.values()))
    verdict.add("  rejected at the end", len(foreign.ledger.rejected()))
    verdict.add("  run by the shop's own worker", len(foreign.ledger.ran()))
    verdict.add("  comparisons of jobs and keys", foreign.ledger.compared)
    return verdict


def _judge_orders(world: World, verdict: Verdict, history: History) -> None:
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
    verdict.add("orders asked for", len(history.orders))
    verdict.add("orders acknowledged as paid", len(history.acknowledged()))
    verdict.add("orders paid", len(paid))
    verdict.add("tasks of theirs", sum(by_order[row.id] for row in paid))
    verdict.add("tasks retried by the shop", len(history.retried))
    verdict.add("attempts at the tasks", sum(task.attempt for task in tasks))
    verdict.add("  of workers that were lost", world.recovered())


def _judge_messages(site: Site, verdict: Verdict) -> None:
    world, history = site.world, site.history
    ends = sum(row.round + 1 for row in world.shop.order_rows() if row.payment_status == "paid")
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
    verdict.add("ends of orders", ends)
    verdict.add("completion messages sent", sent[EntryKind.COMPLETION])
    verdict.add("  heard by a listener that was cut off now and then", len(heard))
    verdict.add("  heard again", sum(heard.values()) - len(heard))
    verdict.add("  heard by a dashboard through the relay", len(site.dashboard.completions()))
    verdict.add("mails", len(mails))
    verdict.add("  second ones inside SMTP's window", sum(mails.values()) - len(mails))
    verdict.add("webhook deliveries", len(posts))
    verdict.add("  repeated under the same key", sum(posts.values()) - len(posts))


def _judge_borders(site: Site, verdict: Verdict) -> None:
    """Compare what arrived at a shop with what this shop has sent; all shops have an order 1 and a task 1."""
    world, outbox = site.world, site.world.shop.outbox()
    ends = [entry.payload for entry in outbox if entry.kind == EntryKind.COMPLETION]
    own_ends = {(payload["orderId"], payload["timestamp"]) for payload in ends}
    own_posts = [(entry.dedup_key, entry.payload) for entry in outbox if entry.kind == EntryKind.WEBHOOK]
    heard = {*world.listener.completions(), *site.dashboard.completions()}
    files = {str(data.get("currentFile")) for _, data in world.listener.heard} | site.dashboard.files()
    verdict.strayed += [
        *(f"heard of the end {end}" for end in heard if end not in own_ends),
        *(f"heard of the file {file}" for file in files if file.endswith(".bin") and file != world.file),
        *(f"the webhook's receiver got {post}" for post in world.receiver.posts if post not in own_posts),
        *(
            f"a mail for {letter.recipient}"
            for letter in world.post.letters
            if not letter.recipient.startswith(site.name.lower())
        ),
        *(f"rejected job {job!r}" for job in site.foreign.ledger.rejected() if not site.foreign.knows(job)),
    ]


def _in_window(world: World, history: History, message_id: str) -> bool:
    """Return whether a courier died between the acceptance of the first mail and its record in the outbox.

    The record waits while the database is away, which makes the window longer.
    """
    first = _arrivals(world, message_id)[0]
    end = first + WINDOW
    for since, until, what in sorted(history.weather.outages):
        if what == "database" and since <= end:
            end = max(end, until + WINDOW)
    return any(victim in COURIERS and first - WINDOW <= at <= end for at, victim in history.kills())


def _arrivals(world: World, message_id: str) -> list[float]:
    return sorted(letter.at for letter in world.post.letters if letter.id == message_id)
