from pathlib import Path

import pytest
from neo4j import Driver

from circuitbase.errors import DatabaseError, InputError, StoreError, TraceFileError
from circuitbase.graph.trace import Trace
from circuitbase.ingest.trace_files import find_trace_files, ingest_file
from circuitbase.ingest.trace_writer import StoredTrace
from circuitbase.store.trace_file import to_bytes
from circuitbase.store.trace_store import TraceStore
from tests.ingest.broken_files import BROKEN, broken_file
from tests.ingest.contents import contents, counts, rows
from tests.synthetic import synthetic_trace, with_arrays

DATABASE = "neo4j"


@pytest.fixture
def store(tmp_path: Path) -> TraceStore:
    return TraceStore(str(tmp_path / "store"))


def file_of(trace: Trace, folder: Path, *, name: str = "a.safetensors") -> str:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(to_bytes(trace))
    return str(folder / name)


def ingest(location: str, driver: Driver, store: TraceStore, *, prompt_set: str | None = None) -> StoredTrace:
    return ingest_file(location, driver=driver, store=store, database=DATABASE, prompt_set=prompt_set)


def with_other_numbers(trace: Trace) -> Trace:
    return with_arrays(trace, edge_influence=trace.graph.edge_influence * 2)


def test_a_file_from_anywhere_is_kept_in_the_store(database: Driver, store: TraceStore, tmp_path: Path):
    trace = synthetic_trace(0)
    assert ingest(file_of(trace, tmp_path), database, store).stored
    assert list(store.trace_ids()) == [trace.metadata.trace_id]
    assert store.load(trace.metadata.trace_id).metadata == trace.metadata


def test_a_file_of_the_store_is_ingested_where_it_is(database: Driver, store: TraceStore):
    trace = synthetic_trace(0)
    location = store.save(trace)
    assert ingest(location, database, store).stored
    assert not ingest(location, database, store).stored


def test_a_file_can_put_its_prompt_into_a_set(database: Driver, store: TraceStore, tmp_path: Path):
    location = file_of(synthetic_trace(0), tmp_path)
    ingest(location, database, store)
    assert "PromptSet" not in counts(database)
    ingest(location, database, store, prompt_set="s")
    ingest(location, database, store, prompt_set="s")
    assert rows(database, "MATCH (:Prompt)-[r:IN_SET]->(s:PromptSet) RETURN s.name AS name") == [{"name": "s"}]


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_refused_with_one_sentence_and_changes_nothing(
    database: Driver, store: TraceStore, tmp_path: Path, kind: str
):
    ingest(file_of(synthetic_trace(0), tmp_path, name="good.safetensors"), database, store)
    before, kept = contents(database), list(store.trace_ids())
    location = tmp_path / "broken.safetensors"
    location.write_bytes(broken_file(kind))
    with pytest.raises(TraceFileError) as raised:
        ingest(str(location), database, store, prompt_set="s")
    assert str(location) in str(raised.value)
    assert BROKEN[kind][1] in str(raised.value)
    assert "\n" not in str(raised.value)
    assert contents(database) == before
    assert list(store.trace_ids()) == kept


def test_a_file_whose_trace_is_stored_with_other_numbers_is_refused(
    database: Driver, store: TraceStore, tmp_path: Path
):
    trace = synthetic_trace(0)
    ingest(file_of(trace, tmp_path), database, store)
    before = contents(database)
    other = file_of(with_other_numbers(trace), tmp_path, name="other.safetensors")
    with pytest.raises(DatabaseError, match=r"holds other numbers for trace \w{12} than Neo4j and the store \("):
        ingest(other, database, store)
    assert contents(database) == before


def test_a_file_whose_trace_is_in_the_store_with_other_numbers_is_refused(
    database: Driver, store: TraceStore, tmp_path: Path
):
    trace = synthetic_trace(0)
    store.save(trace)
    with pytest.raises(DatabaseError, match=r"than the store \("):
        ingest(file_of(with_other_numbers(trace), tmp_path), database, store)
    assert "Trace" not in counts(database)


def test_a_trace_whose_file_was_lost_gets_it_back(database: Driver, store: TraceStore, tmp_path: Path):
    trace = synthetic_trace(0)
    location = file_of(trace, tmp_path)
    ingest(location, database, store)
    store.remove(trace.metadata.trace_id)
    assert not ingest(location, database, store).stored
    assert store.exists(trace.metadata.trace_id)


def test_folders_and_files_are_found_once_each(tmp_path: Path):
    first, second = (file_of(synthetic_trace(k), tmp_path, name=f"{k}.safetensors") for k in (0, 1))
    (tmp_path / "notes.txt").write_text("no trace")
    assert find_trace_files([second, str(tmp_path)]) == [second, first]


def test_places_without_trace_files_are_all_named(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"there is no trace file .* at \S+/empty, \S+/missing"):
        find_trace_files([str(tmp_path / "empty"), str(tmp_path / "missing")])


def test_a_file_that_cannot_be_opened_is_one_sentence(database: Driver, store: TraceStore, tmp_path: Path):
    with pytest.raises(StoreError, match="cannot be read"):
        ingest(str(tmp_path / "gone.safetensors"), database, store)
    with pytest.raises(StoreError, match="cannot be read"):
        find_trace_files(["nonsense://bucket/file.safetensors"])
