"""Storing a trace: what it shares first, then the trace itself in one transaction, so it is there or not."""

from dataclasses import dataclass, replace
from functools import partial

from neo4j import Driver, ManagedTransaction, Session

from circuitbase.errors import DatabaseError
from circuitbase.graph.trace import Trace, TraceMetadata
from circuitbase.ingest import statements
from circuitbase.ingest.failures import database_failures
from circuitbase.ingest.managed import Written, write
from circuitbase.ingest.migrations import ensure_schema
from circuitbase.ingest.shared_nodes import upsert_shared_nodes
from circuitbase.ingest.trace_rows import Row, TraceRows, trace_rows
from circuitbase.ingest.unit_labels import label_units
from circuitbase.schema.declaration import SCHEMA_VERSION
from circuitbase.schema.migrations import SCHEMA_NAME

EDGE_BATCH = 20_000
ATTEMPTS = 5


@dataclass(frozen=True)
class StoredTrace:
    """What became of a trace; `stored` is False if it was there already.

    `array_digest` is that of the numbers in the database: another one than the trace's if it was
    stored before with other numbers (made on another device). `retries` counts repeated transactions.
    """

    trace_id: str
    stored: bool
    array_digest: str
    n_nodes: int
    n_edges: int
    new_units: int
    retries: int


class _SharedNodeGoneError(Exception):
    """A unit, the prompt or the configuration was removed between the two transactions."""


def store_trace(driver: Driver, trace: Trace, *, database: str) -> StoredTrace:
    """Writes a trace, unless it is there; migrates a fresh database.

    Two writers of one trace store it once, in threads, processes or machines. Raises DatabaseError for
    a trace that is too large and for a database of another schema version; then nothing is written.
    """
    trace_id = trace.metadata.trace_id
    with (
        database_failures(f"storing trace {trace_id[:12]}"),
        driver.session(database=database) as session,
    ):
        found = session.execute_read(partial(_state, metadata=trace.metadata))
        if found.version != SCHEMA_VERSION:
            ensure_schema(driver, database=database)
        if found.array_digest is not None:
            stored = _already_stored(trace, found.array_digest)
        else:
            stored = _store(session, trace, trace_rows(trace), surroundings=not found.complete)
        return replace(stored, retries=stored.retries + label_units(session, trace.metadata))


@dataclass(frozen=True)
class _State:
    version: int | None
    array_digest: str | None
    complete: bool


def _state(transaction: ManagedTransaction, *, metadata: TraceMetadata) -> _State:
    """Reads the schema's version, the stored trace's digest, and whether prompt and configuration are there."""
    found = transaction.run(
        statements.TRACE_STATE,
        schema=SCHEMA_NAME,
        trace=metadata.trace_id,
        configuration=metadata.configuration_id,
        prompt=metadata.prompt_id,
    ).single(strict=True)
    return _State(version=found["version"], array_digest=found["array_digest"], complete=found["complete"])


def _store(session: Session, trace: Trace, rows: TraceRows, *, surroundings: bool) -> StoredTrace:
    new_units = retries = 0
    for _ in range(ATTEMPTS):
        shared = upsert_shared_nodes(session, rows, surroundings=surroundings)
        new_units, retries = new_units + shared.value, retries + shared.retries
        try:
            written = write_trace(session, rows)
        except _SharedNodeGoneError:
            surroundings = True
            continue
        if written.value is not None:
            return _already_stored(trace, written.value, retries=retries + written.retries)
        return StoredTrace(
            trace_id=rows.metadata.trace_id,
            stored=True,
            array_digest=rows.array_digest,
            n_nodes=len(rows.nodes),
            n_edges=len(rows.edges),
            new_units=new_units,
            retries=retries + written.retries,
        )
    raise DatabaseError(
        f"trace {rows.metadata.trace_id[:12]} was not stored, because its units were removed {ATTEMPTS} times "
        "while it was written; ingest it again when the removal has ended"
    )


def write_trace(session: Session, rows: TraceRows) -> Written[str | None]:
    """Writes one trace in one transaction; returns None, or the digest of the one that is there already."""

    def work(transaction: ManagedTransaction) -> str | None:
        there = _lock_prompt(transaction, rows)
        if there is None:
            _create(transaction, rows)
        return there

    return write(session, work)


def _lock_prompt(transaction: ManagedTransaction, rows: TraceRows) -> str | None:
    metadata = rows.metadata
    found = transaction.run(statements.LOCK_PROMPT, prompt=metadata.prompt_id, trace=metadata.trace_id).single()
    if found is None:
        raise _SharedNodeGoneError
    digest: str | None = found["array_digest"]
    return digest


def _create(transaction: ManagedTransaction, rows: TraceRows) -> None:
    metadata = rows.metadata
    ends = {"trace": metadata.trace_id, "prompt": metadata.prompt_id, "configuration": metadata.configuration_id}
    made = transaction.run(statements.CREATE_TRACE, ends, row=rows.trace).consume().counters.nodes_created
    made += transaction.run(statements.CREATE_TRACE_NODES, ends, rows=rows.nodes).consume().counters.nodes_created
    if made != 1 + len(rows.nodes):
        raise _SharedNodeGoneError
    for start in range(0, len(rows.edges), EDGE_BATCH):
        transaction.run(statements.CREATE_EDGES, ends, rows=rows.edges[start : start + EDGE_BATCH]).consume()
    for start in range(0, len(rows.pairs), EDGE_BATCH):
        transaction.run(statements.CREATE_PAIRS, ends, rows=rows.pairs[start : start + EDGE_BATCH]).consume()
    _add_activations(transaction, ends, rows.activations)


def _add_activations(transaction: ManagedTransaction, ends: dict[str, str], activations: list[Row]) -> None:
    found = transaction.run(statements.KNOWN_ACTIVATIONS, ends).single(strict=True)
    known = frozenset(found["ids"])
    new = [row for row in activations if row[0] not in known]
    if not new:
        return
    made = transaction.run(statements.CREATE_ACTIVATIONS, ends, rows=new).consume().counters.relationships_created
    if made != len(new):
        raise _SharedNodeGoneError


def _already_stored(trace: Trace, digest: str, *, retries: int = 0) -> StoredTrace:
    return StoredTrace(
        trace_id=trace.metadata.trace_id,
        stored=False,
        array_digest=digest,
        n_nodes=trace.graph.n_nodes,
        n_edges=trace.graph.n_edges,
        new_units=0,
        retries=retries,
    )
