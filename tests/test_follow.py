"""Watching all channels."""

import pytest

from orderctl import broker, database, follow, looking, publications
from orderctl.channels import task_progress
from orderctl.follow import Patience
from orderctl.messages import TaskProgress
from orderctl.watched import Remark
from tests.shop import Shop


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("answers", [True, False])
def test_another_shop_is_remarked_on_once(
    shop: Shop, redis_url: str, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    """Without a database there are the messages only."""
    monkeypatch.setattr(looking, "_LOOK_SECONDS", 0)
    engine = shop.engine if answers else database.connect("mysql://root@127.0.0.1:1/shop")
    client = broker.brisk(redis_url)
    seen: list[object] = []

    def publish() -> None:
        said = TaskProgress(77, len(seen), "", None, len(seen))
        publications.publish(client, task_progress(77), said.data())

    publish()
    for event in follow.watch_patterns(
        engine, lambda: redis_url, ["task:*"], Patience(total=30), history=True
    ):
        seen.append(event)
        if (answers and isinstance(event, Remark)) or (not answers and len(seen) > 20):
            break
        publish()

    remarks = [event.text for event in seen if isinstance(event, Remark)]
    said_once = "task 77, which the database does not have" if answers else "messages are shown without it"
    assert [said_once in text for text in remarks] == [True]
    client.close()
