"""The Celery tasks. Each reads, calls one function and writes; its argument is an id; it may run twice."""

import logging
import time

import redis
from celery import Task, shared_task

from circuitbase.errors import TraceFileError
from circuitbase.ingest import trace_writer
from circuitbase.queries import rollup
from circuitbase.workers import jobs, publishing
from circuitbase.workers.application import ROLL_UP_TASK, STORE_TASK, TRACE_TASK
from circuitbase.workers.failures import failures_recorded, is_transient, reason
from circuitbase.workers.jobs import Job, JobState
from circuitbase.workers.pending_rollups import note_stored
from circuitbase.workers.process import this_process
from circuitbase.workers.worker_log import about

MOST_DEATHS = 3

log = logging.getLogger(__name__)


@shared_task(name=TRACE_TASK, bind=True)
def trace_prompt(self: Task, trace_id: str) -> None:
    """Computes one trace and writes its file, unless the file is there; then asks for it to be stored."""
    process = this_process()
    with failures_recorded(self, process.redis, trace_id, waits_as=JobState.QUEUED, worker=process.worker):
        job = begun(process.redis, trace_id, JobState.TRACING, worker=process.worker)
        if job is None:
            return
        seconds = None
        if not process.store.exists(trace_id):
            start = time.monotonic()
            trace = process.trace(job.request, trace_id=trace_id)
            seconds = time.monotonic() - start
            process.store.save(trace)
        # else it was cancelled meanwhile, or another worker has done it
        if jobs.move(process.redis, trace_id, JobState.TRACED, seconds=seconds, worker=process.worker):
            publishing.publish_jobs(self.app, [(trace_id, JobState.TRACED)], priority=job.priority)


@shared_task(name=STORE_TASK, bind=True)
def store_trace(self: Task, trace_id: str) -> None:
    """Writes one trace file into the database; then counts it for the roll-up of its sets."""
    process = this_process()
    with failures_recorded(self, process.redis, trace_id, waits_as=JobState.TRACED, worker=process.worker):
        job = begun(process.redis, trace_id, JobState.STORING, worker=process.worker)
        if job is None:
            return
        try:
            trace = process.store.load(trace_id)
        except TraceFileError:
            process.store.remove(trace_id)  # so that submitting it again computes it again
            raise
        about(model=trace.metadata.model.id)
        trace_writer.store_trace(process.driver, trace, database=process.settings.neo4j_database)
        jobs.move(process.redis, trace_id, JobState.STORED, worker=process.worker)
        for prompt_set in job.prompt_sets:
            if note_stored(process.redis, prompt_set):
                publishing.publish_roll_up(self.app, prompt_set)


@shared_task(name=ROLL_UP_TASK, bind=True)
def roll_up(self: Task, prompt_set: str) -> None:
    """Adds what is pending to the sums of one prompt set."""
    process = this_process()
    try:
        rollup.roll_up(
            process.driver, store=process.store, prompt_set=prompt_set, database=process.settings.neo4j_database
        )
    except Exception as error:
        # not retried: the traces stay pending, and whoever reads the set adds them
        log.error("rolling up %s failed: %s", prompt_set, reason(error), exc_info=not is_transient(error))


def begun(client: redis.Redis, trace_id: str, state: JobState, *, worker: str) -> Job | None:
    """Returns the job, moved to `state`; None if there is nothing to do, or no hope for it."""
    if not jobs.move(client, trace_id, state, worker=worker):
        log.info("trace %s waits for no %s: it is done, cancelled, unknown or in other hands", trace_id, state)
        return None
    job = jobs.get(client, trace_id)
    if job is not None and job.deaths >= MOST_DEATHS:
        sentence = f"{job.deaths} processes died {state} it (out of memory, or killed); see the worker's log"
        log.error("trace %s is dead: %s", trace_id, sentence)
        jobs.move(client, trace_id, JobState.DEAD, error=sentence, worker=worker)
        return None
    return job
