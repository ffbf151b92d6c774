"""What reaches the broker when jobs are published, many at a time."""

import base64
import json
from collections.abc import Iterator

import pytest
import redis
from celery import Celery
from kombu.exceptions import OperationalError
from neo4j import Driver

from circuitbase.settings import Settings
from circuitbase.workers.application import TRACE_QUEUE, TRACE_TASK, application
from circuitbase.workers.connection import open_redis
from circuitbase.workers.jobs import JobState
from circuitbase.workers.priorities import broker_priority, waiting_messages
from circuitbase.workers.publishing import publish_jobs


@pytest.fixture
def client(settings: Settings, database: Driver) -> Iterator[redis.Redis]:
    with open_redis(settings) as client:
        yield client


@pytest.fixture
def app(settings: Settings) -> Iterator[Celery]:
    with application(settings) as app:
        yield app


def messages(client: redis.Redis) -> list[dict[str, object]]:
    """Returns the waiting messages, first published first, without the one property that is drawn for each."""
    found = [json.loads(text) for text in waiting_messages(client, TRACE_QUEUE, page=100)]
    for message in found:
        del message["properties"]["delivery_tag"]
        message["body"] = json.loads(base64.b64decode(message["body"]))
    return found[::-1]


def test_messages_of_a_batch_are_those_that_celery_sends(client: redis.Redis, app: Celery) -> None:
    publish_jobs(app, [("a", JobState.QUEUED), ("b", JobState.TRACING)], priority=7)
    in_a_batch = messages(client)
    client.flushall()
    for trace_id in ("a", "b"):
        app.send_task(
            TRACE_TASK,
            args=(trace_id,),
            task_id=trace_id,
            queue=TRACE_QUEUE,
            priority=broker_priority(7),
            ignore_result=True,
        )
    assert in_a_batch == messages(client)
    assert [message["headers"]["id"] for message in in_a_batch] == ["a", "b"]  # type: ignore[index]


def test_many_messages_take_few_round_trips(client: redis.Redis, app: Celery) -> None:
    publish_jobs(app, [("first", JobState.QUEUED)])  # connecting and declaring take some of their own
    before = client.info("stats")["total_reads_processed"]
    publish_jobs(app, [(f"{number}", JobState.QUEUED) for number in range(500)])
    assert client.info("stats")["total_reads_processed"] - before < 100  # the server reads long ones in parts
    assert len(messages(client)) == 501


def test_what_may_not_have_reached_the_broker_is_an_error(
    client: redis.Redis, app: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: object, **__: object) -> None:
        raise redis.ConnectionError("the connection was cut")

    monkeypatch.setattr(redis.client.Pipeline, "execute", cut)
    with pytest.raises(OperationalError, match="the connection was cut"):
        publish_jobs(app, [("a", JobState.QUEUED)])
