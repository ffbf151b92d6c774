"""The queue under kills, restarts and cuts: every trace is stored once, as if nothing had happened.

The long form, with the packaged model, is `bench/chaos.py`.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from neo4j import Driver

from circuitbase.graph.trace import Trace
from circuitbase.ingest.connection import open_driver
from circuitbase.ingest.prompt_sets import SetPrompt, put_prompts
from circuitbase.ingest.trace_writer import store_trace
from circuitbase.queries import rollup
from circuitbase.queries.digest import digest
from circuitbase.store.trace_file import to_bytes
from circuitbase.store.trace_store import TraceStore
from circuitbase.workers import jobs, publishing
from circuitbase.workers.application import application
from circuitbase.workers.connection import open_redis
from circuitbase.workers.job_request import JobRequest
from tests.chaos.aftermath import aftermath
from tests.chaos.arena import Arena, arena
from tests.chaos.conductor import Conductor
from tests.chaos.diary import Diary
from tests.chaos.emptying import empty
from tests.chaos.schedule import Plan, Stroke, drawn
from tests.chaos.supervisor import supervised
from tests.chaos.synthetic_worker import PROGRAM
from tests.synthetic import synthetic_traces
from tests.workers.made_jobs import made_request

N_JOBS = 60
SEED = 6
PROMPT_SET = "chaos"
PLAN = Plan(
    rounds=6,
    strokes={
        Stroke.KILL_TRACING: 6,
        Stroke.KILL_STORING: 3,
        Stroke.KILL_REDIS: 1,
        Stroke.KILL_NEO4J: 1,
        Stroke.CUT_REDIS: 1,
        Stroke.CUT_NEO4J: 1,
    },
    whole=2,
    longest_pause=0.5,
    longest_away=3.0,
)
PATIENCE_SECONDS = 300  # on a busy machine


@pytest.fixture(scope="module")
def own_arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with arena(tmp_path_factory.mktemp("chaos")) as opened:
        yield opened


def undisturbed(driver: Driver, traces: list[Trace], database: str, folder: Path) -> str:
    """Returns the digest of a database that holds the traces, without any queue."""
    store = TraceStore(str(folder / "undisturbed"))
    put_into_set(driver, traces, database)
    for trace in traces:
        store.save(trace)
        store_trace(driver, trace, database=database)
    rollup.roll_up(driver, store=store, prompt_set=None, database=database)
    return digest(driver, prompt_set=None, database=database).digest


def put_into_set(driver: Driver, traces: list[Trace], database: str) -> None:
    entries = [SetPrompt(trace.metadata.prompt_id, trace.metadata.prompt) for trace in traces]
    put_prompts(driver, PROMPT_SET, entries, database=database)


def test_every_trace_is_stored_once_whatever_is_killed_or_cut_off(own_arena: Arena, tmp_path: Path) -> None:
    settings, database = own_arena.settings, own_arena.settings.neo4j_database
    traces = synthetic_traces(N_JOBS)
    diary = Diary(tmp_path / "schedule.log")
    command = [sys.executable, *PROGRAM, "worker", "--queues", "trace,ingest", "--device", "cpu"]
    workers = [own_arena.worker(name, command) for name in ("one", "two")]

    store = TraceStore(settings.store_url)

    with (
        supervised(workers, diary),
        open_driver(settings) as driver,
        open_redis(settings) as client,
        application(settings) as app,
    ):
        wanted = undisturbed(driver, traces, database, tmp_path)  # while the workers start
        empty(driver, database=database)
        put_into_set(driver, traces, database)

        def queue_jobs(number: int) -> int:
            seeds = range(number, N_JOBS, PLAN.rounds)
            requests = [(traces[seed].metadata.trace_id, request(seed)) for seed in seeds]
            jobs.put(client, requests, prompt_set=PROMPT_SET)
            publishing.publish_again(app, list(jobs.read(client, [trace_id for trace_id, _ in requests])))
            return len(requests)

        conductor = Conductor(own_arena, workers, client, diary, queue_jobs, seed=SEED)
        assert conductor.await_workers(seconds=PATIENCE_SECONDS)
        fallen = conductor.run(drawn(PLAN, seed=SEED))
        assert conductor.await_end(seconds=PATIENCE_SECONDS), told(diary, client)
        files = {trace.metadata.trace_id: to_bytes(trace) for trace in traces}
        found = aftermath(driver, client, store=store, database=database, files=files)
    assert fallen == PLAN.strokes, diary.path.read_text()
    assert (found.stored_once, found.others) == (N_JOBS, 0)
    assert found.leftovers.total == 0, f"{found.leftovers}\n{diary.path.read_text()}"
    assert found.digest == wanted


def request(seed: int) -> JobRequest:
    """Returns the request for the trace of a seed, from one of two models, so of one of two queues."""
    return made_request(str(seed), model=f"/models/{seed // PLAN.rounds % 2}")


def told(diary: Diary, client: redis.Redis) -> str:
    """Returns the schedule, and the jobs that did not end."""
    ids = [str(trace_id) for trace_id in client.smembers(jobs.ACTIVE)]
    return "\n".join([diary.path.read_text(), *map(str, jobs.read(client, ids))])
