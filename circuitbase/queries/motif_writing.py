"""Writing `Motif` nodes of any kind, with their units and the traces that realise them."""

from collections.abc import Sequence
from typing import Any

from neo4j import Driver, ManagedTransaction

from circuitbase.ingest.failures import database_failures
from circuitbase.ingest.managed import write
from circuitbase.ingest.migrations import ensure_schema
from circuitbase.queries.lease import take_lease
from circuitbase.schema.declaration import node
from circuitbase.schema.statements import assignments

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


def write_motifs(
    driver: Driver,
    motifs: Sequence[tuple[Any, ...]],
    *,
    involved: Sequence[tuple[str, str, int]],
    occurring: Sequence[tuple[str, str]],
    what: str,
    database: str,
) -> int:
    """Writes rows of motifs with their ties (see the statements); returns how many were new.

    Repeating it changes nothing. `what` is what errors call them.
    """

    def work(transaction: ManagedTransaction) -> int:
        take_lease(transaction)
        done = transaction.run(UPSERT_MOTIFS, rows=list(motifs)).consume()
        transaction.run(DELETE_TIES, ids=[row[0] for row in motifs]).consume()
        transaction.run(INVOLVE_UNITS, rows=list(involved)).consume()
        transaction.run(OCCUR_IN_TRACES, rows=list(occurring)).consume()
        return int(done.counters.nodes_created)

    with database_failures(f"storing {len(motifs)} {what}"):
        ensure_schema(driver, database=database)
        with driver.session(database=database) as session:
            return write(session, work).value
