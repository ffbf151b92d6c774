"""Which queues a worker listens to: those it finds when it begins, and those that come to be while it runs."""

import redis
from celery import Celery

from circuitbase.workers.application import TRACE_QUEUE
from circuitbase.workers.connection import LOST
from circuitbase.workers.routing import queues_of
from circuitbase.workers.worker_options import WorkerOptions

NO_QUEUE = f"{TRACE_QUEUE}.none"  # always empty: what a worker listens to while nobody asked for its model


def first_queues(client: redis.Redis, options: WorkerOptions) -> list[str]:
    """Returns the queues to begin with; while Redis is away, those that there always are."""
    try:
        found = wanted(client, options)
    except LOST:
        found = [kind for kind in options.queues if kind != TRACE_QUEUE or not options.models]
    return found or [NO_QUEUE]


def follow_queues(app: Celery, client: redis.Redis, options: WorkerOptions, *, name: str) -> None:
    """Asks the worker of that name, which runs in this process, to listen to the queues it does not listen to yet."""
    listened = app.amqp.queues.consume_from
    for queue in wanted(client, options):
        if queue not in listened:
            app.control.add_consumer(queue, destination=[name])


def wanted(client: redis.Redis, options: WorkerOptions) -> list[str]:
    """Returns the queues that there are now and that a worker of these options listens to."""
    return [queue for kind in options.queues for queue in queues_of(client, kind, models=options.models)]
