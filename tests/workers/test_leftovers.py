import redis
from celery import Celery
from kombu import Queue
from neo4j import Driver

from circuitbase.settings import Settings
from circuitbase.workers import jobs
from circuitbase.workers.application import TRACE_QUEUE, application
from circuitbase.workers.connection import open_redis
from circuitbase.workers.jobs import JobState
from circuitbase.workers.leftovers import UNACKNOWLEDGED, UNACKNOWLEDGED_INDEX, sweep
from circuitbase.workers.publishing import publish_jobs
from tests.workers.made_jobs import made_request


def received_and_forgotten(app: Celery, n_messages: int) -> None:
    """Receives messages as a worker does that is killed before it acknowledges them."""
    channel = app.connection_for_read().channel()
    queue = Queue(TRACE_QUEUE)(channel)
    for _ in range(n_messages):
        assert queue.get() is not None
    channel.qos._delivered.clear()  # else it would give them back when this process ends


def test_only_messages_of_jobs_that_ended_are_swept_up(settings: Settings, database: Driver) -> None:
    app: Celery
    client: redis.Redis
    with open_redis(settings) as client, application(settings) as app:
        jobs.put(client, [(name, made_request(name)) for name in "abc"], prompt_set="capitals")
        publish_jobs(app, [(name, JobState.QUEUED) for name in "abc"])
        received_and_forgotten(app, 3)
        jobs.move(client, "a", JobState.STORED)
        jobs.move(client, "b", JobState.FAILED, error="it broke")
        jobs.move(client, "c", JobState.TRACING)
        assert sweep(client) == 2
        assert (client.hlen(UNACKNOWLEDGED), client.zcard(UNACKNOWLEDGED_INDEX)) == (1, 1)
        assert sweep(client) == 0
