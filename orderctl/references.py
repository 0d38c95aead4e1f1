"""Orders as a user names them in a command that only reads: by code, by id, or by the address of a customer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, select

from orderctl import deletion, orders, texts
from orderctl.errors import InvalidInput, OrderNotFound
from orderctl.orders import Order
from orderctl.schema import orders as table

#: How many orders of a customer a message names.
_MOST_NAMED: Final = 10


def find(connection: Connection, reference: str, *, deleted: bool = False) -> Order:
    """Return the order with this code or id, or else the only order of the customer with this e-mail address.

    Only for commands that read: an address does not name one order for long.

    Raises:
        InvalidInput: The customer has several orders.
        OrderNotFound: None exists.
        OrderDeleted: Only a deleted order has this code or id.
        Conflict: Several orders have this code.
    """
    try:
        return orders.find(connection, reference, deleted=deleted)
    except OrderNotFound:
        found = _of_customer(connection, reference, deleted=deleted) if "@" in reference else []
        if len(found) > 1:
            raise _several(reference, found) from None
        if not found:
            raise
        return found[0]


def _of_customer(connection: Connection, email: str, *, deleted: bool) -> list[Order]:
    if not texts.is_storable(email):
        return []
    wanted = deletion.is_deleted(table) if deleted else deletion.not_deleted(table)
    spelled = list(dict.fromkeys((email.strip(), email.strip().lower())))
    newest = select(table.c.id).where(table.c.user_email.in_(spelled), wanted)
    chosen = connection.execute(newest.order_by(table.c.created_at.desc()).limit(_MOST_NAMED + 1)).scalars()
    return orders.select_orders(connection, table.c.id.in_(list(chosen)))


def _several(email: str, found: Sequence[Order]) -> InvalidInput:
    more = ", ..." if len(found) > _MOST_NAMED else ""
    codes = ", ".join(order.order_code for order in found[:_MOST_NAMED])
    return InvalidInput(
        f"{texts.shown(email)} has several orders: {codes}{more}",
        hint=f"orderctl orders show {texts.arguments(found[0].order_code)}",
    )
