"""Reading, summing and writing a rollup, the writing beside a bare MERGE of the same rows."""

import time
from collections.abc import Sequence
from dataclasses import fields
from statistics import median
from typing import Any

from neo4j import Driver, ManagedTransaction

from bench.measurement import Measurement
from circuitbase.graph.trace import Trace
from circuitbase.ingest.units import upsert_units
from circuitbase.queries.active_features import active_features
from circuitbase.queries.rollup_sums import EdgeSums, RollupSums, rollup_sums
from circuitbase.queries.sum_writing import ROW_BATCH, add_sums
from circuitbase.queries.trace_columns import read_trace_columns
from circuitbase.schema.identity import drives_key

MERGE_GOAL = 0.7
READING_GOAL = 300_000
READING_WARM_UP, READING_ROUNDS = 6, 9
MERGE_WARM_UP, MERGE_ROUNDS = 1, 3
WAYS, CASES = ("ours", "bare"), ("new pairs", "known pairs")

_SUMS = [field.name for field in fields(EdgeSums) if field.name not in ("source", "target", "port")]

# Rows: source id, target id, key, port, then the sums.
BARE_MERGE = f"""
UNWIND $rows AS row
MATCH (source:Unit {{id: row[0]}})
MATCH (target:Unit {{id: row[1]}})
MERGE (source)-[drives:DRIVES {{key: row[2]}}]->(target)
ON CREATE SET drives.rollup = $rollup, drives.port = row[3],
  {", ".join(f"drives.{name} = row[{place}]" for place, name in enumerate(_SUMS, start=4))}
ON MATCH SET {", ".join(f"drives.{name} = drives.{name} + row[{place}]" for place, name in enumerate(_SUMS, start=4))}
"""


def reading_rate(driver: Driver, traces: Sequence[Trace], *, database: str) -> tuple[RollupSums, list[Measurement]]:
    """Reads stored traces as columns and sums them, again and again; returns the sums for `merge_rate`."""
    active = []
    reading, summing, both = [], [], []
    edges = sum(trace.graph.n_edges for trace in traces)
    with driver.session(database=database) as session:
        for trace in traces:
            fired, units = active_features(trace)
            active.append(fired)
            dictionary = trace.metadata.dictionary
            upsert_units(session, units, dictionary=dictionary.id if dictionary else None)
        for _ in range(READING_WARM_UP + READING_ROUNDS):
            begun = time.perf_counter()
            columns = [session.execute_read(read_trace_columns, trace.metadata.trace_id) for trace in traces]
            read = time.perf_counter()
            sums = rollup_sums([(found, fired) for found, fired in zip(columns, active, strict=True) if found])
            ended = time.perf_counter()
            reading.append(edges / (read - begun))
            summing.append(edges / (ended - read))
            both.append(edges / (ended - begun))
    reading, summing, both = (rates[READING_WARM_UP:] for rates in (reading, summing, both))
    return sums, [
        Measurement("reading trace edges as columns", median(reading), "edges/s"),
        Measurement("summing trace edges", median(summing), "edges/s"),
        Measurement("reading plus summing trace edges", median(both), "edges/s", goal=READING_GOAL),
    ]


def merge_rate(driver: Driver, sums: RollupSums, *, database: str) -> list[Measurement]:
    """Adds the same sums to fresh rollups, and then once more, both ways in turn; the first rounds warm up."""
    seconds: dict[tuple[str, str], list[float]] = {(way, case): [] for way in WAYS for case in CASES}
    for number in range(MERGE_WARM_UP + MERGE_ROUNDS):
        rollups = {way: f"{way} {number}" for way in WAYS}
        driver.execute_query(
            "UNWIND $ids AS id CREATE (:Rollup {id: id})", ids=list(rollups.values()), database_=database
        )
        for case in CASES:
            for way, work in (("ours", _add_ours), ("bare", _add_bare)):
                rows = _bare_rows(sums, rollups[way]) if way == "bare" else []
                begun = time.perf_counter()
                with driver.session(database=database) as session:
                    session.execute_write(work, sums, rollups[way], rows)
                seconds[way, case].append(time.perf_counter() - begun)
        _forget(driver, list(rollups.values()), database=database)
    pairs = len(sums.edge_sums.source)
    took = {key: median(each[MERGE_WARM_UP:]) for key, each in seconds.items()}
    rate = {way: 2 * pairs / sum(took[way, case] for case in CASES) for way in WAYS}
    return [
        *(
            Measurement(
                f"rollup, {case} ({pairs:,})",
                pairs / took["ours", case],
                "pairs/s",
                baseline=pairs / took["bare", case],
            )
            for case in CASES
        ),
        Measurement("rollup, new and known pairs", rate["ours"], "pairs/s", baseline=rate["bare"]),
        Measurement(
            "rollup beside bare UNWIND … MERGE", rate["ours"] / rate["bare"], "ratio", baseline=1.0, goal=MERGE_GOAL
        ),
    ]


def _add_ours(transaction: ManagedTransaction, sums: RollupSums, rollup: str, rows: list[Any]) -> None:
    add_sums(transaction, sums, rollup=rollup)


def _add_bare(transaction: ManagedTransaction, sums: RollupSums, rollup: str, rows: list[Any]) -> None:
    for start in range(0, len(rows), ROW_BATCH):
        transaction.run(BARE_MERGE, rollup=rollup, rows=rows[start : start + ROW_BATCH]).consume()


def _bare_rows(sums: RollupSums, rollup: str) -> list[Any]:
    edges = sums.edge_sums
    source = [sums.units[place] for place in edges.source]
    target = [sums.units[place] for place in edges.target]
    port = edges.port.tolist()
    keys = [
        drives_key(rollup=rollup, source=ends[0], target=ends[1], port=ends[2])
        for ends in zip(source, target, port, strict=True)
    ]
    return list(zip(source, target, keys, port, *(getattr(edges, name).tolist() for name in _SUMS), strict=True))


def _forget(driver: Driver, rollups: list[str], *, database: str) -> None:
    for statement in (
        "MATCH ()-[d:DRIVES]->() WHERE d.rollup IN $rollups WITH d LIMIT 20000 DELETE d RETURN count(*) AS deleted",
        "MATCH ()-[s:SEEN_IN]->() WHERE s.rollup IN $rollups WITH s LIMIT 20000 DELETE s RETURN count(*) AS deleted",
    ):
        while driver.execute_query(statement, rollups=rollups, database_=database).records[0]["deleted"]:
            pass
