"""How long jobs will take, from those of the same model and kind that were traced before."""

import json
from dataclasses import dataclass
from statistics import median

import redis

from circuitbase.workers.application import TRACE_QUEUE
from circuitbase.workers.jobs import JOBS, READ_BATCH, JobState, key
from circuitbase.workers.presence import listening

ENOUGH_JOBS = 200
MOST_LOOKED_AT = 20_000  # so that a long past of other models delays nobody


@dataclass(frozen=True)
class Estimate:
    """What past jobs say: `seconds_per_token` is the median of `past_jobs`, None without any.

    `workers` listen to the trace queue now.
    """

    past_jobs: int
    seconds_per_token: float | None
    workers: int

    def seconds(self, tokens: int) -> float | None:
        """Returns how long the workers take to trace prompts of so many tokens in all; one worker if there is none."""
        if self.seconds_per_token is None:
            return None
        return self.seconds_per_token * tokens / max(self.workers, 1)


def estimate(client: redis.Redis, *, model: str, kind: str) -> Estimate:
    """Returns what the last jobs say that traced features or components (`kind`) of a model and were stored."""
    found: list[float] = []
    last = min(int(client.zcard(JOBS)), MOST_LOOKED_AT)
    for start in range(0, last, READ_BATCH):
        ids = client.zrevrange(JOBS, start, start + READ_BATCH - 1)
        found += _seconds_per_token(client, [str(trace_id) for trace_id in ids], model=model, kind=kind)
        if len(found) >= ENOUGH_JOBS:
            break
    return Estimate(
        past_jobs=len(found),
        seconds_per_token=median(found) if found else None,
        workers=len(listening(client, TRACE_QUEUE, models=[model])),
    )


def _seconds_per_token(client: redis.Redis, trace_ids: list[str], *, model: str, kind: str) -> list[float]:
    pipeline = client.pipeline(transaction=False)
    for trace_id in trace_ids:
        pipeline.hmget(key(trace_id), "state", "seconds", "request")
    found = []
    for state, seconds, text in pipeline.execute():
        if state != JobState.STORED or not seconds:
            continue
        request = json.loads(text)  # only two things of it are needed
        if (request["model"], request.get("kind", "features")) == (model, kind):
            found.append(float(seconds) / len(request["prompt"]["token_ids"]))
    return found
