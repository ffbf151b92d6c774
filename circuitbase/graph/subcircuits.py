"""Subcircuits that prompts share: closed, weakly connected sets of unit edges, the largest by size times support.

Support counts traces that realise all edges through the same nodes (`placements`), and never rises as a set grows.
A set is closed if no edge that touches it can join at equal support; then no connected set around it has its support.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from circuitbase.graph.placed_sets import PlacedSet
from circuitbase.graph.placements import placements_in
from circuitbase.graph.subcircuit_search import Search
from circuitbase.graph.unit_edges import UnitEdge, UnitEdges

BUDGET = 5000


@dataclass(frozen=True)
class Subcircuit:
    """A closed connected set of unit edges, sorted, and the ids of the traces that realise it.

    `influence` is the mean over these traces of the influence that its edges carry into its last units, those
    without an edge onward in it, so that nothing counts twice along a path.
    """

    edges: tuple[UnitEdge, ...]
    traces: tuple[str, ...]
    influence: float

    @property
    def size(self) -> int:
        """Returns the number of edges."""
        return len(self.edges)

    @property
    def support(self) -> int:
        """Returns the number of traces that realise it."""
        return len(self.traces)

    @property
    def units(self) -> tuple[str, ...]:
        """Returns its units, sorted."""
        return tuple(sorted({end for edge in self.edges for end in (edge.source, edge.target)}))


@dataclass(frozen=True)
class SubcircuitSearch:
    """The best subcircuits by size times support, and how far the search went.

    `complete` says that no other closed set has a larger size times support than the last of them; else `bound`
    is the most that an unseen one can have.
    """

    found: tuple[Subcircuit, ...]
    expansions: int
    complete: bool
    bound: int


def shared_subcircuits(
    index: UnitEdges,
    *,
    min_support: int,
    top: int,
    budget: int = BUDGET,
    progress: Callable[[int, int], None] = lambda tried, budget: None,
) -> SubcircuitSearch:
    """Returns the `top` closed connected sets with support of `min_support` or more, by size times support.

    The search tries `budget` sets at most; the same edges give the same result, in whatever order they came.
    Among sets of equal size times support it keeps those that it met first.
    """
    search = Search(index, least=max(1, min_support), top=top)
    search.run(budget, progress)
    best = sorted(search.best, key=lambda entry: (-entry[0], -entry[1]))
    left = search.bound_left()
    complete = left <= search.threshold
    return SubcircuitSearch(
        found=tuple(_described(index, placed) for _, _, placed in best),
        expansions=search.expansions,
        complete=complete,
        bound=0 if complete else left,
    )


def _described(index: UnitEdges, placed: PlacedSet) -> Subcircuit:
    edges = sorted(placed.edges)
    onward = {int(index.source[edge]) for edge in edges}
    last = [edge for edge in edges if int(index.target[edge]) not in onward]
    carried = [
        sum(_influences(index, last, nodes)) for nodes in placements_in(index, edges, placed.traces.tolist()).values()
    ]
    return Subcircuit(
        edges=tuple(index.edges[edge] for edge in edges),
        traces=tuple(index.traces[trace] for trace in placed.traces),
        influence=float(np.mean(carried)),
    )


def _influences(index: UnitEdges, edges: list[int], nodes: dict[int, int]) -> Iterator[float]:
    for edge in edges:
        own = index.occurrences(edge)
        source, target = nodes[int(index.source[edge])], nodes[int(index.target[edge])]
        here = (index.at_source[own] == source) & (index.at_target[own] == target)
        yield float(index.influence[own][here].sum())
