"""Options of commands that make an operation, or wait for one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from orderctl.cli import options
from orderctl.errors import OrderctlError

if TYPE_CHECKING:
    from orderctl.operations.rates import Rate

#: Of more tasks than this, a bulk change is an operation.
MOST_AT_ONCE: Final = 200
_MOST_CANARIES: Final = 1000


class RateType(click.ParamType[Any]):
    """A rate such as ``50/m``."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Rate:
        """Return the rate."""
        from orderctl.operations.rates import Rate

        if isinstance(value, Rate):
            return value
        try:
            return Rate.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class OperationName(click.ParamType[str]):
    """The name of a new operation."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name."""
        from orderctl.operations import making

        try:
            return making.check_name(str(value))
        except OrderctlError as error:
            self.fail(str(error), param, ctx)


@dataclass(frozen=True, slots=True)
class Manner:
    """How an operation is carried out.

    Attributes:
        operation: ``--name``: its name.
        rate: ``--rate``: its pace.
        canary: ``--canary``: how many tasks have to pass first.
        max_failures: ``--max-failures``: how many tasks may fail again after the canary.
        wait: ``--wait`` or ``--no-wait``: whether the command waits for its end; None: on a terminal. What is waited
            for is the end of the tasks, which a change at once does not see.
    """

    operation: str | None = None
    rate: Rate | None = None
    canary: int | None = None
    max_failures: int | None = None
    wait: bool | None = None

    @property
    def asked(self) -> bool:
        """Whether an operation is asked for, whatever the number of tasks is."""
        given = (self.operation, self.rate, self.canary, self.max_failures)
        return self.wait is True or any(value is not None for value in given)


_NAME: Final = click.Option(
    ["--name", "operation"], type=OperationName(), metavar="NAME", help="Make an operation of this name."
)
_RATE: Final = click.Option(
    ["--rate"],
    type=RateType(),
    metavar="N/UNIT",
    help="Make an operation with this pace: 2/s, 50/m or 600/h, evenly.",
)
_WAIT: Final = click.Option(
    ["--wait/--no-wait"],
    default=None,
    help="Make an operation and wait for its end, or do not wait for that of one; by default it is waited for on a"
    " terminal. Ctrl-C leaves it running.",
)

#: Of a change whose tasks may fail afterwards.
watched: options.Decorator[Any] = options.gathered(
    "manner",
    Manner,
    _NAME,
    _RATE,
    click.Option(
        ["--canary"],
        type=options.WholeNumber(1, _MOST_CANARIES),
        metavar="N",
        help="Make an operation whose first N tasks have to complete before the others are retried.",
    ),
    click.Option(
        ["--max-failures"],
        type=options.WholeNumber(0),
        metavar="N",
        help="Make an operation that stops when more than N tasks after the canary have failed again.",
    ),
    _WAIT,
)
#: Of one whose tasks have ended then.
paced: options.Decorator[Any] = options.gathered("manner", Manner, _NAME, _RATE, _WAIT)
