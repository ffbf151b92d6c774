"""Ingesting trace files from anywhere: into the store, then into the database."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from fsspec.core import url_to_fs
from neo4j import Driver

from circuitbase.errors import DatabaseError, InputError, StoreError
from circuitbase.graph.trace import Trace
from circuitbase.ingest.prompt_sets import SetPrompt, join_set
from circuitbase.ingest.stored_traces import stored_trace_digests
from circuitbase.ingest.trace_writer import StoredTrace, store_trace
from circuitbase.store.trace_file import SUFFIX, array_digest
from circuitbase.store.trace_store import TraceStore, read_trace


def find_trace_files(places: Iterable[str]) -> list[str]:
    """Returns the trace files at the places: each a file, or a folder of them; paths or fsspec URLs.

    Raises InputError that lists every place where there is none.
    """
    found: list[str] = []
    missing = []
    for place in places:
        files = _trace_files_at(place)
        found += files
        if not files:
            missing.append(place)
    if missing:
        raise InputError(f"there is no trace file ({SUFFIX}) at {', '.join(missing)}; check the path")
    return list(dict.fromkeys(found))


def ingest_file(
    location: str, *, driver: Driver, store: TraceStore, database: str, prompt_set: str | None = None
) -> StoredTrace:
    """Stores the trace of a file, unless it is stored, and keeps the file in the store, where rollups read it.

    Raises TraceFileError, StoreError or DatabaseError if the file is refused; then nothing is written.
    """
    trace = read_trace(location)
    _refuse_other_numbers(trace, location, driver=driver, store=store, database=database)
    if not store.exists(trace.metadata.trace_id):
        store.save(trace)
    stored = store_trace(driver, trace, database=database)
    if prompt_set is not None:
        entry = SetPrompt(trace.metadata.prompt_id, trace.metadata.prompt)
        joined = join_set(driver, prompt_set, [entry], database=database)
        stored = replace(stored, retries=stored.retries + joined.retries)
    return stored


def _trace_files_at(place: str) -> list[str]:
    try:
        filesystem, path = url_to_fs(place)
        if filesystem.isdir(path):
            folder = TraceStore(place)
            return [folder.location(trace_id) for trace_id in folder.trace_ids()]
        return [place] if filesystem.exists(path) else []
    except (OSError, ValueError, ImportError) as error:
        raise StoreError(f"{place} cannot be read ({error}); check it and what it needs to be opened") from error


def _refuse_other_numbers(trace: Trace, location: str, *, driver: Driver, store: TraceStore, database: str) -> None:
    """Raises DatabaseError if the trace is known with other numbers, as another device may give."""
    trace_id, digest = trace.metadata.trace_id, array_digest(trace.graph.arrays())
    known = {"Neo4j": stored_trace_digests(driver, [trace_id], database=database).get(trace_id)}
    own = store.location(trace_id)
    if store.exists(trace_id) and Path(own).resolve() != Path(location).resolve():
        known[f"the store ({own})"] = array_digest(store.load(trace_id).graph.arrays())
    other = [where for where, found in known.items() if found not in (None, digest)]
    if other:
        raise DatabaseError(
            f"{location} holds other numbers for trace {trace_id[:12]} than {' and '.join(other)}, "
            "as another device gives; remove that trace first, or keep it and leave this file out"
        )
