from collections.abc import Iterator

import pytest
import redis
from celery import Celery
from neo4j import Driver

from circuitbase.settings import Settings
from circuitbase.workers import jobs, leases, publishing
from circuitbase.workers.application import STORE_TASK, TRACE_TASK, application
from circuitbase.workers.connection import open_redis
from circuitbase.workers.jobs import JobState
from circuitbase.workers.leases import Held
from circuitbase.workers.presence import worker_name
from circuitbase.workers.priorities import message_lists
from circuitbase.workers.routing import queue_length, trace_queue
from tests.workers.made_jobs import made_request


@pytest.fixture
def client(settings: Settings, database: Driver) -> Iterator[redis.Redis]:
    with open_redis(settings) as client:
        yield client


@pytest.fixture
def app(settings: Settings) -> Iterator[Celery]:
    with application(settings) as app:
        yield app


@pytest.fixture(autouse=True)
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "GRACE_SECONDS", -1.0)


def put(client: redis.Redis, *trace_ids: str) -> None:
    jobs.put(client, [(trace_id, made_request(trace_id)) for trace_id in trace_ids], prompt_set="capitals")


def queued(client: redis.Redis, queue: str) -> int:
    return queue_length(client, queue)


def test_a_job_with_a_message_is_not_lost(client: redis.Redis, app: Celery) -> None:
    put(client, "a", "b")
    publishing.publish_jobs(app, [("a", JobState.QUEUED), ("b", JobState.TRACED)])
    assert (queued(client, "trace"), queued(client, "ingest")) == (1, 1)
    assert leases.lost(client) == []


def test_a_job_without_message_and_lease_is_sent_again(client: redis.Redis, app: Celery) -> None:
    put(client, "a", "b", "c")
    jobs.move(client, "b", JobState.TRACED)
    publishing.publish_jobs(app, [("c", JobState.QUEUED)])
    assert sorted(leases.republish_lost(client, app)) == ["a", "b"]
    assert (queued(client, "trace"), queued(client, "ingest")) == (2, 1)
    assert leases.republish_lost(client, app) == []


def test_a_job_that_is_sent_again_keeps_its_priority(client: redis.Redis, app: Celery) -> None:
    put(client, "a")
    jobs.put(client, [("b", made_request("b"))], prompt_set="capitals", priority=9)
    assert sorted(leases.republish_lost(client, app)) == ["a", "b"]
    assert [client.llen(name) for name in message_lists(trace_queue(made_request()))] == [1, 0, 0, 0, 1, 0, 0, 0, 0, 0]


def test_jobs_are_found_in_a_queue_of_several_pages(
    client: redis.Redis, app: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "PAGE", 2)
    put(client, *"abcdef")
    publishing.publish_jobs(app, [(trace_id, JobState.QUEUED) for trace_id in "abcde"])
    assert [job.trace_id for job in leases.lost(client)] == ["f"]


def test_a_job_that_a_worker_vouches_for_is_not_lost(client: redis.Redis) -> None:
    put(client, "a", "b")
    jobs.move(client, "a", JobState.TRACING)  # the task itself takes the first lease
    leases.renew(client, [Held("b", TRACE_TASK), Held("not a job", TRACE_TASK)])
    assert leases.lost(client) == []
    assert client.zrange(jobs.LEASES, 0, -1) == ["a", "b"]


def test_a_job_is_lost_when_its_lease_ends(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    put(client, "a")
    monkeypatch.setattr(leases, "LEASE_SECONDS", -1.0)
    leases.renew(client, [Held("a", TRACE_TASK)])
    assert [job.trace_id for job in leases.lost(client)] == ["a"]


def test_a_message_whose_work_is_done_vouches_for_nothing(client: redis.Redis) -> None:
    put(client, "a")
    jobs.move(client, "a", JobState.TRACED)
    leases.renew(client, [Held("a", TRACE_TASK)])  # received, done, and not yet acknowledged
    assert client.zcard(jobs.LEASES) == 0
    leases.renew(client, [Held("a", STORE_TASK)])
    assert client.zcard(jobs.LEASES) == 1


def test_a_worker_that_ends_takes_its_leases_back(client: redis.Redis) -> None:
    put(client, "a", "b")
    leases.renew(client, [Held("a", TRACE_TASK), Held("b", TRACE_TASK)])
    leases.release(client, [Held("a", TRACE_TASK)])
    leases.release(client, [])
    assert client.zrange(jobs.LEASES, 0, -1) == ["b"]


def test_a_worker_vouches_for_no_job_that_another_works_on(client: redis.Redis) -> None:
    put(client, "a")
    jobs.move(client, "a", JobState.TRACING, worker="there:2")
    before = client.zscore(jobs.LEASES, "a")
    leases.renew(client, [Held("a", TRACE_TASK)])
    leases.release(client, [Held("a", TRACE_TASK)])
    assert client.zscore(jobs.LEASES, "a") == before


def test_the_lease_of_a_child_that_died_is_taken_back(client: redis.Redis) -> None:
    put(client, "a")
    jobs.move(client, "a", JobState.TRACING, worker=worker_name())
    leases.release(client, [Held("a", TRACE_TASK)])
    assert [job.trace_id for job in leases.lost(client)] == ["a"]


def test_a_job_that_was_just_recorded_is_given_time_to_be_published(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "GRACE_SECONDS", 60.0)
    put(client, "a")
    assert leases.lost(client) == []


def test_final_jobs_are_never_lost(client: redis.Redis) -> None:
    put(client, "a", "b", "c", "d")
    for trace_id, state in zip("abcd", jobs.FINAL, strict=True):
        jobs.move(client, trace_id, state)
    assert leases.lost(client) == []


def test_one_process_at_a_time_looks_for_lost_jobs(client: redis.Redis, app: Celery) -> None:
    put(client, "a")
    assert leases.reap(client, app) == ["a"]
    client.delete(*message_lists(trace_queue(made_request())))
    assert leases.reap(client, app) == []
