"""Watching all channels."""

import pytest

from orderctl import broker, channels, database, follow, looking, names, publications, subjects
from orderctl.channels import task_progress
from orderctl.follow import Patience
from orderctl.messages import TaskProgress
from orderctl.names import Names
from orderctl.subscription import Message
from orderctl.watched import Found, Remark
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


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("everything", [True, False])
def test_a_title_that_comes_later_is_found(
    shop: Shop, redis_url: str, monkeypatch: pytest.MonkeyPatch, everything: bool
) -> None:
    monkeypatch.setattr(names, "_AGAIN", 0)
    monkeypatch.setattr(names, "_SECONDS", 0)
    shop.paid("DH1", 1)
    client = broker.brisk(redis_url)

    def publish(percent: int) -> None:
        publications.publish(client, task_progress(1), TaskProgress(1, percent, "", None, percent).data())

    publish(1)
    found = [shop.read(lambda connection: subjects.find_order(connection, "DH1"))]
    watching = (
        follow.watch_patterns(
            shop.engine, lambda: redis_url, channels.PATTERNS, Patience(60), begin=True, history=True
        )
        if everything
        else follow.watch(shop.engine, lambda: redis_url, found, Patience(60))
    )
    labels: list[str] = []
    for event in watching:
        if isinstance(event, Found) and not event.first:
            labels += [one.label for one in event.standings]
            shop.execute("UPDATE download_tasks SET title = 'Course'")
            publish(len(labels) + 1)
        if labels and labels[-1].endswith("Course"):
            break

    assert labels == (["DH1 task 1", "DH1 Course"] if everything else ["task 1", "task 1 Course"])
    client.close()


def test_only_some_names_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_REMEMBERED", 3)
    engine = database.connect("sqlite://")
    asked = Names(engine, lambda _connection, _keys: [])
    for task_id in range(1, 10):
        asked.note(Message(task_progress(task_id), {}))

    assert [key[1] for key in asked._wanted] == [7, 8, 9]
    asked._look()
    assert (len(asked._wanted), len(asked._known)) == (0, 3)
