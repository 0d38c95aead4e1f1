"""One part of the pipeline in a process of its own, for a test that lets it die: ``play.py ROLE [ARGUMENT]``.

The settings, and the fault at which it dies, come from the environment.
"""

import logging
import sys
from decimal import Decimal

from orderctl import (
    broker,
    database,
    delivery,
    embedded,
    jobs,
    keeper,
    payments,
    reconcile,
    supervisor,
    tasks,
    worker,
)
from orderctl.settings import load


def main(role: str, argument: str = "") -> None:
    """Play a role to its end."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    settings = load()
    engine = database.connect(settings.database.url or embedded.database_url(settings.state_dir))
    if role == "horse":
        jobs.prepare(settings, "horse")
        jobs.run_task(int(argument))
    elif role == "worker":
        worker.work(settings, f"worker-{argument}", burst=True)
    elif role == "courier":
        delivery.send_due(engine, broker.brisk(broker.url(settings)), settings)
    elif role == "couriers":
        keeper.send(settings)
    elif role == "keeper":
        reconcile.run(engine, broker.brisk(broker.url(settings)), settings, fix=True)
    elif role == "supervisor":  # as `orderctl worker start --burst`
        client = broker.brisk(broker.url(settings))
        reconcile.run(engine, client, settings)
        engine.dispose()
        client.close()
        supervisor.Supervisor(settings, burst=True).run()
        delivery.send_due(engine, client, settings)
    elif role == "pay":
        paid = payments.Payment(argument, Decimal(100), "ACB", f"T-{argument}")
        database.transact(engine, lambda c: payments.receive(c, paid, actor="tester"))
    elif role == "retry":
        database.transact(engine, lambda c: tasks.retry(c, int(argument), max_attempts=3, actor="tester"))
    elif role == "cancel":
        database.transact(engine, lambda c: tasks.cancel(c, int(argument), actor="tester"))


if __name__ == "__main__":
    main(*sys.argv[1:])
