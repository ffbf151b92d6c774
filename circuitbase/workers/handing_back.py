"""Jobs that a worker gives back unfinished, because it was told to end at once: no death of theirs."""

from collections.abc import Iterable

import redis

from circuitbase.workers import jobs
from circuitbase.workers.leases import Held, release
from circuitbase.workers.presence import worker_name


def hand_back(client: redis.Redis, held: Iterable[Held]) -> list[str]:
    """Puts the jobs that were being worked on back to where they waited; returns their trace ids.

    For a worker whose child has ended and whose messages the broker has not got back yet: so the next
    worker finds a job that waits, and not one whose process died.
    """
    messages = {each.trace_id: each for each in held}
    returned = []
    for trace_id, state in zip(messages, jobs.states(client, messages), strict=True):
        waiting, working = messages[trace_id].vouched_states
        if state == working and jobs.move(client, trace_id, waiting, worker=worker_name()):
            returned.append(trace_id)
    release(client, messages.values())
    return returned
