"""Which field a column is, by its name: Vietnamese with or without diacritics, English, German, and JSON's."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final, NamedTuple

from orderctl.payments.statements.options import Field

#: Longer cells are not names of columns.
_MOST: Final = 120
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_OTHERS: Final = re.compile(r"[\W_]+")
#: What stands between two names of one column.
_BETWEEN: Final = re.compile(r"[\n\r/|()\[\];:,]+|\s-\s")
_CURRENCIES: Final = frozenset(
    ["vnd", "usd", "eur", "jpy", "krw", "gbp", "sgd", "aud", "cad", "chf", "cny", "hkd", "thb"]
)
#: The synonyms of each field, the best first. Those in one line are equally good.
_NAMES: Final = {
    Field.DATE: """
ngay giao dich|ngay gd|ngay gio giao dich|ngay gio gd|ngay gio|transaction date|transaction date time|transaction datetime|trans date|tran date|txn date|tnx date|date time|datetime|date of transaction|transaction date and time|transaction on|happened at|when|ngay thuc hien|ngay phat sinh|ngay ps
ngay hach toan|ngay ghi so|ngay but toan|ngay chung tu|booking date|posting date|posted date|post date|entry date|accounting date|buchungstag|buchungsdatum
ngay|date|day|datum
ngay hieu luc|ngay hl|ngay gia tri|value date|effective date|valuta|valutadatum|wertstellung
told_at
""",
    Field.TIME: """
thoi gian giao dich|thoi gian gd|gio giao dich|gio gd|transaction time|trans time|txn time
thoi gian|gio|time|uhrzeit
""",
    Field.CREDIT: """
ghi co|so tien ghi co|phat sinh co|so phat sinh co|ps co|so tien co|co|so tien vao|tien vao|thu|gui vao|so tien gui|credit|credits|credit amount|amount credit|amount credited|amount in|money in|paid in|deposit|deposits|deposit amount|incoming|received|amount received|haben|gutschrift|eingang|zugang
in
""",
    Field.DEBIT: """
ghi no|so tien ghi no|phat sinh no|so phat sinh no|ps no|so tien no|no|so tien ra|tien ra|chi|rut ra|so tien rut|debit|debits|debit amount|amount debit|amount debited|amount out|money out|paid out|withdrawal|withdrawals|withdrawal amount|outgoing|soll|belastung|ausgang|abgang
out
""",
    Field.AMOUNT: """
so tien|so tien giao dich|so tien gd|gia tri giao dich|amount|transaction amount|trans amount|txn amount|transfer amount|betrag
phat sinh|so phat sinh|so tien phat sinh|gia tri|value|umsatz
""",
    Field.DIRECTION: """
direction|transfer type|d c|c d|dr cr|cr dr|dc|drcr|crdr|debit credit|credit debit|debit credit indicator|credit debit indicator|dr cr indicator|in out|no co|co no|ghi no ghi co|ghi co ghi no|thu chi|vao ra|dau|sign|soll haben|s h|chieu|chieu giao dich|huong|huong giao dich
type|transaction type|trans type|txn type|loai|loai giao dich|loai gd|kind|art
""",
    Field.CONTENT: """
noi dung giao dich|noi dung gd|noi dung chuyen khoan|noi dung chuyen tien|transaction content
noi dung|noi dung chi tiet|content
dien giai|dien giai giao dich|mo ta|mo ta giao dich|description|transaction description|verwendungszweck
chi tiet giao dich|chi tiet|details|transaction details|transaction detail|detail|thong tin giao dich
remark|remarks|transaction remarks|narrative|narration|particulars|purpose|payment details
buchungstext|memo|message|note|notes|ghi chu
""",
    Field.CODE: """
code|order code|ma don hang|ma don|so don hang|ma thanh toan|payment code
""",
    Field.REFERENCE: """
so tham chieu|ma tham chieu|tham chieu|so ref|reference|reference no|reference number|reference code|reference id|ref|ref no|ref number|ref code|transaction reference|transaction reference number|transaction ref|trans ref|txn ref|bank reference|ft|so ft|ma ft|ft number|ft no|tid|referenz|referenznummer
ma giao dich|ma gd|so giao dich|so gd|id giao dich|transaction id|transaction no|transaction number|trans id|trans no|tran id|tran no|txn id|txn no|tnx id|bank transaction id|utr|trace|trace no|so trace
so but toan|ma but toan|but toan|so chung tu|so ct|so hieu chung tu|document no|document number|doc no|voucher no|journal no|entry no|belegnummer
""",
    Field.ID: """
provider id|entry id|record id
id
""",
    Field.ACCOUNT: """
so tai khoan|so tk|tai khoan|stk|account number|account no|account|acc no|konto|kontonummer|iban
sub account|sub acc id|bank sub acc id|virtual account|tai khoan ao
""",
    Field.BANK: """
ngan hang|ten ngan hang|bank|bank name|bank brand name|gateway
bank abbreviation
""",
    Field.CURRENCY: """
loai tien|loai tien te|tien te|don vi tien te|currency|currency code|ccy|curr|wahrung
""",
    Field.BALANCE: """
so du|so du sau giao dich|so du sau gd|so du luy ke|balance|running balance|balance after|account balance|ledger balance|accumulated|cusum balance|saldo|kontostand
so du cuoi|so du hien tai|so du kha dung|so du tai khoan|available balance|closing balance
""",
}
_KNOWN: Final = {
    name: (field, tier)
    for field, tiers in _NAMES.items()
    for tier, line in enumerate(tiers.strip().splitlines())
    for name in line.replace("_", " ").split("|")
}
#: The tier of directions whose column may have other kinds of words, too, such as Type.
SOFT: Final = 1


class Meaning(NamedTuple):
    """What a column's name says: its field, how good the synonym is (0 is best), and the currency beside it."""

    field: Field
    tier: int
    currency: str | None = None


def normal(text: str) -> str:
    """Return a name for comparison: in lower case, without diacritics and punctuation, words apart by one blank."""
    apart = _HUMP.sub(" ", text)
    folded = unicodedata.normalize("NFKD", apart.casefold()).replace("\u0111", "d")
    bare = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return _OTHERS.sub(" ", bare).strip()


@lru_cache(maxsize=4096)
def meaning(name: str) -> Meaning | None:
    """Return what a column's name says; None for a name that is unknown.

    ``No`` alone is taken for the number of a line, unless it is written with its diacritic.
    """
    if len(name) > _MOST:
        return None
    whole = normal(name)
    if not whole:
        return (
            Meaning(Field.DIRECTION, 0)
            if set(name.split()) and set("".join(name.split())) <= set("+-/")
            else None
        )
    if whole == "no" and "\u1ee3" not in unicodedata.normalize("NFC", name.casefold()):
        return None
    if found := _KNOWN.get(whole):
        return Meaning(*found)
    return _of_words(whole.split()) or _of_parts([part for part in map(normal, _BETWEEN.split(name)) if part])


def _of_parts(parts: list[str]) -> Meaning | None:
    """Return what several names of one column say together: ``Ngay giao dich / Transaction Date (local)``."""
    currency = next((part.upper() for part in parts if part in _CURRENCIES), None)
    found = [meant for part in parts if (meant := _KNOWN.get(part) or _plain(part))]
    fields = {field for field, _ in found}
    if fields == {Field.DATE, Field.REFERENCE}:  # Vietcombank's "Ng\xe0y giao d\u1ecbch, S\u1ed1 CT"
        return Meaning(Field.DATE, min(tier for field, tier in found if field == Field.DATE))
    return Meaning(fields.pop(), min(tier for _, tier in found), currency) if len(fields) == 1 else None


def _plain(part: str) -> tuple[Field, int] | None:
    """Return what a name says whose two languages or currency stand side by side."""
    meant = _of_words(part.split())
    return None if meant is None else (meant.field, meant.tier)


def _of_words(words: list[str]) -> Meaning | None:
    if len(words) > 1 and (words[-1] in _CURRENCIES) and (known := _KNOWN.get(" ".join(words[:-1]))):
        return Meaning(*known, words[-1].upper())
    for cut in range(1, len(words)):
        one, other = _KNOWN.get(" ".join(words[:cut])), _KNOWN.get(" ".join(words[cut:]))
        if one and other and one[0] == other[0]:
            return Meaning(one[0], min(one[1], other[1]))
    return None


def meanings(names: list[str]) -> list[Meaning | None]:
    """Return what each column's name of a header says."""
    found = [meaning(name) for name in names]
    plain = [normal(name) for name in names]
    if "co" in plain and "no" in plain:  # Nợ and Có without diacritics
        found[plain.index("no")] = Meaning(Field.DEBIT, 0)
    if (
        "provider id" in plain and "id" in plain
    ):  # orderctl's own list of payments: id is the row of its ledger
        found[plain.index("id")] = None
    return found
