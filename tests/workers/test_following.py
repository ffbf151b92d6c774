from collections.abc import Iterator

import pytest
import redis
from celery import Celery
from neo4j import Driver

from circuitbase.cli.submit import await_jobs
from circuitbase.settings import Settings
from circuitbase.workers import jobs
from circuitbase.workers.application import application
from circuitbase.workers.connection import open_redis
from circuitbase.workers.following import Progress, follow
from circuitbase.workers.jobs import JobState
from circuitbase.workers.submission import Submission
from tests.workers.made_jobs import made_request


@pytest.fixture
def client(settings: Settings, database: Driver) -> Iterator[redis.Redis]:
    with open_redis(settings) as client:
        jobs.put(client, [(state.value, made_request()) for state in jobs.FINAL], prompt_set="capitals")
        for state in jobs.FINAL:
            jobs.move(client, state.value, state, error="it broke" if state in jobs.UNDONE else None)
        yield client


@pytest.fixture
def app(settings: Settings) -> Iterator[Celery]:
    with application(settings) as app:
        yield app


def made_submission(*trace_ids: str) -> Submission:
    return Submission(
        prompt_set="capitals",
        target="probable",
        under_way=trace_ids,
        configurations=(),
        new=len(trace_ids),
        already_stored=0,
        already_queued=0,
        repeated=0,
        bad=(),
        tokens=0,
        new_tokens=0,
        estimate=None,
    )


def test_every_way_to_end_is_told_apart(client: redis.Redis, app: Celery) -> None:
    (last,) = follow(client, app, [*(state.value for state in jobs.FINAL), "unknown"])
    assert last == Progress(total=5, traced=1, stored=1, failed=1, dead=1, cancelled=1, gone=1)
    assert (last.ended, last.undone, last.all_stored) == (True, 4, False)


def test_following_goes_on_until_the_last_job_ends(client: redis.Redis, app: Celery) -> None:
    jobs.put(client, [("a", made_request())], prompt_set="capitals")
    progress = follow(client, app, ["a", JobState.STORED.value])
    assert not next(progress).ended
    jobs.move(client, "a", JobState.CANCELLED)
    *_, last = progress
    assert (last.ended, last.cancelled, last.all_stored) == (True, 1, False)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (JobState.FAILED, "trace failed failed: it broke\n"),
        (JobState.DEAD, "trace dead is dead: it broke\n"),
        (JobState.CANCELLED, "trace cancelled is cancelled: it broke\n"),
    ],
)
def test_waiting_says_why_a_job_was_not_stored(
    settings: Settings, client: redis.Redis, capsys: pytest.CaptureFixture[str], state: JobState, said: str
) -> None:
    assert not await_jobs(settings, made_submission(state.value), model="/models/tiny")
    assert said in capsys.readouterr().err
    assert await_jobs(settings, made_submission(JobState.STORED.value), model="/models/tiny")
