"""Branch and bound over connected sets of unit edges, for the closed ones that are largest by size times support.

A set grows by one touching edge after the other; an edge that was tried is left out from then on, so that every
connected set is met once. An edge that joins in however the nodes are chosen is in every closed set around, and joins
at once. Of what can still be reached from a set, s traces times its size and the edges present in s of its traces is
the most. Each edge's surroundings are climbed first, then sets are tried in the order of what they promise; they are
left where the bound is no better than what was found.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from circuitbase.graph.placed_sets import PlacedSet, empty_set, with_edge
from circuitbase.graph.unit_edges import UnitEdges


@dataclass
class Branch:
    """A set with the edges that may join it next: `frontier[place:]` are still to be tried, the others left out."""

    placed: PlacedSet
    left_out: int
    candidates: np.ndarray
    counts: np.ndarray
    frontier: np.ndarray
    reach: np.ndarray
    place: int = 0

    @property
    def has_next(self) -> bool:
        """Returns whether an edge is still to be tried."""
        return self.place < len(self.frontier)

    def promise(self) -> int:
        """Returns at most the value of the next set."""
        return (len(self.placed.edges) + 1) * int(self.reach[self.place])

    def bound(self) -> int:
        """Returns at most the value of any set that is still to come from here."""
        counts = np.minimum(self.counts, self.reach[self.place])
        return int((counts * (len(self.placed.edges) + 1 + np.arange(len(counts)))).max(initial=0))


@dataclass
class Search:
    """The state of a search: branches by what they promise, and the best closed sets so far, each in a heap."""

    index: UnitEdges
    least: int
    top: int
    heap: list[tuple[int, int, Branch]] = field(default_factory=list)
    best: list[tuple[int, int, PlacedSet]] = field(default_factory=list)
    expansions: int = 0
    serial: int = 0

    @property
    def threshold(self) -> int:
        """Returns what a set must exceed to be among the best."""
        return self.best[0][0] if len(self.best) == self.top else 0

    def run(self, budget: int, progress: Callable[[int, int], None]) -> None:
        """Goes uphill from each edge first, so that the sets around one hub do not take all of the budget."""
        root = self._grow(empty_set(self.index), left_out=0, candidates=np.arange(self.index.n_edges))
        assert root is not None
        while root.has_next and self.expansions < budget // 2:
            child = self._try_next(root)
            while child is not None and self.expansions < budget // 2:
                child = self._uphill(child)
            progress(self.expansions, budget)
        self._push(root)
        while self.heap and self.expansions < budget:
            _, _, branch = heapq.heappop(self.heap)
            if branch.bound() > self.threshold:
                child = self._try_next(branch)
                self._push(branch)
                if child is not None:
                    self._push(child)
            progress(self.expansions, budget)

    def bound_left(self) -> int:
        """Returns at most the value of any set that was not met."""
        return max((branch.bound() for _, _, branch in self.heap), default=0)

    def _uphill(self, branch: Branch) -> Branch | None:
        """Returns the next set around this one if it may be worth more; what is left to try here comes later."""
        worth = branch.has_next and branch.bound() > self.threshold and branch.promise() > branch.placed.value
        child = self._try_next(branch) if worth else None
        self._push(branch)
        return child

    def _try_next(self, branch: Branch) -> Branch | None:
        """Returns the branch of the set with the next edge, None if there is no such set; leaves the edge out here."""
        edge, left_out = int(branch.frontier[branch.place]), branch.left_out
        branch.left_out |= 1 << edge
        branch.place += 1
        self.expansions += 1
        grown = with_edge(self.index, branch.placed, edge, least=self.least)
        return None if grown is None else self._grow(grown, left_out=left_out, candidates=branch.candidates)

    def _grow(self, placed: PlacedSet, *, left_out: int, candidates: np.ndarray) -> Branch | None:
        """Adds what joins in any case, keeps the set if it is closed, and returns its branch."""
        candidates, counts = self._candidates(placed, candidates)
        if placed.edges:
            closed = self._with_certain(placed, candidates, counts)
            if any(left_out >> edge & 1 for edge in closed.edges[len(placed.edges) :]):
                return None  # whatever is closed around here holds an edge that belongs to another branch
            if len(closed.edges) > len(placed.edges):
                placed = closed
                candidates, counts = self._candidates(placed, candidates)
            self._keep(placed, candidates, counts)
        free = np.array([not left_out >> int(edge) & 1 for edge in candidates], dtype=bool)
        usable, usable_counts = candidates[free], counts[free]
        touching = self._touching(placed, usable)
        order = np.lexsort((usable[touching], -usable_counts[touching]))
        return Branch(
            placed,
            left_out,
            candidates=candidates,
            counts=self._pair_counts(usable, usable_counts),
            frontier=usable[touching][order],
            reach=usable_counts[touching][order],
        )

    def _push(self, branch: Branch) -> None:
        if branch.has_next and branch.bound() > self.threshold:
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
