"""Which workers listen to which queue, so that nobody waits for a worker that was never started."""

import os
import platform
from collections.abc import Collection, Iterable

import redis

PRESENT_SECONDS = 30

_LISTENING = "circuitbase:listening:"  # workers of a queue (and model) by the time until which they count as there


def announce(client: redis.Redis, queues: Iterable[str], *, models: Collection[str] = ()) -> None:
    """Tells that the worker of this process listens to the queues, for the next half minute.

    With `models` it takes the trace jobs of these alone.
    """
    until = _now(client) + PRESENT_SECONDS
    for key in _keys(queues, models):
        client.zadd(key, {worker_name(): until})
        client.expire(key, PRESENT_SECONDS)


def leave(client: redis.Redis, queues: Iterable[str], *, models: Collection[str] = ()) -> None:
    """Tells that the worker of this process listens no more."""
    for key in _keys(queues, models):
        client.zrem(key, worker_name())


def listening(client: redis.Redis, queue: str, *, models: Iterable[str] = ()) -> list[str]:
    """Returns the names of the workers that listen to a queue, and take all models or one of `models`."""
    now = _now(client)
    keys = [*_keys([queue], ()), *_keys([queue], models)]
    return sorted({str(name) for key in keys for name in client.zrangebyscore(key, now, "+inf")})


def unserved(client: redis.Redis, queues: Iterable[str], *, model: str) -> list[str]:
    """Returns those of the queues on which no worker takes jobs of a model."""
    return [queue for queue in queues if not listening(client, queue, models=[model])]


def worker_name() -> str:
    """Returns what tells this process from every other on any host."""
    return f"{platform.node()}:{os.getpid()}"


def _keys(queues: Iterable[str], models: Iterable[str]) -> list[str]:
    chosen = [f"={model}" for model in models]
    return [
        _LISTENING + queue + suffix for queue in queues for suffix in (chosen if chosen and queue == "trace" else [""])
    ]


def _now(client: redis.Redis) -> float:
    seconds, microseconds = client.time()
    return float(seconds) + float(microseconds) / 1e6
