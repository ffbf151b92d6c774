from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis
from neo4j import Driver

from circuitbase.settings import Settings
from circuitbase.tracing.components.component_options import ComponentOptions
from circuitbase.workers import estimate as estimates
from circuitbase.workers import jobs, presence
from circuitbase.workers.connection import open_redis
from circuitbase.workers.estimate import Estimate, estimate
from circuitbase.workers.jobs import JobState
from tests.workers.made_jobs import made_request

MODEL = "/models/tiny"


@pytest.fixture
def client(settings: Settings, database: Driver) -> Iterator[redis.Redis]:
    with open_redis(settings) as client:
        yield client


def put_past_jobs(client: redis.Redis) -> None:
    """Records jobs of two tokens: three stored ones that count, and others that do not."""
    features = made_request()
    of_components = replace(features, dictionary=None, options=ComponentOptions())
    other = replace(features, model="/models/other")
    past = (
        ("a", features, 2.0, JobState.STORED),
        ("b", features, 4.0, JobState.STORED),
        ("c", features, 90.0, JobState.STORED),
        ("not measured", features, None, JobState.STORED),
        ("not stored", features, 1.0, JobState.FAILED),
        ("components", of_components, 8.0, JobState.STORED),
        ("other", other, 1.0, JobState.STORED),
    )
    for trace_id, request, seconds, state in past:
        jobs.put(client, [(trace_id, request)], prompt_set="capitals")
        jobs.move(client, trace_id, JobState.TRACED, seconds=seconds)
        jobs.move(client, trace_id, state)


def test_an_estimate_is_the_median_of_stored_jobs_of_the_model_and_kind(client: redis.Redis) -> None:
    put_past_jobs(client)
    assert estimate(client, model=MODEL, kind="features") == Estimate(past_jobs=3, seconds_per_token=2.0, workers=0)
    assert estimate(client, model=MODEL, kind="components").seconds_per_token == 4.0
    assert estimate(client, model="/models/new", kind="features") == Estimate(0, None, 0)


def test_the_last_jobs_are_enough(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    put_past_jobs(client)
    monkeypatch.setattr(estimates, "READ_BATCH", 5)
    monkeypatch.setattr(estimates, "ENOUGH_JOBS", 1)
    assert estimate(client, model=MODEL, kind="features").seconds_per_token == 45.0  # the one called c


def test_workers_share_the_work(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    put_past_jobs(client)
    assert estimate(client, model=MODEL, kind="features").seconds(30) == 60.0
    for name in ("one", "two", "three"):
        monkeypatch.setattr(presence, "worker_name", lambda name=name: name)
        presence.announce(client, ["trace"])
    found = estimate(client, model=MODEL, kind="features")
    assert (found.workers, found.seconds(30)) == (3, 20.0)
    assert Estimate(0, None, 3).seconds(30) is None
