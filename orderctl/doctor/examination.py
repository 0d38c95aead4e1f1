"""All checks, in order: each is made if the stores that it needs are there, and one that fails does not end the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import redis
from sqlalchemy.exc import DBAPIError

from orderctl import broker, database_errors, masking, texts
from orderctl.deadlines import Begun
from orderctl.doctor import (
    account,
    audit_log,
    configuration,
    download_folder,
    file,
    mail_server,
    order_findings,
    pubsub,
    reachability,
    receivers,
    redis_disk,
    redis_server,
    relays,
    server,
    tables,
    unsent,
    work,
)
from orderctl.doctor.ahead import Peers
from orderctl.doctor.checks import Area, Check, Verdict, with_file
from orderctl.doctor.surroundings import Need, Surroundings
from orderctl.errors import ExitStatus, NotMigrated, OrderctlError

_log = logging.getLogger(__name__)

#: Takes the surroundings, and what the look ahead has returned, if there is one.
Make = Callable[..., Iterator[Check]]

#: The most important one counts: what is down or not set up hides everything behind it.
_BY_WEIGHT: Final = (ExitStatus.UNAVAILABLE, ExitStatus.CONFIGURATION, ExitStatus.FAILED)


@dataclass(frozen=True, slots=True)
class Examination:
    """A function that makes checks of one area.

    Attributes:
        area: The area of all checks that it makes.
        make: Makes them, one by one. What it raises ends only this function.
        needs: What has to be there, so that it is called.
        ahead: What it looks at and may take long: :func:`begin` begins with it. ``make`` gets what it returns.
    """

    area: Area
    make: Make
    needs: tuple[Need, ...] = ()
    ahead: Callable[[Peers], Any] | None = None


#: All examinations. Those of one area stand together, and the areas in the order of :class:`Area`.
EXAMINATIONS: Final[tuple[Examination, ...]] = (
    Examination(Area.SETTINGS, configuration.examine),
    Examination(Area.DATABASE, reachability.of_database),
    Examination(Area.DATABASE, server.examine, (Need.DATABASE,)),
    Examination(Area.DATABASE, server.settings, (Need.DATABASE,)),
    Examination(Area.DATABASE, account.examine, (Need.DATABASE,)),
    Examination(Area.DATABASE, file.examine, (Need.DATABASE,)),
    Examination(Area.DATABASE, tables.examine, (Need.DATABASE,)),
    Examination(Area.DATABASE, tables.times, (Need.TABLES,)),
    Examination(Area.REDIS, reachability.of_redis),
    Examination(Area.REDIS, redis_disk.examine_refusal),
    Examination(Area.REDIS, redis_server.examine, (Need.REDIS,)),
    Examination(Area.REDIS, redis_server.examine_clock, (Need.REDIS,)),
    Examination(Area.REDIS, redis_server.examine_rights, (Need.REDIS,)),
    Examination(Area.CHANNELS, pubsub.examine, (Need.REDIS,), pubsub.listen),
    Examination(Area.CHANNELS, pubsub.examine_round_trip, (Need.REDIS,)),
    Examination(Area.WORKERS, work.leases, (Need.TABLES,)),
    Examination(Area.WORKERS, work.fleet_of, (Need.TABLES, Need.REDIS_OR_IDLE)),
    Examination(Area.ORDERS, order_findings.examine, (Need.TABLES,)),
    Examination(Area.AUDIT, audit_log.examine, (Need.TABLES,)),
    Examination(Area.RELAY, relays.examine, ahead=relays.look),
    Examination(Area.MAIL, mail_server.examine, ahead=mail_server.look),
    Examination(Area.MAIL, unsent.examine_mails, (Need.TABLES,)),
    Examination(Area.WEBHOOKS, receivers.examine, ahead=receivers.look),
    Examination(Area.WEBHOOKS, unsent.examine_webhooks, (Need.TABLES,)),
    Examination(Area.DOWNLOADS, download_folder.examine, ahead=download_folder.look),
)

#: The looks that have begun, by their examinations.
Begins = Mapping[Examination, Callable[[], Any]]


def begin(
    peers: Peers,
    areas: Collection[Area] = tuple(Area),
    examinations: Collection[Examination] = EXAMINATIONS,
) -> Begins:
    """Begin with all that may take long, each beside the others: call it before the stores are opened.

    Args:
        peers: What is asked, and for how long.
        areas: Only for checks of these areas.
        examinations: Which there are.
    """
    return {
        one: partial(Begun(partial(one.ahead, peers)).result, peers.longest)
        for one in examinations
        if one.ahead is not None and one.area in areas
    }


def run(
    around: Surroundings,
    areas: Collection[Area] = tuple(Area),
    examinations: Collection[Examination] = EXAMINATIONS,
    begun: Begins | None = None,
) -> Iterator[Check]:
    """Make the checks, one by one.

    Args:
        around: What they look at.
        areas: Only checks of these areas.
        examinations: Which there are.
        begun: From :func:`begin`; None: it is called now.
    """
    if begun is None:
        begun = begin(Peers(around.settings, around.patience), areas, examinations)
    told: set[object] = set()
    for one in examinations:
        if one.area not in areas:
            continue
        need = next((need for need in one.needs if around.lacking(need) is not None), None)
        if need is None:
            yield from _made(one, around, begun)
            continue
        skipped = _skipped(one.area, around, need)
        for check in (*_behind(around, need, areas), *([] if _is_told(one.area, around) else [skipped])):
            if check not in told:
                told.add(check)
                yield check


def _skipped(area: Area, around: Surroundings, need: Need) -> Check:
    lack = around.lacking(need)
    why, repair = (lack.why, lack.repair) if lack is not None else ("", None)
    return Check(area, "examined", Verdict.SKIPPED, f"not looked at: {why}", repair)


def _behind(around: Surroundings, need: Need, areas: Collection[Area]) -> Iterator[Check]:
    """Yield the fault behind what is skipped, if the area that says it is not among those that were asked for."""
    if need in {Need.REDIS, Need.REDIS_OR_IDLE}:
        if Area.REDIS not in areas and around.redis.fault is not None:
            yield from reachability.of_redis(around)
    elif Area.DATABASE not in areas:
        if around.database.fault is not None:
            yield from reachability.of_database(around)
        elif around.unreadable is not None and around.grant(around.unreadable) is None:
            yield _unfinished(around, Area.DATABASE, around.unreadable)


def _is_told(area: Area, around: Surroundings) -> bool:
    """Whether the check "reachable" or "migrated" of this area says it already."""
    if area is Area.DATABASE and isinstance(around.unreadable, NotMigrated):
        return True
    own = {Area.DATABASE: Need.DATABASE, Area.REDIS: Need.REDIS}.get(area)
    return own is not None and around.lacking(own) is not None


def _made(one: Examination, around: Surroundings, begun: Begins) -> Iterator[Check]:
    try:
        made = one.make(around) if one.ahead is None else one.make(around, begun[one]())
        yield from map(with_file, made)
    except TimeoutError as error:
        yield Check(one.area, "examined", Verdict.SKIPPED, f"not looked at: {error}")
    except OrderctlError as error:
        yield _unfinished(around, one.area, error)
    except DBAPIError as error:  # outside of `database.reading`
        translated = database_errors.translate(error)
        if isinstance(translated, OrderctlError):
            translated.__cause__ = error
            yield _unfinished(around, one.area, translated)
        else:
            yield _broken(one.area, error)
    except redis.RedisError as error:
        yield _unfinished(around, one.area, broker.translate(error))
    except Exception as error:  # noqa: BLE001 - who is on call needs the other checks
        _log.debug("the checks of %s have ended early", one.area, exc_info=True)
        yield _broken(one.area, error)


def _broken(area: Area, error: Exception) -> Check:
    """Return the check that says that an examination has a fault of its own."""
    text = f"looking at it failed: {type(error).__name__}: {error}"
    return Check(
        area,
        "examined",
        Verdict.FAULT,
        texts.legible(masking.foreign(text), 300),
        explanation="This is a fault of orderctl's: please report it; ORDERCTL_DEBUG=1 shows the traceback.",
    )


def _unfinished(around: Surroundings, area: Area, error: OrderctlError) -> Check:
    """Return the check that says why an examination has ended early."""
    granting = around.grant(error)
    if granting is not None:
        return Check(area, "examined", Verdict.SKIPPED, f"not looked at: {error}", granting)
    status = error.exit_status if error.exit_status in _BY_WEIGHT else ExitStatus.FAILED
    return Check(area, "examined", Verdict.FAULT, str(error), error.hint, exit_status=status)


def without_settings(error: OrderctlError, areas: Collection[Area] = tuple(Area)) -> Iterator[Check]:
    """Yield the checks where the settings cannot be read, so that nothing else can be looked at.

    Args:
        error: Why they cannot be read.
        areas: Only checks of these areas, beside that of the settings.
    """
    yield Check(
        Area.SETTINGS, "valid", Verdict.FAULT, str(error), error.hint, exit_status=ExitStatus.CONFIGURATION
    )
    for area in Area:
        if area in areas and area is not Area.SETTINGS:
            yield Check(area, "examined", Verdict.SKIPPED, "not looked at: the settings cannot be read")


def status(faults: Collection[Check]) -> ExitStatus:
    """Return the exit code: the weightiest of the faults'; 0 without one, whatever else was found."""
    found = {check.exit_status for check in faults if check.verdict is Verdict.FAULT}
    return next((status for status in _BY_WEIGHT if status in found), ExitStatus.DONE)
