"""One prompt's attribution graph as columns: the in-memory form of a trace file's arrays.

Nodes are sorted by kind, layer, position, key position, unit; edges by target, source, port.
An edge's weight is the direct effect of its source on its target's pre-activation, signed.
"""

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float32, Int16, Int32, Int64, UInt8


@dataclass(frozen=True)
class AttributionGraph:
    """Columns of nodes, edges and active features; the trace file holds exactly these arrays.

    `node_unit` is a feature, token, head or neuron index; 0 for layer errors and MLPs; an index
    into the metadata's targets for other outputs. `node_layer` is -1 for input tokens and n_layers
    for outputs. `node_preactivation`, `node_bias_effect`, `node_rest` and `node_absolute_input` are
    nan where a node is no target; for targets, over the stored edges,
    sum(weight) + rest + bias_effect = preactivation. `node_margin` is nan unless silent.

    The `head_` columns are there if edges were split by the last attention head on their paths:
    sorted by edge, layer and head; an edge's weight less its parts is that of paths without attention.

    The `pair_` columns are there if attention was explained: sorted by link (the node of a head's attention from its
    position to its key position), query node and key node. A link's `node_preactivation` is its score before any
    soft cap, its `node_bias_effect` all terms of it with a bias, and over the stored pairs
    sum(score) + rest + bias_effect = preactivation. `pair_attention` is a pair's part of the link's attention weight,
    integrated from the uniform pattern.
    """

    node_kind: UInt8[np.ndarray, " node"]
    node_layer: Int16[np.ndarray, " node"]
    node_position: Int32[np.ndarray, " node"]
    node_key_position: Int32[np.ndarray, " node"]
    node_unit: Int64[np.ndarray, " node"]
    node_activation: Float32[np.ndarray, " node"]
    node_influence: Float32[np.ndarray, " node"]
    node_preactivation: Float32[np.ndarray, " node"]
    node_bias_effect: Float32[np.ndarray, " node"]
    node_rest: Float32[np.ndarray, " node"]
    node_absolute_input: Float32[np.ndarray, " node"]
    node_silent: UInt8[np.ndarray, " node"]
    node_margin: Float32[np.ndarray, " node"]
    edge_source: Int32[np.ndarray, " edge"]
    edge_target: Int32[np.ndarray, " edge"]
    edge_port: UInt8[np.ndarray, " edge"]
    edge_weight: Float32[np.ndarray, " edge"]
    edge_influence: Float32[np.ndarray, " edge"]
    active_layer: Int16[np.ndarray, " active"]
    active_position: Int32[np.ndarray, " active"]
    active_unit: Int64[np.ndarray, " active"]
    active_value: Float32[np.ndarray, " active"]
    head_edge: Int32[np.ndarray, " part"] | None = None
    head_layer: Int16[np.ndarray, " part"] | None = None
    head_index: Int16[np.ndarray, " part"] | None = None
    head_weight: Float32[np.ndarray, " part"] | None = None
    pair_link: Int32[np.ndarray, " pair"] | None = None
    pair_query_node: Int32[np.ndarray, " pair"] | None = None
    pair_key_node: Int32[np.ndarray, " pair"] | None = None
    pair_score: Float32[np.ndarray, " pair"] | None = None
    pair_attention: Float32[np.ndarray, " pair"] | None = None

    @property
    def n_nodes(self) -> int:
        """Returns the number of trace nodes."""
        return len(self.node_kind)

    @property
    def n_edges(self) -> int:
        """Returns the number of edges."""
        return len(self.edge_source)

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns the columns that there are, by name, in declaration order."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: column for name, column in columns.items() if column is not None}


# array name -> dtype of every required array of a trace file
ARRAY_DTYPES: dict[str, np.dtype] = {
    "node_kind": np.dtype(np.uint8),
    "node_layer": np.dtype(np.int16),
    "node_position": np.dtype(np.int32),
    "node_key_position": np.dtype(np.int32),
    "node_unit": np.dtype(np.int64),
    "node_activation": np.dtype(np.float32),
    "node_influence": np.dtype(np.float32),
    "node_preactivation": np.dtype(np.float32),
    "node_bias_effect": np.dtype(np.float32),
    "node_rest": np.dtype(np.float32),
    "node_absolute_input": np.dtype(np.float32),
    "node_silent": np.dtype(np.uint8),
    "node_margin": np.dtype(np.float32),
    "edge_source": np.dtype(np.int32),
    "edge_target": np.dtype(np.int32),
    "edge_port": np.dtype(np.uint8),
    "edge_weight": np.dtype(np.float32),
    "edge_influence": np.dtype(np.float32),
    "active_layer": np.dtype(np.int16),
    "active_position": np.dtype(np.int32),
    "active_unit": np.dtype(np.int64),
    "active_value": np.dtype(np.float32),
}

# and of those that a trace may have beside: all of a group or none
HEAD_DTYPES: dict[str, np.dtype] = {
    "head_edge": np.dtype(np.int32),
    "head_layer": np.dtype(np.int16),
    "head_index": np.dtype(np.int16),
    "head_weight": np.dtype(np.float32),
}
PAIR_DTYPES: dict[str, np.dtype] = {
    "pair_link": np.dtype(np.int32),
    "pair_query_node": np.dtype(np.int32),
    "pair_key_node": np.dtype(np.int32),
    "pair_score": np.dtype(np.float32),
    "pair_attention": np.dtype(np.float32),
}
OPTIONAL_DTYPES = (HEAD_DTYPES, PAIR_DTYPES)
