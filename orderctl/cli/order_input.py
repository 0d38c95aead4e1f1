"""Reads orders and payments from options and JSON documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TextIO

from orderctl import documents, masking, money, texts
from orderctl.errors import InvalidInput

if TYPE_CHECKING:
    from orderctl.orders import NewCourse, NewOrder
    from orderctl.payments.providers.protocol import Provider
    from orderctl.payments.transfer import Transfer
    from orderctl.settings import Settings

#: More than any shop adds at once; a device such as /dev/zero never ends.
_MOST_CHARACTERS = 16_000_000
#: Characters of a bank's name and of a transaction's id.
_MOST_TEXT = 120
_SHAPE = '{"order_code": "DH1", "user_email": "a@b.c", "total_amount": 300000, "courses": ["https://..."]}'


def check_alone(document: TextIO | None, **options: object) -> None:
    """Check that no option describes an order or a payment that a document describes already.

    Args:
        document: The file of ``--json``, or None.
        options: The values of the options, by name; None or empty if not given.

    Raises:
        InvalidInput: When a document and an option are given.
    """
    given = [name for name, value in options.items() if value]
    if document and given:
        raise InvalidInput(
            f"--json and {', '.join(given)} were given", hint="give either the file or the options"
        )


def one_order(
    code: str | None, email: str | None, amount: Decimal | None, courses: Sequence[str]
) -> NewOrder:
    """Return the order that the options describe.

    Raises:
        InvalidInput: When an option is missing.
    """
    from orderctl.orders import NewCourse, NewOrder

    given = {"--code": code, "--email": email, "--amount": amount, "--course": courses or None}
    missing = [name for name, value in given.items() if value is None]
    if code is None or email is None or amount is None or missing:
        raise InvalidInput(
            f"missing: {', '.join(missing)}", hint="add the options, or give --json FILE instead"
        )
    return NewOrder(code, email, amount, [NewCourse(url) for url in courses])


def check_urls(orders: Sequence[NewOrder], settings: Settings) -> list[str]:
    """Check the courses' URLs, where the http handler is to download them.

    Args:
        orders: The orders to be added.
        settings: Say which handler downloads, and whether from private networks.

    Returns:
        A warning for each host that will be refused.

    Raises:
        InvalidInput: When a URL leads nowhere, such as ``http://``.
    """
    from orderctl.downloads import addresses, urls
    from orderctl.downloads.errors import UrlRefused

    if settings.worker.handler != "http":
        return []
    hosts: dict[str, None] = {}
    for course in (course for order in orders for course in order.courses):
        try:
            hosts[urls.parse(course.url).host] = None
        except UrlRefused as error:
            raise InvalidInput(
                f"{texts.shown(masking.url(course.url))} is not a valid course URL: {error}"
            ) from None
    if settings.download.allow_private_hosts:
        return []
    return [
        f"{host} is not a public address, so workers will refuse to download from it; {addresses.HINT}"
        for host in hosts
        if addresses.private_literal(host)
    ]


def read_orders(document: TextIO) -> list[NewOrder]:
    """Return the orders in a JSON document, which contains one object or a list of objects.

    Raises:
        InvalidInput: When the document contains something else.
    """
    found = _parse(document)
    items = found if isinstance(found, list) else [found]
    if not items:
        raise InvalidInput("the document contains no orders")
    return [_order(item) for item in items]


def one_payment(
    code: str | None, amount: Decimal | None, bank: str | None, transaction: str | None
) -> Transfer:
    """Return the transfer that the options describe.

    Raises:
        InvalidInput: When the order or the amount is missing, or a text is not valid.
    """
    from orderctl.payments.transfer import MANUAL, Transfer

    if code is None or amount is None:
        raise InvalidInput("missing: the order's code or --amount", hint="give both, or --json FILE instead")
    for name, text in (("bank name", bank), ("transaction id", transaction)):
        _check_line(name, text)
    if transaction is not None and not transaction.isascii():
        raise InvalidInput(f"{texts.shown(transaction)} is not a valid transaction id: ASCII characters only")
    return Transfer(MANUAL, amount, provider_id=transaction, code=code.strip(), bank=bank)


def _check_line(name: str, text: str | None) -> None:
    stripped = None if text is None else text.strip()
    if stripped is not None and not (0 < len(stripped) <= _MOST_TEXT and stripped.isprintable()):
        raise InvalidInput(
            f"{texts.shown(text)} is not a valid {name}: 1 to {_MOST_TEXT} printable characters"
        )


def read_deliveries(document: TextIO, provider: str | None = None) -> list[list[Transfer]]:
    """Return the transfers that the document of a bank's webhook, or each document of a list, tells of.

    Args:
        document: The file.
        provider: The name of the provider that has sent it; None: its fields tell.

    Raises:
        InvalidInput: The provider is not installed, or a document is not one of a provider's. Of a list, the message
            says which.
    """
    from orderctl.payments.providers import registry

    installed = registry.installed()
    if provider is not None and provider not in installed:
        raise InvalidInput(
            f"{texts.shown(provider)} is not an installed payment provider",
            hint=f"installed: {', '.join(installed)}",
        )
    content = documents.parse(_text(document), "the payment")
    providers = registry.load(installed if provider is None else [provider])
    if not isinstance(content, list) or registry.tell_apart(providers, content) is not None:
        return [_read_delivery(content, providers, provider)]
    if not content:
        raise InvalidInput("the document contains no payments")
    return [_item(place, item, providers, provider) for place, item in enumerate(content)]


def _item(place: int, item: Any, providers: Mapping[str, Provider], provider: str | None) -> list[Transfer]:
    try:
        return _read_delivery(item, providers, provider)
    except InvalidInput as error:
        raise InvalidInput(f"item {place + 1} of the list: {error}", hint=error.hint) from None


def _read_delivery(content: Any, providers: Mapping[str, Provider], provider: str | None) -> list[Transfer]:
    from orderctl.payments.providers import registry

    sender = registry.tell_apart(providers, content) if provider is None else providers[provider]
    if sender is None:
        installed = registry.installed()
        raise InvalidInput(
            f"the document has the fields of none, or of several, of the providers {', '.join(installed)}",
            hint='add --provider NAME, or give one such as {"code": "DH1", "transferAmount": 300000, "bankName": "ACB"}',
        )
    return sender.read(content)


def _text(document: TextIO) -> str:
    try:
        text = document.read(_MOST_CHARACTERS + 1)
    except UnicodeDecodeError:
        raise InvalidInput("the document is not UTF-8") from None
    except (OSError, ValueError) as error:  # a folder, a device, a closed stream
        reason = getattr(error, "strerror", None) or error
        raise InvalidInput(f"cannot read the document: {reason}") from None
    if len(text) > _MOST_CHARACTERS:
        raise InvalidInput(f"the document is longer than {_MOST_CHARACTERS:,} characters")
    return text


def _parse(document: TextIO) -> Any:
    return documents.parse(_text(document), "the document", hint=f"such as {_SHAPE}")


def _order(item: Any) -> NewOrder:
    from orderctl.orders import NewOrder

    if not isinstance(item, Mapping):
        raise InvalidInput("an order is not a JSON object", hint=f"such as {_SHAPE}")
    courses = item.get("courses")
    if not isinstance(courses, list):
        raise InvalidInput("courses is missing or not a list", hint=f"such as {_SHAPE}")
    return NewOrder(
        _field(item, "order_code"),
        _field(item, "user_email"),
        _amount(item),
        [_course(one) for one in courses],
    )


def _course(item: Any) -> NewCourse:
    from orderctl.orders import NewCourse

    if isinstance(item, str):
        return NewCourse(item)
    if not isinstance(item, Mapping):
        raise InvalidInput("a course is neither a URL nor an object with url and title")
    title = item.get("title")
    if title is not None and not isinstance(title, str):
        raise InvalidInput("the title of a course is not a string")
    return NewCourse(_field(item, "url"), title)


def _field(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    if not isinstance(value, str):
        raise InvalidInput(f"{name} is missing or not a string", hint=f"such as {_SHAPE}")
    return value


def _amount(item: Mapping[str, Any]) -> Decimal:
    value = item.get("total_amount")
    try:
        return money.parse(value)
    except TypeError:
        raise InvalidInput("total_amount is missing or not a number", hint=f"such as {_SHAPE}") from None
    except ValueError as error:
        raise InvalidInput(f"total_amount {error}: a number such as 300000 or 12.50") from None
