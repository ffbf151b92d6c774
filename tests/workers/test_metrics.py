import os
import sys
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest
from neo4j import Driver
from prometheus_client.parser import text_string_to_metric_families

from circuitbase.errors import ServiceError
from circuitbase.services.ports import any_free
from circuitbase.settings import Settings
from circuitbase.workers.connection import open_redis, redis_client
from circuitbase.workers.jobs import JobState
from circuitbase.workers.measured import FOLDER_VARIABLE, instruments, note_gpu_memory, timed
from circuitbase.workers.metrics import endpoint
from tests.workers.acting import PROGRAM, act_out, record
from tests.workers.running import eventually, running_worker

Samples = dict[tuple[str, ...], float]


def scraped(port: int) -> Samples:
    """Returns what the endpoint answers: name and label values -> value."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_worker_answers_prometheus(settings: Settings, database: Driver, tmp_path: Path) -> None:
    port = any_free("127.0.0.1")
    ids = act_out(settings, "trace", "process", "process")
    with running_worker(
        settings, queues="trace", log=tmp_path / "worker.log", options=["--metrics", str(port)], program=PROGRAM
    ):
        eventually(lambda: record(settings, ids[-1]).state == JobState.FAILED, seconds=60)
        eventually(lambda: scraped(port).get(("circuitbase_jobs_total", "failed")) == 2, seconds=10)
        found = scraped(port)
    assert found["circuitbase_jobs_total", "traced"] == 1
    assert found["circuitbase_phase_seconds_count", "tracing"] == 3
    assert found["circuitbase_phase_seconds_sum", "tracing"] > 0
    assert found["circuitbase_queue_length", "trace"] == 0
    assert found["circuitbase_queue_length", "ingest"] == 1
    assert found["circuitbase_redis_up",] == 1
    assert found["circuitbase_jobs_unfinished",] == 1


def test_the_endpoint_answers_while_redis_is_away() -> None:
    port = any_free("127.0.0.1")
    with redis_client("redis://127.0.0.1:1/0") as client, endpoint(("127.0.0.1", port), client):
        assert scraped(port) == {("circuitbase_redis_up",): 0.0}
        folder = Path(os.environ[FOLDER_VARIABLE])
    assert FOLDER_VARIABLE not in os.environ
    assert not folder.exists()


def test_a_port_that_is_taken_is_one_sentence(settings: Settings) -> None:
    port = any_free("127.0.0.1")
    with (
        open_redis(settings) as client,
        endpoint(("127.0.0.1", port), client),
        pytest.raises(ServiceError, match="give another `--metrics` port"),
        endpoint(("127.0.0.1", port), client),
    ):
        pass


def test_nothing_is_counted_where_nobody_asks() -> None:
    instruments.cache_clear()
    with timed("loading"):
        pass
    assert instruments() is None


def test_the_memory_of_a_gpu_is_noted_where_jobs_ran_on_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = SimpleNamespace(
        is_initialized=lambda: True,
        current_device=lambda: 1,
        mem_get_info=lambda: (30, 100),
        max_memory_allocated=lambda: 50,
    )
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    instruments.cache_clear()
    try:
        found = instruments()
        assert found is not None
        note_gpu_memory(found)
        (family,) = found.gpu_memory.collect()
    finally:
        instruments.cache_clear()
    assert {(sample.labels["device"], sample.labels["kind"]): sample.value for sample in family.samples} == {
        ("cuda:1", "total"): 100.0,
        ("cuda:1", "used"): 70.0,
        ("cuda:1", "peak_allocated"): 50.0,
    }
