"""A worker whose store is in S3: it stores, and waits while the server is away."""

from pathlib import Path

import pytest
from neo4j import Driver

from circuitbase.settings import load_settings
from circuitbase.store.trace_store import TraceStore
from circuitbase.workers.jobs import JobState
from tests.object_store import BUCKET, busy_server, object_store, use
from tests.workers.acting import PROGRAM, TRACE, act_out, record
from tests.workers.running import eventually, running_worker
from tests.workers.submitting import count

PATIENCE_SECONDS = 240


def test_a_trace_goes_through_an_object_store_into_the_database(
    database: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIRCUITBASE_STORE", f"s3://{BUCKET}/night")
    settings = load_settings()
    with object_store() as address:
        use(address, monkeypatch)
        (trace_id,) = act_out(settings, "trace")
        with running_worker(settings, queues="trace,ingest", log=tmp_path / "worker.log", program=PROGRAM):
            eventually(lambda: record(settings, trace_id).state == JobState.STORED, seconds=PATIENCE_SECONDS)
        assert TraceStore(settings.store_url).exists(trace_id)
    assert count(database, "MATCH (t:Trace) RETURN count(t)") == 1


def test_a_job_waits_with_the_reason_while_the_object_store_is_too_busy(
    database: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIRCUITBASE_STORE", f"s3://{BUCKET}/night")
    settings = load_settings()
    with busy_server() as busy:
        use(busy, monkeypatch)
        (trace_id,) = act_out(settings, "trace")
        with running_worker(settings, queues="trace", log=tmp_path / "worker.log", program=PROGRAM):
            eventually(lambda: record(settings, trace_id).error is not None, seconds=PATIENCE_SECONDS)
    job = record(settings, trace_id)
    assert (job.state, job.deaths) == (JobState.QUEUED, 0)
    assert "check that its server answers" in str(job.error)
    assert TRACE.metadata.trace_id == trace_id
