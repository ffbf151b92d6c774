"""Which queues a worker listens to: those it finds when it begins, and those that come to be while it runs.

Of the ingest queue it needs a seat (`seats.py`).
"""

import logging

import redis
from celery import Celery

from circuitbase.workers.application import INGEST_QUEUE, TRACE_QUEUE
from circuitbase.workers.connection import LOST
from circuitbase.workers.routing import queues_of
from circuitbase.workers.seats import SEATS, take_seat
from circuitbase.workers.worker_options import WorkerOptions

log = logging.getLogger(__name__)

NO_QUEUE = f"{TRACE_QUEUE}.none"  # always empty: what a worker listens to while nobody asked for its model


def first_queues(client: redis.Redis, options: WorkerOptions) -> list[str]:
    """Returns the queues to begin with; while Redis is away, those that there always are."""
    try:
        found = wanted(client, options)
    except LOST:
        found = [kind for kind in options.queues if kind == TRACE_QUEUE and not options.models]
    else:
        if INGEST_QUEUE in options.queues and INGEST_QUEUE not in found:
            log.info("%d workers store already, as many as help: this one waits until one of them ends", SEATS)
    return found or [NO_QUEUE]


def follow_queues(app: Celery, client: redis.Redis, options: WorkerOptions, *, name: str) -> list[str]:
    """Asks the worker of that name, which runs in this process, to listen to the queues that are its own now.

    Returns the kinds of queues it has a part in.
    """
    listened = app.amqp.queues.consume_from
    queues = wanted(client, options)
    for queue in queues:
        if queue not in listened:
            app.control.add_consumer(queue, destination=[name])
    if INGEST_QUEUE in listened and INGEST_QUEUE not in queues:  # it was away, and others took the seats
        app.control.cancel_consumer(INGEST_QUEUE, destination=[name])
    return [kind for kind in options.queues if kind != INGEST_QUEUE or kind in queues]


def wanted(client: redis.Redis, options: WorkerOptions) -> list[str]:
    """Returns the queues that there are now and that a worker of these options listens to."""
    return [
        queue
        for kind in options.queues
        if kind != INGEST_QUEUE or take_seat(client)
        for queue in queues_of(client, kind, models=options.models)
    ]
