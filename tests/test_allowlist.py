"""The check of a job's bytes, without Redis."""

import json
import zlib
from typing import Any

import pytest

from orderctl import allowlist
from orderctl.allowlist import FORBIDDEN, FUNCTION, Look


def look(data: bytes, **more: bytes) -> Look:
    fields = {"data": data} | more
    return Look("hash", {name: len(value) for name, value in fields.items()}, fields)


def call(*parts: Any) -> bytes:
    return zlib.compress(json.dumps(parts).encode())


GOOD = call(FUNCTION, None, [5], {})


@pytest.mark.parametrize("job_id", [b"task-5-0", b"task-5-12", b"task-5-0-again"])
def test_orderctls_own_jobs_have_no_fault(job_id: bytes):
    assert allowlist.find_fault(job_id, look(GOOD)) is None
    assert allowlist.find_fault(job_id, look(zlib.decompress(GOOD))) is None
    assert allowlist.find_fault(job_id, Look("none")) is None  # it has expired
    assert allowlist.find_fault(job_id, Look("hash")) is None  # RQ wrote into it when it had expired
    assert allowlist.task_of(job_id) == 5


@pytest.mark.parametrize(
    "job_id", [b"", b"task-5", b"task-0-0", b"task-5-0\n", b"task-5-0-more", b"\xff", b"task-\xd9\xa1-0"]
)
def test_other_ids_name_no_task(job_id: bytes):
    assert allowlist.find_fault(job_id, look(GOOD)) == "the job id does not name a task"


@pytest.mark.parametrize(
    ("seen", "fault"),
    [
        (look(call("os.system", None, ["true"], {})), "the job calls os.system"),
        (look(call(FUNCTION, "self", [5], {})), "the job calls orderctl.jobs.run_task"),
        (look(call(FUNCTION, None, [6], {})), "the argument is not the task in the job id"),
        (look(call(FUNCTION, None, [5], {"more": 1})), "the argument is not the task in the job id"),
        (look(b"\x80\x04junk"), "the call cannot be decoded"),
        (look(b"[" * 4000), "the call cannot be decoded"),
        (look(zlib.compress(b" " * 10_000_000 + GOOD)), "the call cannot be decoded"),
        (Look("hash", {"data": 5000}), "the call cannot be decoded"),  # too long to be read
        (Look("string"), "its key holds a string and not a job"),
        *((look(GOOD, **{name: b"x"}), f"the job has the field {name}") for name in FORBIDDEN),
        (Look("hash", {"data": 60, "webhooks": 10**8}, {"data": GOOD}), "the job has the field webhooks"),
    ],
)
def test_anything_else_has_a_fault(seen: Look, fault: str):
    assert allowlist.find_fault(b"task-5-0", seen) == fault
