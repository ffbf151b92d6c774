"""Messages: the task that a job's state calls for, with the trace id as its only argument."""

from collections.abc import Iterable

from celery import Celery

from circuitbase.workers.application import INGEST_QUEUE, ROLL_UP_TASK, STORE_TASK, TRACE_QUEUE, TRACE_TASK
from circuitbase.workers.jobs import Job, JobState
from circuitbase.workers.priorities import DEFAULT_PRIORITY, broker_priority
from circuitbase.workers.routing import trace_queue


def publish_jobs(
    app: Celery, jobs: Iterable[tuple[str, JobState]], *, queue: str = TRACE_QUEUE, priority: int = DEFAULT_PRIORITY
) -> None:
    """Publishes the next task of each job, all of one priority: to trace it (in `queue`), or to store its trace."""
    with app.producer_pool.acquire(block=True) as producer:
        for trace_id, state in jobs:
            traced = state in (JobState.TRACED, JobState.STORING)
            app.send_task(
                STORE_TASK if traced else TRACE_TASK,
                args=(trace_id,),
                task_id=trace_id,
                queue=INGEST_QUEUE if traced else queue,
                priority=broker_priority(priority),
                producer=producer,
                ignore_result=True,
            )


def publish_again(app: Celery, jobs: Iterable[Job]) -> None:
    """Publishes the next task of recorded jobs, each with the priority of its record."""
    alike: dict[tuple[int, str], list[tuple[str, JobState]]] = {}
    for job in jobs:
        alike.setdefault((job.priority, trace_queue(job.request)), []).append((job.trace_id, job.state))
    for priority, queue in sorted(alike, reverse=True):
        publish_jobs(app, alike[priority, queue], queue=queue, priority=priority)


def publish_roll_up(app: Celery, prompt_set: str) -> None:
    """Publishes the roll-up of what is pending in a prompt set."""
    app.send_task(
        ROLL_UP_TASK,
        args=(prompt_set,),
        queue=INGEST_QUEUE,
        priority=broker_priority(DEFAULT_PRIORITY),
        ignore_result=True,
    )
