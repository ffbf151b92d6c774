"""Keeping shared subcircuits in the database: `Motif` with its units and the traces that realise it."""

from collections.abc import Sequence

from neo4j import Driver

from circuitbase.queries.motif_writing import write_motifs
from circuitbase.queries.subcircuits import RankedSubcircuit, SubcircuitReport
from circuitbase.schema.declaration import node
from circuitbase.schema.identity import motif_id
from circuitbase.schema.rows import rows

KIND, TYPE = "subcircuit", "closed"


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
    return write_motifs(driver, motifs, involved=involved, occurring=occurring, what="subcircuits", database=database)


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
