"""Send mutated HTTP requests to a live relay: each is answered or its connection ends, and the next is served.

A part of ``bench/relay/fuzz.py``. An own reader judges the answers (tests/relay/wire.py). A connection that stays open has to answer one more
request, with that request's own answer. Another client checks now and then that it receives messages. At the
end the relay must not use more memory or file descriptors than before. Half of the requests go to a relay with
a token secret.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.relay import deliveries
from bench.relay.requests import REFUSED, SERVED, Case, malformed, mutated, pipelined, upgrade, well_formed
from bench.relay.servers import Bystander, Footprint, Relay, running_relay
from orderctl import embedded
from orderctl.relay import tokens
from tests.relay.wire import (
    Answer,
    Caller,
    MalformedAnswer,
    complaint_about_api,
    is_probed,
    probe,
    split,
)

SECRET = "a secret of sixty-four characters, as openssl rand -hex 32 makes one"
KINDS = [well_formed] * 4 + [pipelined] + [malformed] * 3 + [mutated] * 5 + [upgrade]
KINDS += [deliveries.delivery] * 4 + [deliveries.mutated]
#: What the payment webhook may answer besides: too many strangers, a busy database.
SERVED_TO_BANKS = SERVED | {429, 503}
#: Connections at once, and how often each of them sends.
CALLERS = 12
#: How long an answer to a mutated request may be missing before its connection is half-closed, in seconds.
QUIET = 0.05
_PING, _PONG = b"\x89\x80\0\0\0\0", b"\x8a\0"
#: For the C library of the relay: give freed memory back, so that what it occupies is what it uses.
EXACT = {"MALLOC_MMAP_THRESHOLD_": "16384", "MALLOC_TRIM_THRESHOLD_": "65536"}
#: Most examples of one kind of fault that are kept.
EXAMPLES = 3


@dataclass
class Report:
    """What was sent, and how the relay answered.

    Attributes:
        requests: Number of requests, without the probes.
        statuses: Number of answers by status.
        kept: Connections that answered one more request.
        ended: Connections that ended without an answer.
        faults: By kind, with what was sent.
        counts: How often each kind of fault occurred.
    """

    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    kept: int = 0
    ended: int = 0
    faults: dict[str, list[str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def blame(self, what: str, case: Case, detail: object = "") -> None:
        self.counts[what] += 1
        examples = self.faults.setdefault(what, [])
        if len(examples) < EXAMPLES:
            examples.append(f"{detail} after {case.data[:300]!r}")

    def __str__(self) -> str:
        lines = [
            f"{self.requests} requests; {self.kept} connections kept, {self.ended} ended without an answer"
        ]
        lines += [f"statuses {dict(sorted(self.statuses.items()))}"]
        for what, count in self.counts.most_common():
            lines += [f"FAULT {count} x {what}", *(f"    {example}" for example in self.faults[what])]
        return "\n".join(lines)


class Fault(AssertionError):
    """The relay broke a rule; the text is its kind."""


class Attacker:
    """Sends cases one after another, each on its own connection.

    Args:
        port: The relay's.
        seed: Of its choices.
        fields: Of each request, such as the token.
        report: Where it counts.
        patience: Longest wait for an answer, in seconds.
    """

    def __init__(
        self, port: int, seed: int, fields: Sequence[str], report: Report, *, patience: float = 20.0
    ) -> None:
        self.chance = random.Random(seed)
        self._port = port
        self._fields = fields
        self._report = report
        self._patience = patience

    async def attack(self) -> int:
        """Send one case and judge what comes; return the number of its requests."""
        chance = self.chance
        case = chance.choice(KINDS)(chance, self._fields)
        # Addresses of its own: a port in TIME_WAIT is free for each of them.
        address = f"127.0.{chance.randrange(1, 250)}.{chance.randrange(1, 250)}"
        caller = await Caller.connect(self._port, address=address, patience=self._patience)
        try:
            await self._send(caller, case)
            await (self._judge_loosely if case.methods is None else self._judge)(caller, case)
        except TimeoutError:
            self._report.blame("neither an answer nor the end", case)
        except MalformedAnswer as error:
            self._report.blame("a malformed answer", case, error)
        except Fault as error:
            self._report.blame(str(error), case, error.__cause__ or "")
        except asyncio.IncompleteReadError:
            self._report.blame("a WebSocket that does not answer a ping", case)
        except ConnectionError:
            self._report.ended += 1
        finally:
            await caller.close()
        self._report.requests += max(1, len(case.methods or ()))
        return max(1, len(case.methods or ()))

    async def is_served(self) -> bool:
        """Whether a good request on a new connection gets its answer."""
        caller = await Caller.connect(self._port, patience=self._patience)
        number = self.chance.randrange(10**9)
        try:
            return is_probed(await caller.ask(probe(number, *self._fields)), number)
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            return False
        finally:
            await caller.close()

    async def _send(self, caller: Caller, case: Case) -> None:
        style = self.chance.random()
        if style < 0.1 and len(case.data) < 300:
            for byte in case.data:
                if caller.writer.is_closing():
                    return
                caller.send(bytes([byte]))
                await asyncio.sleep(0)
        elif style < 0.3:
            place = self.chance.randrange(len(case.data) + 1)
            caller.send(case.data[:place])
            await asyncio.sleep(0.001)
            caller.send(case.data[place:])
        else:
            caller.send(case.data)

    async def _judge(self, caller: Caller, case: Case) -> None:
        assert case.methods is not None
        for method, path in zip(case.methods, case.paths, strict=True):
            try:
                answer = await caller.answer(to_head=method == "HEAD")
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                self._report.ended += 1
                raise Fault("no status line" if case.served else "no status line (malformed)") from error
            self._note(answer)
            self._check_api(answer, method, path)
            served = SERVED_TO_BANKS if path.startswith(deliveries.PATH) else SERVED
            if answer.status not in (served if case.served else REFUSED | served):
                raise Fault(f"status {answer.status}")
            if answer.closes:
                await self._has_ended(caller)
                if case.served and answer.status < 400:
                    raise Fault("a good request closed the connection")
                return
        await self._probe(caller)

    async def _has_ended(self, caller: Caller) -> None:
        if await caller.rest():
            raise Fault("bytes after Connection: close")

    async def _probe(self, caller: Caller) -> None:
        number = self.chance.randrange(10**9)
        try:
            answer = await caller.ask(probe(number, *self._fields))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Fault("the connection ended, and Connection: close was not said") from error
        if not is_probed(answer, number):
            raise Fault("the answer of another request") from AssertionError(str(answer)[:300])
        self._report.kept += 1

    async def _judge_loosely(self, caller: Caller, case: Case) -> None:
        """Judge bytes of which only the relay knows how many requests they are."""
        number = self.chance.randrange(10**9)
        probing = b"" if case.upgrades else probe(number, *self._fields)
        caller.send(probing)
        sent, data = case.data + probing, b""
        if case.upgrades or self.chance.random() < 0.5:
            data = await _until_quiet(caller, b"x%dx" % number)
        if data.startswith(b"HTTP/1.1 101"):
            caller.send(_PING)
            async with asyncio.timeout(self._patience):
                await caller.reader.readuntil(_PONG)
        else:
            caller.writer.write_eof()
            data += await caller.rest()
        answers, _ = split(data, heads=sent.count(b"HEAD"))
        for answer in answers:
            self._note(answer)
            busy = answer.status == 503 and b'"success":false' in answer.body
            if answer.status >= 500 and answer.status not in {501, 505} and not busy:
                raise Fault(f"status {answer.status}")
        if any(answer.closes for answer in answers[:-1]):
            raise Fault("bytes after Connection: close")
        if len(answers) > sent.count(b"HTTP/") + 1:
            raise Fault("more answers than requests")
        self._report.ended += not answers
        self._report.kept += bool(answers) and answers[-1].status == 400 and is_probed(answers[-1], number)

    def _note(self, answer: Answer) -> None:
        self._report.statuses[answer.status] += 1

    def _check_api(self, answer: Answer, method: str, path: str) -> None:
        if path.startswith("/api/") and method != "HEAD":
            complaint = complaint_about_api(answer, path.partition("?")[0])
            if complaint:
                raise Fault("an error below /api/ without its data") from AssertionError(complaint[:300])


async def _until_quiet(caller: Caller, mark: bytes) -> bytes:
    data = b""
    try:
        while mark not in data:
            async with asyncio.timeout(QUIET):
                more = await caller.reader.read(65_536)
            if not more:
                break
            data += more
    except (TimeoutError, ConnectionError):
        pass
    return data


async def storm(
    port: int, count: int, seed: int, *, fields: Sequence[str] = (), bystander: Bystander | None = None
) -> Report:
    """Send ``count`` requests over :data:`CALLERS` connections at once; each tenth time, look after the others."""
    report = Report()

    async def call(attacker: Attacker) -> None:
        while report.requests < count:
            await attacker.attack()
            if attacker.chance.random() < 0.1 and not await attacker.is_served():
                report.blame("a good request on a new connection is not served", Case(b"", None))

    async def look() -> None:
        while bystander is not None:
            await bystander.check()
            await asyncio.sleep(0.2)

    looking = asyncio.create_task(look())
    async with asyncio.TaskGroup() as group:
        for number in range(CALLERS):
            group.create_task(call(Attacker(port, seed + number, fields, report)))
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=not looking.done())
    return report


async def fuzz(count: int, seed: int, secret: str | None) -> bool:
    """Send ``count`` requests to a relay of its own; return whether it stood them."""
    env, fields, token = dict(EXACT), [], None
    if secret:
        token = tokens.mint(secret, scopes=["admin"], subject="fuzz", issued=int(time.time()), ttl=86_400)
        env["ORDERCTL_RELAY_TOKEN_SECRET"], fields = secret, [f"Authorization: Bearer {token}"]
    env |= {f"ORDERCTL_{name.upper()}": value for name, value in deliveries.SETTINGS.items()}
    arguments = ("--max-connections-per-address", "0", "--accept-payments")
    with running_relay(*arguments, migrate=True, **env) as relay:
        async with await Bystander.connect(relay, token) as bystander:
            await storm(relay.port, 2000, seed - CALLERS, fields=fields, bystander=bystander)  # warm
            before, began = await settled(relay), time.monotonic()
            report = await storm(relay.port, count, seed, fields=fields, bystander=bystander)
            took = time.monotonic() - began
            after = await settled(relay)
        said = relay.stop()
        written, forged = deliveries.ledger(embedded.database_url(relay.said.parent))
    print(f"{written} transfers in the ledger, {forged} of strangers")
    print(f"{'with' if secret else 'without'} a secret, seed {seed}, {took:.0f} s: {report}")
    print(f"before {before}\nafter  {after}\n{bystander.said} messages reached the bystander")
    good = (
        not report.counts
        and written > 0 == forged
        and after.sockets
        <= before.sockets + 2  # files: each thread of the API opens the database when it is needed
        and after.rss_kib < before.rss_kib * 1.2 + 4096
        and not set(said.split()) & {"ERROR", "Traceback", "exit"}
    )
    print("ok" if good else f"NOT OK {said[-3000:]}")
    return good


async def settled(relay: Relay) -> Footprint:
    """Return the relay's footprint when it has noticed that the clients are gone."""
    await asyncio.sleep(4)
    return relay.footprint()
