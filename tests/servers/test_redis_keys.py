"""What the tests compare of a key in Redis."""

import pytest
import redis

from orderctl import broker
from tests import redis_keys


@pytest.mark.parametrize("size", [10, 3000])
def test_a_hash_is_the_same_in_any_order_of_its_fields_and_not_with_another_value(redis_url: str, size: int):
    fields = [(f"field {number}", "x" * size) for number in range(16)]
    client: redis.Redis = broker.brisk(redis_url)

    client.hset("one", mapping=dict(fields))
    client.hset("two", mapping=dict(reversed(fields)))
    assert redis_keys.held(client, "one") == redis_keys.held(client, "two")

    client.hset("two", "field 7", "x" * (size - 1) + "y")
    assert redis_keys.held(client, "one") != redis_keys.held(client, "two")
    client.close()
