"""The job record: what a task needs and how far it came, one Redis hash per trace id.

It is written before the message is published, so a lost message is found and sent again. A job in a
final state is never moved by a late or repeated task; only a new submission or a retry can queue it again.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import redis

from circuitbase.workers.batches import batches
from circuitbase.workers.job_request import JobRequest
from circuitbase.workers.job_scripts import MOVE, PUT
from circuitbase.workers.priorities import DEFAULT_PRIORITY
from circuitbase.workers.routing import record_queues

LEASE_SECONDS = 30.0
READ_BATCH = 1000

SETS = "circuitbase:jobs-sets"  # the names of the prompt sets that have jobs
JOBS = "circuitbase:jobs"  # trace ids by the time they were queued
ACTIVE = "circuitbase:active"  # trace ids of jobs in no final state
LEASES = "circuitbase:leases"  # trace ids by the time until which a worker vouches for them
CHANGED = "circuitbase:changed"  # the channel on which every change of state is told


class JobState(StrEnum):
    """How far a job came. `dead`: its process died too often; `stored` and what follows it are final."""

    QUEUED = "queued"
    TRACING = "tracing"
    TRACED = "traced"
    STORING = "storing"
    STORED = "stored"
    FAILED = "failed"
    DEAD = "dead"
    CANCELLED = "cancelled"


UNDONE = (JobState.FAILED, JobState.DEAD, JobState.CANCELLED)
FINAL = (JobState.STORED, *UNDONE)


@dataclass(frozen=True)
class Job:
    """One job as recorded; times in seconds since the epoch. `error` says why it failed or waits.

    `deaths` counts the processes that ended in the middle of it, without a word. `priority` is from 0 (last)
    to 9 (first); `seconds` is how long tracing took, None if it was not measured.
    """

    trace_id: str
    state: JobState
    prompt_sets: tuple[str, ...]
    request: JobRequest
    error: str | None
    attempts: int
    deaths: int
    priority: int
    seconds: float | None
    queued_at: float
    changed_at: float


def put(
    client: redis.Redis,
    requests: Sequence[tuple[str, JobRequest]],
    *,
    prompt_set: str,
    priority: int = DEFAULT_PRIORITY,
) -> list[bool]:
    """Records jobs by trace id; True where the caller must publish it, False where it is under way.

    A job that is under way keeps its priority.
    """
    record_queues(client, (request for _, request in requests))
    script = client.register_script(PUT)
    pipeline = client.pipeline(transaction=False)
    for trace_id, request in requests:
        script(
            keys=[key(trace_id), JOBS, ACTIVE, of_set(prompt_set), SETS],
            args=[trace_id, request.to_json(), prompt_set, priority],
            client=pipeline,
        )
    return [bool(answer) for answer in pipeline.execute()]


def move(
    client: redis.Redis,
    trace_id: str,
    state: JobState,
    *,
    error: str | None = None,
    seconds: float | None = None,
    worker: str = "",
) -> bool:
    """Sets a job's state; returns False, and changes nothing, if it cannot go there.

    A final state is left by no move; only a queued job is traced, and only a traced one stored. Both may be
    begun again by the same `worker`, or by another once the lease has run out: that is a death.
    `seconds` is how long tracing took.
    """
    script = client.register_script(MOVE)
    keys = [key(trace_id), ACTIVE, LEASES]
    return bool(
        script(
            keys=keys,
            args=[
                trace_id,
                state.value,
                error or "",
                LEASE_SECONDS,
                CHANGED,
                "" if seconds is None else seconds,
                worker,
            ],
        )
    )


def get(client: redis.Redis, trace_id: str) -> Job | None:
    """Returns the job of a trace id, or None if there is no record of it."""
    return next(read(client, [trace_id]), None)


def read(client: redis.Redis, trace_ids: Iterable[str]) -> Iterator[Job]:
    """Yields the jobs of trace ids, in their order; ids without a record are passed over."""
    for ids in batches(trace_ids, size=READ_BATCH):
        pipeline = client.pipeline(transaction=False)
        for trace_id in ids:
            pipeline.hgetall(key(trace_id))
        for trace_id, found in zip(ids, pipeline.execute(), strict=True):
            if found:
                yield _from_hash(trace_id, found)


def states(client: redis.Redis, trace_ids: Iterable[str]) -> Iterator[JobState | None]:
    """Yields the state of each trace id, None where there is no record of it."""
    for ids in batches(trace_ids, size=READ_BATCH):
        pipeline = client.pipeline(transaction=False)
        for trace_id in ids:
            pipeline.hget(key(trace_id), "state")
        yield from (JobState(state) if state else None for state in pipeline.execute())


def listed(
    client: redis.Redis, *, prompt_set: str | None = None, states: Collection[JobState] = tuple(JobState)
) -> Iterator[Job]:
    """Yields jobs in the order they were first queued, of one set or of all, in some states or in any."""
    index = JOBS if prompt_set is None else of_set(prompt_set)
    ids = [str(trace_id) for trace_id in client.zrange(index, 0, -1)]
    return (job for job in read(client, ids) if job.state in states)


def key(trace_id: str) -> str:
    """Returns the name of a job's hash."""
    return f"circuitbase:job:{trace_id}"


def of_set(prompt_set: str) -> str:
    """Returns the name of the index of a set's jobs, like `JOBS`."""
    return f"circuitbase:jobs-of-set:{prompt_set}"


def _from_hash(trace_id: str, found: dict[str, str]) -> Job:
    return Job(
        trace_id=trace_id,
        state=JobState(found["state"]),
        prompt_sets=tuple(sorted(name.removeprefix("set:") for name in found if name.startswith("set:"))),
        request=JobRequest.from_json(found["request"]),
        error=found["error"] or None,
        attempts=int(found["attempts"]),
        deaths=int(found["deaths"]),
        priority=int(found.get("priority", DEFAULT_PRIORITY)),
        seconds=float(found["seconds"]) if found.get("seconds") else None,
        queued_at=float(found["queued_at"]),
        changed_at=float(found["changed_at"]),
    )
