"""The nodes that a prompt's graph must have, from the reference alone: a graph without edges."""

from collections.abc import Sequence

import numpy as np
import torch

from circuitbase.graph.attribution_graph import ARRAY_DTYPES, AttributionGraph
from circuitbase.schema.kinds import NodeKind
from tests.tracing.frozen_reference import ATTENTION_SITES, FrozenReference


def expected_graph(
    reference: FrozenReference, *, without_nodes: Sequence[int] = (), output_tokens: Sequence[int] = ()
) -> AttributionGraph:
    """Returns every node of the whole graph in its order: tokens, active features, errors, outputs, whole MLPs.

    Other outputs are the reference's directions. Sums are nan, and there are no edges.
    """
    tokens = reference.tokens[0].tolist()
    places = [position for position in range(len(tokens)) if position not in without_nodes]
    layers = range(reference.n_layers)
    active = [
        (layer, position, unit, float(activations[position, unit]))
        for layer in layers
        for activations in [reference.activations(layer)]
        for position, unit in torch.nonzero(activations).tolist()
        if position in places
    ]
    end = (reference.n_layers, len(tokens) - 1)
    nodes = [(NodeKind.INPUT_TOKEN, -1, position, token, 1.0) for position, token in enumerate(tokens)]
    nodes += [(NodeKind.FEATURE, *feature) for feature in active]
    nodes += [(NodeKind.LAYER_ERROR, layer, position, 0, np.nan) for layer in layers for position in places]
    nodes += [(NodeKind.OUTPUT_TOKEN, *end, token, np.nan) for token in sorted(output_tokens)]
    if reference.writes in ATTENTION_SITES:
        nodes += [(NodeKind.MLP, layer, position, 0, 1.0) for layer in layers for position in range(len(tokens))]
    nodes += [
        (NodeKind.OTHER_OUTPUT, reference.n_layers, position, unit, np.nan)
        for unit, (position, _) in sorted(reference.directions.items())
    ]
    columns = dict(zip(("kind", "layer", "position", "unit", "activation"), zip(*nodes, strict=True), strict=True))
    firing = dict(zip(("layer", "position", "unit", "value"), zip(*active, strict=True), strict=True))
    arrays = {
        name: np.array(columns.get(name.removeprefix("node_"), [_filling(name)] * len(nodes)), dtype)
        for name, dtype in ARRAY_DTYPES.items()
        if name.startswith("node_")
    }
    arrays |= {
        name: np.array(firing.get(name.removeprefix("active_"), []), dtype)
        for name, dtype in ARRAY_DTYPES.items()
        if name.startswith("active_")
    }
    arrays |= {name: np.zeros(0, dtype) for name, dtype in ARRAY_DTYPES.items() if name.startswith("edge_")}
    return AttributionGraph(**arrays)


def _filling(name: str) -> float:
    return {"node_key_position": -1, "node_silent": 0, "node_influence": 0}.get(name, np.nan)
