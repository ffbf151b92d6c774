"""How much more often a set of traces realises something than a background set does."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from circuitbase.graph.placements import placements_in
from circuitbase.graph.trace_bits import traces_of
from circuitbase.graph.unit_edges import UnitEdge, UnitEdges


@dataclass(frozen=True)
class Lift:
    """Share of support in a set over share of support in a background set.

    Where the background has no support, ½ is added to both supports and 1 to both numbers of traces; `corrected`
    says so.
    """

    value: float
    background_support: int
    background_traces: int
    corrected: bool


def lift(support: int, traces: int, background_support: int, background_traces: int) -> Lift:
    """Returns the lift of `support` in `traces` traces over that of the background."""
    corrected = background_support == 0
    half, one = (0.5, 1) if corrected else (0.0, 0)
    share = (support + half) / (traces + one)
    expected = (background_support + half) / (background_traces + one)
    return Lift(share / expected, background_support, background_traces, corrected)


def support(index: UnitEdges, edges: Sequence[UnitEdge]) -> tuple[str, ...]:
    """Returns the ids of the traces that realise the edges through the same nodes."""
    place = {edge: number for number, edge in enumerate(index.edges)}
    if not edges or any(edge not in place for edge in edges):
        return ()
    numbers = [place[edge] for edge in edges]
    held = traces_of(np.bitwise_and.reduce(index.presence[numbers]), n_traces=index.n_traces)
    return tuple(index.traces[trace] for trace in placements_in(index, numbers, np.flatnonzero(held).tolist()))
