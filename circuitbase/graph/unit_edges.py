"""Edges between units as they recur over traces: which traces hold each, and between which of their nodes.

An edge of two traces is the same unit edge if its units and port agree, and whether both ends stand at one
position. Support of a set of unit edges asks more than presence of each: one node per unit and trace.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int32, Int64, UInt8, UInt64

from circuitbase.graph.trace_bits import bits_of_rows
from circuitbase.schema.unit_names import input_name

_PORTS, _UNITS = 4, 1 << 29


class UnitEdge(NamedTuple):
    """An edge between units; `same_position` says whether its ends stand at one token position."""

    source: str
    target: str
    port: int
    same_position: bool

    @property
    def text(self) -> str:
        """Returns the edge as it is stored in a motif: `source -> target; same position`."""
        where = "same" if self.same_position else "other"
        return f"{self.source} -> {input_name(self.target, self.port)}; {where} position"


class UnitPair(NamedTuple):
    """What a rollup knows of an edge: its units and port, not its positions."""

    source: str
    target: str
    port: int


@dataclass(frozen=True)
class TraceEdges:
    """One trace's edges between its nodes; `unit` and `position` are per node, the other columns per edge.

    A position of -1, where positions are summed, is the same as no other.
    """

    trace_id: str
    unit: tuple[str, ...]
    position: Int64[np.ndarray, " node"]
    source: Int64[np.ndarray, " edge"]
    target: Int64[np.ndarray, " edge"]
    port: UInt8[np.ndarray, " edge"]
    influence: Float64[np.ndarray, " edge"]


@dataclass(frozen=True)
class UnitEdges:
    """Unit edges over traces, both sorted by identity, with every occurrence of each.

    `presence` holds one bit per trace with the edge; `complete` one per trace in which the edge joins every node of
    its source that any edge here touches with every such node of its target, so that it is there however the two
    are bound. `pair` numbers the edges' (source, target, port), which an edge at equal positions and one at others
    share. `nodes` counts nodes per unit and trace. Occurrences `first[e]` to `first[e + 1]` are those of edge e,
    sorted by trace, source node and target node; node numbers run over all traces.
    """

    edges: tuple[UnitEdge, ...]
    units: tuple[str, ...]
    traces: tuple[str, ...]
    source: Int64[np.ndarray, " edge"]
    target: Int64[np.ndarray, " edge"]
    pair: Int64[np.ndarray, " edge"]
    presence: UInt64[np.ndarray, "edge word"]
    complete: UInt64[np.ndarray, "edge word"]
    nodes: Int32[np.ndarray, "unit trace"]
    first: Int64[np.ndarray, " boundary"]
    at_trace: Int64[np.ndarray, " occurrence"]
    at_source: Int64[np.ndarray, " occurrence"]
    at_target: Int64[np.ndarray, " occurrence"]
    influence: Float64[np.ndarray, " occurrence"]

    @property
    def n_edges(self) -> int:
        """Returns the number of unit edges."""
        return len(self.edges)

    @property
    def n_traces(self) -> int:
        """Returns the number of traces, those without any of the edges included."""
        return len(self.traces)

    def occurrences(self, edge: int) -> slice:
        """Returns where the occurrences of an edge stand."""
        return slice(int(self.first[edge]), int(self.first[edge + 1]))


def unit_edges(
    traces: Iterable[TraceEdges], *, min_support: int = 1, wanted: Collection[UnitPair] | None = None
) -> UnitEdges:
    """Returns the unit edges that are in at least `min_support` traces; of `wanted` pairs alone where given.

    Each trace is read once and kept as numbers, in bounded memory if `wanted` leaves most out. The order of traces
    does not matter. An edge of a unit with itself is left out: one node per unit cannot realise it.
    """
    numbers: dict[str, int] = {}
    chosen = _pair_codes(wanted, numbers) if wanted is not None else None
    parts = sorted((_numbered(trace, numbers, chosen) for trace in traces), key=lambda part: part.trace_id)
    # Sorting the units makes every order below that of identities.
    units = tuple(sorted(numbers))
    rank = np.zeros(len(units) + 1, dtype=np.int64)
    rank[[numbers[unit] for unit in units]] = np.arange(len(units))
    offsets = np.cumsum([0, *(part.n_nodes for part in parts)])
    trace, code, source, target, influence = (
        np.concatenate([np.zeros(0, dtype=dtype), *columns])
        for dtype, columns in (
            (np.int64, [np.full(len(part.code), place) for place, part in enumerate(parts)]),
            (np.int64, [_ranked(part.code, rank) for part in parts]),
            (np.int64, [part.source + offset for part, offset in zip(parts, offsets, strict=False)]),
            (np.int64, [part.target + offset for part, offset in zip(parts, offsets, strict=False)]),
            (np.float64, [part.influence for part in parts]),
        )
    )
    found, edge = np.unique(code, return_inverse=True)
    held = np.unique(edge * max(1, len(parts)) + trace) // max(1, len(parts))
    often = np.bincount(held, minlength=len(found)) >= min_support
    kept = np.flatnonzero(often[edge])
    kept = kept[np.lexsort((target[kept], source[kept], trace[kept], edge[kept]))]
    place = np.cumsum(often) - 1
    return _indexed(
        found[often],
        units,
        tuple(part.trace_id for part in parts),
        edge=place[edge[kept]],
        trace=trace[kept],
        source=source[kept],
        target=target[kept],
        influence=influence[kept],
    )


@dataclass(frozen=True)
class _Numbered:
    trace_id: str
    n_nodes: int
    code: Int64[np.ndarray, " edge"]
    source: Int64[np.ndarray, " edge"]
    target: Int64[np.ndarray, " edge"]
    influence: Float64[np.ndarray, " edge"]


def _pair_codes(wanted: Collection[UnitPair], numbers: dict[str, int]) -> np.ndarray:
    for pair in sorted(wanted):
        numbers.setdefault(pair.source, len(numbers))
        numbers.setdefault(pair.target, len(numbers))
    return np.array(
        sorted((numbers[pair.source] * _UNITS + numbers[pair.target]) * _PORTS + pair.port for pair in wanted),
        dtype=np.int64,
    )


def _numbered(trace: TraceEdges, numbers: dict[str, int], chosen: np.ndarray | None) -> _Numbered:
    if chosen is None:
        for id in trace.unit:
            numbers.setdefault(id, len(numbers))
    unit = np.array([numbers.get(id, -1) for id in trace.unit], dtype=np.int64)
    source, target = unit[trace.source], unit[trace.target]
    code = (source * _UNITS + target) * _PORTS + trace.port
    keep = (source >= 0) & (target >= 0) & (source != target)
    if chosen is not None:
        keep &= np.isin(code, chosen)
    position = trace.position[trace.source]
    same = (position == trace.position[trace.target]) & (position >= 0)
    return _Numbered(
        trace_id=trace.trace_id,
        n_nodes=len(unit),
        code=(code * 2 + same)[keep],
        source=trace.source[keep],
        target=trace.target[keep],
        influence=trace.influence[keep],
    )


def _split(code: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns source, target, and the port with the position class."""
    ends, rest = np.divmod(code, 2 * _PORTS)
    return *np.divmod(ends, _UNITS), rest


def _ranked(code: np.ndarray, rank: np.ndarray) -> np.ndarray:
    source, target, rest = _split(code)
    return (rank[source] * _UNITS + rank[target]) * 2 * _PORTS + rest


def _indexed(
    code: np.ndarray,
    units: tuple[str, ...],
    traces: tuple[str, ...],
    *,
    edge: np.ndarray,
    trace: np.ndarray,
    source: np.ndarray,
    target: np.ndarray,
    influence: np.ndarray,
) -> UnitEdges:
    of_source, of_target, rest = _split(code)
    port, same = np.divmod(rest, 2)
    ends = np.stack([np.concatenate([of_source[edge], of_target[edge]]), np.tile(trace, 2)])
    placed = np.unique(np.concatenate([ends, np.concatenate([source, target])[None]]), axis=1)
    nodes = np.zeros((len(units), len(traces)), dtype=np.int32)
    np.add.at(nodes, (placed[0], placed[1]), 1)
    held, joined = np.unique(np.stack([edge, trace]), axis=1, return_counts=True)
    whole = joined == nodes[of_source[held[0]], held[1]] * nodes[of_target[held[0]], held[1]]
    return UnitEdges(
        edges=tuple(
            UnitEdge(units[s], units[t], int(p), bool(q))
            for s, t, p, q in zip(of_source, of_target, port, same, strict=True)
        ),
        units=units,
        traces=traces,
        source=of_source,
        target=of_target,
        pair=np.unique(code // 2, return_inverse=True)[1],
        presence=bits_of_rows(held, shape=(len(code), len(traces))),
        complete=bits_of_rows(held[:, whole], shape=(len(code), len(traces))),
        nodes=nodes,
        first=np.searchsorted(edge, np.arange(len(code) + 1)),
        at_trace=trace,
        at_source=source,
        at_target=target,
        influence=influence,
    )
