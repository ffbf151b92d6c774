import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest
from click.testing import CliRunner
from neo4j import Driver

from circuitbase.cli.main import main
from circuitbase.graph.trace import Trace
from circuitbase.ingest.migrations import ensure_schema
from circuitbase.ingest.trace_writer import store_trace
from circuitbase.settings import Settings, load_settings
from circuitbase.store.trace_file import to_bytes
from circuitbase.store.trace_store import TraceStore, write_bytes
from circuitbase.workers import jobs
from circuitbase.workers.connection import open_redis
from tests.cli.running import refusal, rows
from tests.object_store import BUCKET, object_store, use
from tests.synthetic import synthetic_trace
from tests.workers.made_jobs import made_request

STORED, ALONE, UNDER_WAY = (synthetic_trace(seed) for seed in (31, 32, 33))


def trace_id(trace: Trace) -> str:
    return trace.metadata.trace_id


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with object_store() as address:
        yield address


@pytest.fixture(params=["folder", "memory", "s3"])
def filled(
    request: pytest.FixtureRequest, settings: Settings, database: Driver, s3: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TraceStore]:
    """A store with one file of a stored trace, one of an unfinished job, and one that nobody needs."""
    if request.param == "memory":
        monkeypatch.setenv("CIRCUITBASE_STORE", f"memory://{uuid4().hex}")
    if request.param == "s3":
        use(s3, monkeypatch)
        monkeypatch.setenv("CIRCUITBASE_STORE", f"s3://{BUCKET}/{uuid4().hex}/night")
    store = TraceStore(load_settings().store_url)
    ensure_schema(database, database=settings.neo4j_database)
    for trace in (STORED, ALONE, UNDER_WAY):
        store.save(trace)
    store_trace(database, STORED, database=settings.neo4j_database)
    with open_redis(settings) as client:
        jobs.put(client, [(trace_id(UNDER_WAY), made_request())], prompt_set="letters")
    yield store
    if request.param == "memory":
        fsspec.filesystem("memory").rm(store.url, recursive=True)


def problems(*arguments: str) -> list[tuple[str, str | None]]:
    answer = CliRunner().invoke(main, ["store", "verify", *arguments, "--json"])
    found = [json.loads(line) for line in answer.stdout.splitlines()]
    assert answer.exit_code == (1 if found else 0), answer.output
    return [(row["problem"], row["trace"]) for row in found]


def test_a_file_that_nobody_refers_to_is_found_and_removed(filled: TraceStore) -> None:
    assert problems() == [("file without a trace", trace_id(ALONE))]
    size = len(to_bytes(ALONE))
    listed = {"files": 1, "bytes": size, "removed": 0, "removed_bytes": 0}
    assert rows("store", "gc", "--dry-run", "--older-than", "0") == [listed]
    assert filled.exists(trace_id(ALONE))
    removed = {"files": 1, "bytes": size, "removed": 1, "removed_bytes": size}
    assert rows("store", "gc", "--yes", "--older-than", "0") == [removed]
    assert list(filled.trace_ids()) == sorted([trace_id(STORED), trace_id(UNDER_WAY)])
    assert problems() == []
    answer = CliRunner().invoke(main, ["store", "verify", "--table"])
    assert answer.stdout == "every trace has its file, and every file its trace\n"


def test_what_was_written_lately_is_left_alone(filled: TraceStore) -> None:
    assert rows("store", "gc", "--yes")[0]["files"] == 0
    assert filled.exists(trace_id(ALONE))


def test_nothing_is_removed_without_an_answer(filled: TraceStore) -> None:
    answer = CliRunner().invoke(main, ["store", "gc", "--older-than", "0"], input="n\n")
    assert answer.exit_code == 1
    assert f"Remove 1 file ({len(to_bytes(ALONE)) / 1024:.1f}KiB) from {filled.url}?" in answer.stderr
    assert filled.exists(trace_id(ALONE))
    answer = CliRunner().invoke(main, ["store", "gc", "--older-than", "0"], input="y\n")
    assert answer.exit_code == 0, answer.output
    assert not filled.exists(trace_id(ALONE))


def test_a_trace_without_a_file_is_found(filled: TraceStore) -> None:
    filled.remove(trace_id(STORED))
    assert ("missing file", trace_id(STORED)) in problems()


def test_a_file_whose_arrays_were_altered_is_found(filled: TraceStore) -> None:
    content = bytearray(to_bytes(STORED))
    content[-1] ^= 1
    write_bytes(bytes(content), filled.location(trace_id(STORED)))
    assert ("damaged file", trace_id(STORED)) in problems()


def test_a_file_with_other_numbers_than_the_database_is_found(filled: TraceStore, database: Driver) -> None:
    database.execute_query("MATCH (t:Trace {id: $id}) SET t.array_digest = 'other'", id=trace_id(STORED))
    assert ("damaged file", trace_id(STORED)) in problems()


def test_an_old_temporary_file_is_found_and_removed_but_no_foreign_one(
    settings: Settings, database: Driver, tmp_path: Path
) -> None:
    folder = Path(settings.store_url)
    folder.mkdir(parents=True)
    old, young, foreign = (
        folder / name for name in (f".{'a' * 64}.safetensors.x1", f".{'b' * 64}.safetensors.x2", "notes.safetensors")
    )
    for path in (old, young, foreign):
        path.write_bytes(b"half")
    for path in (old, foreign):
        os.utime(path, (time.time() - 7200,) * 2)
    assert sorted(problems(), key=str) == [("foreign file", None), ("temporary leftover", None)]
    assert rows("store", "gc", "--yes") == [{"files": 1, "bytes": 4, "removed": 1, "removed_bytes": 4}]
    assert sorted(folder.iterdir()) == sorted([young, foreign])


def test_a_set_is_verified_alone(filled: TraceStore) -> None:
    assert "there is no prompt set 'capitals'" in refusal("store", "verify", "--set", "capitals")


def test_a_file_that_a_job_came_to_need_is_kept(
    filled: TraceStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from circuitbase.ingest import store_check

    listing = store_check.removable_files

    def and_submitted(*arguments, **options):
        found = listing(*arguments, **options)
        with open_redis(settings) as client:
            jobs.put(client, [(trace_id(ALONE), made_request())], prompt_set="letters")
        return found

    monkeypatch.setattr(store_check, "removable_files", and_submitted)
    assert rows("store", "gc", "--yes", "--older-than", "0")[0]["removed"] == 0
    assert filled.exists(trace_id(ALONE))


def test_an_empty_store_is_well(settings: Settings, database: Driver) -> None:
    assert problems() == []
    assert rows("store", "gc", "--yes") == [{"files": 0, "bytes": 0, "removed": 0, "removed_bytes": 0}]
