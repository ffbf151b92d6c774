"""Subcircuits that prompts share: closed, weakly connected sets of unit edges, the largest by size times support.

Support counts traces that realise all edges through the same nodes (`placements`), and never rises as a set grows.
A set is closed if no edge that touches it can join at equal support; then no connected set around it has its support.

Branch and bound: a set grows by one touching edge after the other, an edge that was tried is left out from then on,
so that every connected set is met once. An edge that joins in however the nodes are chosen is in every closed set
around, and joins at once. Of what can still be reached from a set, s traces times its size and the edges present in
s of its traces is the most; sets are tried in the order of what they promise, and left where the bound is no better
than what was found.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from circuitbase.graph.placed_sets import PlacedSet, empty_set, with_edge
from circuitbase.graph.placements import placements_in
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
    search = _Search(index, least=max(1, min_support), top=top)
    search.run(budget, progress)
    best = sorted(search.best, key=lambda entry: (-entry[0], -entry[1]))
    left = max((branch.bound() for _, _, branch in search.heap), default=0)
    complete = left <= search.threshold
    return SubcircuitSearch(
        found=tuple(_described(index, placed) for _, _, placed in best),
        expansions=search.expansions,
        complete=complete,
        bound=0 if complete else left,
    )


@dataclass
class _Branch:
    """A set with the edges that may join it next: `frontier[place:]` are still to be tried, the others left out."""

    placed: PlacedSet
    left_out: int
    candidates: np.ndarray
    counts: np.ndarray
    frontier: np.ndarray
    reach: np.ndarray
    place: int = 0

    def promise(self) -> int:
        """Returns at most the value of the next set."""
        return (len(self.placed.edges) + 1) * int(self.reach[self.place])

    def bound(self) -> int:
        """Returns at most the value of any set that is still to come from here."""
        counts = np.minimum(self.counts, self.reach[self.place])
        return int((counts * (len(self.placed.edges) + 1 + np.arange(len(counts)))).max(initial=0))


@dataclass
class _Search:
    index: UnitEdges
    least: int
    top: int
    heap: list[tuple[int, int, _Branch]] = field(default_factory=list)
    best: list[tuple[int, int, PlacedSet]] = field(default_factory=list)
    expansions: int = 0
    serial: int = 0

    @property
    def threshold(self) -> int:
        """Returns what a set must exceed to be among the best."""
        return self.best[0][0] if len(self.best) == self.top else 0

    def run(self, budget: int, progress: Callable[[int, int], None]) -> None:
        self._grow(empty_set(self.index), left_out=0, candidates=np.arange(self.index.n_edges))
        while self.heap and self.expansions < budget:
            _, _, branch = heapq.heappop(self.heap)
            if branch.bound() <= self.threshold:
                continue
            edge = int(branch.frontier[branch.place])
            left_out = branch.left_out
            branch.left_out |= 1 << edge
            branch.place += 1
            self._push(branch)
            self.expansions += 1
            progress(self.expansions, budget)
            grown = with_edge(self.index, branch.placed, edge, least=self.least)
            if grown is not None:
                self._grow(grown, left_out=left_out, candidates=branch.candidates)

    def _grow(self, placed: PlacedSet, *, left_out: int, candidates: np.ndarray) -> None:
        """Adds what joins in any case, keeps the set if it is closed, and makes it a branch."""
        candidates, counts = self._candidates(placed, candidates)
        if placed.edges:
            closed = self._with_certain(placed, candidates, counts)
            if any(left_out >> edge & 1 for edge in closed.edges[len(placed.edges) :]):
                return  # whatever is closed around here holds an edge that belongs to another branch
            if len(closed.edges) > len(placed.edges):
                placed = closed
                candidates, counts = self._candidates(placed, candidates)
            self._keep(placed, candidates, counts)
        free = np.array([not left_out >> int(edge) & 1 for edge in candidates], dtype=bool)
        usable, usable_counts = candidates[free], counts[free]
        touching = self._touching(placed, usable)
        order = np.lexsort((usable[touching], -usable_counts[touching]))
        self._push(
            _Branch(
                placed,
                left_out,
                candidates=candidates,
                counts=self._pair_counts(usable, usable_counts),
                frontier=usable[touching][order],
                reach=usable_counts[touching][order],
            )
        )

    def _push(self, branch: _Branch) -> None:
        if branch.place < len(branch.frontier) and branch.bound() > self.threshold:
            self.serial += 1
            heapq.heappush(self.heap, (-branch.promise(), self.serial, branch))

    def _candidates(self, placed: PlacedSet, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the edges that enough of the set's traces hold, and how many; one class of positions per pair."""
        taken = self.index.pair[list(placed.edges)]
        candidates = candidates[~np.isin(self.index.pair[candidates], taken)]
        counts = np.bitwise_count(self.index.presence[candidates] & placed.bits).sum(axis=1, dtype=np.int64)
        often = counts >= self.least
        return candidates[often], counts[often]

    def _pair_counts(self, edges: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Returns the larger count of each pair, descending: a set holds one class of positions of a pair."""
        if not len(edges):
            return counts
        starts = np.flatnonzero(np.diff(self.index.pair[edges], prepend=-1))
        return np.sort(np.maximum.reduceat(counts, starts))[::-1]

    def _touching(self, placed: PlacedSet, edges: np.ndarray) -> np.ndarray:
        if not placed.edges:
            return np.ones(len(edges), dtype=bool)
        return np.isin(self.index.source[edges], placed.units) | np.isin(self.index.target[edges], placed.units)

    def _with_certain(self, placed: PlacedSet, candidates: np.ndarray, counts: np.ndarray) -> PlacedSet:
        always = candidates[counts == placed.support]
        joined = np.bitwise_count(self.index.complete[always] & placed.bits).sum(axis=1, dtype=np.int64)
        certain = always[joined == placed.support]
        while len(touching := certain[self._touching(placed, certain)]):
            for edge in touching:
                grown = with_edge(self.index, placed, int(edge), least=placed.support)
                assert grown is not None
                placed = grown
            certain = np.setdiff1d(certain, touching)
        return placed

    def _keep(self, placed: PlacedSet, candidates: np.ndarray, counts: np.ndarray) -> None:
        if placed.value <= self.threshold:
            return
        always = candidates[counts == placed.support]
        for edge in always[self._touching(placed, always)]:
            if with_edge(self.index, placed, int(edge), least=placed.support) is not None:
                return
        self.serial += 1
        entry = (placed.value, -self.serial, placed)
        if len(self.best) < self.top:
            heapq.heappush(self.best, entry)
        else:
            heapq.heapreplace(self.best, entry)


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
