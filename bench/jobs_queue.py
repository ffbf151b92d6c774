"""Jobs put into the real queue and awaited there; their times are those of their records, by Redis' clock."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import redis
from celery import Celery
from neo4j import Driver

from bench.jobs_acting import job_of
from circuitbase.settings import Settings
from circuitbase.store.trace_store import TraceStore
from circuitbase.workers import jobs
from circuitbase.workers.jobs import ACTIVE, Job, JobState
from circuitbase.workers.publishing import publish_jobs
from circuitbase.workers.routing import trace_queue

POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Bench:
    """What every measurement works with: services of their own, an application and a client on them."""

    settings: Settings
    client: redis.Redis
    app: Celery
    driver: Driver

    @property
    def store(self) -> TraceStore:
        """Returns the store of the workers."""
        return TraceStore(self.settings.store_url)


def seconds_in_queue(bench: Bench, numbers: Sequence[int], *, seconds: float, prompt_set: str) -> float:
    """Returns the seconds from the first job queued to the last one stored, of jobs that wait so long each."""
    requests = [job_of(number, seconds=seconds) for number in numbers]
    ids = [trace_id for trace_id, _ in requests]
    jobs.put(bench.client, requests, prompt_set=prompt_set)
    queue = trace_queue(requests[0][1])
    publish_jobs(bench.app, [(trace_id, JobState.QUEUED) for trace_id in ids], queue=queue)
    await_all(bench.client)
    found = stored_jobs(bench.client, ids)
    return max(job.changed_at for job in found) - min(job.queued_at for job in found)


def await_all(client: redis.Redis) -> None:
    """Waits until no job is under way."""
    while client.scard(ACTIVE):
        time.sleep(POLL_SECONDS)


def stored_jobs(client: redis.Redis, trace_ids: Sequence[str]) -> list[Job]:
    """Returns the records of jobs that are all stored; raises RuntimeError if one is not."""
    found = list(jobs.read(client, trace_ids))
    lost = [f"{job.trace_id[:12]} is {job.state}: {job.error}" for job in found if job.state != JobState.STORED]
    if lost or len(found) != len(trace_ids):
        raise RuntimeError(f"{len(trace_ids)} jobs must be stored, but of {len(found)} {len(lost)} are not: {lost[:1]}")
    return found
