"""From drawn nodes and edges to a valid trace: weights of given shares, accounts that close, influences."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from circuitbase.evaluation.background_graph import DatabaseSize, EdgeColumns, NodeColumns
from circuitbase.evaluation.planted_identities import planted_metadata
from circuitbase.graph.attribution_graph import ARRAY_DTYPES, AttributionGraph
from circuitbase.graph.influence import absolute_input, edge_influence, input_share, node_influence
from circuitbase.graph.scores import graph_scores
from circuitbase.graph.trace import Trace
from circuitbase.schema.kinds import OUTPUT_KINDS, NodeKind


@dataclass(frozen=True)
class UnfinishedTrace:
    """What of a trace is drawn: firings (layer, position, unit), nodes of which some are `kept`, and edges.

    Planted edges have the share of their target's input that they take, the others take `background` together.
    """

    size: DatabaseSize
    reserved: int
    tokens: tuple[int, ...]
    fired: Int64[np.ndarray, "firing column"]
    nodes: NodeColumns
    kept: Bool[np.ndarray, " node"]
    edges: EdgeColumns
    planted_source: Int64[np.ndarray, " planted"]
    planted_target: Int64[np.ndarray, " planted"]
    planted_share: Float64[np.ndarray, " planted"]
    background: float


def finished_trace(found: UnfinishedTrace, random: np.random.Generator) -> Trace:
    """Returns the trace, with weights in units of the target's own, which differ as gauges do."""
    nodes = {name: getattr(found.nodes, name)[found.kept] for name in ("kind", "layer", "position", "unit")}
    n_nodes = len(nodes["kind"])
    total = np.where(_is_target(nodes["kind"]), random.lognormal(1.0, 0.5, n_nodes), np.nan).astype(np.float32)
    source, target, weight = _weights(found, total, random)
    stored = np.bincount(target, weights=weight.astype(np.float64), minlength=n_nodes)
    left = np.maximum(0.0, total.astype(np.float64) - absolute_input(target, weight, n_nodes=n_nodes))
    rest = (random.uniform(-1, 1, n_nodes) * left).astype(np.float32)
    bias = np.where(np.isnan(total), np.nan, random.normal(size=n_nodes)).astype(np.float32)
    w = np.where(nodes["kind"] == NodeKind.OTHER_OUTPUT, 1.0, 0.0)
    share = input_share(target, weight, total)
    influence = node_influence(source, target, share, w)
    fired, values = _fired(found.fired, random)
    graph = AttributionGraph(
        **_typed(
            {
                **{f"node_{name}": column for name, column in nodes.items()},
                "node_key_position": np.full(n_nodes, -1),
                "node_activation": _activations(nodes, fired, values),
                "node_influence": influence,
                "node_preactivation": stored + rest + bias,
                "node_bias_effect": bias,
                "node_rest": rest,
                "node_absolute_input": total,
                "node_silent": np.zeros(n_nodes),
                "node_margin": np.full(n_nodes, np.nan),
                "edge_source": source,
                "edge_target": target,
                "edge_port": np.zeros(len(source)),
                "edge_weight": weight,
                "edge_influence": edge_influence(target, share, w, influence),
                "active_layer": fired[:, 0],
                "active_position": fired[:, 1],
                "active_unit": fired[:, 2],
                "active_value": values,
            }
        )
    )
    columns = (graph.node_kind, graph.edge_source, graph.edge_target, graph.edge_weight, w)
    metadata = planted_metadata(
        graph,
        size=found.size,
        reserved=found.reserved,
        tokens=found.tokens,
        scores=graph_scores(*columns, total=graph.node_absolute_input.astype(np.float64)),
        violation=_violation(graph),
    )
    return Trace(metadata=metadata, graph=graph)


def _is_target(kind: np.ndarray) -> np.ndarray:
    return np.isin(kind, (NodeKind.FEATURE, *OUTPUT_KINDS))


def _weights(
    found: UnfinishedTrace, total: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns edges between the kept nodes with their weights, sorted by target and source."""
    place = np.cumsum(found.kept) - 1
    alive = found.kept[found.edges.source] & found.kept[found.edges.target]
    strength = found.edges.strength[alive]
    target = place[found.edges.target[alive]]
    together = absolute_input(target, strength, n_nodes=len(total))
    background = np.divide(strength, together[target], out=np.zeros_like(strength), where=strength != 0)
    # How much of its input is seen differs from target to target.
    seen = found.background * random.uniform(0.5, 1.0, len(total))
    source = np.concatenate([place[found.edges.source[alive]], place[found.planted_source]])
    share = np.concatenate([background * seen[target], found.planted_share])
    target = np.concatenate([target, place[found.planted_target]])
    order = np.lexsort((source, target))
    return source[order], target[order], (share * total[target])[order].astype(np.float32)


def _fired(fired: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    fired = fired[np.lexsort(fired.T[::-1])]
    return fired, random.gamma(2.0, 0.7, len(fired)).astype(np.float32) + np.float32(0.05)


def _activations(nodes: dict[str, np.ndarray], fired: np.ndarray, values: np.ndarray) -> np.ndarray:
    value_of = dict(zip(map(tuple, fired.tolist()), values.tolist(), strict=True))
    keys = zip(*(nodes[name].tolist() for name in ("layer", "position", "unit")), strict=True)
    is_feature = (nodes["kind"] == NodeKind.FEATURE).tolist()
    return np.array([value_of[key] if feature else 1.0 for key, feature in zip(keys, is_feature, strict=True)])


def _typed(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.asarray(arrays[name]).astype(dtype) for name, dtype in ARRAY_DTYPES.items()}


def _violation(graph: AttributionGraph) -> float:
    """Returns the largest |Σ weight + rest + bias_effect − preactivation| over Σ|A| + |bias_effect|."""
    stored = np.bincount(graph.edge_target, weights=graph.edge_weight.astype(np.float64), minlength=graph.n_nodes)
    rest, bias, preactivation, total = (
        column.astype(np.float64)
        for column in (graph.node_rest, graph.node_bias_effect, graph.node_preactivation, graph.node_absolute_input)
    )
    return float(np.nanmax(np.abs(stored + rest + bias - preactivation) / (total + np.abs(bias))))
