"""Importing graph files: each into a trace, the trace into the store and the database, as one of ours."""

from dataclasses import dataclass, field, replace

from neo4j import Driver

from circuitbase.errors import DatabaseError
from circuitbase.graph.trace import Trace
from circuitbase.ingest.foreign.cutting import Cutting
from circuitbase.ingest.foreign.made_trace import made_trace
from circuitbase.ingest.foreign.naming import Naming
from circuitbase.ingest.foreign.reading import read_graph
from circuitbase.ingest.prompt_sets import SetPrompt, join_set
from circuitbase.ingest.stored_traces import stored_trace_digests
from circuitbase.ingest.trace_writer import StoredTrace, store_trace
from circuitbase.store.trace_file import array_digest
from circuitbase.store.trace_store import TraceStore


@dataclass(frozen=True)
class ImportOptions:
    """How files are read: whose they are, and how a graph that was never pruned is."""

    naming: Naming = field(default_factory=Naming)
    cutting: Cutting = field(default_factory=Cutting)


def imported_trace(location: str, options: ImportOptions) -> Trace:
    """Returns the trace that a graph file makes; raises GraphFileError or StoreError if the file is refused."""
    return made_trace(read_graph(location), naming=options.naming, cutting=options.cutting, name=location)


def store_imported(
    trace: Trace, *, driver: Driver, store: TraceStore, database: str, prompt_set: str | None = None
) -> StoredTrace:
    """Stores an imported trace as `ingest` does one of ours; what came beside a graph replaces what came before.

    Raises DatabaseError if the same graph is stored with other numbers; then nothing is written.
    """
    trace_id, digest = trace.metadata.trace_id, array_digest(trace.graph.arrays())
    known = stored_trace_digests(driver, [trace_id], database=database).get(trace_id)
    before = store.load(trace_id) if store.exists(trace_id) else None
    in_store = array_digest(before.graph.arrays()) if before is not None else None
    if {known, in_store} - {None, digest}:
        raise DatabaseError(
            f"trace {trace_id[:12]} is known with other numbers, from another file of the same prompt, outputs and "
            "settings; remove that trace first, or leave this file out"
        )
    if before is None or before.metadata != trace.metadata:
        store.save(trace)
    stored = store_trace(driver, trace, database=database)
    if prompt_set is not None:
        entry = SetPrompt(trace.metadata.prompt_id, trace.metadata.prompt)
        joined = join_set(driver, prompt_set, [entry], database=database)
        stored = replace(stored, retries=stored.retries + joined.retries)
    return stored
