from collections.abc import Iterator
from dataclasses import fields, replace

import pytest
import redis
from neo4j import Driver

from circuitbase.settings import Settings
from circuitbase.tracing.components.component_options import ComponentOptions
from circuitbase.tracing.options import TraceOptions
from circuitbase.workers import jobs
from circuitbase.workers.connection import open_redis
from circuitbase.workers.job_request import JobRequest
from circuitbase.workers.jobs import JobState
from tests.workers.made_jobs import made_request


@pytest.fixture
def client(settings: Settings, database: Driver) -> Iterator[redis.Redis]:
    with open_redis(settings) as client:
        yield client


def put_one(client: redis.Redis, trace_id: str, prompt_set: str = "capitals") -> bool:
    return jobs.put(client, [(trace_id, made_request(trace_id))], prompt_set=prompt_set)[0]


def test_a_request_survives_json() -> None:
    assert JobRequest.from_json(made_request().to_json()) == made_request()
    options = ComponentOptions(target="roles", tau=0.1, neurons=3, links=2, positions="summed", dtype="float64")
    of_components = replace(made_request(), dictionary=None, options=options)
    assert JobRequest.from_json(of_components.to_json()) == of_components


def test_every_option_survives_the_record(client: redis.Redis) -> None:
    options = TraceOptions(
        target="roles",
        max_outputs=3,
        output_probability=0.5,
        prune=False,
        node_threshold=0.7,
        edge_threshold=0.6,
        dtype="bfloat16",
        max_features=100,
        keep_mass=0.99,
        silent=((1, 7), (0, 3)),
        heads=True,
        tf32=True,
        explain_attention=((1, 0, -1), (0, 1, 3)),
        explain_keys=2,
        explain_pairs=10,
    )
    untouched = TraceOptions()
    left_alone = [each.name for each in fields(options) if getattr(options, each.name) == getattr(untouched, each.name)]
    assert left_alone == []
    request = replace(made_request(), options=options, any_model_name=True)
    request = replace(request, prompt=replace(request.prompt, bos_added=True, chat=True))
    jobs.put(client, [("a", request)], prompt_set="capitals")
    job = jobs.get(client, "a")
    assert job is not None
    assert job.request == request


def test_a_new_job_is_recorded_as_queued(client: redis.Redis) -> None:
    assert put_one(client, "a")
    job = jobs.get(client, "a")
    assert job is not None
    assert (job.state, job.prompt_sets, job.request, job.error) == ("queued", ("capitals",), made_request("a"), None)
    assert job.queued_at == job.changed_at > 0
    assert jobs.get(client, "unknown") is None


def test_a_job_under_way_is_not_queued_twice_but_joins_the_second_set(client: redis.Redis) -> None:
    put_one(client, "a")
    for state in (JobState.QUEUED, JobState.TRACING, JobState.TRACED, JobState.STORING):
        jobs.move(client, "a", state)
        assert not put_one(client, "a", "birds")
    job = jobs.get(client, "a")
    assert job is not None
    assert job.prompt_sets == ("birds", "capitals")
    assert [job.trace_id for job in jobs.listed(client, prompt_set="birds")] == ["a"]


@pytest.mark.parametrize("final", jobs.FINAL)
def test_a_final_job_can_be_queued_again(client: redis.Redis, final: JobState) -> None:
    put_one(client, "a")
    jobs.move(client, "a", JobState.TRACING)
    jobs.move(client, "a", final, error="it broke" if final in jobs.UNDONE else None)
    assert put_one(client, "a")
    job = jobs.get(client, "a")
    assert job is not None
    assert (job.state, job.error, job.attempts) == ("queued", None, 0)


@pytest.mark.parametrize("final", jobs.FINAL)
def test_a_job_in_a_final_state_is_moved_by_no_late_task(client: redis.Redis, final: JobState) -> None:
    put_one(client, "a")
    assert jobs.move(client, "a", final)
    for state in JobState:
        assert not jobs.move(client, "a", state, error="late")
    assert list(jobs.states(client, ["a", "unknown"])) == [final, None]
    assert (client.scard(jobs.ACTIVE), client.zcard(jobs.LEASES)) == (0, 0)
    assert not jobs.move(client, "unknown", JobState.TRACING)


def test_a_second_message_for_a_step_that_is_done_begins_nothing(client: redis.Redis) -> None:
    put_one(client, "a")
    assert not jobs.move(client, "a", JobState.STORING)
    jobs.move(client, "a", JobState.TRACED)
    assert not jobs.move(client, "a", JobState.TRACING)
    jobs.move(client, "a", JobState.STORING)
    assert not jobs.move(client, "a", JobState.TRACING)
    assert list(jobs.states(client, ["a"])) == [JobState.STORING]


def test_a_job_counts_its_attempts_and_keeps_its_last_error(client: redis.Redis) -> None:
    put_one(client, "a")
    jobs.move(client, "a", JobState.TRACING)
    jobs.move(client, "a", JobState.QUEUED, error="Neo4j is away")
    jobs.move(client, "a", JobState.TRACING)
    jobs.move(client, "a", JobState.FAILED, error="it broke")
    job = jobs.get(client, "a")
    assert job is not None
    assert (job.attempts, job.error) == (2, "it broke")


def test_processes_that_die_in_the_middle_of_a_job_are_counted(client: redis.Redis) -> None:
    put_one(client, "a")
    for state in (JobState.TRACING, JobState.TRACING, JobState.TRACED, JobState.STORING, JobState.STORING):
        jobs.move(client, "a", state)
    job = jobs.get(client, "a")
    assert job is not None
    assert (job.attempts, job.deaths) == (4, 2)


def test_a_worker_whose_job_was_taken_over_is_heard_only_where_it_did_the_work(client: redis.Redis) -> None:
    put_one(client, "a")
    jobs.move(client, "a", JobState.TRACING, worker="here:1")
    assert not jobs.move(client, "a", JobState.TRACING, worker="there:2")
    client.zadd(jobs.LEASES, {"a": 1.0})  # it was away for long
    assert jobs.move(client, "a", JobState.TRACING, worker="there:2")
    for state in (JobState.QUEUED, JobState.FAILED, JobState.DEAD):
        assert not jobs.move(client, "a", state, error="late", worker="here:1")
    assert jobs.move(client, "a", JobState.TRACED, worker="here:1")
    assert jobs.move(client, "a", JobState.STORING, worker="here:1")
    assert not jobs.move(client, "a", JobState.TRACED, worker="there:2")  # it would be stored twice
    assert jobs.move(client, "a", JobState.STORED, worker="here:1")
    job = jobs.get(client, "a")
    assert job is not None
    assert (job.attempts, job.deaths) == (3, 1)


def test_jobs_are_listed_in_order_by_set_and_by_state(client: redis.Redis) -> None:
    for trace_id, prompt_set in (("c", "capitals"), ("a", "birds"), ("b", "capitals")):
        put_one(client, trace_id, prompt_set)
    jobs.move(client, "b", JobState.FAILED, error="it broke")
    assert [job.trace_id for job in jobs.listed(client)] == ["c", "a", "b"]
    assert [job.trace_id for job in jobs.listed(client, prompt_set="capitals")] == ["c", "b"]
    assert [job.trace_id for job in jobs.listed(client, states=[JobState.FAILED])] == ["b"]
    assert list(jobs.listed(client, prompt_set="nothing")) == []
