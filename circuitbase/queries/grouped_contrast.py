"""A contrast over supernodes instead of features: both sets' sums over the groups of the first."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from neo4j import Session

from circuitbase.queries.circuit import MIN_PRESENCE
from circuitbase.queries.contrast import Contrast, EdgeRows, contrast_of, set_summary
from circuitbase.queries.grouped_circuit import edge_rows, unit_facts, unit_rows
from circuitbase.queries.grouped_sums import GroupedSums
from circuitbase.queries.rollup_choice import ChosenRollup
from circuitbase.queries.supernode_storing import StoredSupernode


def grouped_contrast(
    session: Session,
    rollups: tuple[ChosenRollup, ChosenRollup],
    found: tuple[GroupedSums, GroupedSums],
    stored: Sequence[StoredSupernode],
    *,
    min_presence: float = MIN_PRESENCE,
) -> Contrast:
    """Returns two rollups side by side over the same supernodes."""
    facts = [unit_facts(session, each.sums, stored) for each in found]
    edges = tuple(_edges(each, known) for each, known in zip(found, facts, strict=True))
    return contrast_of(
        (set_summary(session, rollups[0]), set_summary(session, rollups[1])),
        _units(found, {**facts[0], **facts[1]}),
        (edges[0], edges[1]),
        min_presence=min_presence,
    )


def _units(found: tuple[GroupedSums, GroupedSums], facts: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    first, second = ({row["id"]: row for row in unit_rows(each.sums)} for each in found)
    for id in sorted({*first, *second}):
        a, b = first.get(id, {}), second.get(id, {})
        yield {
            **facts[id],
            "first": a.get("traced", 0),
            "second": b.get("traced", 0),
            "first_influence": a.get("influence_sum", 0.0),
            "second_influence": b.get("influence_sum", 0.0),
        }


def _edges(found: GroupedSums, facts: Mapping[str, Mapping[str, Any]]) -> EdgeRows:
    return {
        (row["source"], row["target"], row["sums"]["port"]): {**row, **row["sums"]}
        for row in edge_rows(found.sums, facts)
    }
