import time
from collections.abc import Iterator

import pytest
import redis
import torch
from celery import Celery, Task
from kombu.exceptions import OperationalError
from neo4j import Driver
from neo4j.exceptions import (
    AuthError,
    ClientError,
    ConnectionAcquisitionTimeoutError,
    IncompleteCommit,
    Neo4jError,
    ServiceUnavailable,
    TransientError,
)

from circuitbase.errors import (
    DatabaseError,
    InputError,
    ModelError,
    PromptFileError,
    ServiceError,
    StoreError,
    TraceFileError,
)
from circuitbase.settings import Settings
from circuitbase.workers import jobs
from circuitbase.workers.application import application
from circuitbase.workers.connection import open_redis
from circuitbase.workers.failures import MOST_RETRIES, failures_recorded, is_transient, pause_seconds, reason
from circuitbase.workers.jobs import JobState
from circuitbase.workers.patience import patiently
from tests.workers.made_jobs import made_request


@pytest.fixture
def client(settings: Settings, database: Driver) -> Iterator[redis.Redis]:
    with open_redis(settings) as client:
        yield client


@pytest.fixture
def app(settings: Settings) -> Iterator[Celery]:
    with application(settings) as app:
        yield app


def task_that_raises(app: Celery, client: redis.Redis, errors: list[Exception]) -> Task:
    @app.task(bind=True, name="raises", shared=False)
    def raises(self: Task, trace_id: str) -> None:
        with failures_recorded(self, client, trace_id, waits_as=JobState.QUEUED):
            jobs.move(client, trace_id, JobState.TRACING)
            if errors:
                raise errors.pop(0)
            jobs.move(client, trace_id, JobState.TRACED)

    return raises


@pytest.mark.parametrize(
    "error",
    [
        ServiceError("Neo4j is away"),
        redis.ConnectionError(),
        redis.TimeoutError(),
        OperationalError(),
        ServiceUnavailable(),
        IncompleteCommit(),
        ConnectionAcquisitionTimeoutError(),
        TransientError(),
        redis.BusyLoadingError(),
        redis.ReadOnlyError(),
        ConnectionResetError(),
        TimeoutError(),
    ],
)
def test_services_that_are_away_are_waited_for(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        InputError("a"),
        ModelError("a"),
        StoreError("a"),
        DatabaseError("a"),
        TraceFileError("a"),
        PromptFileError("a", []),
        AuthError(),
        redis.ResponseError(),
        OSError(28, "No space left on device"),
        ClientError(),
        ValueError(),
        MemoryError(),
        torch.cuda.OutOfMemoryError("CUDA out of memory"),
    ],
)
def test_what_will_not_pass_is_not_repeated(error: Exception) -> None:
    assert not is_transient(error)


def test_an_error_is_as_transient_as_its_cause() -> None:
    away, full = StoreError("it cannot be written"), StoreError("it cannot be written")
    away.__cause__, full.__cause__ = TimeoutError(), OSError(28, "No space left on device")
    assert (is_transient(away), is_transient(full)) == (True, False)


@pytest.mark.parametrize("name", ["Terminated", "LockClientStopped", "TransactionTimedOut"])
def test_a_transaction_that_the_database_broke_off_is_repeated(name: str) -> None:
    error = Neo4jError._hydrate_neo4j(code=f"Neo.ClientError.Transaction.{name}", message="broken off")
    assert is_transient(error)


def test_a_job_is_given_up_only_after_hours() -> None:
    assert sum(pause_seconds(retries) for retries in range(MOST_RETRIES)) > 3 * 3600


def test_a_reason_tells_no_password() -> None:
    error = StoreError("the store s3://key:secret@bucket/traces cannot be opened")
    assert reason(error) == "the store s3://bucket/traces cannot be opened"
    assert reason(OSError("redis://:secret@host:1/0 refused")) == "OSError: redis://host:1/0 refused"


def test_pauses_grow_to_five_minutes() -> None:
    assert [pause_seconds(retries) for retries in (0, 1, 2, 7, 8, 49)] == [2, 4, 8, 256, 300, 300]


def test_a_reason_is_one_line() -> None:
    assert reason(InputError("the prompt is empty; give one")) == "the prompt is empty; give one"
    assert reason(RuntimeError("CUDA out of memory.\nlong explanation")) == "RuntimeError: CUDA out of memory."
    assert reason(MemoryError()) == "MemoryError"


def test_a_job_waits_with_the_reason_and_is_tried_again(client: redis.Redis, app: Celery) -> None:
    jobs.put(client, [("a", made_request())], prompt_set="capitals")
    seen = []
    errors: list[Exception] = [ServiceError("Neo4j is away"), redis.ConnectionError("Redis is away")]
    task = task_that_raises(app, client, errors)

    original = jobs.move

    def move(
        client: redis.Redis, trace_id: str, state: JobState, *, error: str | None = None, worker: str = ""
    ) -> bool:
        seen.append((state.value, error))
        return original(client, trace_id, state, error=error, worker=worker)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "move", move)
        task.apply(args=("a",))
    assert seen == [
        ("tracing", None),
        ("queued", "Neo4j is away"),
        ("tracing", None),
        ("queued", "ConnectionError: Redis is away"),
        ("tracing", None),
        ("traced", None),
    ]
    job = jobs.get(client, "a")
    assert job is not None
    assert (job.state, job.attempts, job.deaths, job.error) == ("traced", 3, 0, None)


@pytest.mark.parametrize("error", [ModelError("the model changed"), RuntimeError("the model changed")])
def test_a_job_that_cannot_work_fails_at_once(client: redis.Redis, app: Celery, error: Exception) -> None:
    jobs.put(client, [("a", made_request())], prompt_set="capitals")
    errors: list[Exception] = [error]
    task_that_raises(app, client, errors).apply(args=("a",))
    job = jobs.get(client, "a")
    assert job is not None
    assert (job.state, job.attempts) == ("failed", 1)
    assert str(job.error).endswith("the model changed")


def test_a_task_waits_for_redis_rather_than_leave_its_job_behind(
    client: redis.Redis, app: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.put(client, [("a", made_request())], prompt_set="capitals")
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    original = jobs.move

    def move(
        client: redis.Redis, trace_id: str, state: JobState, *, error: str | None = None, worker: str = ""
    ) -> bool:
        if error is not None and len(pauses) < 8:
            raise redis.ConnectionError("Redis is away")
        return original(client, trace_id, state, error=error, worker=worker)

    monkeypatch.setattr(jobs, "move", move)
    task_that_raises(app, client, [redis.ConnectionError("Redis is away")]).apply(args=("a",))
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    job = jobs.get(client, "a")
    assert job is not None
    assert (job.state, job.attempts, job.deaths) == ("traced", 2, 0)


def test_a_task_gives_up_waiting_for_redis_only_after_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)

    def away() -> None:
        raise redis.TimeoutError

    with pytest.raises(redis.TimeoutError):
        patiently(away)
    assert sum(pauses) > 3 * 3600


def test_a_wrong_password_of_redis_is_not_waited_for() -> None:
    def refused() -> None:
        raise redis.AuthenticationError

    with pytest.raises(redis.AuthenticationError):
        patiently(refused)
