"""Edge by edge: circuit-tracer's dense matrix beside our edge list, over every pair of nodes that both have."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from circuitbase.schema.kinds import NodeKind

ROWS = 1024  # rows of the matrix that are compared at once


@dataclass(frozen=True)
class Comparison:
    """`of_largest` is the largest difference of an edge, relative to the largest edge of the whole graph.

    `of_row` is the largest difference relative to the largest edge into the same target. An edge that one of
    the two lacks counts as 0. `only_baseline` and `only_ours` are active features that the other does not have
    (pre-activations within rounding of 0); `largest_only` is the largest activation among them.
    """

    of_largest: float
    of_row: float
    largest_edge: float
    edges: int
    only_baseline: int
    only_ours: int
    largest_only: float


def compared(baseline: Path, ours: Path) -> Comparison:
    """Returns how far two graphs of one prompt differ."""
    dense = torch.load(baseline, weights_only=True, mmap=True)
    arrays = np.load(ours)
    theirs = _baseline_nodes(dense)
    mine = _our_nodes(arrays)
    index = np.array([theirs.get(node, -1) for node in mine])
    matrix = dense["adjacency"].numpy()
    common = np.flatnonzero(index >= 0)

    source, target, weight = (arrays[f"edge_{column}"] for column in ("source", "target", "weight"))
    both = (index[source] >= 0) & (index[target] >= 0)
    source, target, weight = index[source[both]], index[target[both]], weight[both]
    order = np.argsort(target, kind="stable")
    source, target, weight = source[order], target[order], weight[order]
    columns = index[common]
    largest_edge = largest_difference = largest_in_row = 0.0
    for start in range(0, len(matrix), ROWS):
        # a copy: zeros for what only circuit-tracer has, so that pairs of common nodes remain
        rows = np.zeros((min(ROWS, len(matrix) - start), len(matrix)), dtype=np.float32)
        rows[:, columns] = matrix[start : start + ROWS][:, columns]
        rows[~np.isin(np.arange(start, start + len(rows)), columns)] = 0
        largest = np.abs(rows).max(1)
        here = slice(*np.searchsorted(target, (start, start + ROWS)))
        rows[target[here] - start, source[here]] -= weight[here]
        difference = np.abs(rows).max(1)
        largest_edge = max(largest_edge, float(largest.max()))
        largest_difference = max(largest_difference, float(difference.max()))
        filled = largest > 0
        largest_in_row = max(largest_in_row, float((difference[filled] / largest[filled]).max(initial=0)))
    mine_only = [node for node, found in zip(mine, index, strict=True) if found < 0 and node[0] == "feature"]
    known = set(mine)
    theirs_only = [node for node in theirs if node[0] == "feature" and node not in known]
    activations = [float(dense["activations"][theirs[node]]) for node in theirs_only]
    activations += [float(arrays["node_activation"][k]) for k in np.flatnonzero(index < 0)]
    return Comparison(
        of_largest=largest_difference / largest_edge,
        of_row=largest_in_row,
        largest_edge=largest_edge,
        edges=len(weight),
        only_baseline=len(theirs_only),
        only_ours=len(mine_only),
        largest_only=max(activations, default=0.0),
    )


Node = tuple[str, int, int, int]  # kind, layer, position, unit


def _baseline_nodes(dense: dict[str, torch.Tensor]) -> dict[Node, int]:
    """Returns each node's row: features, errors by layer and position, tokens, logits."""
    features = dense["active_features"][dense["selected"]].tolist()
    n_layers, n_positions = int(dense["n_layers"]), len(dense["tokens"])
    nodes: list[Node] = [("feature", layer, position, unit) for layer, position, unit in features]
    nodes += [("error", layer, position, 0) for layer in range(n_layers) for position in range(n_positions)]
    nodes += [("token", 0, position, 0) for position in range(n_positions)]
    nodes += [("output", 0, 0, token) for token in dense["logits"].tolist()]
    return {node: row for row, node in enumerate(nodes)}


def _our_nodes(arrays: np.lib.npyio.NpzFile) -> list[Node]:
    columns = zip(*(arrays[f"node_{name}"].tolist() for name in ("kind", "layer", "position", "unit")), strict=True)
    return [_node(NodeKind(kind), layer, position, unit) for kind, layer, position, unit in columns]


def _node(kind: NodeKind, layer: int, position: int, unit: int) -> Node:
    match kind:
        case NodeKind.FEATURE:
            return ("feature", layer, position, unit)
        case NodeKind.LAYER_ERROR:
            return ("error", layer, position, 0)
        case NodeKind.INPUT_TOKEN:
            return ("token", 0, position, 0)
    return ("output", 0, 0, unit)
