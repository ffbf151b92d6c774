"""Messages: the task that a job's state calls for, with the trace id as its only argument."""

from collections.abc import Iterable

from celery import Celery

from circuitbase.workers.application import INGEST_QUEUE, ROLL_UP_TASK, STORE_TASK, TRACE_QUEUE, TRACE_TASK
from circuitbase.workers.jobs import JobState


def publish_jobs(app: Celery, jobs: Iterable[tuple[str, JobState]]) -> None:
    """Publishes the next task of each job: to trace it, or to store what was traced."""
    with app.producer_pool.acquire(block=True) as producer:
        for trace_id, state in jobs:
            traced = state in (JobState.TRACED, JobState.STORING)
            app.send_task(
                STORE_TASK if traced else TRACE_TASK,
                args=(trace_id,),
                task_id=trace_id,
                queue=INGEST_QUEUE if traced else TRACE_QUEUE,
                producer=producer,
                ignore_result=True,
            )


def publish_roll_up(app: Celery, prompt_set: str) -> None:
    """Publishes the roll-up of what is pending in a prompt set."""
    app.send_task(ROLL_UP_TASK, args=(prompt_set,), queue=INGEST_QUEUE, ignore_result=True)
