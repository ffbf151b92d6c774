from collections.abc import Iterator

import pytest
import redis
from celery import Celery
from neo4j import Driver

from circuitbase.errors import InputError
from circuitbase.settings import Settings
from circuitbase.workers import jobs, leases, publishing
from circuitbase.workers.application import application
from circuitbase.workers.connection import open_redis
from circuitbase.workers.job_control import Cancelled, cancel, check_retryable, jobs_in, named_jobs, retry
from circuitbase.workers.jobs import JobState
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


def put(client: redis.Redis, *trace_ids: str, priority: int = 5) -> None:
    requests = [(trace_id, made_request(trace_id)) for trace_id in trace_ids]
    jobs.put(client, requests, prompt_set="capitals", priority=priority)


def in_every_state(client: redis.Redis, app: Celery) -> dict[JobState, str]:
    """Returns one job of each state; those that wait have messages."""
    ids = {state: state.value for state in JobState}
    put(client, *ids.values())
    jobs.move(client, "storing", JobState.TRACED)
    for state, trace_id in ids.items():
        if state != JobState.QUEUED:
            assert jobs.move(client, trace_id, state)
    publishing.publish_jobs(app, [("queued", JobState.QUEUED), ("traced", JobState.TRACED)])
    return ids


def test_cancelled_jobs_leave_with_their_messages(client: redis.Redis, app: Celery) -> None:
    ids = in_every_state(client, app)
    put(client, "other", priority=9)
    publishing.publish_jobs(app, [("other", JobState.QUEUED)], priority=9)
    publishing.publish_roll_up(app, "capitals")
    found = cancel(client, ids.values())
    assert found == Cancelled(cancelled=3, being_traced=1, being_stored=1, ended=4)
    assert list(jobs.states(client, ids.values())) == [
        JobState.CANCELLED,
        JobState.CANCELLED,
        JobState.CANCELLED,
        JobState.STORING,
        JobState.STORED,
        JobState.FAILED,
        JobState.DEAD,
        JobState.CANCELLED,
    ]
    assert (queue_length(client, "trace"), queue_length(client, "ingest")) == (1, 1)
    assert client.smembers(jobs.ACTIVE) == {"storing", "other"}
    assert client.zrange(jobs.LEASES, 0, -1) == ["storing"]


def test_a_trace_that_is_finished_after_cancelling_goes_no_further(client: redis.Redis) -> None:
    put(client, "a")
    jobs.move(client, "a", JobState.TRACING)
    cancel(client, ["a"])
    assert not jobs.move(client, "a", JobState.TRACED)
    job = jobs.get(client, "a")
    assert job is not None
    assert (job.state, job.error) == ("cancelled", "cancelled while it was being traced")


def test_the_messages_that_stay_keep_their_order(client: redis.Redis, app: Celery) -> None:
    put(client, *"abcde")
    publishing.publish_jobs(app, [(trace_id, JobState.QUEUED) for trace_id in "abcde"])
    (name,) = [name for name in message_lists("trace") if client.llen(name)]
    before = client.lrange(name, 0, -1)
    cancel(client, ["b", "e"])
    assert client.lrange(name, 0, -1) == [before[1], before[2], before[4]]


def test_what_ended_without_a_trace_can_be_queued_again(
    client: redis.Redis, app: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "GRACE_SECONDS", -1.0)
    put(client, "a", "b", "c", "d", priority=8)
    for _ in range(3):
        jobs.move(client, "a", JobState.TRACING)
    states = (JobState.DEAD, JobState.FAILED, JobState.CANCELLED, JobState.STORED)
    for trace_id, state in zip("abcd", states, strict=True):
        jobs.move(client, trace_id, state, error="it broke")
    assert retry(client, app, "abcd") == 3
    job = jobs.get(client, "a")
    assert job is not None
    assert (job.state, job.attempts, job.deaths, job.error, job.priority) == ("queued", 0, 0, None, 8)
    assert client.llen(message_lists(trace_queue(made_request()))[1]) == queue_length(client, "trace") == 3
    assert leases.lost(client) == []
    assert retry(client, app, "abcd") == 0


def test_a_job_is_named_by_an_unambiguous_beginning(client: redis.Redis) -> None:
    put(client, "abc1", "abd2", "eee3")
    assert named_jobs(client, ["e"]) == ["eee3"]
    assert named_jobs(client, ["abc", "ABC1", "abd2"]) == ["abc1", "abd2"]
    with pytest.raises(InputError, match=r"2 jobs begin with 'ab' .*; no job begins with 'x'.*; no job begins with ''"):
        named_jobs(client, ["ab", "x", ""])


def test_jobs_are_chosen_by_set_and_states(client: redis.Redis) -> None:
    put(client, "a", "b")
    jobs.move(client, "b", JobState.FAILED)
    assert jobs_in(client, prompt_set="capitals", states=jobs.UNDONE) == ["b"]
    assert jobs_in(client, prompt_set="other", states=jobs.FINAL) == []


def test_a_job_under_way_needs_no_retry(client: redis.Redis) -> None:
    put(client, "a", "b")
    jobs.move(client, "b", JobState.FAILED)
    check_retryable(client, ["b"])
    with pytest.raises(InputError, match="but a is queued"):
        check_retryable(client, ["a", "b"])
