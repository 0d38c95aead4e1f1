"""Adds live progress from Redis (percent, file and speed) to orders and tasks from the database.

When Redis does not answer, or is slow, the rows are shown as they are in the database.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orderctl.errors import OrderctlError
from orderctl.states import OrderStatus, TaskStatus

if TYPE_CHECKING:
    from orderctl.channels import Channel
    from orderctl.cli.app import App
    from orderctl.messages import Data
    from orderctl.orders import Order
    from orderctl.tasks import Task

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiveTask:
    """A running task: the attributes of its row, and its latest progress.

    Attributes:
        percent: 0 to 100.
        current_file: The file that is being downloaded.
        speed: Bytes per second; None when unknown.
    """

    task: Task | LiveTask
    percent: float
    current_file: str | None
    speed: float | None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)


@dataclass(frozen=True)
class LiveOrder:
    """An order in processing: the attributes of its row, and the mean of its tasks' live percentages."""

    order: Order | LiveOrder
    progress_percentage: int

    def __getattr__(self, name: str) -> Any:
        return getattr(self.order, name)


class Live:
    """Adds live progress to the pages of a list. Once Redis has not answered, it is not asked for the other pages."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._away = False

    def tasks(self, found: Sequence[Task | LiveTask]) -> list[Task | LiveTask]:
        """Return the tasks; those that are downloading, with their latest progress if it is known."""
        from orderctl.channels import task_progress

        downloading = [task_progress(task.id) for task in found if task.status == TaskStatus.DOWNLOADING]
        said = self._ask(downloading)
        return [
            LiveTask(task, data["percent"], data.get("currentFile"), data.get("speed"))
            if (data := said.get(task_progress(task.id)))
            else task
            for task in found
        ]

    def orders(self, found: Sequence[Order | LiveOrder]) -> list[Order | LiveOrder]:
        """Return the orders; those that are being processed, with their latest progress if it is known."""
        from orderctl.channels import order_progress

        processing = [order_progress(row.id) for row in found if row.order_status == OrderStatus.PROCESSING]
        said = self._ask(processing)
        return [
            LiveOrder(row, int(data["percent"]))
            if (data := said.get(order_progress(row.id))) and data["percent"] > row.progress_percentage
            else row
            for row in found
        ]

    def _ask(self, channels: Sequence[Channel]) -> dict[Channel, Data]:
        if self._away or not channels:
            return {}
        from orderctl import broker, publications

        try:
            # An embedded server that does not run has no progress to show, so it is not started.
            if (url := broker.running_url(self._app.settings)) is None:
                return {}
            with broker.hasty(url) as client:
                return publications.snapshots(client, channels)
        except OrderctlError as error:
            _log.debug("no live progress: %s", error)
            self._away = True
            return {}


def tasks(app: App, found: Sequence[Task | LiveTask]) -> list[Task | LiveTask]:
    """Return the tasks as :meth:`Live.tasks` does."""
    return Live(app).tasks(found)


def orders(app: App, found: Sequence[Order | LiveOrder]) -> list[Order | LiveOrder]:
    """Return the orders as :meth:`Live.orders` does."""
    return Live(app).orders(found)
