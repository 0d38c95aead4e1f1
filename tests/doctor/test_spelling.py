"""Names of channels: which are right, and how the others are spelled right."""

import pytest

from orderctl.doctor.spelling import Kind, judge

MISNAMED = {
    "progress:task:456": "task:456:progress",
    "task_456_progress": "task:456:progress",
    "Task:456:Progress": "task:456:progress",
    "TASK:456:PROGRESS": "task:456:progress",
    "tasks:456:progress": "task:456:progress",
    "task.456.progress": "task:456:progress",
    "task456progress": "task:456:progress",
    "taskProgress:456": "task:456:progress",
    "download:task:456:percent": "task:456:progress",
    "order:5:task:456:progress": "task:456:progress",
    "order-123-completed": "order:123:complete",
    "ORDER_STATUS_123": "order:123:status",
    "task:0456:progress": "task:456:progress",
    "task:456 :progress": "task:456:progress",
    "task:456": "task:456:progress",
    "task:progress": "task:ID:progress",
    "task:abc:progress": "task:ID:progress",
    "task:0:progress": "task:ID:progress",
    "task:-5:progress": "task:ID:progress",
    "task:99999999999999999999:progress": "task:ID:progress",
    "task:456:log": None,
    "progress:456": None,
}
FOREIGN = (
    "socket.io#/#", "order:created", "orders:123:updated", "celery-task-meta-1b2c", "__keyspace@0__:task:456:progress",
    "rq:pubsub:worker-1", "", "\ufffd", "task" * 100_000, "progress:" + "9" * 100_000,
)  # fmt: skip


@pytest.mark.parametrize("prefix", ["", "shop1:"])
@pytest.mark.parametrize("name", MISNAMED)
def test_a_misnamed_channel_is_spelled_right(name: str, prefix: str) -> None:
    right = MISNAMED[name]

    found = judge(name, prefix)

    assert (found.kind, found.right) == (Kind.MISNAMED, None if right is None else prefix + right)
    assert judge(prefix + name, prefix) == found
    assert found.why


@pytest.mark.parametrize("name", FOREIGN, ids=lambda name: name[:20])
def test_what_is_something_else_is_left_alone(name: str) -> None:
    assert judge(name).kind is judge(name, "shop1:").kind is Kind.FOREIGN


def test_prefixes_are_told_apart() -> None:
    assert judge("task:1:progress").kind is judge("a:task:1:progress", "a:").kind is Kind.OURS
    assert judge("task:1:progress", "a:").kind is Kind.UNPREFIXED
    assert judge("task:1:progress", "a:").right == "a:task:1:progress"
    for prefix in ("", "a:"):
        other = judge("b:task:1:progress", prefix)
        assert (other.kind, other.prefix) == (Kind.OTHER_PREFIX, "b:")
