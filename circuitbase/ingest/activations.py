"""Which features fired on a prompt: one row per feature, its positions taken together."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int16, Int32, Int64

from circuitbase.graph.attribution_graph import AttributionGraph
from circuitbase.schema.kinds import NodeKind

STRONGEST = 200


@dataclass(frozen=True)
class FeatureActivations:
    """Columns over features, sorted by layer and unit. `peak_position` is the first of the peak's positions."""

    layer: Int16[np.ndarray, " feature"]
    unit: Int64[np.ndarray, " feature"]
    peak: Float32[np.ndarray, " feature"]
    peak_position: Int32[np.ndarray, " feature"]
    positions: Int64[np.ndarray, " feature"]
    total: Float64[np.ndarray, " feature"]


def feature_activations(graph: AttributionGraph, *, strongest: int = STRONGEST) -> FeatureActivations:
    """Returns the active features that have a trace node, and the `strongest` by peak beside them."""
    layer, unit, value = graph.active_layer, graph.active_unit, graph.active_value
    order = np.lexsort((graph.active_position, -value, unit, layer))  # the peak first within its feature
    layer, unit, value = layer[order], unit[order], value[order]
    first = np.flatnonzero(np.r_[True, (np.diff(layer) != 0) | (np.diff(unit) != 0)][: len(order)])
    found = FeatureActivations(
        layer=layer[first],
        unit=unit[first],
        peak=value[first],
        peak_position=graph.active_position[order][first],
        positions=np.diff(np.r_[first, len(order)]).astype(np.int64),
        total=np.add.reduceat(value.astype(np.float64), first) if len(first) else np.zeros(0),
    )
    return _kept(found, _is_traced(found, graph) | _is_strongest(found.peak, strongest))


def _is_traced(found: FeatureActivations, graph: AttributionGraph) -> np.ndarray:
    is_feature = graph.node_kind == NodeKind.FEATURE
    traced = set(zip(graph.node_layer[is_feature].tolist(), graph.node_unit[is_feature].tolist(), strict=True))
    fired = zip(found.layer.tolist(), found.unit.tolist(), strict=True)
    return np.fromiter((key in traced for key in fired), dtype=bool, count=len(found.layer))


def _is_strongest(peak: np.ndarray, strongest: int) -> np.ndarray:
    chosen = np.zeros(len(peak), dtype=bool)
    chosen[np.argsort(-peak, kind="stable")[:strongest]] = True
    return chosen


def _kept(found: FeatureActivations, keep: np.ndarray) -> FeatureActivations:
    return FeatureActivations(
        layer=found.layer[keep],
        unit=found.unit[keep],
        peak=found.peak[keep],
        peak_position=found.peak_position[keep],
        positions=found.positions[keep],
        total=found.total[keep],
    )
