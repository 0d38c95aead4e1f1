"""A small shop with everything that it needs, and checks of how its orders ended."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import redis
from sqlalchemy import Engine, Row, func, select, update

from orderctl import broker, channels, database, reconcile
from orderctl.schema import download_tasks, order_audit_logs, outbox
from orderctl.settings import Settings, load
from orderctl.states import ENDED_ORDER, EventType
from tests import redis_keys
from tests.faults.receivers import Listener, PostOffice, Receiver
from tests.faults.stage import Stage
from tests.script import SCRIPT
from tests.servers.course import CourseServer
from tests.servers.strict import complaints
from tests.shop import Shop
from tests.waiting import eventually

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
SIZE = 30_000

#: Events that occur once for an attempt, a task or a round of an order.
ONCE = (
    "task_created", "payment_received", "enrollment_success", "download_started", "download_completed",
    "download_failed", "task_recovered", "order_completed", "order_failed", "email_sent",
)  # fmt: skip


@dataclass
class World:
    """A shop, its database and Redis, and the receivers of its messages.

    Attributes:
        state: State folder of all processes; files go into its folder ``downloads``.
        more: Further settings, by environment variable.
        file: The name of the file that each course has.
    """

    state: Path
    database_url: str
    redis_url: str
    courses: CourseServer
    post: PostOffice
    receiver: Receiver
    listener: Listener
    stage: Stage
    more: dict[str, str] = field(default_factory=dict)
    file: str = "lesson.bin"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "ORDERCTL_STATE_DIR": str(self.state),
            "ORDERCTL_DATABASE_URL": self.database_url,
            "ORDERCTL_REDIS_URL": self.redis_url,
            "ORDERCTL_DOWNLOAD_DIRECTORY": str(self.downloads),
            "ORDERCTL_DOWNLOAD_ALLOW_PRIVATE_HOSTS": "1",
            "ORDERCTL_MAIL_URL": self.post.url,
            "ORDERCTL_NOTIFY_WEBHOOK_URL": self.receiver.url,
            **self.more,
        }

    @property
    def downloads(self) -> Path:
        return self.state / "downloads"

    @cached_property
    def settings(self) -> Settings:
        return load(environ=self.environment)

    @cached_property
    def engine(self) -> Engine:
        return database.connect(self.database_url)

    @cached_property
    def shop(self) -> Shop:
        return Shop(self.engine, max_attempts=5)

    @cached_property
    def client(self) -> redis.Redis:
        return broker.brisk(broker.url(self.settings))

    def close(self) -> None:
        self.engine.dispose()
        self.client.close()

    # --- Actions

    def course(self, path: str = "/go") -> str:
        return self.courses.add_course(path, {self.file: SIZE}, title="Go")

    def play(
        self, role: str, argument: object = "", *, faults: str = "", **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a role of ``play.py`` to its end, or until it is killed."""
        environment = self.environment | {"ORDERCTL_FAULTS": faults} | more
        done = self.stage.play(role, str(argument), environment)
        assert complaints(done.stderr) == []
        return done

    @contextmanager
    def playing(
        self, role: str, argument: object = "", *, faults: str = ""
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run a role that is killed at the end of the block."""
        process = subprocess.Popen(
            self.command(role, argument),
            env=self.environment | {"ORDERCTL_FAULTS": faults},
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            process.stderr.close()

    @contextmanager
    def hanging(self, role: str, argument: object, point: str) -> Iterator[None]:
        """Run a role that hangs at a fault point; it is killed at the end of the block."""
        environment = self.environment | {"ORDERCTL_FAULTS": f"{point}:hang"}
        with self.stage.playing(role, str(argument), environment, "fault: hang") as played:
            assert played.returncode is None, f"it has ended before {point}: {played.stderr}"
            yield

    def command(self, role: str, argument: object) -> list[str]:
        return [sys.executable, "-m", "tests.faults.play", role, *([str(argument)] if argument else [])]

    @contextmanager
    def supervisor(
        self, *options: str, log: Path | None = None, **more: str
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run ``orderctl worker start``; stop it at the end of the block, after 20 s by SIGKILL."""
        log = log or self.state / "supervisor.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                [str(SCRIPT), "worker", "start", *options],
                env=self.environment | more,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        said = log.read_text()
        assert complaints(said) == [], said

    def pass_time(self) -> None:
        """Let every lease end and every pause be over, as if an hour had passed."""
        for key in self.client.scan_iter(match=broker.key(self.client, channels.rung("*"))):
            self.client.delete(key)
        for key in self.client.scan_iter(match=broker.key(self.client, "rq:queue:*:first_seen:*")):
            self.client.set(key, time.time() - 3600, keepttl=True)
        early = database.utc_now(-3600)
        task, box = download_tasks.c, outbox.c
        with self.engine.begin() as connection:
            leased = update(download_tasks).where(task.lease_until.is_not(None))
            connection.execute(leased.values(lease_until=early))
            connection.execute(update(download_tasks).values(available_at=early))
            connection.execute(update(outbox).where(box.lease_until.is_not(None)).values(lease_until=early))
            connection.execute(update(outbox).where(box.sent_at.is_(None)).values(due_at=early))

    def recover(self) -> None:
        """Let an hour pass after a death, then let a fresh supervisor do what is due."""
        for _ in range(5):  # a transient failure takes another attempt
            self.pass_time()
            done = self.play("supervisor")
            assert done.returncode == 0, done.stderr
            if self.settled():
                return

    # --- Queries

    def settled(self) -> bool:
        """Return whether every paid order has ended and everything has been sent."""
        ended = all(
            row.order_status in ENDED_ORDER for row in self.shop.order_rows() if row.payment_status == "paid"
        )
        return ended and all(entry.sent_at is not None for entry in self.shop.outbox())

    def recovered(self) -> int:
        """Return how often a task was taken from a worker that was lost, or taken for lost."""
        log = order_audit_logs.c.event_type
        query = select(func.count()).where(log == EventType.TASK_RECOVERED)
        return self.shop.read(lambda c: c.execute(query).scalar_one())

    # --- Checks

    def faults(self) -> list[str]:
        """Return every fault, in words; empty when all is well."""
        found = self._findings()
        found += [
            f"order {row.order_code} is {row.order_status}"
            for row in self.shop.order_rows()
            if not _ended(row)
        ]
        found += self._doubled_events()
        found += [
            f"{entry.dedup_key} was not sent: {entry.last_error}"
            for entry in self.shop.outbox()
            if not entry.sent_at
        ]
        found += self._files()
        return found

    def _findings(self) -> list[str]:
        """Return what reconcile finds; where the prefix is not that of this process, in another one, because of RQ."""
        if not broker.prefix(self.client):
            found = reconcile.check(self.engine, self.client, self.settings)
            return [f"{finding.kind}: {finding.text}" for finding in found]
        done = self.play("check")
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stderr.splitlines() if line.startswith('"')]

    def _doubled_events(self) -> list[str]:
        log = order_audit_logs.c
        columns = (log.order_id, log.task_id, log.event_type, log.details)
        rows = self.shop.read(lambda c: list(c.execute(select(*columns).where(log.event_type.in_(ONCE)))))
        counted: Counter[tuple[Any, ...]] = Counter()
        for row in rows:
            details = row.details or {}
            if row.event_type in ("order_completed", "order_failed"):
                counted[row.order_id, None, "the order's end", None] += 1
            elif row.event_type == "download_completed":
                counted[row.order_id, row.task_id, row.event_type, None] += 1
            else:
                counted[
                    row.order_id, row.task_id, row.event_type, details.get("attempt") or details.get("kind")
                ] += 1
        rounds = {row.id: row.round + 1 for row in self.shop.order_rows()}
        return [
            f"{count} times {key}"
            for key, count in counted.items()
            if count > (rounds[key[0]] if key[2] in ("the order's end", "email_sent") else 1)
        ]

    def _files(self) -> list[str]:
        """Return completed tasks whose files differ from the server's, and unexpected files."""
        wrong = []
        for task in self.shop.task_rows():
            if task.status != "completed":
                continue
            [code] = [row.order_code for row in self.shop.order_rows() if row.id == task.order_id]
            folder = self.downloads / code / str(task.id)
            path = task.course_url.removeprefix(self.courses.url).rpartition("/")[0]
            files = {
                file.name: file.read_bytes() for file in folder.iterdir() if not file.name.startswith(".")
            }
            if files != {self.file: self.courses.content(f"{path}/{self.file}")}:
                wrong.append(f"task {task.id}: wrong files {sorted(files)}")
        return wrong

    def assert_well(self, *, mails: int = 1, completions: int = 1) -> None:
        """Check that everything has ended, once: events, completion messages, mails; and that Redis is tidy."""
        assert self.faults() == []
        assert redis_keys.unowned(self.client, self.settings.redis.prefix) == []
        eventually(lambda: sum(self.listener.completions().values()) >= completions, "the completion message")
        assert sum(self.listener.completions().values()) == completions
        assert sum(self.post.count().values()) == mails
        assert all(count == 1 for count in self.post.count().values())


def _ended(row: Row[Any]) -> bool:
    return row.payment_status != "paid" or row.order_status in ENDED_ORDER
