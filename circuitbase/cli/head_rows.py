"""The parts of a trace's edges by the last attention head on their paths, as rows for people."""

from typing import TYPE_CHECKING, Any

import numpy as np

from circuitbase.cli.trace_rows import edge_ends, strongest_edges
from circuitbase.schema.kinds import NodeKind
from circuitbase.schema.unit_names import unit_name

if TYPE_CHECKING:
    from circuitbase.graph.trace import Trace

WITHOUT_HEAD = "no head"


def head_rows(trace: "Trace", *, top: int) -> list[dict[str, Any]]:
    """Returns the strongest part of each of the `top` edges with the most influence, and how much of it that is.

    `of_edge` is the part over the edge's weight: beyond 1 where other parts work against it. Empty where
    the trace's edges were not split.
    """
    return [
        {**edge_ends(trace, edge), **_strongest_part(trace, edge)}
        for edge in strongest_edges(trace, top=top)
        if trace.graph.head_edge is not None
    ]


def _strongest_part(trace: "Trace", edge: int) -> dict[str, Any]:
    graph = trace.graph
    assert graph.head_edge is not None
    assert graph.head_layer is not None
    assert graph.head_index is not None
    assert graph.head_weight is not None
    first, last = np.searchsorted(graph.head_edge, [edge, edge + 1])
    weight = float(graph.edge_weight[edge])
    parts = graph.head_weight[first:last].astype(np.float64)
    without = weight - float(parts.sum())
    place = int(np.abs(parts).argmax()) if len(parts) else None
    if place is None or abs(without) >= abs(parts[place]):
        name, part = WITHOUT_HEAD, without
    else:
        layer, head = int(graph.head_layer[first + place]), int(graph.head_index[first + place])
        name, part = unit_name(NodeKind.HEAD, layer=layer, index=head, text=None), float(parts[place])
    return {"last_head": name, "part": part, "of_edge": part / weight, "weight": weight}
