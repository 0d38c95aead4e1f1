"""Measure `orderctl tail all` on a terminal after a busy hour: the first frame with the running task, and its CPU.

Usage: python bench/tail.py [ORDERS] [PROGRAM]

ORDERS have ended (10,000 by default), and Redis keeps their last messages; one task is running. PROGRAM is another
orderctl to compare with. It also counts the lines that `tail all` prints into a pipe before a new message.
"""

import fcntl
import os
import pty
import resource
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from orderctl import broker, channels, database, embedded, messages, migrate, publications
from orderctl.channels import Scope
from orderctl.messages import Completion, StatusChange, TaskProgress
from orderctl.settings import load
from tests.script import SCRIPT
from tests.shop import Shop

RUNNING = "busy.mp4"
#: Seconds for which the CPU is measured, from the start on.
WATCHED = 20.0
#: Longest time until the first frame, in seconds.
LONGEST = 180.0


def keep(client, orders: int) -> None:
    """Keep the last messages of orders that have ended, of one task each."""
    now = int(time.time() * 1000) - orders
    with client.pipeline(transaction=False) as pipe:
        for at in range(1, orders + 1):
            ended = [
                TaskProgress(at, 100, "", None, now + at),
                StatusChange(Scope.TASK, at, "completed", "downloading", now + at),
                StatusChange(Scope.ORDER, at, "completed", "processing", now + at),
                Completion(at, 1, 1, 0, now + at),
            ]
            for one in ended:
                name = broker.key(client, one.channel)
                pipe.set(name, messages.encode(one.data()), ex=channels.SNAPSHOT_TTL)
            if at % 1000 == 0:
                pipe.execute()
        pipe.execute()


def on_terminal(program: str, env: dict[str, str]) -> tuple[float | None, float, float]:
    """Return the seconds until the running task is drawn, the seconds of CPU, and the seconds measured."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    began = time.monotonic()
    process = subprocess.Popen(
        [program, "tail", "all"], stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env=env
    )
    os.close(slave)
    seen, drawn = b"", None
    while (passed := time.monotonic() - began) < WATCHED or (drawn is None and passed < LONGEST):
        if select.select([master], [], [], 0.05)[0]:
            seen = seen[-10_000:] + os.read(master, 65536)
            if drawn is None and RUNNING.encode() in seen:
                drawn = time.monotonic() - began
    end(process)
    passed = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return drawn, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, passed


def piped(program: str, env: dict[str, str]) -> int:
    """Return the number of lines that are printed although nothing happens."""
    done = subprocess.run(
        [program, "tail", "all", "--timeout", "5s"], capture_output=True, env=env, check=False
    )
    return done.stdout.count(b"\n")


def end(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main() -> None:
    orders = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    program = sys.argv[2] if len(sys.argv) > 2 else str(SCRIPT)
    with tempfile.TemporaryDirectory(prefix="orderctl-bench-") as folder:
        env = {key: value for key, value in os.environ.items() if key not in {"COLUMNS", "LINES"}}
        env |= {"ORDERCTL_STATE_DIR": folder, "TERM": "xterm-256color"}
        settings = load({}, environ=env)
        engine = database.connect(database.url(settings))
        migrate.up(engine)
        shop = Shop(engine)
        client = broker.brisk(broker.url(settings))
        try:
            [task_id] = shop.paid("RUNNING", [f"http://courses.example/{RUNNING}"])
            shop.start(shop.claimed(task_id))
            running = shop.task(task_id)
            keep(client, orders + task_id)
            for name in channels.of_subject(Scope.TASK, task_id) + channels.of_subject(
                Scope.ORDER, running.order_id
            ):
                client.delete(broker.key(client, name))
            said = TaskProgress(task_id, 40, RUNNING, 1e6, int(time.time() * 1000), 1, 1)
            publications.publish_progress(client, said, running.order_id, {})
            drawn, cpu, passed = on_terminal(program, env)
            shown = "never" if drawn is None else f"{drawn:.2f} s"
            print(f"{orders:,} ended orders: the running task is drawn after {shown},")
            print(
                f"CPU {cpu:.1f} s in {passed:.0f} s ({100 * cpu / passed:.0f} %); load {os.getloadavg()[0]:.1f}"
            )
            print(f"piped: {piped(program, env):,} lines although nothing happens")
        finally:
            client.close()
            engine.dispose()
            embedded.stop(Path(folder))


if __name__ == "__main__":
    main()
