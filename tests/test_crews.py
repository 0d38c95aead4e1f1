"""The workers of a queue, as Redis knows them."""

from orderctl import crews
from orderctl.errors import RedisUnavailable
from orderctl.waits import Reason


def test_an_error_of_redis_stands_before_its_command_without_a_full_stop():
    seen = crews.blind(RedisUnavailable("Redis does not answer: refused.", hint="orderctl config show"))

    assert isinstance(seen.crew, Reason)
    assert seen.crew.line == "Redis does not answer: refused: orderctl config show"
