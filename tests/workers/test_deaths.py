"""What is told of processes that died."""

from collections.abc import Iterator

import pytest
import redis
from billiard.common import human_status
from billiard.einfo import ExceptionInfo
from billiard.exceptions import Terminated, TimeLimitExceeded, WorkerLostError
from celery import Celery
from celery.worker import state
from celery.worker.request import Request
from neo4j import Driver

from circuitbase.settings import Settings
from circuitbase.workers import deaths, jobs, tasks
from circuitbase.workers.application import STORE_TASK, TRACE_TASK, application
from circuitbase.workers.connection import open_redis
from circuitbase.workers.deaths import WatchedRequest, ending, given_up, note_death
from circuitbase.workers.job_control import retry
from circuitbase.workers.jobs import JobState
from circuitbase.workers.leases import Held
from circuitbase.workers.presence import worker_name
from tests.workers.made_jobs import made_request


@pytest.fixture
def client(settings: Settings, database: Driver) -> Iterator[redis.Redis]:
    """Returns a client; this process traces the job "a"."""
    with open_redis(settings) as client:
        jobs.put(client, [("a", made_request())], prompt_set="capitals")
        jobs.move(client, "a", JobState.TRACING, worker=worker_name())
        yield client


@pytest.fixture
def app(settings: Settings) -> Iterator[Celery]:
    with application(settings) as app:
        yield app


def lost(status: int) -> WorkerLostError:
    """Returns the error as billiard makes it."""
    return WorkerLostError(f"Worker exited prematurely: {human_status(status)} Job: 3.")


@pytest.mark.parametrize(
    ("error", "how"),
    [
        (lost(-9), "was killed by signal 9 (SIGKILL), as when memory runs out"),
        (lost(-11), "was killed by signal 11 (SIGSEGV)"),
        (lost(0), "ended with exit code 0"),
        (lost(3), "ended with exit code 3"),
        (WorkerLostError("it is not there"), "ended (it is not there)"),
        (TimeLimitExceeded(66), "was killed after 66 seconds, as it had not ended at its time limit"),
        (SystemExit(2), "ended with exit code 2"),
        (SystemExit(), "ended with exit code 0"),
        (Terminated(-15), None),
        (ValueError(), None),
    ],
)
def test_an_ending_is_told_in_words(error: BaseException, how: str | None) -> None:
    assert ending(error) == how
    try:
        raise error
    except BaseException:
        assert ending(ExceptionInfo().exception) == how  # as a worker gets it


def test_a_death_is_noted_and_frees_the_lease(client: redis.Redis) -> None:
    note_death(client, Held("a", TRACE_TASK), "was eaten")
    assert client.zcard(jobs.LEASES) == 0
    assert given_up(client, "a", deaths=3, state=JobState.TRACING) == (
        "3 processes died tracing it: the last was eaten; see the worker's log, then `circuitbase jobs retry`"
    )


def test_a_death_that_nobody_saw_is_told_as_that(client: redis.Redis) -> None:
    assert "nobody saw how, so it was the whole worker" in given_up(client, "a", deaths=3, state=JobState.TRACING)


def test_a_job_without_a_record_gets_none_by_dying(client: redis.Redis) -> None:
    note_death(client, Held("b", TRACE_TASK), "was eaten")
    assert jobs.get(client, "b") is None


@pytest.mark.parametrize("ends_itself", [False, True])
def test_a_worker_notes_a_death_unless_it_has_ended_the_process_itself(
    client: redis.Redis, app: Celery, monkeypatch: pytest.MonkeyPatch, ends_itself: bool
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(Request, "on_failure", lambda self, *_: seen.append(client.zcard(jobs.LEASES)))
    monkeypatch.setattr(state, "should_terminate", 0 if ends_itself else None)
    request = WatchedRequest.__new__(WatchedRequest)
    request._app, request.id, request.name = app, "a", TRACE_TASK
    try:
        raise lost(-9)
    except WorkerLostError:
        request.on_failure(ExceptionInfo())
    assert seen == [int(ends_itself)]  # the lease, when Celery hands the message back
    assert (client.hget(jobs.key("a"), "ending") is None) == ends_itself


def test_a_death_while_redis_is_away_is_only_logged(
    app: Celery, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: object) -> None:
        raise redis.ConnectionError("refused")

    monkeypatch.setattr(Request, "on_failure", lambda *_: "handed back")
    monkeypatch.setattr(deaths, "note_death", away)
    request = WatchedRequest.__new__(WatchedRequest)
    request._app, request.id, request.name = app, "a", TRACE_TASK
    try:
        raise lost(-9)
    except WorkerLostError:
        assert request.on_failure(ExceptionInfo()) == "handed back"
    assert "Redis is away, it is not noted that a process was killed by signal 9" in caplog.text


def test_the_tasks_of_jobs_are_watched(app: Celery) -> None:
    watched = {name for name, task in app.tasks.items() if task.Request == tasks.WATCHED}
    assert watched == {TRACE_TASK, STORE_TASK}


def test_a_job_that_is_tried_again_forgets_how_it_died(client: redis.Redis, app: Celery) -> None:
    note_death(client, Held("a", TRACE_TASK), "was killed")
    jobs.move(client, "a", JobState.DEAD, error="it died", worker=worker_name())
    assert retry(client, app, ["a"]) == 1
    assert client.hget(jobs.key("a"), "ending") is None
    note_death(client, Held("a", TRACE_TASK), "was killed")
    jobs.move(client, "a", JobState.FAILED, error="it broke")
    jobs.put(client, [("a", made_request())], prompt_set="capitals")
    assert client.hget(jobs.key("a"), "ending") is None
