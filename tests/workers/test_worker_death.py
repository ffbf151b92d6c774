"""Workers that are killed or asked to end, each with processes of its own.

A fresh worker loads torch for its first job, which leaves seconds in which to kill it.
"""

import signal
from pathlib import Path

import pytest
import redis
from neo4j import Driver

from circuitbase.settings import Settings
from circuitbase.workers import jobs
from circuitbase.workers.connection import open_redis
from circuitbase.workers.jobs import JobState
from circuitbase.workers.routing import queue_length
from circuitbase.workers.submission import Asked, Submission
from tests.workers.running import eventually, running_worker
from tests.workers.submitting import WORDS, awaited, count, submitted

PATIENCE_SECONDS = 240  # for the job at hand, on a busy machine


def await_tracing(client: redis.Redis, submission: Submission) -> None:
    eventually(lambda: JobState.TRACING in jobs.states(client, submission.under_way), seconds=PATIENCE_SECONDS)


def test_a_job_whose_process_is_killed_is_done_by_the_next(
    settings: Settings, database: Driver, asked: Asked, tmp_path: Path
) -> None:
    submission = submitted(settings, asked, "the sigma of tau", "the upsilon of tau")
    with (
        open_redis(settings) as client,
        running_worker(settings, queues="trace,ingest", log=tmp_path / "worker.log") as worker,
    ):
        await_tracing(client, submission)
        worker.computing_child().kill()
        assert awaited(settings, submission).all_stored
        (attempts, _) = (job.attempts for job in jobs.read(client, submission.under_way))
    assert attempts == 3  # killed, traced, stored
    assert count(database, "MATCH (t:Trace) RETURN count(t)") == 2


def test_jobs_of_a_killed_worker_are_queued_again_by_submitting_them_again(
    settings: Settings, database: Driver, asked: Asked, tmp_path: Path
) -> None:
    texts = [f"the {word} of sigma" for word in WORDS]
    submission = submitted(settings, asked, *texts)
    with open_redis(settings) as client:
        with running_worker(settings, queues="trace", log=tmp_path / "killed.log") as killed:
            await_tracing(client, submission)
            children = killed.children()
            killed.process.kill()
            for child in children:
                child.wait(10)  # no child outlives its parent
        assert queue_length(client, "trace") == len(WORDS) - 1
        client.delete(jobs.LEASES)
        client.hset(f"circuitbase:job:{submission.under_way[0]}", "changed_at", 0)  # as if half a minute had passed
        again = submitted(settings, asked, *texts)
        assert (again.new, again.already_queued) == (0, len(WORDS))
        assert queue_length(client, "trace") == len(WORDS)
    with (
        running_worker(settings, queues="trace,ingest", log=tmp_path / "one.log"),
        running_worker(settings, queues="trace", log=tmp_path / "two.log"),
    ):
        assert awaited(settings, again).all_stored
    assert count(database, "MATCH (t:Trace) RETURN count(t)") == len(WORDS)


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 0), (signal.SIGINT, 1)])
def test_a_worker_that_is_asked_to_end_leaves_no_process_and_no_job_behind(
    settings: Settings, database: Driver, asked: Asked, tmp_path: Path, number: signal.Signals, exit_code: int
) -> None:
    submission = submitted(settings, asked, *(f"the {word} of pi" for word in WORDS))
    with open_redis(settings) as client:
        with running_worker(settings, queues="trace", log=tmp_path / "worker.log") as worker:
            await_tracing(client, submission)
            children = worker.children()
            worker.process.send_signal(number)
            assert worker.process.wait(PATIENCE_SECONDS) == exit_code
            for child in children:
                child.wait(10)
        states = list(jobs.states(client, submission.under_way))
        assert states.count(JobState.TRACED) == queue_length(client, "ingest") == 1  # the job at hand was finished
        assert states.count(JobState.QUEUED) == queue_length(client, "trace") == len(WORDS) - 1
        assert client.hlen("unacked") == 0
        assert client.zcard(jobs.LEASES) == 0
