"""Chosen unit edges in each trace of a selection: the values that sums over traces have lost.

The observation is the trace. An edge that a trace does not have was inactive or pruned there and counts as 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from neo4j import Session

from circuitbase.queries.relabelling import Relabelling
from circuitbase.queries.selection import Selection
from circuitbase.queries.trace_columns import TraceColumns
from circuitbase.queries.trace_streaming import Heard, streamed_traces
from circuitbase.store.trace_store import TraceStore

Edge = tuple[str, str, int]  # ids of source and target, and the port


@dataclass(frozen=True)
class ObservedEdges:
    """What each trace has of each edge, summed over its position pairs; all 0 where it has none.

    `nodes` counts the pairs of trace nodes, `target_nodes` the nodes of the edge's target in the trace, with or
    without the edge. `same_position` counts the pairs at equal positions.
    """

    edges: tuple[Edge, ...]
    weight: Float64[np.ndarray, "trace edge"]
    share: Float64[np.ndarray, "trace edge"]
    influence: Float64[np.ndarray, "trace edge"]
    target_weighted: Float64[np.ndarray, "trace edge"]
    nodes: Int64[np.ndarray, "trace edge"]
    target_nodes: Int64[np.ndarray, "trace edge"]
    same_position: Int64[np.ndarray, "trace edge"]

    @property
    def share_per_target(self) -> Float64[np.ndarray, "trace edge"]:
        """Returns the mean share per node of the target, 0 without one: sums would favour long prompts."""
        return self.share / np.maximum(1, self.target_nodes)


def observed_edges(
    session: Session,
    store: TraceStore,
    selection: Selection,
    edges: Sequence[Edge],
    *,
    relabelling: Relabelling | None = None,
    heard: Heard | None = None,
) -> ObservedEdges:
    """Returns chosen edges in every trace; rows are in the order of the selection's traces."""
    chosen = _Chosen(edges)
    rows = []
    for streamed in streamed_traces(session, store, selection, heard=heard):
        columns, _ = streamed.relabelled(relabelling)
        rows.append(chosen.observed(columns))
    shape = (len(rows), len(edges))
    columns_of = [np.stack([row[number] for row in rows]) if rows else np.zeros(shape) for number in range(7)]
    weight, share, influence, weighted, nodes, target_nodes, same = columns_of
    return ObservedEdges(
        edges=tuple(edges),
        weight=weight,
        share=share,
        influence=influence,
        target_weighted=weighted,
        nodes=nodes.astype(np.int64),
        target_nodes=target_nodes.astype(np.int64),
        same_position=same.astype(np.int64),
    )


class _Chosen:
    """Finds chosen edges among a trace's."""

    def __init__(self, edges: Sequence[Edge]) -> None:
        self.place = {edge: number for number, edge in enumerate(edges)}
        self.targets = [target for _, target, _ in edges]
        self.units = frozenset(unit for source, target, _ in edges for unit in (source, target))

    def observed(self, columns: TraceColumns) -> tuple[np.ndarray, ...]:
        known = np.array([unit in self.units for unit in columns.unit], dtype=bool)
        rows = np.flatnonzero(known[columns.edge_source] & known[columns.edge_target])
        place = np.array([self._place(columns, row) for row in rows.tolist()], dtype=np.int64)
        rows, place = rows[place >= 0], place[place >= 0]
        source, target = columns.edge_source[rows], columns.edge_target[rows]
        same = (columns.position[source] == columns.position[target]) & (columns.position[source] >= 0)
        nodes_of: dict[str, int] = {}
        for unit in columns.unit:
            nodes_of[unit] = nodes_of.get(unit, 0) + 1

        def summed(column: np.ndarray) -> np.ndarray:
            return np.bincount(place, weights=column, minlength=len(self.targets)).astype(np.float64)

        return (
            summed(columns.edge_weight[rows]),
            summed(columns.edge_share[rows]),
            summed(columns.edge_influence[rows]),
            summed(columns.edge_weight[rows] * columns.activation[target]),
            summed(np.ones(len(rows))),
            np.array([nodes_of.get(target, 0) for target in self.targets], dtype=np.float64),
            summed(same.astype(np.float64)),
        )

    def _place(self, columns: TraceColumns, row: int) -> int:
        ends = columns.unit[columns.edge_source[row]], columns.unit[columns.edge_target[row]]
        return self.place.get((*ends, int(columns.edge_port[row])), -1)
