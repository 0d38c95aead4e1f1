"""The admin API: what the shop's dashboard reads, and our own page."""

from __future__ import annotations

from typing import Any, Final

from orderctl.relay.access import Access
from orderctl.relay.web import Reply, Request, in_json

_ORDERS: Final = "/api/admin/orders/paid"
_STATS: Final = "/api/admin/dashboard/stats"


class Api:
    """Answers below ``/api/``."""

    async def answer(self, request: Request, access: Access) -> Reply:
        """Answer a request that came in."""
        del access
        return self.empty(request, 404, "there is no such resource")

    def empty(self, request: Request, status: int, error: str) -> Reply:
        """An error in the shape of what was asked for."""
        return in_json(status, {"error": error, **_empty(request.path)})


def _empty(path: str) -> dict[str, Any]:
    if path == _ORDERS:
        return {"data": [], "pagination": {}}
    if path == _STATS:
        return {"data": {"orders": {}, "tasks": {}, "connections": 0}}
    return {"data": {"logs": []}} if path.endswith("/logs") else {"data": None}
