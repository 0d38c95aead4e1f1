"""Why a course failed, and what happens next, in words for the customer.

A sentence says what the customer can understand: nothing of files, servers, addresses and messages of programs.
"""

from __future__ import annotations

from typing import Final

from orderctl.states import ErrorType

_WORDS: Final = {
    ErrorType.DISK_SPACE: "We had no room left to store the files. We are making room and will prepare the course again.",
    ErrorType.AUTHENTICATION: "The course's website did not let us in. We will check our access and prepare the course again.",
    ErrorType.TIMEOUT: "The course's website took too long to answer. We will try again later.",
    ErrorType.NETWORK: "We could not reach the course's website. We will try again later.",
    ErrorType.PERMISSION: "We could not store the files. We will correct this and prepare the course again.",
    ErrorType.WORKER_LOST: "The preparation was interrupted on our side. We will start it again.",
    ErrorType.NOT_FOUND: "The course is not at the address that we have. It may have been moved or removed. We will check "
    "the address and contact you if we need another one.",
    ErrorType.REFUSED: "The course cannot be downloaded safely from the address that we have. We will check the address and "
    "contact you if we need another one.",
    ErrorType.NOT_A_FILE: "The course's website sent something else in place of the course's files. We will look into it.",
    ErrorType.CHECKSUM: "The files that the course's website sent are incomplete or damaged. We will look into it and prepare "
    "the course again.",
    ErrorType.TOO_LARGE: "The course is larger than what we can deliver at present. We will contact you.",
    ErrorType.UNKNOWN: "Something went wrong while we prepared the course. We will look into it.",
}


def kind(error_type: str | None) -> ErrorType:
    """Return the type of a failure; UNKNOWN for none, and for one that another program wrote."""
    return ErrorType(error_type) if error_type in set(ErrorType) else ErrorType.UNKNOWN


def explain(error_type: ErrorType) -> str:
    """Return what went wrong from the customer's view, and what happens next."""
    return _WORDS[error_type]
