"""Small traces by hand and by chance, and the slow way to find what they share."""

import itertools
from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from circuitbase.graph.unit_edges import TraceEdges, UnitEdge

Node = tuple[str, int]


def trace_edges(trace_id: str, edges: Sequence[tuple[Node, Node]], *, influence: Sequence[float] = ()) -> TraceEdges:
    """Returns a trace with these edges between nodes, each a unit and a position."""
    nodes = sorted({node for edge in edges for node in edge})
    ends = np.array([[nodes.index(source), nodes.index(target)] for source, target in edges]).reshape(-1, 2)
    return TraceEdges(
        trace_id=trace_id,
        unit=tuple(unit for unit, _ in nodes),
        position=np.array([position for _, position in nodes], dtype=np.int64),
        source=ends[:, 0].astype(np.int64),
        target=ends[:, 1].astype(np.int64),
        port=np.zeros(len(edges), dtype=np.uint8),
        influence=np.array(influence if len(influence) else np.ones(len(edges)), dtype=np.float64),
    )


@st.composite
def small_traces(draw: st.DrawFn, *, n_edges: int = 11) -> list[list[tuple[Node, Node]]]:
    """Draws edges per trace; units stand at one or two positions, with at most `n_edges` distinct unit edges."""
    units, positions = "abcde", (0, 1)
    pairs = [(s, t) for s, t in itertools.combinations(units, 2)]
    possible = draw(st.lists(st.tuples(st.sampled_from(pairs), st.booleans()), min_size=1, max_size=n_edges))
    placed = [
        ((source, p), (target, q))
        for (source, target), same in dict.fromkeys(possible)
        for p in positions
        for q in positions
        if (p == q) == same
    ]
    n_traces = draw(st.integers(1, 5))
    return [draw(st.lists(st.sampled_from(placed), unique=True, max_size=14)) for _ in range(n_traces)]


def built(drawn: Sequence[Sequence[tuple[Node, Node]]]) -> list[TraceEdges]:
    """Returns the traces that were drawn."""
    return [trace_edges(f"trace{k}", edges) for k, edges in enumerate(drawn)]


def unit_edges_of(trace: TraceEdges) -> dict[UnitEdge, set[tuple[int, int]]]:
    """Returns each unit edge of a trace with the node pairs that hold it."""
    found: dict[UnitEdge, set[tuple[int, int]]] = {}
    for s, t, port in zip(trace.source.tolist(), trace.target.tolist(), trace.port.tolist(), strict=True):
        edge = UnitEdge(trace.unit[s], trace.unit[t], port, bool(trace.position[s] == trace.position[t]))
        found.setdefault(edge, set()).add((s, t))
    return found


def realising(traces: Sequence[TraceEdges], edges: frozenset[UnitEdge]) -> frozenset[str]:
    """Returns the traces that hold all edges between one node per unit, by trying every choice of nodes."""
    units = sorted({end for edge in edges for end in (edge.source, edge.target)})
    found = set()
    for trace in traces:
        held = unit_edges_of(trace)
        choices = [[node for node, unit in enumerate(trace.unit) if unit == wanted] for wanted in units]
        for choice in itertools.product(*choices):
            node = dict(zip(units, choice, strict=True))
            if all((node[edge.source], node[edge.target]) in held.get(edge, ()) for edge in edges):
                found.add(trace.trace_id)
                break
    return frozenset(found)


def is_connected(edges: frozenset[UnitEdge]) -> bool:
    """Returns whether the edges hang together, directions aside."""
    reached, left = set(), set(edges)
    while left:
        joining = {edge for edge in left if not reached or {edge.source, edge.target} & reached}
        if not joining:
            return False
        taken = joining if reached else {min(joining)}
        reached |= {end for edge in taken for end in (edge.source, edge.target)}
        left -= taken
    return True


def closed_sets(traces: Sequence[TraceEdges], *, min_support: int) -> dict[frozenset[UnitEdge], frozenset[str]]:
    """Returns every closed connected set of unit edges with its traces, by trying all subsets."""
    every = sorted({edge for trace in traces for edge in unit_edges_of(trace)})
    support = {
        chosen: realising(traces, chosen)
        for size in range(1, len(every) + 1)
        for chosen in map(frozenset, itertools.combinations(every, size))
        if is_connected(chosen)
    }
    return {
        chosen: held
        for chosen, held in support.items()
        if len(held) >= min_support
        and not any(
            support[chosen | {edge}] == held for edge in every if edge not in chosen and is_connected(chosen | {edge})
        )
    }
