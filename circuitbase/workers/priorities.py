"""Priorities of jobs, and the lists of messages that Redis keeps for them.

Ours run from 0 (last) to 9 (first); the broker's the other way. It keeps one list per queue and priority.
"""

from collections.abc import Iterator

import redis

LEAST, MOST = 0, 9
DEFAULT_PRIORITY = 5  # so that work can be put before and behind what nobody thought about

STEPS = tuple(range(MOST - LEAST + 1))  # the broker's own default tells four priorities apart
SEPARATOR = ":"


def broker_priority(priority: int) -> int:
    """Returns the broker's number, where 0 comes first."""
    return MOST - priority


def message_lists(queue: str) -> tuple[str, ...]:
    """Returns the names of the Redis lists of one queue, in the order in which workers empty them."""
    return tuple(queue if step == 0 else f"{queue}{SEPARATOR}{step}" for step in STEPS)


def messages_in(client: redis.Redis, queue: str) -> int:
    """Returns how many messages of a queue no worker has received yet."""
    pipeline = client.pipeline(transaction=False)
    for name in message_lists(queue):
        pipeline.llen(name)
    return sum(int(length) for length in pipeline.execute())


def waiting_messages(client: redis.Redis, queue: str, *, page: int) -> Iterator[str]:
    """Yields the messages of a queue as JSON; some twice if others come in meanwhile, but each at least once."""
    for name in message_lists(queue):
        # from the head, where new ones come in: what workers take from the tail meanwhile makes none be passed over
        start = 0
        while found := client.lrange(name, start, start + page - 1):
            yield from (str(message) for message in found)
            start += page
