"""What a search over the audit log of all orders needs: its events by actor and by type.

The two indexes stand with the others of ``order_audit_logs`` in the first revision.
"""

from orderctl.migrate.plan import Plan

revision = "0008"
down_revision = "0007"


def upgrade(plan: Plan) -> None:
    """Require nothing more."""
