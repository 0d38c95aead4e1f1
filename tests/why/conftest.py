"""The place of the tests of causes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.servers.course import CourseServer
from tests.servers.fixtures import OwnRedis
from tests.servers.redis import RedisServer
from tests.shop import Shop
from tests.why.place import Place


@pytest.fixture(scope="module")
def courses() -> Iterator[CourseServer]:
    server = CourseServer().start()
    yield server
    server.close()


@pytest.fixture
def place(
    shop: Shop,
    redis_url: str,
    redis_server: RedisServer,
    courses: CourseServer,
    own_redis: OwnRedis,
    capsys: pytest.CaptureFixture[str],
    migrated_url: str,
    home: Path,
) -> Iterator[Place]:
    environment = {
        "ORDERCTL_STATE_DIR": str(home / "st"),
        "ORDERCTL_DATABASE_URL": migrated_url,
        "ORDERCTL_REDIS_URL": redis_url,
        "ORDERCTL_DOWNLOAD_ALLOW_PRIVATE_HOSTS": "1",
    }
    place = Place(shop, home, redis_server, environment, courses, capsys, own_redis)
    yield place
    place.client.close()
    with redis.Redis(port=redis_server.port) as admin:
        admin.execute_command("ACL", "DELUSER", "less")
