"""Tracing a limited number of features: the most influential first, as far as the rows traced so far tell.

Influence flows only along rows that are known, so after the outputs' rows the features that act on them directly
lead, and each batch of new rows shows more of what acts through others (circuit-tracer's scheme).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64, Int64

from circuitbase.graph.influence import block_influence
from circuitbase.tracing.target_blocks import Targets, chosen_targets
from circuitbase.tracing.traced_rows import RowTracer

BATCHES = 32  # rankings at most; a fixed number, so that the choice depends on the options alone
SMALLEST_BATCH = 16


def trace_most_influential(
    tracer: RowTracer,
    ends: Sequence[Targets],
    features: Sequence[Targets],
    *,
    candidates: Int64[np.ndarray, " candidate"],
    count: int,
    output_weight: Float64[np.ndarray, " node"],
) -> Bool[np.ndarray, " node"]:
    """Traces the ends, then `count` of the candidates; returns which of them were chosen.

    `candidates` are nodes in order: by layer, position and index, and of equally influential ones the
    first goes first. Those that no target stands for are chosen alike, and have no rows.
    """
    tracer.trace(ends)
    chosen = np.zeros(len(output_weight), dtype=bool)
    batch = max(SMALLEST_BATCH, -(-count // BATCHES))
    while count > 0 and len(candidates):
        ranked = _ranked(tracer, candidates, output_weight)[: min(batch, count)]
        tracer.trace(chosen_targets(features, ranked))
        chosen[ranked] = True
        candidates = candidates[~chosen[candidates]]
        count -= len(ranked)
    return chosen


def _ranked(
    tracer: RowTracer, candidates: Int64[np.ndarray, " candidate"], output_weight: Float64[np.ndarray, " node"]
) -> Int64[np.ndarray, " candidate"]:
    found = tracer.found()
    influence = block_influence(found.blocks, found.absolute_input, output_weight)
    return candidates[np.argsort(-influence[candidates], kind="stable")]
