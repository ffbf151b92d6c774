"""What is wrong with an attribution graph's columns, found before anything trusts them."""

import numpy as np

from circuitbase.graph.attribution_graph import AttributionGraph
from circuitbase.graph.pair_consistency import pair_problems
from circuitbase.graph.row_order import row_order
from circuitbase.schema.kinds import OUTPUT_KINDS, NodeKind

_TARGET_COLUMNS = ("node_preactivation", "node_bias_effect", "node_rest", "node_absolute_input")
_UNPROVEN_TARGET_COLUMNS = ("node_absolute_input",)
_FINITE_COLUMNS = ("node_activation", "node_influence", "edge_weight", "edge_influence", "active_value")


def problems(
    graph: AttributionGraph, *, n_layers: int, n_positions: int, n_targets: int, unproven: bool = False
) -> list[str]:
    """Returns a sentence for each way in which the columns contradict each other; empty if none.

    An `unproven` graph has no account, so that of its targets only the absolute input must be known.
    """
    return [
        *_value_problems(graph, _UNPROVEN_TARGET_COLUMNS if unproven else _TARGET_COLUMNS),
        *_node_problems(graph, n_layers=n_layers, n_positions=n_positions, n_targets=n_targets),
        *_edge_problems(graph),
        *_head_problems(graph, n_layers=n_layers),
        *pair_problems(graph),
    ]


def length_problems(arrays: dict[str, np.ndarray]) -> list[str]:
    """Returns a sentence for each group of columns of unequal length, which make no graph at all."""
    found = []
    for prefix in ("node", "edge", "active", "head", "pair"):
        lengths = {name: len(array) for name, array in arrays.items() if name.startswith(f"{prefix}_")}
        if len(set(lengths.values())) > 1:
            found.append(f"the {prefix} columns must be equally long, got {lengths}")
    return found


def _value_problems(graph: AttributionGraph, of_targets: tuple[str, ...]) -> list[str]:
    found = []
    for name in _FINITE_COLUMNS:
        bad = np.flatnonzero(~np.isfinite(getattr(graph, name)))
        if len(bad):
            value = getattr(graph, name)[bad[0]]
            found.append(f"{name} must be finite, got {value} at row {bad[0]} ({len(bad)} such rows)")
    is_target = np.zeros(graph.n_nodes, dtype=bool)
    in_range = (graph.edge_target >= 0) & (graph.edge_target < graph.n_nodes)
    is_target[graph.edge_target[in_range]] = True
    for name in of_targets:
        bad = np.flatnonzero(is_target & ~np.isfinite(getattr(graph, name)))
        if len(bad):
            found.append(f"{name} must be finite where a node has in-edges, got nan at node {bad[0]}")
    return found


def _node_problems(graph: AttributionGraph, *, n_layers: int, n_positions: int, n_targets: int) -> list[str]:
    found = []
    known = np.isin(graph.node_kind, [int(kind) for kind in NodeKind])
    if not known.all():
        row = np.flatnonzero(~known)[0]
        found.append(f"node_kind must be 0 to {max(NodeKind)}, got {graph.node_kind[row]} at node {row}")
    columns = (graph.node_kind, graph.node_layer, graph.node_position, graph.node_key_position, graph.node_unit)
    order = row_order(columns)
    if (order < 0).any():
        found.append("nodes must be sorted by kind, layer, position, key position, unit, and are not")
    elif (order == 0).any():
        found.append("each node must stand once, and some stand twice")
    for name, layer in (("node", graph.node_layer), ("active", graph.active_layer)):
        if len(layer) and (layer.min() < -1 or layer.max() > n_layers):
            found.append(f"{name}_layer must be -1 to {n_layers}, got {layer.min()} to {layer.max()}")
    for name, position in (("node", graph.node_position), ("active", graph.active_position)):
        if len(position) and (position.min() < -1 or position.max() >= n_positions):
            found.append(f"{name}_position must be -1 to {n_positions - 1}, got {position.min()} to {position.max()}")
    key = graph.node_key_position
    if len(key) and (key.min() < -1 or key.max() >= n_positions):
        found.append(f"node_key_position must be -1 to {n_positions - 1}, got {key.min()} to {key.max()}")
    other = graph.node_unit[graph.node_kind == NodeKind.OTHER_OUTPUT]
    if len(other) and (other.min() < 0 or other.max() >= n_targets):
        found.append(f"an output points to target {other.max()}, but the metadata lists {n_targets} targets")
    return found


def _edge_problems(graph: AttributionGraph) -> list[str]:
    if graph.n_edges == 0:
        return []
    found = []
    for name in ("edge_source", "edge_target"):
        column = getattr(graph, name)
        bad = np.flatnonzero((column < 0) | (column >= graph.n_nodes))
        if len(bad):
            found.append(f"{name} must name one of the {graph.n_nodes} nodes, got {column[bad[0]]} at edge {bad[0]}")
    if found:
        return found
    order = row_order((graph.edge_target, graph.edge_source, graph.edge_port))
    if (order < 0).any():
        found.append("edges must be sorted by target, source, port, and are not")
    if graph.edge_port.max() > 3:
        found.append(f"edge_port must be 0 to 3, got {graph.edge_port.max()}")
    elif (order == 0).any():
        found.append(f"each edge must stand once, and edge {np.flatnonzero(order == 0)[0]} stands twice")
    source_kind = graph.node_kind[graph.edge_source]
    if np.isin(source_kind, [int(kind) for kind in OUTPUT_KINDS]).any():
        found.append("an output node must have no out-edges, and one has")
    target_kind = graph.node_kind[graph.edge_target]
    if np.isin(target_kind, [int(NodeKind.INPUT_TOKEN), int(NodeKind.LAYER_ERROR)]).any():
        found.append("input tokens and layer errors must have no in-edges, and one has")
    position = graph.node_position
    later = (position[graph.edge_source] > position[graph.edge_target]) & (position[graph.edge_target] >= 0)
    if later.any():
        found.append(f"an edge must not run to an earlier position, and edge {np.flatnonzero(later)[0]} does")
    layer = graph.node_layer
    above = layer[graph.edge_source] > layer[graph.edge_target]
    if above.any():
        found.append(f"an edge must not run to a lower layer, and edge {np.flatnonzero(above)[0]} does")
    return found


def _head_problems(graph: AttributionGraph, *, n_layers: int) -> list[str]:
    if graph.head_edge is None or graph.head_layer is None or graph.head_index is None or graph.head_weight is None:
        return []
    found = []
    if len(graph.head_edge) and (graph.head_edge.min() < 0 or graph.head_edge.max() >= graph.n_edges):
        found.append(f"head_edge must name one of the {graph.n_edges} edges, got {graph.head_edge.max()}")
    if (row_order((graph.head_edge, graph.head_layer, graph.head_index)) <= 0).any():
        found.append("parts by head must be sorted by edge, layer and head, each once, and are not")
    if len(graph.head_layer) and (graph.head_layer.min() < 0 or graph.head_layer.max() >= n_layers):
        found.append(f"head_layer must be 0 to {n_layers - 1}, got {graph.head_layer.max()}")
    if not np.isfinite(graph.head_weight).all():
        found.append("head_weight must be finite, and is not")
    return found
