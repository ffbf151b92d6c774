"""Connected sets of unit edges that grow edge by edge, with the traces that realise them.

Each keeps one placement per trace. An edge is first tried against the kept placements, all traces at once; a trace
whose placement does not take the edge is placed anew, unless its units have one node each and no choice.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt64

from circuitbase.graph.placements import placement
from circuitbase.graph.trace_bits import bits, traces_of
from circuitbase.graph.unit_edges import UnitEdges


@dataclass(frozen=True)
class PlacedSet:
    """A set of unit edges and its placements.

    `traces` are those that realise it, sorted; `nodes[t, c]` is the node of unit `units[c]` in the t-th of them.
    """

    edges: tuple[int, ...]
    units: tuple[int, ...]
    traces: Int64[np.ndarray, " trace"]
    bits: UInt64[np.ndarray, " word"]
    nodes: Int64[np.ndarray, "trace unit"]

    @property
    def support(self) -> int:
        """Returns the number of traces that realise the set."""
        return len(self.traces)

    @property
    def value(self) -> int:
        """Returns size times support."""
        return len(self.edges) * len(self.traces)


def empty_set(index: UnitEdges) -> PlacedSet:
    """Returns the set of no edges, which every trace realises."""
    traces = np.arange(index.n_traces)
    return PlacedSet(
        (), (), traces, bits(traces, n_traces=index.n_traces), np.zeros((index.n_traces, 0), dtype=np.int64)
    )


def with_edge(index: UnitEdges, placed: PlacedSet, edge: int, *, least: int) -> PlacedSet | None:
    """Returns the set with one more edge, None if fewer than `least` traces realise it.

    The edge must touch the set, or the set be empty.
    """
    own = index.occurrences(edge)
    source, target = int(index.source[edge]), int(index.target[edge])
    held = traces_of(index.presence[edge], n_traces=index.n_traces)[placed.traces]
    if np.count_nonzero(held) < least:
        return None
    traces, nodes = placed.traces[held], placed.nodes[held]
    units = (*placed.units, *(unit for unit in (source, target) if unit not in placed.units))
    edges = (*placed.edges, edge)
    if placed.edges:
        fits, grown = _grown(index, own, nodes, placed.units, source, target)
    else:
        fits, grown = _first_nodes(index, own)
    _replace(index, edges, units, traces, fits, grown)
    if np.count_nonzero(fits) < least:
        return None
    traces = traces[fits]
    return PlacedSet(edges, units, traces, bits(traces, n_traces=index.n_traces), grown[fits])


def _first_nodes(index: UnitEdges, own: slice) -> tuple[np.ndarray, np.ndarray]:
    _, first = np.unique(index.at_trace[own], return_index=True)
    grown = np.stack([index.at_source[own][first], index.at_target[own][first]], axis=1)
    return np.ones(len(first), dtype=bool), grown


def _grown(
    index: UnitEdges, own: slice, nodes: np.ndarray, units: tuple[int, ...], source: int, target: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns which placements take the edge, and the placements with the node of its new unit, if it has one."""
    at_source, at_target = index.at_source[own], index.at_target[own]
    if source in units and target in units:
        span = int(max(index.at_target.max(), nodes.max(initial=0))) + 1
        wanted = nodes[:, units.index(source)] * span + nodes[:, units.index(target)]
        return _found(at_source * span + at_target, wanted)[0], nodes.copy()
    if source in units:
        fits, place = _found(at_source, nodes[:, units.index(source)])
        return fits, np.concatenate([nodes, at_target[place][:, None]], axis=1)
    order = np.lexsort((at_source, at_target))
    fits, place = _found(at_target[order], nodes[:, units.index(target)])
    return fits, np.concatenate([nodes, at_source[order][place][:, None]], axis=1)


def _found(sorted_values: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    place = np.minimum(np.searchsorted(sorted_values, wanted), len(sorted_values) - 1)
    return sorted_values[place] == wanted, place


def _replace(
    index: UnitEdges,
    edges: tuple[int, ...],
    units: tuple[int, ...],
    traces: np.ndarray,
    fits: np.ndarray,
    grown: np.ndarray,
) -> None:
    """Places the edges anew, in place, where the kept placement does not take the last and there is a choice."""
    missing = np.flatnonzero(~fits)
    free = (index.nodes[np.array(units)[:, None], traces[missing]] > 1).any(axis=0)
    for row in missing[free]:
        found = placement(index, edges, int(traces[row]))
        if found is not None:
            fits[row] = True
            grown[row] = [found[unit] for unit in units]
