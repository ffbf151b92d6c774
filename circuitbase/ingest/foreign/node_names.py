"""The ids that graph files give nodes and features: circuit-tracer's, as Neuronpedia reads them."""

import math
import re
from dataclasses import dataclass

from circuitbase.schema.kinds import NodeKind

THREE_NUMBERS = re.compile(r"(\d+)_(\d+)_(\d+)")
EMBEDDING = re.compile(r"E_(\d+)_(\d+)")
FEATURE_TYPES = {
    "cross layer transcoder": NodeKind.FEATURE,  # also of transcoders of a single layer
    "mlp reconstruction error": NodeKind.LAYER_ERROR,
    "embedding": NodeKind.INPUT_TOKEN,
    "logit": NodeKind.OUTPUT_TOKEN,
}


@dataclass(frozen=True)
class NodeName:
    """How a file names a node: its id, the number of its feature, its layer, and its id in web pages."""

    node_id: str
    feature: int
    layer: str
    js_node_id: str


def paired(layer: int, feature: int) -> int:
    """Returns the one number of a layer and a feature in it, by Cantor's pairing (schema version 1)."""
    return (layer + feature) * (layer + feature + 1) // 2 + feature


def unpaired(number: int) -> tuple[int, int]:
    """Returns the layer and the feature that `paired` made a number of."""
    diagonal = (math.isqrt(8 * number + 1) - 1) // 2
    feature = number - diagonal * (diagonal + 1) // 2
    return diagonal - feature, feature


def node_name(kind: NodeKind, *, layer: int, position: int, unit: int, n_layers: int) -> NodeName:
    """Returns how files of schema version 1 name a node, errors as since the middle of 2026.

    `unit` is the token of an embedding and of an output (beyond the vocabulary for one that is no token).
    """
    match kind:
        case NodeKind.FEATURE:
            return NodeName(f"{layer}_{unit}_{position}", paired(layer, unit), str(layer), f"{layer}_{unit}-0")
        case NodeKind.LAYER_ERROR:
            return NodeName(f"{layer}_-1_{position}", -1, str(layer), f"{layer}_-1-{position}")
        case NodeKind.INPUT_TOKEN:
            return NodeName(f"E_{unit}_{position}", position, "E", f"E_{unit}-{position}")
    return NodeName(f"{n_layers + 1}_{unit}_{position}", unit, str(n_layers + 1), f"L_{unit}-{position}")
