"""A trace's edges between supernodes: members of one at one position are one node."""

from collections.abc import Mapping

import numpy as np

from circuitbase.graph.unit_edges import TraceEdges
from circuitbase.queries.grouped_sums import grouped
from circuitbase.queries.trace_columns import TraceColumns


def grouped_edges(columns: TraceColumns, group_of: Mapping[str, str]) -> TraceEdges:
    """Returns a trace's edges between groups; influences of edges between the same two nodes are added up."""
    view = grouped(columns, group_of)
    places: dict[tuple[str, int], int] = {}
    # a unit that is in no group may stand twice at a position, as attention links do
    node = np.array(
        [
            places.setdefault((unit, int(position)) if before in group_of else (unit, -2 - number), len(places))
            for number, (unit, before, position) in enumerate(zip(view.unit, columns.unit, view.position, strict=True))
        ],
        dtype=np.int64,
    )
    first = np.unique(node, return_index=True)[1]
    ends = np.stack([node[view.edge_source], node[view.edge_target], view.edge_port.astype(np.int64)])
    found, row = np.unique(ends, axis=1, return_inverse=True)
    return TraceEdges(
        trace_id=columns.trace_id,
        unit=tuple(view.unit[place] for place in first),
        position=view.position[first],
        source=found[0],
        target=found[1],
        port=found[2].astype(np.uint8),
        influence=np.bincount(row.ravel(), weights=view.edge_influence, minlength=found.shape[1]).astype(np.float64),
    )
