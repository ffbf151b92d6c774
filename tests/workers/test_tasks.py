"""The tasks themselves, in this process, with a tracer that does as it is told."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import redis
from celery import Celery
from neo4j import Driver

from circuitbase.settings import Settings
from circuitbase.workers import jobs, tasks
from circuitbase.workers.application import TRACE_TASK, application
from circuitbase.workers.connection import open_redis
from circuitbase.workers.job_control import cancel, retry
from circuitbase.workers.job_request import JobRequest
from circuitbase.workers.jobs import Job, JobState
from circuitbase.workers.routing import queue_length
from tests.workers.made_jobs import made_request


@dataclass
class ToldProcess:
    """Stands in for a worker process; its store only remembers names, and `meanwhile` happens while it traces."""

    redis: redis.Redis
    meanwhile: Callable[[], object] = lambda: None
    saved: list[str] = field(default_factory=list)
    worker: str = "here:1"

    @property
    def store(self) -> "ToldProcess":
        return self

    def exists(self, trace_id: str) -> bool:
        return trace_id in self.saved

    def save(self, trace: str) -> None:
        self.saved.append(trace)

    def trace(self, request: JobRequest, *, trace_id: str) -> str:
        self.meanwhile()
        return trace_id


@pytest.fixture
def client(settings: Settings, database: Driver) -> Iterator[redis.Redis]:
    with open_redis(settings) as client:
        jobs.put(client, [("a", made_request())], prompt_set="capitals", priority=7)
        yield client


@pytest.fixture
def app(settings: Settings) -> Iterator[Celery]:
    with application(settings) as app:
        yield app


@pytest.fixture
def process(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> ToldProcess:
    told = ToldProcess(client)
    monkeypatch.setattr(tasks, "this_process", lambda: told)
    return told


def job(client: redis.Redis) -> Job:
    found = jobs.get(client, "a")
    assert found is not None
    return found


def test_a_trace_that_was_computed_is_timed_and_goes_on_with_its_priority(
    client: redis.Redis, app: Celery, process: ToldProcess
) -> None:
    app.tasks[TRACE_TASK].apply(args=("a",))
    found = job(client)
    assert (found.state, process.saved, client.llen("ingest:2")) == ("traced", ["a"], 1)
    assert found.seconds is not None and found.seconds >= 0


def test_a_trace_that_was_there_is_not_timed(client: redis.Redis, app: Celery, process: ToldProcess) -> None:
    process.saved.append("a")
    app.tasks[TRACE_TASK].apply(args=("a",))
    assert (job(client).state, job(client).seconds) == ("traced", None)


def test_a_job_that_is_cancelled_while_it_is_traced_is_finished_and_goes_no_further(
    client: redis.Redis, app: Celery, process: ToldProcess
) -> None:
    process.meanwhile = lambda: cancel(client, ["a"])
    app.tasks[TRACE_TASK].apply(args=("a",))
    assert (job(client).state, process.saved, queue_length(client, "ingest")) == ("cancelled", ["a"], 0)
    assert retry(client, app, ["a"]) == 1
    process.meanwhile = lambda: pytest.fail("it was traced before")
    app.tasks[TRACE_TASK].apply(args=("a",))
    assert job(client).state == "traced"


def test_an_error_of_a_cancelled_job_does_not_bring_it_back(
    client: redis.Redis, app: Celery, process: ToldProcess
) -> None:
    def cancelled_and_broken() -> None:
        cancel(client, ["a"])
        raise redis.ConnectionError("Redis was away for a moment")

    process.meanwhile = cancelled_and_broken
    app.tasks[TRACE_TASK].apply(args=("a",))
    assert job(client).state == "cancelled"


def test_a_second_message_of_a_job_that_another_worker_holds_does_nothing(
    client: redis.Redis, app: Celery, process: ToldProcess
) -> None:
    jobs.move(client, "a", JobState.TRACING, worker="there:2")
    app.tasks[TRACE_TASK].apply(args=("a",))
    assert (job(client).state, job(client).deaths, process.saved) == ("tracing", 0, [])
    client.zadd(jobs.LEASES, {"a": 1.0})  # long ago
    app.tasks[TRACE_TASK].apply(args=("a",))
    assert (job(client).state, job(client).deaths, process.saved) == ("traced", 1, ["a"])


@pytest.mark.parametrize("final", jobs.FINAL)
def test_the_late_message_of_a_final_job_does_nothing(
    client: redis.Redis, app: Celery, process: ToldProcess, final: JobState
) -> None:
    jobs.move(client, "a", final)
    app.tasks[TRACE_TASK].apply(args=("a",))
    assert (job(client).state, process.saved) == (final, [])


def test_a_job_whose_processes_died_three_times_is_dead(client: redis.Redis, app: Celery, process: ToldProcess) -> None:
    for _ in range(tasks.MOST_DEATHS):
        jobs.move(client, "a", JobState.TRACING, worker=process.worker)
    app.tasks[TRACE_TASK].apply(args=("a",))
    assert (job(client).state, process.saved) == ("dead", [])
    assert "3 processes died tracing it" in str(job(client).error)
    assert (client.scard(jobs.ACTIVE), client.zcard(jobs.LEASES)) == (0, 0)
