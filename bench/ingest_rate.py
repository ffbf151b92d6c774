"""Storing traces beside the fewest statements that could write the same nodes and edges."""

import time
from collections.abc import Sequence
from statistics import median

from neo4j import Driver, ManagedTransaction

from bench.measurement import Measurement
from circuitbase.graph.trace import Trace
from circuitbase.ingest.trace_rows import TraceRows, trace_rows
from circuitbase.ingest.trace_writer import EDGE_BATCH, store_trace

GOAL = 0.7

# The same rows as circuitbase stores, already made, and nothing else: no look whether they are there, no
# locks, no models, prompts or units (those are made before, uncounted).
BARE_UNITS = "UNWIND $ids AS id MERGE (:BareUnit {id: id})"
BARE_TRACE = "CREATE (:BareTrace {id: $trace})"
BARE_NODES = """
MATCH (t:BareTrace {id: $trace})
UNWIND $rows AS row
MATCH (u:BareUnit {id: row[12]})
CREATE (t)-[:BARE_CONTAINS]->(:BareNode {
  index: row[0], layer: row[1], position: row[2], token: row[3], activation: row[4], influence: row[5],
  preactivation: row[6], bias_effect: row[7], rest: row[8], absolute_input: row[9], silent: row[10], margin: row[11]
})-[:BARE_OF]->(u)
"""
BARE_EDGES = """
MATCH (:BareTrace {id: $trace})-[:BARE_CONTAINS]->(n:BareNode)
WITH n ORDER BY n.index
WITH collect(n) AS nodes
UNWIND $rows AS row
WITH nodes[row[0]] AS source, nodes[row[1]] AS target, row
CREATE (source)-[:BARE_AFFECTS {weight: row[2], share: row[3], influence: row[4], port: row[5]}]->(target)
"""
BARE_ACTIVATIONS = """
MATCH (t:BareTrace {id: $trace})
UNWIND $rows AS row
MATCH (u:BareUnit {id: row[0]})
CREATE (t)-[:BARE_ACTIVATES {peak: row[1], peak_position: row[2], positions: row[3], total: row[4]}]->(u)
"""


def create_bare_constraint(driver: Driver, *, database: str) -> None:
    """Makes the indexes that find a bare trace and a bare unit."""
    for label in ("BareTrace", "BareUnit"):
        driver.execute_query(
            f"CREATE CONSTRAINT {label.lower()} IF NOT EXISTS FOR (n:{label}) REQUIRE n.id IS UNIQUE",
            database_=database,
        )


def ingest_rate(
    driver: Driver, traces: Sequence[Trace], *, warm_up: int, database: str, name: str
) -> list[Measurement]:
    """Stores all traces both ways in turn; the first `warm_up`, while Java still compiles, are not counted.

    Our time begins with the trace in memory, the bare one's with its rows made. Medians, since a
    machine has other things to do.
    """
    ours, bare = [], []
    for trace in traces:
        prepared = trace_rows(trace)
        ids = sorted({row[0] for row in prepared.activations} | {row[-1] for row in prepared.nodes})
        driver.execute_query(BARE_UNITS, ids=ids, database_=database)
        begun = time.perf_counter()
        store_trace(driver, trace, database=database)
        stored = time.perf_counter()
        _write_bare(driver, prepared, database=database)
        ended = time.perf_counter()
        ours.append(trace.graph.n_edges / (stored - begun))
        bare.append(trace.graph.n_edges / (ended - stored))
    our_rate, bare_rate = median(ours[warm_up:]), median(bare[warm_up:])
    size = round(median([trace.graph.n_edges for trace in traces]), -2)
    return [
        Measurement(f"ingest, {name} traces (about {size:,.0f} edges)", our_rate, "edges/s", baseline=bare_rate),
        Measurement(
            f"ingest beside bare UNWIND … CREATE, {name} traces", our_rate / bare_rate, "ratio", baseline=1.0, goal=GOAL
        ),
    ]


def _write_bare(driver: Driver, rows: TraceRows, *, database: str) -> None:
    trace = rows.metadata.trace_id

    def work(transaction: ManagedTransaction) -> None:
        transaction.run(BARE_TRACE, trace=trace).consume()
        transaction.run(BARE_NODES, trace=trace, rows=rows.nodes).consume()
        for start in range(0, len(rows.edges), EDGE_BATCH):
            transaction.run(BARE_EDGES, trace=trace, rows=rows.edges[start : start + EDGE_BATCH]).consume()
        transaction.run(BARE_ACTIVATIONS, trace=trace, rows=rows.activations).consume()

    with driver.session(database=database) as session:
        session.execute_write(work)
