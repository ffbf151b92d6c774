"""Sums that were made on the fly as the rows that a rollup in the database is read as."""

from typing import Any

import numpy as np
from neo4j import Session

from circuitbase.queries.rollup_sums import RollupSums
from circuitbase.queries.unit_facts import UnitFacts, unit_facts

_EDGE_COLUMNS = (
    *("port", "traces", "weight_sum", "weight_square_sum", "absolute_sum", "share_sum", "share_square_sum"),
    *("influence_sum", "influence_square_sum", "positive", "target_weighted_sum", "same_position"),
)
_UNIT_COLUMNS = ("active_traces", "traced", "activation_sum", "influence_sum", "influence_square_sum")


def unit_rows(session: Session, sums: RollupSums, *, least: int) -> list[dict[str, Any]]:
    """Returns the units in at least so many traces, most influential first; those that are not stored left out."""
    columns = sums.unit_sums
    chosen = np.flatnonzero(columns.traced >= least)
    facts = unit_facts(session, [sums.units[columns.unit[row]] for row in chosen.tolist()])
    rows = []
    for row in chosen.tolist():
        id = sums.units[columns.unit[row]]
        if id in facts:
            rows.append({"id": id, **_said(facts[id]), **_values(columns, _UNIT_COLUMNS, row)})
    return sorted(rows, key=lambda row: (-row["influence_sum"], row["id"]))


def edge_rows(session: Session, sums: RollupSums, *, least: int) -> list[dict[str, Any]]:
    """Returns the edges in at least so many traces, in the order of their units."""
    columns = sums.edge_sums
    chosen = np.flatnonzero(columns.traces >= least)
    ends = {sums.units[place] for row in chosen.tolist() for place in (columns.source[row], columns.target[row])}
    facts = unit_facts(session, ends)
    seen = {sums.units[place]: row for row, place in enumerate(sums.unit_sums.unit.tolist())}
    rows = []
    for row in chosen.tolist():
        source, target = sums.units[columns.source[row]], sums.units[columns.target[row]]
        of_target = _values(sums.unit_sums, ("traced", "activation_sum"), seen[target])
        rows.append(
            {
                "source": source,
                "source_name": facts[source].name,
                "source_kind": facts[source].kind,
                "target": target,
                "target_name": facts[target].name,
                "target_kind": facts[target].kind,
                **_values(columns, _EDGE_COLUMNS, row),
                "target_traced": of_target["traced"],
                "target_activation_sum": of_target["activation_sum"],
            }
        )
    return rows


def _said(facts: UnitFacts) -> dict[str, Any]:
    return {"name": facts.name, "kind": facts.kind, "layer": facts.layer, "token": facts.token}


def _values(columns: Any, names: tuple[str, ...], row: int) -> dict[str, Any]:
    return {name: getattr(columns, name)[row].item() for name in names}
