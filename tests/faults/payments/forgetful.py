"""``orderctl`` that forgets which transfers it knows: whatever is told again gets another id.

The test of the payments has to notice that.
"""

import itertools
from dataclasses import replace

from orderctl.cli.main import main
from orderctl.payments.transfer import Transfer

_known: set[tuple[str, str | None, str | None]] = set()
_numbers = itertools.count(1)
_checked = Transfer.checked


def forget(transfer: Transfer) -> Transfer:
    """Check a transfer, and give it a new id if it is known."""
    checked = _checked(transfer)
    name = (checked.provider, checked.provider_id, checked.reference)
    if name not in _known:
        _known.add(name)
        return checked
    return replace(checked, provider_id=f"again-{next(_numbers)}", reference=None)


if __name__ == "__main__":
    Transfer.checked = forget  # type: ignore[method-assign]
    main()
