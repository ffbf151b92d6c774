"""What is wrong with the parts of attention scores by pair of nodes."""

import numpy as np

from circuitbase.graph.attribution_graph import AttributionGraph
from circuitbase.graph.row_order import row_order
from circuitbase.schema.kinds import OUTPUT_KINDS, NodeKind

_NO_SIDE = [int(kind) for kind in (*OUTPUT_KINDS, NodeKind.ATTENTION_LINK)]


def pair_problems(graph: AttributionGraph) -> list[str]:
    """Returns a sentence for each way in which pairs contradict the nodes; none where there are no pairs."""
    if (
        graph.pair_link is None
        or graph.pair_query_node is None
        or graph.pair_key_node is None
        or graph.pair_score is None
        or graph.pair_attention is None
    ):
        return []
    found = []
    columns = {
        "pair_link": graph.pair_link,
        "pair_query_node": graph.pair_query_node,
        "pair_key_node": graph.pair_key_node,
    }
    for name, column in columns.items():
        bad = np.flatnonzero((column < 0) | (column >= graph.n_nodes))
        if len(bad):
            found.append(f"{name} must name one of the {graph.n_nodes} nodes, got {column[bad[0]]} at pair {bad[0]}")
    for name, numbers in (("pair_score", graph.pair_score), ("pair_attention", graph.pair_attention)):
        if not np.isfinite(numbers).all():
            found.append(f"{name} must be finite, and is not")
    if found:
        return found
    if (row_order(tuple(columns.values())) <= 0).any():
        found.append("pairs must be sorted by link, query node and key node, each once, and are not")
    if (graph.node_kind[graph.pair_link] != NodeKind.ATTENTION_LINK).any():
        found.append("pair_link must name an attention link, and names another node")
        return found
    reached = {
        "pair_query_node": (graph.pair_query_node, graph.node_position[graph.pair_link]),
        "pair_key_node": (graph.pair_key_node, graph.node_key_position[graph.pair_link]),
    }
    for name, (node, position) in reached.items():
        if np.isin(graph.node_kind[node], _NO_SIDE).any():
            found.append(f"{name} must name a node that writes, and names an output or a link")
        if (graph.node_position[node] > position).any():
            found.append(f"{name} must not name a node behind what it acts on, and does")
        if (graph.node_layer[node] >= graph.node_layer[graph.pair_link]).any():
            found.append(f"{name} must name a node below the link's layer, and does not")
    accounts = ("node_preactivation", "node_bias_effect", "node_rest", "node_absolute_input")
    for name in accounts:
        if not np.isfinite(getattr(graph, name)[graph.pair_link]).all():
            found.append(f"{name} must be finite where a link has pairs, and is not")
    return found
