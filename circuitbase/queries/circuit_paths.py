"""The two-edge paths of a global circuit, with the traces that realise them through the same trace nodes.

In a rollup most paths are no prompt's: their edges are there, but in different traces or at different positions.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from neo4j import Session

from circuitbase.graph.path_support import realised_paths
from circuitbase.queries.intervals import Interval, wilson
from circuitbase.queries.observed_edges import Edge
from circuitbase.queries.relabelling import Relabelling
from circuitbase.queries.selection import Selection
from circuitbase.queries.trace_columns import TraceColumns
from circuitbase.queries.trace_streaming import Heard, streamed_traces
from circuitbase.store.trace_store import TraceStore

SAMPLE = 100


@dataclass(frozen=True)
class SupportedPath:
    """Two edges in a row with the traces that realise both through one node of the middle unit.

    `allowed` is the most that the presence of the edges would allow.
    """

    first: Edge
    second: Edge
    support: Interval
    traces: int
    allowed: int


@dataclass(frozen=True)
class PathSupport:
    """The paths over some edges, those of most support first; `paths` counts all that the edges make.

    `realised` counts those that at least one of the `traces` looked at realises.
    """

    found: tuple[SupportedPath, ...]
    paths: int
    realised: int
    traces: int

    @property
    def share_realised(self) -> float | None:
        """Returns the share of the paths that is realised, None where the edges make no path."""
        return self.realised / self.paths if self.paths else None


def path_support(
    session: Session,
    store: TraceStore,
    selection: Selection,
    edges: Sequence[Edge],
    *,
    most_traces: int | None = SAMPLE,
    seed: int = 0,
    relabelling: Relabelling | None = None,
    heard: Heard | None = None,
) -> PathSupport:
    """Returns the support of every path of two of the edges, over all traces or over a drawn sample of them."""
    looked_at = sampled(selection, most_traces=most_traces, seed=seed)
    place = {edge: number for number, edge in enumerate(edges)}
    support: Counter[tuple[int, int]] = Counter()
    presence: Counter[int] = Counter()
    for streamed in streamed_traces(session, store, looked_at, heard=heard):
        columns, _ = streamed.relabelled(relabelling)
        rows, numbers = _rows_of(columns, place)
        presence.update(np.unique(numbers).tolist())
        support.update(realised_paths(numbers, columns.edge_source[rows], columns.edge_target[rows]))
    possible = _possible(edges)
    traces = len(looked_at.traces)
    found = [
        SupportedPath(
            first=edges[a],
            second=edges[b],
            support=wilson(times, traces),
            traces=times,
            allowed=min(presence[a], presence[b]),
        )
        for (a, b), times in support.items()
    ]
    found.sort(key=lambda path: (-path.traces, path.first, path.second))
    return PathSupport(found=tuple(found), paths=possible, realised=len(found), traces=traces)


def sampled(selection: Selection, *, most_traces: int | None, seed: int) -> Selection:
    """Returns the selection, or a drawn part of it where it has more traces than asked for."""
    if most_traces is None or len(selection.traces) <= most_traces:
        return selection
    drawn = np.random.default_rng(seed).choice(len(selection.traces), size=most_traces, replace=False)
    return replace(selection, traces=tuple(selection.traces[number] for number in sorted(drawn.tolist())), rollup=None)


def _rows_of(columns: TraceColumns, place: dict[Edge, int]) -> tuple[np.ndarray, np.ndarray]:
    ends = zip(columns.edge_source.tolist(), columns.edge_target.tolist(), columns.edge_port.tolist(), strict=True)
    number = np.array(
        [place.get((columns.unit[source], columns.unit[target], port), -1) for source, target, port in ends],
        dtype=np.int64,
    )
    rows = np.flatnonzero(number >= 0)
    return rows, number[rows]


def _possible(edges: Sequence[Edge]) -> int:
    into = Counter(target for _, target, _ in edges)
    return sum(into[source] for source, _, _ in edges)
