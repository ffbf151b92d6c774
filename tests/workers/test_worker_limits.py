"""The limits of real workers, and what a worker that is told to end at once hands back."""

import signal
from pathlib import Path

import pytest
from neo4j import Driver

from circuitbase.settings import Settings
from circuitbase.workers import jobs
from circuitbase.workers.application import application
from circuitbase.workers.connection import open_redis
from circuitbase.workers.jobs import JobState
from circuitbase.workers.routing import queue_length
from circuitbase.workers.worker_options import WorkerOptions, worker_options
from tests.workers.acting import PROGRAM, act_out, record
from tests.workers.running import RunningWorker, eventually, running_worker

PATIENCE_SECONDS = 60


def acting(settings: Settings, log: Path, *options: str):
    return running_worker(settings, queues="trace", log=log, options=options, program=PROGRAM)


def await_state(settings: Settings, trace_id: str, state: JobState) -> None:
    eventually(lambda: record(settings, trace_id).state == state, seconds=PATIENCE_SECONDS)


def test_a_job_that_takes_too_long_fails_with_the_limit(settings: Settings, database: Driver, tmp_path: Path) -> None:
    slow, quick = act_out(settings, "sleep", "process")
    with acting(settings, tmp_path / "worker.log", "--time-limit", "1") as worker:
        child = worker.computing_child().pid
        await_state(settings, quick, JobState.FAILED)
    assert record(settings, slow).state == JobState.FAILED
    assert "took longer than the 1 seconds that a job may take" in str(record(settings, slow).error)
    assert record(settings, slow).deaths == 0
    assert record(settings, quick).error == f"process {child}"  # the process lived on


def test_a_job_that_does_not_end_is_killed_and_counted_as_a_death(
    settings: Settings, database: Driver, tmp_path: Path
) -> None:
    hanging, quick = act_out(settings, "hang", "process")
    with acting(settings, tmp_path / "worker.log", "--time-limit", "1") as worker:
        child = worker.computing_child().pid
        eventually(lambda: record(settings, hanging).deaths >= 1, seconds=PATIENCE_SECONDS)
        await_state(settings, quick, JobState.FAILED)
        assert record(settings, quick).error != f"process {child}"


def test_a_child_that_took_too_much_memory_is_replaced_after_its_job(
    settings: Settings, database: Driver, tmp_path: Path
) -> None:
    ids = act_out(settings, "process", "process", "process")
    with acting(settings, tmp_path / "worker.log", "--max-memory", "1MB"):
        for trace_id in ids:
            await_state(settings, trace_id, JobState.FAILED)
    assert len({record(settings, trace_id).error for trace_id in ids}) == 3
    assert {record(settings, trace_id).attempts for trace_id in ids} == {1}


def test_a_child_stays_where_no_memory_limit_is_set(settings: Settings, database: Driver, tmp_path: Path) -> None:
    ids = act_out(settings, "process", "process")
    with acting(settings, tmp_path / "worker.log"):
        for trace_id in ids:
            await_state(settings, trace_id, JobState.FAILED)
    assert len({record(settings, trace_id).error for trace_id in ids}) == 1


@pytest.mark.parametrize("signals", [[signal.SIGQUIT], [signal.SIGINT, signal.SIGINT]])
def test_a_worker_told_to_end_at_once_hands_its_job_back(
    settings: Settings, database: Driver, tmp_path: Path, signals: list[signal.Signals]
) -> None:
    trace_id, waiting = act_out(settings, "sleep", "process")
    with acting(settings, tmp_path / "worker.log") as worker:
        await_state(settings, trace_id, JobState.TRACING)
        children = worker.children()
        for number, sent in enumerate(signals):
            if number:
                eventually(lambda: "Ctrl+C again" in worker.log.read_text(), seconds=PATIENCE_SECONDS)
            worker.process.send_signal(sent)
        worker.process.wait(PATIENCE_SECONDS)
        for child in children:
            child.wait(10)
    found = record(settings, trace_id)
    assert (found.state, found.deaths) == (JobState.QUEUED, 0)
    with open_redis(settings) as client:
        assert queue_length(client, "trace") == 2
        assert client.hlen("unacked") == 0
        assert client.zcard(jobs.LEASES) == 0
    with acting(settings, tmp_path / "next.log", "--time-limit", "1"):
        await_state(settings, waiting, JobState.FAILED)
        await_state(settings, trace_id, JobState.FAILED)
    assert record(settings, trace_id).deaths == 0  # it was handed back, not killed


def test_a_worker_takes_one_message_and_acknowledges_it_last(
    settings: Settings, database: Driver, tmp_path: Path
) -> None:
    act_out(settings, "sleep", "process", "process")
    with acting(settings, tmp_path / "worker.log") as worker, open_redis(settings) as client:
        eventually(lambda: client.hlen("unacked") == 1 and queue_length(client, "trace") == 2, seconds=PATIENCE_SECONDS)
        assert len(spawned(worker)) == 1
        worker.process.send_signal(signal.SIGQUIT)
        worker.process.wait(PATIENCE_SECONDS)


def spawned(worker: RunningWorker) -> list[int]:
    return [child.pid for child in worker.children() if "spawn_main" in " ".join(child.cmdline())]


def test_options_that_are_not_given_come_from_the_settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIRCUITBASE_TIME_LIMIT", "60")
    monkeypatch.setenv("CIRCUITBASE_WORKER_MEMORY", "2MiB")
    found = worker_options(Settings(), queues=["trace"])
    assert (found.time_limit, found.kill_after, found.memory_limit) == (60, 66, 2 * 1024 * 1024)
    given = worker_options(Settings(), queues=["trace"], time_limit=5, memory_limit=4096)
    assert (given.time_limit, given.kill_after, given.memory_limit) == (5, 10, 4096)


def test_what_is_promised_of_a_worker_is_configured(settings: Settings) -> None:
    options = WorkerOptions(queues=["trace"], time_limit=600, memory_limit=1024**2)
    with application(settings, options=options) as app:
        found = app.conf
        assert (found.worker_prefetch_multiplier, found.worker_concurrency) == (1, 1)
        assert (found.task_acks_late, found.task_acks_on_timeout, found.task_reject_on_worker_lost) == (
            True,
            False,
            True,
        )
        assert found.worker_pool_start_method == "spawn"
        assert (found.task_soft_time_limit, found.task_time_limit) == (600, 660)
        assert found.worker_max_memory_per_child == 1024
        assert found.broker_transport_options["visibility_timeout"] > found.task_time_limit
