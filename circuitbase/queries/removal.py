"""Taking traces and prompt sets out of the database, and out of the sums they are in.

Units, models, dictionaries and configurations stay. They say what exists, not what was seen, and a
trace that is being written may count on them; the digest does not see them. Trace files stay too.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from neo4j import Driver, ManagedTransaction, Session

from circuitbase.errors import DatabaseError
from circuitbase.ingest.failures import database_failures
from circuitbase.ingest.managed import write
from circuitbase.queries.active_features import active_features, missing_file
from circuitbase.queries.discarding import mark_stale
from circuitbase.queries.hiding import delete_hidden, hide_set, hide_traces
from circuitbase.queries.lease import take_lease
from circuitbase.queries.rollup import roll_up
from circuitbase.queries.rollup_sums import RollupSums, rollup_sums
from circuitbase.queries.sum_writing import subtract_sums
from circuitbase.queries.trace_columns import read_trace_columns
from circuitbase.store.trace_store import TraceStore

ROLLUPS_OF_TRACE = """
MATCH (trace:Trace {id: $trace})
OPTIONAL MATCH (trace)-[:SUMMED_IN]->(rollup:Rollup)-[:OVER]->(set:PromptSet)
WITH trace, collect({id: rollup.id, set: set.name, stale: rollup.stale}) AS rollups
RETURN [row IN rollups WHERE row.id IS NOT NULL] AS rollups
"""
COUNT_ONE_LESS = """
UNWIND $ids AS id
MATCH (rollup:Rollup {id: id})
SET rollup.traces = rollup.traces - 1, rollup.touched = rollup.touched + 1
WITH rollup WHERE rollup.traces = 0
SET rollup.stale = true
"""


@dataclass(frozen=True)
class Removed:
    """How much was removed; `rollups` counts those that lost a trace or were deleted.

    `retries` counts repeated transactions.
    """

    traces: int
    nodes: int
    edges: int
    rollups: int
    retries: int


def remove_trace(driver: Driver, trace_id: str, *, store: TraceStore, database: str, rebuild: bool = False) -> Removed:
    """Removes one trace and subtracts it from the sums it is in.

    With `rebuild`, those sums are deleted and made anew from the other traces, so that the trace's own
    file is not needed. Raises DatabaseError if the trace is not stored, StoreError if its file is gone.
    """
    with database_failures(f"removing trace {trace_id[:12]}"), driver.session(database=database) as session:
        before = delete_hidden(session)
        sums = None if rebuild else _sums_of(session, trace_id, store=store)
        hidden = write(session, partial(_remove_trace, trace_id=trace_id, sums=sums))
        deleted = delete_hidden(session)
    retries = before.retries + hidden.retries + deleted.retries
    if sums is None:
        for row in hidden.value:
            retries += roll_up(driver, store=store, prompt_set=row["set"], database=database).retries
    return Removed(1, nodes=deleted.nodes, edges=deleted.edges, rollups=len(hidden.value), retries=retries)


def remove_set(driver: Driver, prompt_set: str, *, database: str) -> Removed:
    """Removes a prompt set, its sums, and the prompts and traces that are in no other set.

    Raises DatabaseError if there is no such set.
    """
    with database_failures(f"removing the prompt set {prompt_set}"), driver.session(database=database) as session:
        before = delete_hidden(session)
        hidden = write(session, partial(_remove_set, prompt_set=prompt_set))
        deleted = delete_hidden(session)
    retries = before.retries + hidden.retries + deleted.retries
    return Removed(deleted.traces, deleted.nodes, deleted.edges, rollups=hidden.value, retries=retries)


def _sums_of(session: Session, trace_id: str, *, store: TraceStore) -> RollupSums | None:
    """Returns what a trace added to each of its rollups; None if its file is gone and it is in none."""
    rollups = session.execute_read(partial(_rollups_of, trace_id=trace_id))
    if not store.exists(trace_id):
        if rollups:
            raise missing_file(store, [trace_id])
        return None
    columns = session.execute_read(read_trace_columns, trace_id)
    if columns is None:
        raise _not_stored(trace_id)
    return rollup_sums([(columns, active_features(store.load(trace_id))[0])])


def _rollups_of(transaction: ManagedTransaction, *, trace_id: str) -> list[dict[str, Any]]:
    found = transaction.run(ROLLUPS_OF_TRACE, trace=trace_id).single()
    if found is None:
        raise _not_stored(trace_id)
    return [row for row in found["rollups"] if not row["stale"]]


def _remove_trace(transaction: ManagedTransaction, *, trace_id: str, sums: RollupSums | None) -> list[dict[str, Any]]:
    take_lease(transaction)
    rollups = _rollups_of(transaction, trace_id=trace_id)
    ids = [row["id"] for row in rollups]
    if sums is None:
        mark_stale(transaction, ids)
    else:
        for rollup in ids:
            subtract_sums(transaction, sums, rollup=rollup)
        transaction.run(COUNT_ONE_LESS, ids=ids).consume()
    hide_traces(transaction, [trace_id])
    return rollups


def _remove_set(transaction: ManagedTransaction, *, prompt_set: str) -> int:
    take_lease(transaction)
    rollups = hide_set(transaction, prompt_set)
    if rollups is None:
        raise DatabaseError(
            f"there is no prompt set {prompt_set!r}, so there is nothing to remove; see `circuitbase sets`"
        )
    mark_stale(transaction, rollups)
    return len(rollups)


def _not_stored(trace_id: str) -> DatabaseError:
    return DatabaseError(f"no trace {trace_id[:12]} is stored, so there is nothing to remove; see `circuitbase traces`")
