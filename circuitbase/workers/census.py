"""How many jobs are in which state, in each set and in all, and how fast they are stored."""

from collections import Counter
from dataclasses import dataclass

import redis

from circuitbase.workers.batches import batches
from circuitbase.workers.jobs import FINAL, JOBS, READ_BATCH, SETS, JobState, key, of_set

RATE_SECONDS = 60.0


@dataclass(frozen=True)
class Census:
    """Counts by state; a job of two sets counts in both, and once in `total`.

    `stored_lately` were stored in the last minute.
    """

    by_set: dict[str, Counter[JobState]]
    total: Counter[JobState]
    stored_lately: int

    @property
    def under_way(self) -> int:
        """Returns how many jobs are in no final state."""
        return sum(count for state, count in self.total.items() if state not in FINAL)

    @property
    def seconds_left(self) -> float | None:
        """Returns how long the rest takes at the rate of the last minute; None if nothing was stored in it."""
        return self.under_way * RATE_SECONDS / self.stored_lately if self.stored_lately else None


def take_census(client: redis.Redis, *, prompt_set: str | None = None) -> Census:
    """Returns the counts of one set's jobs, or of all."""
    seconds, _ = client.time()
    found = _states(client, JOBS if prompt_set is None else of_set(prompt_set), since=float(seconds) - RATE_SECONDS)
    names = sorted(str(name) for name in client.smembers(SETS)) if prompt_set is None else [prompt_set]
    by_set = {}
    for name in names:
        ids = (str(trace_id) for trace_id in client.zrange(of_set(name), 0, -1))
        by_set[name] = Counter(found[trace_id][0] for trace_id in ids if trace_id in found)
    return Census(
        by_set=by_set,
        total=Counter(state for state, _ in found.values()),
        stored_lately=sum(lately and state == JobState.STORED for state, lately in found.values()),
    )


def _states(client: redis.Redis, index: str, *, since: float) -> dict[str, tuple[JobState, bool]]:
    """Returns the state of each job of an index, and whether it came there since a time."""
    found = {}
    for ids in batches((str(trace_id) for trace_id in client.zrange(index, 0, -1)), size=READ_BATCH):
        pipeline = client.pipeline(transaction=False)
        for trace_id in ids:
            pipeline.hmget(key(trace_id), "state", "changed_at")
        for trace_id, (state, changed_at) in zip(ids, pipeline.execute(), strict=True):
            if state:
                found[trace_id] = (JobState(state), float(changed_at) >= since)
    return found
