"""The relays: whether those that report themselves answer as all their clients ask, and how many connections they have."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

from orderctl import __version__, broker, clock, relay_signs, texts
from orderctl.counting import counted
from orderctl.deadlines import Begun
from orderctl.doctor import redis_repairs, relay_probe
from orderctl.doctor.ahead import Peers
from orderctl.doctor.checks import Area, Check, Verdict
from orderctl.doctor.relay_probe import Answer, Place, Way
from orderctl.doctor.surroundings import Surroundings
from orderctl.errors import ExitStatus, OrderctlError
from orderctl.relay import access
from orderctl.relay_signs import RelaySign
from orderctl.settings import Settings

_AREA: Final = Area.RELAY
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104
#: Relays that are asked at most.
_MOST_ASKED: Final = 20
#: A leak: twice as many connections as an hour ago, at least so many more, and never fewer in between.
_LEAK_FACTOR: Final = 2
_LEAK_MORE: Final = 50
_LEAK_SAMPLES: Final = 4
_NEARLY: Final = 0.9
#: Seconds by which the clock of a relay's machine may differ; a sign is at most 16 s old.
_SKEW: Final = 20
_START: Final = "orderctl relay start"
_NAMES: Final = {Way.HTTP: "HTTP (/healthz)", Way.PLAIN: "plain (/ws)", Way.SOCKETIO: "Socket.IO"}


@dataclass(frozen=True, slots=True)
class Look:
    """What was found of the relays.

    Attributes:
        here: The name of this machine.
        signs: The relays that report themselves.
        lost: Those that reported themselves in the last day, and when at last; only where no other one does now.
        unread: Why their signs cannot be read; None where they were.
        configured: Where the settings say that one listens.
        answers: What each has answered that can be reached from here.
    """

    here: str
    signs: Sequence[RelaySign] = ()
    lost: Sequence[tuple[str, datetime]] = ()
    unread: OrderctlError | None = None
    configured: Place | None = None
    answers: dict[Place, dict[Way, Answer]] = field(default_factory=dict)


def look(peers: Peers) -> Look:
    """Read the signs of the relays, and ask each of them, and the one of the settings, at the same time."""
    here = relay_signs.this_host()
    where = peers.settings.relay
    configured = None if where.port == 0 else Place(_reachable(where.host.strip("[]")), where.port)
    first = None if configured is None else Begun(lambda: relay_probe.ask(configured, peers.patience))
    signs, lost, unread = _signs(peers.settings)
    places = {place for sign in signs[:_MOST_ASKED] if (place := place_of(sign, here)) is not None}
    asked = {
        place: Begun(lambda place=place: relay_probe.ask(place, peers.patience))  # type: ignore[misc]
        for place in sorted(places - {configured}, key=str)
    }
    if configured is not None and first is not None:
        asked[configured] = first
    answers = {place: one.result(peers.longest) for place, one in asked.items()}
    return Look(here, signs, lost, unread, configured, answers)


def _signs(
    settings: Settings,
) -> tuple[list[RelaySign], list[tuple[str, datetime]], OrderctlError | None]:
    try:
        url = broker.running_url(settings)
        if url is None:
            return [], [], None
        with broker.brisk(url) as client:
            signs = relay_signs.find_all(client)
            return signs, [] if signs else relay_signs.find_lost(client, frozenset()), None
    except OrderctlError as error:
        return [], [], error


def place_of(sign: RelaySign, here: str) -> Place | None:
    """Return where a relay can be reached from this machine; None if it listens on another one for that one only."""
    if sign.host == here:
        return Place(_reachable(sign.address), sign.port)
    if access.is_loopback(sign.address):
        return None
    return Place(sign.host if sign.address in _EVERYWHERE else sign.address, sign.port)


def _reachable(host: str) -> str:
    return _EVERYWHERE.get(host, host)


def examine(around: Surroundings, found: Look) -> Iterator[Check]:
    """Say what was found of the relays.

    Args:
        around: The settings.
        found: From :func:`look`.
    """
    if found.unread is not None:
        why = f"which relays are running is not known: {found.unread}"
        yield Check(_AREA, "announced", Verdict.SKIPPED, why)
    if found.lost:
        yield _lost(found.lost)
    for sign in found.signs:
        yield from _of_sign(sign, found, around.settings)
    yield from _of_settings(found, around.settings)
    yield from _together(found.signs)


def _lost(lost: Sequence[tuple[str, datetime]]) -> Check:
    name, seen = lost[0]
    shown = f"{texts.legible(name, 80)}, last seen at {clock.second(seen)}"
    return Check(
        _AREA,
        "announced",
        Verdict.FAULT,
        f"{relay_signs.said_of_lost(len(lost))}: {shown}",
        _START,
        "A relay that is stopped takes its name away; one that was killed is remembered for a day, or until"
        " another one runs.",
        value=len(lost),
        unit="relays",
    )


def _of_sign(sign: RelaySign, found: Look, settings: Settings) -> Iterator[Check]:
    name = f"relay {sign.host} process {sign.pid}"
    place = place_of(sign, found.here)
    answers = None if place is None else found.answers.get(place)
    if place is None or answers is None:
        yield Check(
            _AREA,
            "answers",
            Verdict.SKIPPED,
            f"{name} listens on {sign.address} port {sign.port} of that machine only; it reports itself",
            f"ssh {shlex.quote(sign.host)} orderctl relay probe --port {sign.port}",
        )
    else:
        check = _answers(name, place, answers, is_here=sign.host == found.here)
        yield check
        if check.verdict is Verdict.FAULT and not any(answer.connected for answer in answers.values()):
            return  # it was killed: what its last sign says is over
    yield _connections(name, sign, settings, is_here=sign.host == found.here)
    yield from _oddities(name, sign)


def _answers(name: str, place: Place, answers: dict[Way, Answer], *, is_here: bool) -> Check:
    wrong = {way: answer for way, answer in answers.items() if not answer.well}
    if not wrong:
        return Check(
            _AREA, "answers", Verdict.WELL, f"{name} answers at {place} over HTTP, plain and as Socket.IO"
        )
    if not any(answer.connected for answer in answers.values()):
        reason = answers[Way.HTTP].error
        if is_here:
            return _fault(f"{name} reports itself, but nothing answers at {place}: {reason}")
        text = f"{name} cannot be reached from here at {place}: {reason}; it reports itself"
        return Check(_AREA, "answers", Verdict.NOTE, text)
    return _fault(f"{name} at {place}: {_said(wrong)}")


def _said(wrong: dict[Way, Answer]) -> str:
    return "; ".join(f"{_NAMES[way]}: {answer.error}" for way, answer in wrong.items())


def _fault(text: str) -> Check:
    return Check(
        _AREA,
        "answers",
        Verdict.FAULT,
        text,
        "systemctl restart orderctl-relay",
        "Its log says more: journalctl -u orderctl-relay. /healthz answers 503 while a relay cannot reach Redis.",
    )


def _connections(name: str, sign: RelaySign, settings: Settings, *, is_here: bool) -> Check:
    text = (
        f"{name} has {counted(sign.connections, 'connection')}, {counted(sign.subscriptions, 'subscription')}"
    )
    before = sign.hour_ago
    text += f"; {before.connections:,} connections an hour ago" if before is not None else ""
    most = settings.relay.max_connections
    if before is not None and is_leaking(sign):
        return Check(
            _AREA,
            "connections",
            Verdict.WARNING,
            f"{text}: they grow without ever falling",
            f"ss -tn state established '( sport = :{sign.port} )'",
            "If no more people look: clients that connect again without closing, or a proxy that keeps connections.",
            value=sign.connections,
            unit="connections",
        )
    if is_here and sign.connections >= _NEARLY * most:
        return Check(
            _AREA,
            "connections",
            Verdict.WARNING,
            f"{text}: of at most {most:,}",
            f"export ORDERCTL_RELAY_MAX_CONNECTIONS={2 * most}",
            "Then start it again; or start a further relay: docs/relay.md, Several relays on one port.",
            value=sign.connections,
            unit="connections",
        )
    return Check(_AREA, "connections", Verdict.WELL, text, value=sign.connections, unit="connections")


def is_leaking(sign: RelaySign) -> bool:
    """Whether the connections of a relay have doubled in an hour, and never fell in between."""
    before = sign.hour_ago
    if before is None:
        return False
    since = [sample.connections for sample in sign.samples if sample.at >= before.at]
    course = [*since, sign.connections]
    grows = all(earlier <= later for earlier, later in pairwise(course))
    enough = len(since) >= _LEAK_SAMPLES and sign.connections - before.connections >= _LEAK_MORE
    return enough and grows and sign.connections >= _LEAK_FACTOR * before.connections


def _oddities(name: str, sign: RelaySign) -> Iterator[Check]:
    if sign.version != __version__:
        text = f"{name} runs orderctl {sign.version}; this is {__version__}"
        yield Check(
            _AREA, "version", Verdict.NOTE, text, "systemctl restart orderctl-relay", value=sign.version
        )
    skew = (datetime.now(UTC) - sign.seen).total_seconds()
    if abs(skew) > _SKEW:
        yield Check(
            _AREA,
            "clock-skew",
            Verdict.WARNING,
            f"the clocks of {sign.host} and of this machine differ by {abs(skew):.0f} s",
            "timedatectl set-ntp true",
            "On the machine whose clock is wrong: tokens expire by it.",
            value=round(skew),
            unit="s",
        )


def _of_settings(found: Look, settings: Settings) -> Iterator[Check]:
    """Say of the relay that the settings name, if it does not report itself."""
    place = found.configured
    if place is None or place in {place_of(sign, found.here) for sign in found.signs}:
        return
    answers = found.answers[place]
    if any(answer.well for answer in answers.values()):
        yield from _unannounced(found, place, answers, settings)
    elif any(answer.connected for answer in answers.values()):
        yield Check(
            _AREA,
            "answers",
            Verdict.FAULT,
            f"what listens at {place} (relay.host, relay.port) does not answer as a relay: {_said(answers)}",
            f"ss -ltnp '( sport = :{place.port} )'",
            "Give the relay another port, or end what has this one.",
        )
    elif found.unread is not None:
        text = f"nothing listens at {place}; whether a relay runs elsewhere is not known"
        yield Check(_AREA, "answers", Verdict.SKIPPED, text)
    elif not found.signs and not found.lost:
        yield _none(place, settings)


def _unannounced(
    found: Look, place: Place, answers: dict[Way, Answer], settings: Settings
) -> Iterator[Check]:
    yield _answers("the relay", place, answers, is_here=True)
    if found.unread is None:
        yield Check(
            _AREA,
            "announced",
            Verdict.WARNING,
            f"the relay at {place} does not report itself in this Redis",
            redis_repairs.grant(
                settings,
                f"~{settings.redis.prefix}orderctl:relay:sign*",
                "+zadd",
                "+zrem",
                "+zremrangebyscore",
            ),
            "If its log says that Redis refuses the sign, its account needs this right (the command names yours). Else it"
            " is of an earlier version, or uses another Redis or prefix, and its dashboards see nothing of this shop.",
        )


def _none(place: Place, settings: Settings) -> Check:
    wanted = any(key.startswith("relay.") for key in settings.origins_of)
    text = f"no relay is running: nothing listens at {place}, and none reports itself"
    return Check(
        _AREA,
        "answers",
        Verdict.FAULT if wanted else Verdict.NOTE,
        text,
        _START,
        "Dashboards see nothing live without one."
        + (" The settings have a section relay." if wanted else ""),
        exit_status=ExitStatus.FAILED,
    )


def _together(signs: Iterable[RelaySign]) -> Iterator[Check]:
    found = list(signs)
    open_ = [sign for sign in found if not sign.secure]
    if open_ and len(open_) < len(found):
        yield Check(
            _AREA,
            "tokens",
            Verdict.WARNING,
            f"{len(open_)} of {counted(len(found), 'relay')} take clients without a token, such as that of"
            f" {open_[0].host} port {open_[0].port}",
            'export ORDERCTL_RELAY_TOKEN_SECRET="$(openssl rand -hex 32)"',
            "All relays of a shop need the same relay.token_secret.",
            value=len(open_),
            unit="relays",
        )
