"""Adding stored traces to the sums of their prompt sets, each exactly once.

A batch is read and summed outside any lock. The transaction that adds it takes the lease, looks
again which of its traces are still pending, drops the others from the sums, and marks the rest as
summed in, so that sums and marks can only change together.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from neo4j import Driver, ManagedTransaction, Session

from circuitbase.ingest.failures import database_failures
from circuitbase.ingest.managed import Written, write
from circuitbase.ingest.unit_rows import UnitRows
from circuitbase.ingest.units import upsert_units
from circuitbase.queries.active_features import active_features, missing_file
from circuitbase.queries.discarding import discard_stale, mark_stale
from circuitbase.queries.lease import take_lease
from circuitbase.queries.pending import PendingTraces, pending_traces
from circuitbase.queries.rollup_sums import ActiveFeatures, RollupSums, rollup_sums
from circuitbase.queries.sum_writing import add_sums
from circuitbase.queries.trace_columns import TraceColumns, read_trace_columns
from circuitbase.store.trace_store import TraceStore

IS_STALE = """
OPTIONAL MATCH (rollup:Rollup {id: $rollup})
RETURN coalesce(rollup.stale, false) AS stale
"""
OPEN_ROLLUP = """
MATCH (set:PromptSet {name: $set})
MATCH (configuration:Configuration {id: $configuration})
MERGE (rollup:Rollup {id: $rollup})
ON CREATE SET rollup.traces = 0, rollup.touched = 0, rollup.stale = false
SET rollup.touched = rollup.touched + 1
MERGE (rollup)-[:OVER]->(set)
MERGE (rollup)-[:UNDER]->(configuration)
"""
STILL_PENDING = """
UNWIND $traces AS id
MATCH (trace:Trace {id: id})
WHERE EXISTS { (trace)-[:OF_PROMPT]->(:Prompt)-[:IN_SET]->(:PromptSet {name: $set}) }
  AND NOT EXISTS { (trace)-[:SUMMED_IN]->(:Rollup {id: $rollup}) }
RETURN collect(trace.id) AS traces
"""
MARK_SUMMED = """
MATCH (rollup:Rollup {id: $rollup})
UNWIND $traces AS id
MATCH (trace:Trace {id: id})
CREATE (trace)-[:SUMMED_IN]->(rollup)
WITH rollup, count(*) AS added
SET rollup.traces = rollup.traces + added
"""
ROLLUPS_OVER = """
MATCH (rollup:Rollup)-[:OVER]->(set:PromptSet)
WHERE $set IS NULL OR set.name = $set
OPTIONAL MATCH (rollup)<-[:SUMMED_IN]-(trace:Trace)
RETURN rollup.id AS id, collect(trace.id) AS traces
"""


@dataclass(frozen=True)
class RollupReport:
    """What a roll-up added: traces (once for each set that holds the prompt), to how many rollups.

    `pairs` counts unit pairs written, once per batch; `retries` repeated transactions.
    """

    traces: int = 0
    rollups: int = 0
    pairs: int = 0
    retries: int = 0


@dataclass(frozen=True)
class _SummedTraces:
    """Traces read for a roll-up, and the sums of all of them."""

    traces: tuple[tuple[TraceColumns, ActiveFeatures], ...]
    sums: RollupSums

    def of(self, still: Iterable[str]) -> RollupSums:
        """Returns the sums of those of the traces that are named."""
        wanted = frozenset(still)
        kept = [pair for pair in self.traces if pair[0].trace_id in wanted]
        return self.sums if len(kept) == len(self.traces) else rollup_sums(kept)


def roll_up(driver: Driver, *, store: TraceStore, prompt_set: str | None, database: str) -> RollupReport:
    """Adds what is pending to the sums of one prompt set, or of all (None).

    Any number may run at once. Raises StoreError if the file of a trace is gone; the others are added.
    """
    report, missing = RollupReport(), []
    with database_failures("rolling up"), driver.session(database=database) as session:
        for pending in pending_traces(session, prompt_set=prompt_set):
            added = 0
            for batch in pending.batches():
                there = [trace for trace in batch if store.exists(trace)]
                missing += [trace for trace in batch if trace not in there]
                done = _add_batch(session, pending, there, store=store)
                added += done.traces
                report = _with(report, done)
            report = _with(report, RollupReport(rollups=int(added > 0)))
    if missing:
        raise missing_file(store, missing)
    return report


def rebuild(driver: Driver, *, store: TraceStore, prompt_set: str | None, database: str) -> RollupReport:
    """Deletes the sums of one prompt set, or of all (None), and adds all of its traces anew.

    Raises StoreError, before anything is deleted, if the file of one of the traces is gone.
    """
    with database_failures("rebuilding a rollup"), driver.session(database=database) as session:
        found = session.execute_read(lambda transaction: transaction.run(ROLLUPS_OVER, set=prompt_set).data())
        missing = sorted({trace for row in found for trace in row["traces"] if not store.exists(trace)})
        if missing:
            raise missing_file(store, missing)
        retries = _discard(session, [row["id"] for row in found])
    report = roll_up(driver, store=store, prompt_set=prompt_set, database=database)
    return _with(report, RollupReport(retries=retries))


def _discard(session: Session, rollups: list[str]) -> int:
    def work(transaction: ManagedTransaction) -> None:
        take_lease(transaction)
        mark_stale(transaction, rollups)

    return write(session, work).retries + discard_stale(session)


def _add_batch(session: Session, pending: PendingTraces, traces: Sequence[str], *, store: TraceStore) -> RollupReport:
    found = _read(session, traces, store=store)
    if found is None:
        return RollupReport()
    retries = 0
    while True:
        written = _write(session, pending, found)
        retries += written.retries
        if written.value is not None:
            return _with(written.value, RollupReport(retries=retries))
        retries += discard_stale(session)


def _read(session: Session, traces: Sequence[str], *, store: TraceStore) -> _SummedTraces | None:
    """Reads traces and makes the units that only their files name; None if all were removed meanwhile."""
    pairs, units, dictionary = [], [], None
    for trace_id in traces:
        columns = session.execute_read(read_trace_columns, trace_id)
        if columns is None:
            continue
        trace = store.load(trace_id)
        active, rows = active_features(trace)
        pairs.append((columns, active))
        units.append(rows)
        dictionary = trace.metadata.dictionary
    if not pairs:
        return None
    upsert_units(session, _united(units), dictionary=dictionary.id if dictionary else None)
    return _SummedTraces(tuple(pairs), rollup_sums(pairs))


def _united(units: Sequence[UnitRows]) -> UnitRows:
    rows = {row[0]: row for found in units for row in found.rows}
    return UnitRows(
        rows=[rows[id] for id in sorted(rows)],
        in_dictionary=frozenset[str]().union(*(found.in_dictionary for found in units)),
        of_node=[],
        of_activation=[],
    )


def _write(session: Session, pending: PendingTraces, found: _SummedTraces) -> Written[RollupReport | None]:
    """Adds the sums of what is still pending; the value is None if the rollup is stale and must go first."""
    ends = {"rollup": pending.rollup_id, "set": pending.prompt_set, "configuration": pending.configuration}
    ids = [columns.trace_id for columns, _ in found.traces]

    def work(transaction: ManagedTransaction) -> RollupReport | None:
        take_lease(transaction)
        if transaction.run(IS_STALE, ends).single(strict=True)["stale"]:
            return None
        still = transaction.run(STILL_PENDING, ends, traces=ids).single(strict=True)["traces"]
        if not still:
            return RollupReport()
        transaction.run(OPEN_ROLLUP, ends).consume()
        sums = found.of(still)
        add_sums(transaction, sums, rollup=pending.rollup_id)
        transaction.run(MARK_SUMMED, ends, traces=still).consume()
        return RollupReport(traces=len(still), pairs=len(sums.edge_sums.source))

    return write(session, work)


def _with(report: RollupReport, more: RollupReport) -> RollupReport:
    return RollupReport(
        traces=report.traces + more.traces,
        rollups=report.rollups + more.rollups,
        pairs=report.pairs + more.pairs,
        retries=report.retries + more.retries,
    )
