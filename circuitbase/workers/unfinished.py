"""Which traces somebody still works on, for those who clear up."""

from collections.abc import Sequence

import redis

from circuitbase.workers.jobs import ACTIVE


def unfinished(client: redis.Redis, trace_ids: Sequence[str]) -> frozenset[str]:
    """Returns those of the trace ids whose job is neither stored nor given up."""
    if not trace_ids:
        return frozenset()
    answers = client.smismember(ACTIVE, list(trace_ids))
    return frozenset(trace_id for trace_id, active in zip(trace_ids, answers, strict=True) if active)
