"""The nodes of a graph JSON as columns."""

import math
from collections.abc import Sequence

import numpy as np

from circuitbase.ingest.foreign.foreign_graph import Active, Nodes, Output
from circuitbase.ingest.foreign.json_nodes import JsonNode
from circuitbase.ingest.foreign.json_statements import JsonStatements
from circuitbase.schema.kinds import NodeKind


def outputs_of(nodes: Sequence[JsonNode], said: JsonStatements) -> tuple[Output, ...]:
    """Returns the outputs in file order, which is that of the metadata's targets in a file of ours."""
    n_vocab = said.stated.d_vocab
    found = [node for node in nodes if node.kind == NodeKind.OUTPUT_TOKEN]
    known = any(node.output_probability for node in found)
    weights = said.weights or [(node.output_probability or 0.0) if known else 1.0 for node in found]
    if len(weights) != len(found):
        raise ValueError(f"`metadata.circuitbase` has {len(weights)} targets, and there are {len(found)} logit nodes")
    return tuple(
        Output(
            token=node.unit,
            string=node.output_string,
            position=node.position,
            probability=node.output_probability or 0.0,
            weight=weight,
            is_custom=0 < n_vocab <= node.unit,
        )
        for node, weight in zip(found, weights, strict=True)
    )


def columns_of(nodes: Sequence[JsonNode], outputs: Sequence[Output], *, n_layers: int) -> Nodes:
    """Returns the nodes in file order; `outputs` are those of `outputs_of`."""
    places = iter(range(len(outputs)))
    found = [
        _output_row(place, outputs[place], n_layers=n_layers)
        if (place := next(places) if node.kind == NodeKind.OUTPUT_TOKEN else None) is not None
        else _row(node)
        for node in nodes
    ]
    kind, layer, unit, activation, weight = zip(*found, strict=True)
    return Nodes(
        kind=np.array(kind, dtype=np.uint8),
        layer=np.array(layer, dtype=np.int16),
        position=np.array([node.position for node in nodes], dtype=np.int32),
        unit=np.array(unit, dtype=np.int64),
        activation=np.array(activation, dtype=np.float32),
        weight=np.array(weight, dtype=np.float64),
    )


_Row = tuple[int, int, int, float, float]


def _output_row(place: int, output: Output, *, n_layers: int) -> _Row:
    kind, unit = (NodeKind.OTHER_OUTPUT, place) if output.is_custom else (NodeKind.OUTPUT_TOKEN, output.token)
    return int(kind), n_layers, unit, output.probability, output.weight


def _row(node: JsonNode) -> _Row:
    activation = 1.0
    if node.kind == NodeKind.FEATURE:
        activation = math.nan if node.activation is None else node.activation
    return int(node.kind), node.layer, node.unit, activation, 0.0


def active_of(nodes: Sequence[JsonNode]) -> Active:
    """Returns the features of the graph that fire, which are all that a pruned graph tells of."""
    features = sorted((node.layer, node.position, node.unit, node.activation or 0.0) for node in nodes if _fires(node))
    layer, position, unit, value = ([row[column] for row in features] for column in range(4))
    return Active(
        np.array(layer, dtype=np.int16),
        np.array(position, dtype=np.int32),
        np.array(unit, dtype=np.int64),
        np.array(value, dtype=np.float32),
    )


def _fires(node: JsonNode) -> bool:
    return node.kind == NodeKind.FEATURE and node.activation != 0
