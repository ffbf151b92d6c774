"""In how many traces two units are joined by an edge of one class: what bounds how often a motif can recur."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int64

from circuitbase.graph.motifs.signed_graph import SignedGraph

MOST_UNITS = 1 << 29  # two of them and a class fit into 63 bits
BUFFERED = 1 << 21


@dataclass(frozen=True)
class UnitGraph:
    """A trace's signed graph with the unit id of each of its nodes."""

    trace_id: str
    graph: SignedGraph
    unit: tuple[str, ...]


@dataclass(frozen=True)
class EdgeSupport:
    """For each key of (source, target, class), sorted, the number of traces that have it.

    `number` gives unit ids the numbers that keys are made of, in the order of the ids.
    """

    traces: int
    number: dict[str, int]
    key: Int64[np.ndarray, " key"]
    count: Int64[np.ndarray, " key"]

    @property
    def units(self) -> list[str]:
        """Returns the unit ids in the order of their numbers."""
        return list(self.number)

    def numbers(self, found: UnitGraph) -> Int64[np.ndarray, " node"]:
        """Returns the numbers of a graph's units."""
        return _numbers(self.number, found)

    def keys(self, found: UnitGraph) -> Int64[np.ndarray, " edge"]:
        """Returns the key of each edge of one of the graphs."""
        return _edge_keys(self.numbers(found), found.graph)

    def of_graph(self, found: UnitGraph) -> Int64[np.ndarray, " edge"]:
        """Returns the support of each edge of one of the graphs."""
        return self.of_keys(self.keys(found))

    def of_keys(self, key: Int64[np.ndarray, "*place"]) -> Int64[np.ndarray, "*place"]:
        """Returns the support of keys, 0 where there is none."""
        if not len(self.key):
            return np.zeros_like(key)
        place = np.minimum(np.searchsorted(self.key, key), len(self.key) - 1)
        return np.where(self.key[place] == key, self.count[place], 0)


@dataclass
class _Sums:
    """Keys with their counts, merged whenever enough new ones have come."""

    key: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    count: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    new: list[np.ndarray] = field(default_factory=list)

    def merge(self) -> None:
        key, row = np.unique(np.concatenate([self.key, *self.new]), return_inverse=True)
        weight = np.ones(len(row), dtype=np.int64)
        weight[: len(self.count)] = self.count
        self.count = np.bincount(row, weights=weight, minlength=len(key)).astype(np.int64)
        self.key, self.new = key, []


def edge_support(graphs: Iterable[UnitGraph]) -> EdgeSupport:
    """Returns the support of every edge between units, read from one graph at a time."""
    number: dict[str, int] = {}
    sums, traces = _Sums(), 0
    for found in graphs:
        for unit in found.unit:
            number.setdefault(unit, len(number))
        sums.new.append(np.unique(_edge_keys(_numbers(number, found), found.graph)))
        traces += 1
        if sum(map(len, sums.new)) > BUFFERED:
            sums.merge()
    sums.merge()
    in_order = sorted(number)
    place = np.empty(len(number), dtype=np.int64)
    place[[number[unit] for unit in in_order]] = np.arange(len(number))
    source, target, edge_class = edge_of_key(sums.key)
    key = edge_key(place[source], place[target], edge_class)
    order = np.argsort(key)
    return EdgeSupport(
        traces=traces,
        number={unit: at for at, unit in enumerate(in_order)},
        key=key[order],
        count=sums.count[order],
    )


def edge_key(
    source: Int64[np.ndarray, "*place"], target: Int64[np.ndarray, "*place"], edge_class: Int64[np.ndarray, "*place"]
) -> Int64[np.ndarray, "*place"]:
    """Returns one number for two units, by their numbers, and the class of an edge between them."""
    return (source * MOST_UNITS + target) * 4 + edge_class


def edge_of_key(key: Int64[np.ndarray, "*place"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns source, target and class of keys."""
    ends, edge_class = np.divmod(key, 4)
    return *np.divmod(ends, MOST_UNITS), edge_class


def _edge_keys(unit: np.ndarray, graph: SignedGraph) -> np.ndarray:
    return edge_key(unit[graph.source], unit[graph.target], graph.edge_class)


def _numbers(number: dict[str, int], found: UnitGraph) -> np.ndarray:
    return np.fromiter((number[unit] for unit in found.unit), dtype=np.int64, count=len(found.unit))
