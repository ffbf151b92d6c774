"""Which workers listen to which queue, so that nobody waits for a worker that was never started."""

import os
import platform
from collections.abc import Iterable

import redis

PRESENT_SECONDS = 30

_LISTENING = "circuitbase:listening:"  # workers of a queue by the time until which they are taken to be there


def announce(client: redis.Redis, queues: Iterable[str]) -> None:
    """Tells that the worker of this process listens to the queues, for the next half minute."""
    until = _now(client) + PRESENT_SECONDS
    for queue in queues:
        client.zadd(_LISTENING + queue, {worker_name(): until})
        client.expire(_LISTENING + queue, PRESENT_SECONDS)


def leave(client: redis.Redis, queues: Iterable[str]) -> None:
    """Tells that the worker of this process listens no more."""
    for queue in queues:
        client.zrem(_LISTENING + queue, worker_name())


def listening(client: redis.Redis, queue: str) -> list[str]:
    """Returns the names of the workers that listen to a queue."""
    return sorted(str(name) for name in client.zrangebyscore(_LISTENING + queue, _now(client), "+inf"))


def unserved(client: redis.Redis, queues: Iterable[str]) -> list[str]:
    """Returns those of the queues that no worker listens to."""
    return [queue for queue in queues if not listening(client, queue)]


def worker_name() -> str:
    """Returns what tells this process from every other on any host."""
    return f"{platform.node()}:{os.getpid()}"


def _now(client: redis.Redis) -> float:
    seconds, microseconds = client.time()
    return float(seconds) + float(microseconds) / 1e6
