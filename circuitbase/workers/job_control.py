"""What a user does about jobs: cancel those under way, queue those again that ended without a trace."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import redis
from celery import Celery

from circuitbase.errors import InputError
from circuitbase.workers import jobs, publishing
from circuitbase.workers.batches import batches
from circuitbase.workers.job_scripts import CANCEL, DROP_CANCELLED, RETRY
from circuitbase.workers.jobs import ACTIVE, CHANGED, JOBS, LEASES, UNDONE, JobState, key
from circuitbase.workers.priorities import message_lists
from circuitbase.workers.routing import every_queue, record_queues

BATCH = 500
SHOWN_CHARACTERS = 12
SHOWN_MATCHES = 3


@dataclass(frozen=True)
class Cancelled:
    """How many jobs left; of those `being_traced` a worker finishes the trace, which nobody stores.

    `being_stored` are too late to be cancelled; `ended` had ended before.
    """

    cancelled: int
    being_traced: int
    being_stored: int
    ended: int


def cancel(client: redis.Redis, trace_ids: Iterable[str]) -> Cancelled:
    """Takes jobs out of the queue for good, and their messages with them."""
    script = client.register_script(CANCEL)
    before: Counter[str] = Counter()
    for ids in batches(trace_ids, size=BATCH):
        pipeline = client.pipeline(transaction=False)
        for trace_id in ids:
            script(keys=[key(trace_id), ACTIVE, LEASES], args=[trace_id, CHANGED], client=pipeline)
        before.update(pipeline.execute())
    left = before[JobState.QUEUED] + before[JobState.TRACING] + before[JobState.TRACED]
    if left:
        drop = client.register_script(DROP_CANCELLED)
        for name in (name for queue in every_queue(client) for name in message_lists(queue)):
            drop(keys=[name], args=[key("")])
    return Cancelled(
        cancelled=left,
        being_traced=before[JobState.TRACING],
        being_stored=before[JobState.STORING],
        ended=before.total() - left - before[JobState.STORING],
    )


def retry(client: redis.Redis, app: Celery, trace_ids: Iterable[str]) -> int:
    """Queues those of the jobs again that failed, died or were cancelled; returns how many.

    Their attempts and deaths are counted anew; what was traced is not traced again.
    """
    script = client.register_script(RETRY)
    done = 0
    for ids in batches(trace_ids, size=BATCH):
        pipeline = client.pipeline(transaction=False)
        for trace_id in ids:
            script(keys=[key(trace_id), ACTIVE], args=[trace_id, CHANGED], client=pipeline)
        again = [trace_id for trace_id, changed in zip(ids, pipeline.execute(), strict=True) if changed]
        found = list(jobs.read(client, again))
        record_queues(client, (job.request for job in found))
        publishing.publish_again(app, found)
        done += len(again)
    return done


def check_retryable(client: redis.Redis, trace_ids: Sequence[str]) -> None:
    """Raises InputError if a job is in a state that no retry can help."""
    found = dict(zip(trace_ids, jobs.states(client, trace_ids), strict=True))
    others = [f"{trace_id[:SHOWN_CHARACTERS]} is {state}" for trace_id, state in found.items() if state not in UNDONE]
    if others:
        raise InputError(f"only jobs that failed, died or were cancelled can be retried, but {', '.join(others)}")


def jobs_in(client: redis.Redis, *, prompt_set: str | None, states: Collection[JobState]) -> list[str]:
    """Returns the trace ids of the jobs of a set, or of all, that are in some states."""
    return [job.trace_id for job in jobs.listed(client, prompt_set=prompt_set, states=states)]


def named_jobs(client: redis.Redis, beginnings: Iterable[str]) -> list[str]:
    """Returns the trace ids that begin so, one each; raises InputError for those that are unknown or ambiguous."""
    known = [str(trace_id) for trace_id in client.zrange(JOBS, 0, -1)]
    found: dict[str, None] = {}
    problems = []
    for beginning in beginnings:
        matches = [trace_id for trace_id in known if beginning and trace_id.startswith(beginning.lower())]
        if len(matches) == 1:
            found[matches[0]] = None
        elif matches:
            some = ", ".join(trace_id[:SHOWN_CHARACTERS] for trace_id in matches[:SHOWN_MATCHES])
            problems.append(f"{len(matches)} jobs begin with {beginning!r} ({some} ...), give more of it")
        else:
            problems.append(f"no job begins with {beginning!r}, `circuitbase jobs` lists them")
    if problems:
        raise InputError("; ".join(problems))
    return list(found)
