"""Keeping structural motifs in the database: `Motif` with its units and the traces that realise it."""

from collections.abc import Sequence

from neo4j import Driver, ManagedTransaction

from circuitbase.graph.motifs.motif_type import edge_positions, edge_signs
from circuitbase.graph.motifs.recurring import RecurringMotif
from circuitbase.ingest.failures import database_failures
from circuitbase.ingest.managed import write
from circuitbase.ingest.migrations import ensure_schema
from circuitbase.queries.lease import take_lease
from circuitbase.queries.rollup_choice import ChosenRollup
from circuitbase.schema.declaration import node
from circuitbase.schema.identity import motif_id
from circuitbase.schema.rows import rows
from circuitbase.schema.statements import assignments

KIND = "structural"
_POSITIONS = {"s": "same position", "o": "other position"}

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


def store_motifs(
    driver: Driver,
    rollup: ChosenRollup,
    found: dict[RecurringMotif, tuple[str, ...]],
    *,
    created_by: str,
    database: str,
) -> int:
    """Writes motifs with the traces of each; returns how many were new. Repeating it changes nothing."""
    motifs, ids = list(found), [_id(rollup, motif) for motif in found]
    nodes = rows(node("Motif"), _columns(rollup, motifs, ids, created_by=created_by))
    involved = [
        (id, unit, place) for id, motif in zip(ids, motifs, strict=True) for place, unit in enumerate(motif.units)
    ]
    occurring = [(id, trace) for id, traces in zip(ids, found.values(), strict=True) for trace in traces]

    def work(transaction: ManagedTransaction) -> int:
        take_lease(transaction)
        done = transaction.run(UPSERT_MOTIFS, rows=nodes).consume()
        transaction.run(DELETE_TIES, ids=ids).consume()
        transaction.run(INVOLVE_UNITS, rows=involved).consume()
        transaction.run(OCCUR_IN_TRACES, rows=occurring).consume()
        return int(done.counters.nodes_created)

    with database_failures(f"storing {len(ids)} motifs"):
        ensure_schema(driver, database=database)
        with driver.session(database=database) as session:
            return write(session, work).value


def edge_texts(motif: RecurringMotif, names: Sequence[str]) -> list[str]:
    """Returns each edge as `source -> target; + same position`, its ends by the names of the motif's units."""
    return [
        f"{names[start]} -> {names[end]}; {edge_signs(each)} {_POSITIONS[edge_positions(each)]}"
        for (start, end), each in zip(motif.edges, motif.classes, strict=True)
    ]


def _id(rollup: ChosenRollup, motif: RecurringMotif) -> str:
    return motif_id(
        kind=KIND,
        type=motif.type.name,
        prompt_set=rollup.prompt_set,
        configuration=rollup.configuration,
        filling=edge_texts(motif, motif.units),
    )


def _columns(
    rollup: ChosenRollup, motifs: Sequence[RecurringMotif], ids: Sequence[str], *, created_by: str
) -> dict[str, list[object]]:
    return {
        "id": list(ids),
        "kind": [KIND] * len(ids),
        "type": [motif.type.name for motif in motifs],
        "size": [len(motif.edges) for motif in motifs],
        "traces": [motif.traces for motif in motifs],
        "set": [rollup.prompt_set] * len(ids),
        "configuration": [rollup.configuration] * len(ids),
        "created_by": [created_by] * len(ids),
        "edges": [edge_texts(motif, motif.units) for motif in motifs],
    }
