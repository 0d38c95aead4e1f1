"""A world for each test: private servers, an empty shop, and receivers of every kind of message.

A plugin, loaded by ``tests/conftest.py``.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.receivers import Listener, PostOffice, Receiver
from tests.faults.stage import Stage
from tests.faults.world import World
from tests.servers.course import CourseServer


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    with Stage() as stage:
        yield stage


@pytest.fixture(scope="module")
def post_office() -> Iterator[PostOffice]:
    office = PostOffice().start()
    yield office
    office.close()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver().start()
    yield receiver
    receiver.close()


@pytest.fixture
def world(
    home: Path,
    migrated_url: str,
    redis_url: str,
    course_server: CourseServer,
    post_office: PostOffice,
    receiver: Receiver,
    stage: Stage,
) -> Iterator[World]:
    post_office.letters.clear()
    receiver.posts.clear()
    listener = Listener(redis_url).start()
    world = World(home, migrated_url, redis_url, course_server, post_office, receiver, listener, stage)
    yield world
    world.close()
    listener.close()
