"""``orderctl worker``: the processes that carry out the tasks."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click

from orderctl.cli import locks, options, rejected_jobs, watch
from orderctl.cli.app import App, pass_app
from orderctl.cli.columns import speed
from orderctl.cli.lazy import Group
from orderctl.counting import counted
from orderctl.errors import InvalidInput, OrderctlError
from orderctl.terminal.render import Column, Format, Where

if TYPE_CHECKING:
    from orderctl.worker.exposition import Target
    from orderctl.worker.roster import WorkerSign
    from orderctl.worker.supervisor import Supervisor

_STATE_STYLES: Final = {"idle": "dim", "draining": "yellow", "frozen": "red", "no heartbeat": "red"}


def _of_supervisor(name: str) -> Callable[[Any], Any]:
    return lambda row: getattr(row.supervisor, name)


def _of_task(name: str) -> Callable[[Any], Any]:
    return lambda row: getattr(row.task, name, None)


def _held(row: Any) -> list[int]:
    return [] if row.task is None else [row.task.id]


#: The first ones are the worker's, the others its supervisor's.
WORKERS: Final = (
    Column("worker", keep=True),
    Column("state", keep=True, style=lambda state: _STATE_STYLES.get(str(state), "blue")),
    Column("task_id", "TASK", get=_of_task("id"), right=True, keep=True),
    Column("order_code", "ORDER", get=_of_task("order_code"), priority=8),
    Column("title", get=_of_task("title"), instead=_of_task("course_url"), priority=6),
    Column("percent", "%", get=_of_task("percent"), show="{:g}".format, right=True, priority=7),
    Column("speed", get=_of_task("speed"), show=speed, right=True, priority=3),
    Column("since", priority=4),
    Column("name", "SUPERVISOR", get=_of_supervisor("name"), where=Where.WIDE),
    Column(
        "alive",
        get=_of_supervisor("alive"),
        show=lambda alive: "yes" if alive else "no heartbeat",
        style=lambda alive: None if alive else "red",
        where=Where.WIDE,
    ),
    Column("queue", get=_of_supervisor("queue"), where=Where.WIDE),
    Column("concurrency", "WORKERS", get=_of_supervisor("concurrency"), where=Where.WIDE, right=True),
    Column("tasks", get=_held, where=Where.DATA),
    Column("started", get=_of_supervisor("started"), where=Where.WIDE),
    Column("host", get=_of_supervisor("host"), where=Where.WIDE),
    Column("pid", get=_of_supervisor("pid"), where=Where.WIDE, right=True),
    Column("version", get=_of_supervisor("version"), where=Where.WIDE),
)
_NONE: Final = "No worker is running."


@click.group(cls=Group)
def cli() -> None:
    """Run, list, pause and stop workers.

    Example:
        orderctl worker start --concurrency 2
        orderctl worker list
    """


@cli.command()
@options.setting("worker.concurrency", "--concurrency", help="Number of workers.")
@options.setting("worker.queue", "--queue", help="RQ queue that wakes the workers.")
@options.setting("worker.handler", "--handler", help="Handler that downloads the courses.")
@options.setting(
    "worker.take", "--take", help="'managed': only orderctl's own tasks; 'all': the shop's tasks, too."
)
@options.setting("worker.lease_seconds", "--lease", help="How long a claim is valid without a heartbeat.")
@options.setting(
    "worker.drain_timeout_seconds", "--drain-timeout", help="How long a stop waits for running downloads."
)
@options.setting("log.format", "--log-format", help="'text', 'json' (one object on each line) or 'auto'.")
@options.setting(
    "worker.metrics_port", "--metrics-port", help="Port of the metrics for Prometheus; 0: any free port."
)
@options.setting("worker.metrics_host", "--metrics-host", help="Address of the metrics for Prometheus.")
@options.setting(
    "worker.metrics_file", "--metrics-file", help="File of the metrics for node_exporter (*.prom)."
)
@click.option("--burst", is_flag=True, help="Carry out the tasks that are due, then exit.")
@locks.lock
@pass_app
def start(app: App, burst: bool) -> None:
    """Start a supervisor with its workers; the first SIGTERM or Ctrl-C drains it, the second ends it.

    While it drains, running downloads may finish. At --drain-timeout, or at the second signal, the supervisor
    releases unfinished tasks, and another worker takes them at once. After kill -9 nothing is lost either:
    another worker takes the tasks when their leases have expired.

    A worker that ends is started again. When no worker can live (a setting is wrong, or each crashes at its
    start), the supervisor ends with the exit code of the error. An outage of Redis or the database is waited for.

    With --burst, exit code 0 means that all tasks that were due at the start have been carried out, whatever
    came of them: one whose course's server is away waits for its next try, and is not waited for. It is 1 when some were not (a signal, a paused queue, a killed download), and that of the
    error when a worker failed.

    With --metrics-port, Prometheus gets metrics at /metrics of this port; with --metrics-file, they are written every
    10 s for the textfile collector of node_exporter. A port that is taken is refused before anything starts. With --burst
    there are no metrics, and these options are refused.

    Example:
        orderctl worker start --concurrency 2
        orderctl worker start --metrics-port 9464
        orderctl worker start --burst
    """
    from orderctl.worker import exposition

    if burst:
        _refuse_metrics(app)
    metrics = None if burst else exposition.target(app.settings)
    listener = None if metrics is None else metrics.listener
    with nullcontext() if listener is None else listener:
        _start(app, burst, metrics)


def _start(app: App, burst: bool, metrics: Target | None) -> None:
    from orderctl.worker import burst as bursts
    from orderctl.worker.supervisor import Supervisor

    app.log()
    _check_ground(app)
    due = bursts.begin(app.engine, app.redis, app.settings) if burst else ()
    app.close()  # the children are forked without connections
    supervisor = Supervisor(app.settings, burst=burst, metrics=metrics)
    workers = counted(app.settings.worker.concurrency, "worker")
    app.say(f"supervisor {supervisor.name}: {workers} on queue {app.settings.worker.queue}", logged=True)
    if metrics is not None and metrics.listener is not None:
        app.say(f"metrics at {metrics.url}", logged=True)
    if burst:
        _burst(app, supervisor, due)
    else:
        supervisor.run()


def _refuse_metrics(app: App) -> None:
    """Refuse options of metrics, which a burst would ignore; settings are those of other supervisors, too."""
    for key in ("worker.metrics_port", "worker.metrics_host", "worker.metrics_file"):
        if key in app.flags:
            option = "--" + key.partition(".")[2].replace("_", "-")
            raise InvalidInput(
                f"{option} has no effect with --burst, which has no metrics", hint=f"leave {option} out"
            )


def _burst(app: App, supervisor: Supervisor, due: Collection[tuple[int, int]]) -> None:
    from orderctl.worker import burst, courier
    from orderctl.worker.child import ChildFailed

    try:
        supervisor.run()
    except ChildFailed:
        with suppress(OrderctlError):  # what failed first says more
            courier.send_due(app.engine, app.redis, app.settings)
        raise
    courier.send_due(app.engine, app.redis, app.settings)
    burst.check(app.engine, app.redis, app.settings, supervisor.name, due)


def _check_ground(app: App) -> None:
    """Fail before the first fork when something is missing, and not in every child process."""
    from orderctl import broker
    from orderctl.downloads import registry
    from orderctl.rights import Part

    registry.load(app.settings.worker.handler)
    if (folder := app.settings.mail.templates) is not None:
        from orderctl.worker import templates

        templates.check(folder)
    app.require_database()
    broker.require(app.redis, Part.WORK, app.settings.worker.queue)


@cli.command("list")
@options.output(WORKERS, rejected_jobs.COLUMNS)
@click.option(
    "--rejected", "only_rejected", is_flag=True, help="The same as 'orderctl worker rejected list'."
)
@watch.option
@pass_app
def list_(app: App, only_rejected: bool, watching: watch.Watching) -> None:
    """List the workers, what each of them does, and its supervisor.

    A worker is idle, enrolling (it finds out which files there are), downloading or draining (its supervisor ends after
    this task). It is frozen if no worker of its queue has sent a sign of life for half a minute. One without a
    heartbeat is lost, and another worker takes its task over. In JSON, 'name' and the keys behind it are those of the
    supervisor.

    Example:
        orderctl worker list
        orderctl worker list -o json
    """
    if only_rejected and watching.watch:
        raise InvalidInput("give --rejected or --watch, not both")
    if only_rejected:
        rejected_jobs.show_newest(app, options.DEFAULT_LIMIT)
        return
    app.require_database()
    if watching.watch:
        watch.watch(app, watching, lambda: watch.picture(app, _workers(app), _NONE))
    found = _workers(app)
    app.render(found, nothing=_NONE)
    if app.format is not Format.JSON:
        _say_of_queue(app, idle=not found)


def _workers(app: App) -> list[WorkerSign]:
    """Return the workers; what is known of the progress of their tasks is with these."""
    from orderctl.cli import live
    from orderctl.worker import roster

    with app.reading() as connection:
        found = roster.find_all(connection, app.running_redis)
    running = [one.task for one in found if one.task is not None]
    by_id: dict[int, Any] = {task.id: task for task in live.tasks(app, running)}
    return [replace(one, task=one.task and by_id[one.task.id]) for one in found]


def _say_of_queue(app: App, *, idle: bool) -> None:
    """Say how many tasks wait, and what has to be done so that they are carried out."""
    from orderctl.cli import outlook
    from orderctl.waits import Cause
    from orderctl.worker import rejected

    line = outlook.of_queue(app)
    paused = line.reason is not None and line.reason.cause is Cause.PAUSED
    if line.tasks:
        why = f": {line.reason.text}" if line.reason and not idle and not paused else ""
        app.say(f"{line.text[:1].upper()}{line.text[1:]}{why}.")
    if paused:
        app.say(f"Queue {app.settings.worker.queue} is paused.")
    if line.reason is not None and (line.tasks or idle or paused):
        app.say(f"next: {line.reason.hint}")
    if app.running_redis is not None and (jobs := rejected.count(app.running_redis)):
        app.say(f"{counted(jobs, 'job')} rejected.\nnext: orderctl worker rejected list")


@cli.command()
@click.argument("name")
@options.consent
@locks.lock
@pass_app
def stop(app: App, name: str, consent: options.Consent) -> None:
    """Ask a supervisor, on any host, to drain and end. NAME is its name, or that of one of its workers.

    Example:
        orderctl worker stop web1-4711-a3f9
        orderctl worker stop web1-4711-a3f9 --yes
    """
    from orderctl.worker import fleet, roster

    name = roster.supervisor_of(name)
    if fleet.is_draining(app.running_redis, name):
        app.say(
            f"Supervisor {name} ends already, as soon as its downloads have finished.\nnext: orderctl worker list"
        )
        return
    consent.ask(app, f"Stop supervisor {name} with all its workers?")
    if consent.dry_run:
        app.say(f"Would ask supervisor {name} to stop; nothing was changed.")
        return
    fleet.stop(app.redis, name)
    app.say(f"Asked supervisor {name} to stop.\nnext: orderctl worker list")


@cli.command()
@options.setting("worker.queue", "--queue", help="Queue to pause.")
@locks.lock
@pass_app
def pause(app: App) -> None:
    """Stop the workers of a queue from taking new tasks; running downloads continue.

    Example:
        orderctl worker pause
        orderctl worker pause --queue orderctl
    """
    from orderctl.worker import fleet

    fleet.pause(app.redis, app.settings.worker.queue)
    queue = app.settings.worker.queue
    app.say(f"Queue {queue} is paused.\nnext: orderctl worker resume --queue {shlex.quote(queue)}")


@cli.command()
@options.setting("worker.queue", "--queue", help="Queue to resume.")
@locks.lock
@pass_app
def resume(app: App) -> None:
    """Let the workers of a paused queue take tasks again.

    Example:
        orderctl worker resume
        orderctl worker resume --queue orderctl
    """
    from orderctl.worker import fleet

    was = fleet.resume(app.redis, app.settings.worker.queue)
    app.say(f"Queue {app.settings.worker.queue} {'is running again' if was else 'was not paused'}.")


cli.add_command(rejected_jobs.cli)
