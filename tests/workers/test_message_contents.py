"""What stands in a message, and what does not."""

import base64
import json
from collections.abc import Iterator

import pytest
import redis
from celery import Celery
from neo4j import Driver

from circuitbase.settings import Settings
from circuitbase.workers import publishing, tasks
from circuitbase.workers.application import application
from circuitbase.workers.connection import open_redis
from circuitbase.workers.jobs import JobState
from circuitbase.workers.priorities import message_lists
from circuitbase.workers.worker_options import WorkerOptions


@pytest.fixture
def client(settings: Settings, database: Driver) -> Iterator[redis.Redis]:
    with open_redis(settings) as client:
        yield client


@pytest.fixture
def hasty(settings: Settings) -> Iterator[Celery]:
    """Returns the application of a worker whose jobs may take a second."""
    with application(settings, options=WorkerOptions(queues=["trace"], time_limit=1)) as app:
        yield app


def messages(client: redis.Redis) -> Iterator[dict]:
    for queue in ("trace", "ingest"):
        for name in message_lists(queue):
            yield from map(json.loads, client.lrange(name, 0, -1))


def test_no_message_carries_the_limits_of_the_worker_that_sent_it(client: redis.Redis, hasty: Celery) -> None:
    assert hasty.tasks[tasks.store_trace.name].soft_time_limit == 1
    publishing.publish_jobs(hasty, [("a", JobState.QUEUED), ("b", JobState.TRACED)])
    publishing.publish_roll_up(hasty, "capitals")
    found = list(messages(client))
    assert sorted(message["headers"]["task"] for message in found) == sorted(hasty.tasks.keys() - celery_tasks(hasty))
    assert [message["headers"]["timelimit"] for message in found] == [[None, None]] * 3


def test_a_message_names_the_trace_and_nothing_else(client: redis.Redis, hasty: Celery) -> None:
    publishing.publish_jobs(hasty, [("a", JobState.QUEUED)])
    (message,) = messages(client)
    arguments, named, _ = json.loads(base64.b64decode(message["body"]))
    assert (arguments, named, message["headers"]["id"]) == (["a"], {}, "a")


def celery_tasks(app: Celery) -> set[str]:
    return {name for name in app.tasks if name.startswith("celery.")}
