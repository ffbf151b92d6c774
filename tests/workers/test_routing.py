"""Jobs of different models in queues of their own, and real workers that find them."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from neo4j import Driver

from circuitbase.settings import Settings
from circuitbase.workers import jobs, routing
from circuitbase.workers.connection import open_redis, redis_client
from circuitbase.workers.following_queues import NO_QUEUE, first_queues
from circuitbase.workers.jobs import JobState
from circuitbase.workers.presence import listening
from circuitbase.workers.routing import QUEUES_USED, forget_idle, queue_length, record_queues, trace_queue, trace_queues
from circuitbase.workers.worker_options import WorkerOptions
from tests.workers.acting import PROGRAM, act_out
from tests.workers.made_jobs import made_request
from tests.workers.running import eventually, running_worker

PATIENCE_SECONDS = 60


def test_jobs_that_need_the_same_loaded_share_a_queue() -> None:
    request = made_request("the beta")
    assert trace_queue(request) == trace_queue(made_request())
    others = [
        replace(request, model="/models/other"),
        replace(request, dictionary="/models/other-tc"),
        replace(request, dictionary=None),
        replace(request, options=replace(request.options, dtype="bfloat16")),
    ]
    assert len({trace_queue(each) for each in [request, *others]}) == 1 + len(others)


def test_queues_are_known_by_their_model_until_they_were_idle_for_a_day(settings: Settings, database: Driver) -> None:
    tiny, other = made_request(), made_request(model="/models/other")
    with open_redis(settings) as client:
        record_queues(client, [tiny, other, tiny])
        assert trace_queues(client) == ["trace", *sorted([trace_queue(tiny), trace_queue(other)])]
        assert trace_queues(client, models=["/models/other"]) == [trace_queue(other)]
        assert routing.known_models(client) == ["/models/other", "/models/tiny"]
        assert forget_idle(client) == []
        client.zadd(QUEUES_USED, {trace_queue(tiny): 1.0, trace_queue(other): 1.0})  # long ago
        client.lpush(trace_queue(other), "a message")
        assert forget_idle(client) == [trace_queue(tiny)]
        assert trace_queues(client) == ["trace", trace_queue(other)]


def test_a_worker_begins_with_the_queues_there_are(settings: Settings, database: Driver) -> None:
    with open_redis(settings) as client:
        assert first_queues(client, WorkerOptions(["trace", "ingest"])) == ["trace", "ingest"]
        assert first_queues(client, WorkerOptions(["trace"], models=("/models/tiny",))) == [NO_QUEUE]
        record_queues(client, [made_request()])
        assert first_queues(client, WorkerOptions(["trace"], models=("/models/tiny",))) == [trace_queue(made_request())]
    with redis_client("redis://127.0.0.1:1/0") as client:
        assert first_queues(client, WorkerOptions(["trace", "ingest"])) == ["trace"]
        assert first_queues(client, WorkerOptions(["trace", "ingest"], models=("m",))) == [NO_QUEUE]


def test_a_worker_changes_the_model_once_for_jobs_that_came_in_turns(
    settings: Settings, database: Driver, tmp_path: Path
) -> None:
    with running_worker(settings, queues="trace", log=tmp_path / "worker.log", program=PROGRAM):
        ids = []
        for turn in range(4):  # while the worker runs: it finds both queues by itself
            for model in ("/models/one", "/models/two"):
                ids += act_out(settings, "process", model=model, first=turn)
        with open_redis(settings) as client:
            eventually(lambda: set(jobs.states(client, ids)) == {JobState.FAILED}, seconds=PATIENCE_SECONDS)
            done = sorted(jobs.read(client, ids), key=lambda job: job.changed_at)
    models = [job.request.model for job in done]
    assert len(models) == 8
    assert sum(before != after for before, after in pairwise(models)) <= 2  # one was empty for a moment


def test_a_worker_of_a_model_leaves_the_jobs_of_others(settings: Settings, database: Driver, tmp_path: Path) -> None:
    options = ["--model", "/models/one"]
    with (
        running_worker(settings, queues="trace", log=tmp_path / "worker.log", options=options, program=PROGRAM),
        open_redis(settings) as client,
    ):
        others, own = (act_out(settings, "process", "process", model=model) for model in ("/models/two", "/models/one"))
        eventually(lambda: set(jobs.states(client, own)) == {JobState.FAILED}, seconds=PATIENCE_SECONDS)
        assert set(jobs.states(client, others)) == {JobState.QUEUED}
        assert queue_length(client, "trace") == 2
        eventually(lambda: len(listening(client, "trace", models=["/models/one"])) == 1, seconds=PATIENCE_SECONDS)
        assert listening(client, "trace", models=["/models/two"]) == []
