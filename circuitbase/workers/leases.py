"""Who works on what: a job that no message and no worker vouches for is lost, and is sent again.

A worker's parent process renews the leases of the jobs it holds (`upkeep.py`), also while the child
computes. A worker that is killed stops renewing, so its jobs are lost after `LEASE_SECONDS`. Of two
messages of one job, as come about when a broker was away, the second finds the lease and is dropped.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import redis
from celery import Celery

from circuitbase.workers import jobs, publishing
from circuitbase.workers.application import STORE_TASK
from circuitbase.workers.jobs import ACTIVE, LEASE_SECONDS, LEASES, Job, JobState
from circuitbase.workers.leftovers import sweep
from circuitbase.workers.presence import worker_name
from circuitbase.workers.priorities import messages_in, waiting_messages
from circuitbase.workers.routing import every_queue, forget_idle, record_queues

GRACE_SECONDS = 15.0  # between recording and publishing, and between a worker's receipt and its first lease
REAP_EVERY_SECONDS = 10
PAGE = 1000

_REAPER = "circuitbase:reaper"


@dataclass(frozen=True)
class Held:
    """A message that a worker has received and not acknowledged."""

    trace_id: str
    task: str

    @property
    def vouched_states(self) -> tuple[JobState, JobState]:
        """Returns the states in which the job is this message's: a job that went on has one of its own."""
        if self.task == STORE_TASK:
            return JobState.TRACED, JobState.STORING
        return JobState.QUEUED, JobState.TRACING


def renew(client: redis.Redis, held: Iterable[Held]) -> None:
    """Vouches for those of the jobs that this worker still holds by these messages, for another `LEASE_SECONDS`."""
    script = client.register_script(_RENEW)
    pipeline = client.pipeline(transaction=False)
    for each in held:
        waiting, working = each.vouched_states
        script(
            keys=[jobs.key(each.trace_id), LEASES],
            args=[each.trace_id, LEASE_SECONDS, waiting.value, working.value, worker_name()],
            client=pipeline,
        )
    pipeline.execute()


def release(client: redis.Redis, held: Iterable[Held]) -> None:
    """Takes back the leases of jobs that this worker holds no more: it has ended, or its child has died."""
    script = client.register_script(_RELEASE)
    pipeline = client.pipeline(transaction=False)
    for each in held:
        waiting, working = each.vouched_states
        script(
            keys=[jobs.key(each.trace_id), LEASES],
            args=[each.trace_id, waiting.value, working.value, worker_name()],
            client=pipeline,
        )
    pipeline.execute()


def lost(client: redis.Redis) -> list[Job]:
    """Returns the jobs under way that neither a queue nor a worker holds."""
    now = _now(client)
    client.zremrangebyscore(LEASES, "-inf", now)
    waiting = sum(messages_in(client, queue) for queue in every_queue(client))
    if int(client.scard(ACTIVE)) <= waiting + int(client.zcard(LEASES)):
        return []  # reading a long queue is worth it only when something is missing
    held = set(client.zrange(LEASES, 0, -1)) | set(_queued_ids(client))
    missing = [str(trace_id) for trace_id in client.sscan_iter(ACTIVE, count=PAGE) if trace_id not in held]
    return [job for job in jobs.read(client, missing) if job.changed_at + GRACE_SECONDS < now]


def republish_lost(client: redis.Redis, app: Celery) -> list[str]:
    """Sends the messages of lost jobs again and returns their trace ids."""
    found = lost(client)
    record_queues(client, (job.request for job in found))
    publishing.publish_again(app, found)
    return [job.trace_id for job in found]


def reap(client: redis.Redis, app: Celery) -> list[str]:
    """Does the same, and sweeps, unless some process did it in the last seconds; for callers that come back often."""
    if not client.set(_REAPER, "1", nx=True, ex=REAP_EVERY_SECONDS):
        return []
    sweep(client)
    forget_idle(client)
    return republish_lost(client, app)


def _queued_ids(client: redis.Redis) -> Iterator[str]:
    for queue in every_queue(client):
        for message in waiting_messages(client, queue, page=PAGE):
            yield json.loads(message)["headers"]["id"]


def _now(client: redis.Redis) -> float:
    seconds, microseconds = client.time()
    return float(seconds) + float(microseconds) / 1e6


# KEYS: the job, the leases
# ARGV: trace id, seconds, the state in which it waits, the state in which it is worked on, the worker
_RENEW = """
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= ARGV[3] and state ~= ARGV[4] then return 0 end
if state == ARGV[4] and redis.call('HGET', KEYS[1], 'holder') ~= ARGV[5] then return 0 end
local now = redis.call('TIME')
now = tonumber(now[1]) + tonumber(now[2]) / 1e6
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[2]), ARGV[1])
return 1
"""

# KEYS: the job, the leases
# ARGV: trace id, the state in which it waits, the state in which it is worked on, the worker
_RELEASE = """
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= ARGV[2] and state ~= ARGV[3] then return 0 end
if state == ARGV[3] and redis.call('HGET', KEYS[1], 'holder') ~= ARGV[4] then return 0 end
return redis.call('ZREM', KEYS[2], ARGV[1])
"""
