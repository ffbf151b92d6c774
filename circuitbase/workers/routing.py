"""Which queue a job goes to: trace jobs to one of their model and dictionary, so that workers need not swap them.

A worker stays with the queue of its last job while there is work in it (`queue_order.py`). The queues are
recorded when jobs are, and workers find new ones within a second or two (`upkeep.py`).
"""

from collections.abc import Collection, Iterable

import redis

from circuitbase.schema.identity import sha256
from circuitbase.workers.application import INGEST_QUEUE, TRACE_QUEUE
from circuitbase.workers.job_request import JobRequest
from circuitbase.workers.priorities import messages_in

QUEUES_USED = "circuitbase:trace-queues"  # the trace queues by the time at which a job was last recorded for them
QUEUE_MODELS = "circuitbase:trace-queue-models"  # the model of each
NAME_DIGITS = 12
IDLE_SECONDS = 24 * 3600  # an empty queue is forgotten after this


def trace_queue(request: JobRequest) -> str:
    """Returns the name of the queue for jobs that need the same model, dictionary and dtype loaded."""
    loaded = [request.model, request.dictionary, request.options.dtype]
    return f"{TRACE_QUEUE}.{sha256(loaded)[:NAME_DIGITS]}"


def record_queues(client: redis.Redis, requests: Iterable[JobRequest]) -> None:
    """Makes the queues of the requests known to the workers."""
    models = {trace_queue(request): request.model for request in requests}
    if models:
        seconds, _ = client.time()
        client.hset(QUEUE_MODELS, mapping=models)  # type: ignore[arg-type]  # its keys are invariant
        client.zadd(QUEUES_USED, {name: float(seconds) for name in models})


def trace_queues(client: redis.Redis, *, models: Collection[str] = ()) -> list[str]:
    """Returns the trace queues there are, of some models or of all; the plain one is for jobs of older versions."""
    names = sorted(str(name) for name in client.zrange(QUEUES_USED, 0, -1))
    if not models:
        return [TRACE_QUEUE, *names]
    of_models = client.hgetall(QUEUE_MODELS)
    return [name for name in names if of_models.get(name) in models]


def known_models(client: redis.Redis) -> list[str]:
    """Returns the models that there are trace queues for."""
    return sorted({str(model) for model in client.hgetall(QUEUE_MODELS).values()})


def queues_of(client: redis.Redis, kind: str, *, models: Collection[str] = ()) -> list[str]:
    """Returns the names of the queues of a kind, `trace` or `ingest`."""
    return trace_queues(client, models=models) if kind == TRACE_QUEUE else [kind]


def every_queue(client: redis.Redis) -> list[str]:
    """Returns the names of all queues."""
    return [*trace_queues(client), INGEST_QUEUE]


def queue_length(client: redis.Redis, kind: str) -> int:
    """Returns how many messages of a kind, `trace` or `ingest`, no worker has received yet."""
    return sum(messages_in(client, name) for name in queues_of(client, kind))


def forget_idle(client: redis.Redis) -> list[str]:
    """Forgets the trace queues that are empty and were not used for a day; returns their names."""
    seconds, _ = client.time()
    idle = [str(name) for name in client.zrangebyscore(QUEUES_USED, "-inf", float(seconds) - IDLE_SECONDS)]
    empty = [name for name in idle if not messages_in(client, name)]
    if empty:
        client.zrem(QUEUES_USED, *empty)
        client.hdel(QUEUE_MODELS, *empty)
    return empty
