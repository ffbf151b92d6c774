"""Keeping structural motifs in the database: `Motif` with its units and the traces that realise it."""

from collections.abc import Sequence

from neo4j import Driver

from circuitbase.graph.motifs.motif_type import edge_positions, edge_signs
from circuitbase.graph.motifs.recurring import RecurringMotif
from circuitbase.queries.motif_writing import write_motifs
from circuitbase.queries.rollup_choice import ChosenRollup
from circuitbase.schema.declaration import node
from circuitbase.schema.identity import motif_id
from circuitbase.schema.rows import rows

KIND = "structural"
_POSITIONS = {"s": "same position", "o": "other position"}


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
    return write_motifs(driver, nodes, involved=involved, occurring=occurring, what="motifs", database=database)


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
