"""What happens in the run: orders, the transfers of money for them and for none, and how banks tell of them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from tests.faults.payments import banks
from tests.faults.payments.banks import Provider

#: How much of the deliveries repeat what was told before.
REPEATS = 0.3


class Kind(Enum):
    """What a transfer is to its order."""

    RIGHT = auto()  #: It has the order's amount.
    WRONG = auto()  #: It has another amount.
    STRANGE = auto()  #: It names no order, or two.
    IGNORED = auto()  #: The shop paid it, or it is a test of the bank's.


@dataclass(frozen=True)
class Ordered:
    """An order; one that is not open takes no payment."""

    code: str
    amount: int
    order_status: str = "pending"
    payment_status: str = "pending"

    @property
    def is_open(self) -> bool:
        return self.order_status != "cancelled" and self.payment_status in ("pending", "failed")


@dataclass(frozen=True)
class Told:
    """A transfer of money.

    Attributes:
        provider: Who tells of it.
        kind: What it is to the order ``code``.
        amount: In whole units.
        code: The code of its order, or what it names instead.
        number: The provider's id of it; None: it gives none.
        reference: The bank's reference, None: it has none.
        bank: The name of the bank.
        text: What the customer wrote; None: the code stands in the field for it.
    """

    provider: Provider
    kind: Kind
    amount: int
    code: str
    number: int | None
    reference: str | None
    bank: str
    text: str | None = None

    @property
    def names(self) -> list[tuple[object, ...]]:
        """By what a row of the ledger can be recognised as this transfer."""
        names: list[tuple[object, ...]] = []
        if self.number is not None:
            names.append((self.provider.value, str(self.number)))
        if self.reference is not None:
            names.append((self.provider.value, self.bank, self.reference))
        return names or [(self.provider.value, None, self.code, self.amount)]


@dataclass(frozen=True)
class Delivery:
    """A request of a bank, with all transfers that it tells of."""

    provider: Provider
    document: Any
    told: tuple[Told, ...]
    signed: bool
    by_name: bool


@dataclass
class Book:
    """All orders, transfers and deliveries of a run."""

    orders: list[Ordered] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)

    def of(self, order: Ordered) -> list[Told]:
        """Return the transfers for an order."""
        return self._by_code().get(order.code, [])

    def _by_code(self) -> dict[str, list[Told]]:
        if not hasattr(self, "_sorted"):
            self._sorted: dict[str, list[Told]] = {}
            for told in self.told:
                if told.kind in (Kind.RIGHT, Kind.WRONG):
                    self._sorted.setdefault(told.code, []).append(told)
        return self._sorted

    def must_be_paid(self, order: Ordered) -> bool:
        """Whether a transfer pays the order in the run."""
        return order.is_open and any(told.kind is Kind.RIGHT for told in self.of(order))


def write(deliveries: int, seed: int) -> Book:
    """Invent a run.

    Args:
        deliveries: The number of deliveries, repeats included.
        seed: Of what is invented.
    """
    author = _Author(random.Random(seed))
    wanted = round(deliveries * (1 - REPEATS))
    while author.size < wanted:
        author.invent()
    author.test()
    return author.close(deliveries)


class _Author:
    """Invents orders and what happens to them."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._book = Book()
        #: Transfers of Casso's that no delivery tells of yet: several are told by one.
        self._waiting: list[Told] = []
        self._number = 100_000

    @property
    def size(self) -> int:
        """How many deliveries there will be, without repeats: two transfers of Casso's are one."""
        return len(self._book.deliveries) + len(self._waiting) // 2

    def invent(self) -> None:
        """Invent an order, or something that concerns none."""
        stories, weights = zip(*_STORIES.items(), strict=True)
        [story] = self._chance.choices(stories, weights)
        story(self)

    def test(self) -> None:
        """Casso sends a test."""
        self._book.told.append(Told(Provider.CASSO, Kind.IGNORED, 599_000, "", 0, None, "ACB", "test"))
        self._deliver(self._book.told[-1])

    def close(self, deliveries: int) -> Book:
        """Add the repeats, and return the book, its deliveries in random order."""
        book, chance = self._book, self._chance
        casso = list(self._waiting)
        while self._waiting:
            count = chance.randint(1, 3)
            self._deliver(*self._waiting[:count])
            del self._waiting[:count]
        firsts = list(book.deliveries)
        while len(book.deliveries) < deliveries:
            if casso and chance.random() < 0.3:  # other transfers stand beside it this time
                self._deliver(*chance.sample(casso, min(len(casso), chance.randint(1, 4))))
            else:
                book.deliveries.append(chance.choice(firsts))
        chance.shuffle(book.deliveries)
        return book

    # --- Stories

    def paid(self) -> None:
        order = self._order()
        self._tell(self._transfer(order, Kind.RIGHT))

    def wrong(self) -> None:
        self._tell(self._transfer(self._order(), Kind.WRONG))

    def wrong_and_right(self) -> None:
        order = self._order()
        self._tell(self._transfer(order, Kind.WRONG))
        self._tell(self._transfer(order, Kind.RIGHT))

    def twice(self) -> None:
        order = self._order()
        for _ in range(2):
            self._tell(self._transfer(order, Kind.RIGHT))

    def closed(self) -> None:
        """An order that takes no payment is paid all the same."""
        statuses = [("cancelled", "pending"), ("pending", "refunded"), ("completed", "paid")]
        self._tell(self._transfer(self._order(*self._chance.choice(statuses)), Kind.RIGHT))

    def waiting(self) -> None:
        """An order is not paid, or the shop pays money back for it."""
        order = self._order()
        if self._chance.random() < 0.5:
            self._tell(self._transfer(order, Kind.IGNORED))

    def by_two_references(self) -> None:
        """A transfer is told by its id, and again with the bank's reference; or the other way round."""
        order = self._order()
        provider = self._chance.choice((Provider.SEPAY, Provider.PLAIN))
        whole = self._transfer(order, Kind.RIGHT, provider, named="both")
        self._tell(whole)
        part = "number" if self._chance.random() < 0.5 and provider is Provider.PLAIN else "reference"
        self._deliver(whole, without=part)

    def twin_references(self) -> None:
        """Two banks use the same reference."""
        reference = self._next_reference()
        for bank in self._chance.sample(banks.NAMES, 2):
            order = self._order()
            self._tell(self._transfer(order, Kind.RIGHT, Provider.PLAIN, bank=bank, reference=reference))

    def unnamed(self) -> None:
        """A transfer has neither an id nor a reference: one for each order."""
        order = self._order()
        self._tell(self._transfer(order, Kind.RIGHT, Provider.PLAIN, named="neither"))

    def strange(self) -> None:
        """A transfer names no order, or two."""
        chance = self._chance
        one, other = self._order(), self._order()
        text, field_ = chance.choice([
            (f"{one.code} va {other.code} hoc phi", None), (f"hoc phi thang {chance.randint(1, 12)}", None),
            ("ck DX0", None), (f"{chance.randint(1, 50)}", None), (None, "DX1"), (None, f"{chance.randint(1, 50)}"),
        ])  # fmt: skip
        provider = chance.choice(
            (Provider.SEPAY, Provider.PLAIN) if field_ else (Provider.SEPAY, Provider.CASSO)
        )
        number = self._next_number()
        self._tell(Told(provider, Kind.STRANGE, one.amount, field_ or "", number, f"FT{number}", "ACB", text))

    # --- Parts of stories

    def _order(self, order_status: str = "pending", payment_status: str = "pending") -> Ordered:
        # Each code is the beginning of a later one: DH1, DH10, DH100.
        number = len(self._book.orders) + 1
        amount = 100_000 + 1_000 * self._chance.randint(0, 900)
        self._book.orders.append(Ordered(f"DH{number}", amount, order_status, payment_status))
        return self._book.orders[-1]

    def _transfer(
        self,
        order: Ordered,
        kind: Kind,
        provider: Provider | None = None,
        *,
        bank: str | None = None,
        reference: str | None = None,
        named: str = "",
    ) -> Told:
        chance = self._chance
        provider = provider or chance.choice(list(Provider))
        named = "reference" if reference else named or ("both" if provider is not Provider.PLAIN else "")
        named = named or chance.choice(("both", "number", "reference"))
        number = self._next_number() if named in ("both", "number") else None
        reference = reference or (self._next_reference() if named in ("both", "reference") else None)
        amount = order.amount + chance.choice((-1_000, 1_000, 5)) * (kind is Kind.WRONG)
        in_field = provider is Provider.PLAIN or (provider is Provider.SEPAY and chance.random() < 0.5)
        text = None if in_field else chance.choice(_TEXTS)(order.code)
        bank = bank or chance.choice(banks.NAMES)
        return Told(provider, kind, amount, order.code, number, reference, bank, text)

    def _tell(self, told: Told) -> None:
        self._book.told.append(told)
        if told.provider is Provider.CASSO:
            self._waiting.append(told)
        else:
            self._deliver(told)

    def _deliver(self, *told: Told, without: str = "") -> None:
        document = banks.document(told, without=without)
        signed, by_name = self._chance.random() < 0.5, self._chance.random() < 0.5
        self._book.deliveries.append(Delivery(told[0].provider, document, told, signed, by_name))

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _next_reference(self) -> str:
        return f"FT{self._next_number()}"


#: How often each of them happens, of 100.
_STORIES = {
    _Author.paid: 52, _Author.wrong: 6, _Author.wrong_and_right: 6, _Author.twice: 6, _Author.closed: 6,
    _Author.waiting: 6, _Author.by_two_references: 5, _Author.twin_references: 3, _Author.unnamed: 4,
    _Author.strange: 6,
}  # fmt: skip
#: What customers and banks write around an order's code.
_TEXTS = (
    lambda code: code,
    lambda code: f"an ck {code.lower()} hoc phi",
    lambda code: f"MBVCB.FT.{code}.CT tu NGUYEN VAN A toi KHOA HOC",
    lambda code: f"NGUYEN VAN A chuyen tien {code[:2]} {code[2:]} hoc phi",
    lambda code: f"IBFT {code[:2]}.{code[2:]} hoc phi",
)
