"""Keeping shared subcircuits in the database: `Motif` with its units and the traces that realise it."""

from collections.abc import Sequence

from neo4j import Driver, ManagedTransaction

from circuitbase.ingest.failures import database_failures
from circuitbase.ingest.managed import write
from circuitbase.ingest.migrations import ensure_schema
from circuitbase.queries.lease import take_lease
from circuitbase.queries.subcircuits import RankedSubcircuit, SubcircuitReport
from circuitbase.schema.declaration import node
from circuitbase.schema.identity import motif_id
from circuitbase.schema.rows import rows
from circuitbase.schema.statements import assignments

KIND, TYPE = "subcircuit", "closed"

# Rows: Motif. What was found before under the same id is replaced: its support grows with the set.
UPSERT_MOTIFS = f"""
UNWIND $rows AS row
MERGE (motif:Motif {{id: row[0]}})
SET {assignments(node("Motif"), variable="motif")}
"""
DELETE_TIES = """
UNWIND $ids AS id
MATCH (:Motif {id: id})-[tie:INVOLVES|OCCURS_IN]->()
DELETE tie
"""
# Rows: id of the motif, id of the unit, place.
INVOLVE_UNITS = """
UNWIND $rows AS row
MATCH (motif:Motif {id: row[0]})
MATCH (unit:Unit {id: row[1]})
CREATE (motif)-[:INVOLVES {place: row[2]}]->(unit)
"""
# Rows: id of the motif, id of the trace.
OCCUR_IN_TRACES = """
UNWIND $rows AS row
MATCH (motif:Motif {id: row[0]})
MATCH (trace:Trace {id: row[1]})
CREATE (motif)-[:OCCURS_IN]->(trace)
"""


def store_subcircuits(driver: Driver, report: SubcircuitReport, *, created_by: str, database: str) -> int:
    """Writes the subcircuits of a report; returns how many were new. Repeating it changes nothing."""
    ids = [_id(report, each) for each in report.found]
    motifs = rows(node("Motif"), _columns(report, ids, created_by=created_by))
    involved = [
        (id, unit, place)
        for id, each in zip(ids, report.found, strict=True)
        for place, unit in enumerate(each.subcircuit.units)
    ]
    occurring = [(id, trace) for id, each in zip(ids, report.found, strict=True) for trace in each.subcircuit.traces]

    def work(transaction: ManagedTransaction) -> int:
        take_lease(transaction)
        done = transaction.run(UPSERT_MOTIFS, rows=motifs).consume()
        transaction.run(DELETE_TIES, ids=ids).consume()
        transaction.run(INVOLVE_UNITS, rows=involved).consume()
        transaction.run(OCCUR_IN_TRACES, rows=occurring).consume()
        return int(done.counters.nodes_created)

    with database_failures(f"storing {len(ids)} subcircuits"):
        ensure_schema(driver, database=database)
        with driver.session(database=database) as session:
            return write(session, work).value


def _id(report: SubcircuitReport, each: RankedSubcircuit) -> str:
    return motif_id(
        kind=KIND,
        type=TYPE,
        prompt_set=report.rollup.prompt_set,
        configuration=report.rollup.configuration,
        filling=[edge.text for edge in each.subcircuit.edges],
    )


def _columns(report: SubcircuitReport, ids: Sequence[str], *, created_by: str) -> dict[str, list[object]]:
    found = [each.subcircuit for each in report.found]
    return {
        "id": list(ids),
        "kind": [KIND] * len(ids),
        "type": [TYPE] * len(ids),
        "size": [each.size for each in found],
        "traces": [each.support for each in found],
        "set": [report.rollup.prompt_set] * len(ids),
        "configuration": [report.rollup.configuration] * len(ids),
        "created_by": [created_by] * len(ids),
        "edges": [[edge.text for edge in each.edges] for each in found],
        "lift": [each.lift.value if each.lift else None for each in report.found],
        "influence": [each.influence for each in found],
    }
