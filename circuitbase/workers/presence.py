"""Which queues some worker listens to, so that nobody waits for a worker that was never started."""

from collections.abc import Iterable

import redis

PRESENT_SECONDS = 30

_PRESENT = "circuitbase:workers:"


def announce(client: redis.Redis, queues: Iterable[str]) -> None:
    """Tells that a worker listens to the queues, for the next half minute."""
    for queue in queues:
        client.set(_PRESENT + queue, "1", ex=PRESENT_SECONDS)


def unserved(client: redis.Redis, queues: Iterable[str]) -> list[str]:
    """Returns those of the queues that no worker listens to."""
    return [queue for queue in queues if not client.exists(_PRESENT + queue)]
