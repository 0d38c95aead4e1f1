"""One part of the pipeline in a separate process, for a test that kills it: ``play.py ROLE [ARGUMENT]``.

The settings, and the fault point at which it dies, come from the environment.
"""

import json
import logging
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine

from orderctl import broker, database, doorbell, reconcile, tasks
from orderctl.cli.main import run
from orderctl.operations import carrying, making, turns
from orderctl.operations.making import NewOperation
from orderctl.operations.records import Kind
from orderctl.payments import intake
from orderctl.payments.transfer import MANUAL, Transfer
from orderctl.settings import Settings, load
from orderctl.worker import consumer, courier, jobs, keeper, rounds, supervisor
from tests.shop import AMOUNT, RULES, TESTER


def main(role: str, argument: str = "") -> None:
    """Run a role to its end."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    settings = load()
    engine = database.connect(database.url(settings))
    ROLES[role](settings, engine, argument)


def _horse(settings: Settings, _: Engine, argument: str) -> None:
    jobs.prepare(settings, "horse")
    jobs.run_task(int(argument))


def _keeper(settings: Settings, engine: Engine, _: str) -> None:
    """Run the keeper for one round."""
    reconcile.run(engine, broker.brisk(broker.url(settings)), settings, fix=True)


def _courier(settings: Settings, engine: Engine, _: str) -> None:
    """Run the courier for one round."""
    courier.send_due(engine, broker.brisk(broker.url(settings)), settings)


def _check(settings: Settings, engine: Engine, _: str) -> None:
    """Write each finding of ``orderctl reconcile --check``, as a line of JSON."""
    for finding in reconcile.check(engine, broker.brisk(broker.url(settings)), settings):
        sys.stderr.write(json.dumps(f"{finding.kind}: {finding.text}") + "\n")


def _ring(settings: Settings, _: Engine, argument: str) -> None:
    doorbell.ring(broker.brisk(broker.url(settings)), settings.worker.queue, json.loads(argument))


def _supervisor(settings: Settings, engine: Engine, _: str) -> None:
    """Run ``orderctl worker start --burst``."""
    client = broker.brisk(broker.url(settings))
    reconcile.run(engine, client, settings)
    engine.dispose()
    client.close()
    supervisor.Supervisor(settings, burst=True).run()
    courier.send_due(engine, client, settings)


def _worker_that_swallows(settings: Settings, _: Engine, argument: str) -> None:
    """A worker that receives SIGTERM where every exception is swallowed, as inside a library."""

    class Swallowing(consumer.GuardedQueue):
        @classmethod
        def dequeue_any(cls, *arguments: Any, **more: Any) -> Any:
            with suppress(BaseException):
                os.kill(os.getpid(), signal.SIGTERM)
            return super().dequeue_any(*arguments, **more)

    class Worker(consumer.DownloadWorker):
        queue_class = Swallowing

    Worker(settings, f"worker-{argument}").work()


def _orderctl(_: Settings, __: Engine, argument: str) -> None:
    """Run commands exactly as they are printed, each on a line: ``orderctl tasks retry 41``."""
    for line in argument.splitlines():
        program, *arguments = shlex.split(line)
        assert program == "orderctl"
        status = run(arguments)
        assert status == 0, f"{line}: exit code {status}"


def _pay(_: Settings, engine: Engine, argument: str) -> None:
    transfer = Transfer(MANUAL, AMOUNT, provider_id=f"T-{argument}", bank="ACB")
    database.transact(engine, lambda c: intake.pay(c, argument, transfer, RULES, TESTER))


def _retry(_: Settings, engine: Engine, argument: str) -> None:
    database.transact(engine, lambda c: tasks.retry(c, int(argument), max_attempts=3, actor="tester"))


def _signalled_anywhere(settings: Settings, engine: Engine, argument: str) -> None:
    """Run a keeper's loop for each number of lines, with SIGTERM after them; print which loops do not end."""
    running = {}
    for number in range(1, int(argument) + 1):
        pid = os.fork()
        if pid == 0:
            _signal_after(settings, engine, number)
        running[pid] = number
    end = time.monotonic() + 120
    while running and time.monotonic() < end:
        pid, _status = os.waitpid(-1, os.WNOHANG)
        running.pop(pid, None)
        time.sleep(0.01)
    for pid, number in running.items():
        sys.stderr.write(f"deaf at line {number}\n")
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _signal_after(settings: Settings, engine: Engine, number: int) -> None:
    """Run the loop; SIGTERM comes ``number`` lines after the first round."""
    left = [number]

    def count(_frame: Any, event: str, _: object) -> Any:
        left[0] -= event == "line"
        if left[0] == 0:
            sys.settrace(None)
            os.kill(os.getpid(), signal.SIGTERM)
        return count

    stop = rounds.stop_on_sigterm()
    try:
        rounds.Rounds(settings, engine, stop).each_second(lambda _: sys.settrace(count))
    finally:
        os._exit(0)


def _cancel(_: Settings, engine: Engine, argument: str) -> None:
    database.transact(engine, lambda c: tasks.cancel(c, int(argument), actor="tester"))


def _make(_: Settings, engine: Engine, argument: str) -> None:
    """Make an operation, each task in a transaction of its own."""
    making.CHUNK = 1  # type: ignore[misc]
    wanted = tasks.TaskFilter(statuses=("failed",))
    with database.reading(engine) as connection:
        chosen = tasks.choose(connection, wanted, limit=100)
    making.make(engine, NewOperation(Kind.RETRY, "tester", argument, max_attempts=3), chosen)


def _operate(settings: Settings, engine: Engine, _: str) -> None:
    """Take some turns of the operator."""
    client = broker.brisk(broker.url(settings))
    carrying.BATCH = 2  # type: ignore[misc]
    turns.TURN_SECONDS = 0.1  # type: ignore[misc]
    own = turns.Turns(engine, settings.worker.queue)
    for _turn in range(4):
        own.turn(client)


ROLES: dict[str, Callable[[Settings, Engine, str], None]] = {
    "horse": _horse,
    "worker": lambda settings, _, argument: consumer.work(settings, f"worker-{argument}", burst=True),
    "worker-that-swallows": _worker_that_swallows,
    "signalled-anywhere": _signalled_anywhere,
    "keeper": _keeper,
    "check": _check,
    "ring": _ring,
    "keep": lambda settings, _, __: keeper.keep(settings, "supervisor"),
    "courier": _courier,
    "couriers": lambda settings, _, __: courier.send(settings),
    "supervisor": _supervisor,
    "orderctl": _orderctl,
    "pay": _pay,
    "retry": _retry,
    "cancel": _cancel,
    "make": _make,
    "operate": _operate,
}


if __name__ == "__main__":
    main(*sys.argv[1:])
