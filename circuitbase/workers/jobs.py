"""The job record: what a task needs and how far it came, one Redis hash per trace id.

It is written before the message is published, so a lost message is found and sent again. A job in
`stored` is never moved by a late or repeated task; only a new submission can queue it again.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import redis

from circuitbase.graph.trace import TracedPrompt
from circuitbase.tracing.components.component_options import ComponentOptions
from circuitbase.tracing.options import RoleTarget, TraceOptions
from circuitbase.workers.batches import batches

LEASE_SECONDS = 30.0
READ_BATCH = 1000

JOBS = "circuitbase:jobs"  # trace ids by the time they were queued
ACTIVE = "circuitbase:active"  # trace ids of jobs that are neither stored nor failed
LEASES = "circuitbase:leases"  # trace ids by the time until which a worker vouches for them
CHANGED = "circuitbase:changed"  # the channel on which every change of state is told


class JobState(StrEnum):
    """How far a job came; `stored` and `failed` are final."""

    QUEUED = "queued"
    TRACING = "tracing"
    TRACED = "traced"
    STORING = "storing"
    STORED = "stored"
    FAILED = "failed"


FINAL = (JobState.STORED, JobState.FAILED)


@dataclass(frozen=True)
class JobRequest:
    """Everything a trace task needs beside the trace id; `model` and `dictionary` are folders.

    A trace of components has no dictionary. `any_model_name` takes a dictionary that names another model.
    """

    model: str
    dictionary: str | None
    prompt: TracedPrompt
    roles: tuple[RoleTarget, ...]
    options: TraceOptions | ComponentOptions
    any_model_name: bool = False

    def to_json(self) -> str:
        """Returns the request as JSON."""
        found = {**asdict(self), "kind": self.options.kind}
        return json.dumps(found, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "JobRequest":
        """Returns the request that `to_json` wrote."""
        found = json.loads(text)
        prompt: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in found["prompt"].items()
        }
        return cls(
            model=found["model"],
            dictionary=found["dictionary"],
            prompt=TracedPrompt(**prompt),
            roles=tuple(RoleTarget(**role) for role in found["roles"]),
            options=_options(found["options"], kind=found.get("kind", TraceOptions.kind)),
            any_model_name=found.get("any_model_name", False),
        )


@dataclass(frozen=True)
class Job:
    """One job as recorded; times in seconds since the epoch. `error` says why it failed or waits.

    `deaths` counts the processes that ended in the middle of it, without a word.
    """

    trace_id: str
    state: JobState
    prompt_sets: tuple[str, ...]
    request: JobRequest
    error: str | None
    attempts: int
    deaths: int
    queued_at: float
    changed_at: float


def put(client: redis.Redis, requests: Sequence[tuple[str, JobRequest]], *, prompt_set: str) -> list[bool]:
    """Records jobs by trace id; True where the caller must publish it, False where it is under way."""
    script = client.register_script(_PUT)
    pipeline = client.pipeline(transaction=False)
    for trace_id, request in requests:
        script(
            keys=[key(trace_id), JOBS, ACTIVE, _of_set(prompt_set)],
            args=[trace_id, request.to_json(), prompt_set],
            client=pipeline,
        )
    return [bool(answer) for answer in pipeline.execute()]


def move(client: redis.Redis, trace_id: str, state: JobState, *, error: str | None = None) -> bool:
    """Sets a job's state; returns False, and changes nothing, if it is stored already or unknown."""
    script = client.register_script(_MOVE)
    keys = [key(trace_id), ACTIVE, LEASES]
    return bool(script(keys=keys, args=[trace_id, state.value, error or "", LEASE_SECONDS, CHANGED]))


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


def listed(client: redis.Redis, *, prompt_set: str | None = None, state: JobState | None = None) -> Iterator[Job]:
    """Yields jobs in the order they were first queued, of one set or of all, in one state or in any."""
    index = JOBS if prompt_set is None else _of_set(prompt_set)
    ids = [str(trace_id) for trace_id in client.zrange(index, 0, -1)]
    return (job for job in read(client, ids) if state is None or job.state == state)


def key(trace_id: str) -> str:
    """Returns the name of a job's hash."""
    return f"circuitbase:job:{trace_id}"


def _options(found: dict[str, Any], *, kind: str) -> TraceOptions | ComponentOptions:
    if kind == ComponentOptions.kind:
        return ComponentOptions(**found)
    silent = tuple((layer, feature) for layer, feature in found["silent"])
    heads = tuple((layer, head, query) for layer, head, query in found.get("explain_attention", ()))
    return TraceOptions(**{**found, "silent": silent, "explain_attention": heads})


def _of_set(prompt_set: str) -> str:
    return f"circuitbase:jobs-of-set:{prompt_set}"


def _from_hash(trace_id: str, found: dict[str, Any]) -> Job:
    return Job(
        trace_id=trace_id,
        state=JobState(found["state"]),
        prompt_sets=tuple(sorted(name.removeprefix("set:") for name in found if name.startswith("set:"))),
        request=JobRequest.from_json(found["request"]),
        error=found["error"] or None,
        attempts=int(found["attempts"]),
        deaths=int(found["deaths"]),
        queued_at=float(found["queued_at"]),
        changed_at=float(found["changed_at"]),
    )


# The server's clock is the only one: workers on several hosts need not agree on the time.
_PUT = """
local now = redis.call('TIME')
now = tonumber(now[1]) + tonumber(now[2]) / 1e6
redis.call('HSET', KEYS[1], 'set:' .. ARGV[3], '1')
redis.call('ZADD', KEYS[4], 'NX', now, ARGV[1])
local state = redis.call('HGET', KEYS[1], 'state')
if state and state ~= 'stored' and state ~= 'failed' then return 0 end
redis.call('HSET', KEYS[1], 'state', 'queued', 'request', ARGV[2], 'error', '', 'attempts', 0, 'deaths', 0,
           'queued_at', now, 'changed_at', now)
redis.call('ZADD', KEYS[2], 'NX', now, ARGV[1])
redis.call('SADD', KEYS[3], ARGV[1])
return 1
"""

_MOVE = """
local now = redis.call('TIME')
now = tonumber(now[1]) + tonumber(now[2]) / 1e6
local state = redis.call('HGET', KEYS[1], 'state')
if not state or state == 'stored' then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[2], 'error', ARGV[3], 'changed_at', now)
if ARGV[2] == 'tracing' or ARGV[2] == 'storing' then
  redis.call('HINCRBY', KEYS[1], 'attempts', 1)
  if state == ARGV[2] then redis.call('HINCRBY', KEYS[1], 'deaths', 1) end
  redis.call('ZADD', KEYS[3], now + tonumber(ARGV[4]), ARGV[1])
else
  redis.call('ZREM', KEYS[3], ARGV[1])
end
if ARGV[2] == 'stored' or ARGV[2] == 'failed' then redis.call('SREM', KEYS[2], ARGV[1]) end
redis.call('PUBLISH', ARGV[5], ARGV[1])
return 1
"""
