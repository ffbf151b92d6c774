"""What is urgent is traced first, by a real worker that finds a queue of both kinds."""

from dataclasses import replace
from pathlib import Path

from neo4j import Driver

from circuitbase.settings import Settings
from circuitbase.workers import jobs
from circuitbase.workers.connection import open_redis
from circuitbase.workers.priorities import message_lists
from circuitbase.workers.routing import queue_length, trace_queues
from circuitbase.workers.submission import Asked
from tests.workers.running import eventually, running_worker
from tests.workers.submitting import submitted


def test_a_later_job_of_a_higher_priority_is_traced_first(
    settings: Settings, database: Driver, asked: Asked, tmp_path: Path
) -> None:
    low = submitted(settings, replace(asked, priority=4), "the alpha of eta", "the beta of eta")
    high = submitted(settings, replace(asked, priority=9), "the gamma of eta", "the delta of eta")
    usual = submitted(settings, asked, "the zeta of eta")
    expected = [*high.under_way, *usual.under_way, *low.under_way]
    with open_redis(settings) as client:
        assert queue_length(client, "trace") == len(expected)
        (of_model,) = set(trace_queues(client)) - {"trace"}
        assert [client.llen(name) for name in message_lists(of_model)] == [2, 0, 0, 0, 1, 2, 0, 0, 0, 0]
        with running_worker(settings, queues="trace", log=tmp_path / "worker.log"):
            eventually(lambda: set(jobs.states(client, expected)) == {jobs.JobState.TRACED}, seconds=240)
        done = sorted(jobs.read(client, expected), key=lambda job: job.changed_at)
        assert [client.llen(name) for name in message_lists("ingest")] == [2, 0, 0, 0, 1, 2, 0, 0, 0, 0]
    assert [job.trace_id for job in done] == expected
    assert [job.priority for job in done] == [9, 9, 5, 4, 4]
