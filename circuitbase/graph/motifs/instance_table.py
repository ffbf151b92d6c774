"""A table of instances by the identity of their units, filled trace by trace and never larger than its budget."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool

from circuitbase.graph.motifs.edge_support import EdgeSupport, UnitGraph, edge_key
from circuitbase.graph.motifs.instances import instance_blocks
from circuitbase.graph.motifs.motif_type import Shape


class InstanceTable:
    """Instances of one shape by the bytes of their units' numbers and classes, with the traces counted so far."""

    def __init__(self, support: EdgeSupport, shape: Shape, budget: int) -> None:
        self.support, self.shape, self.budget = support, shape, budget
        self.count: dict[bytes, int] = {}
        self.units = support.units

    def add(self, found: UnitGraph, types: frozenset[int], *, least: int) -> bool:
        """Counts one trace's instances; returns False, with nothing counted, if they are more than the budget."""
        seen: set[bytes] = set()
        for keys in self._of_trace(found, types, least=least):
            seen |= keys
            if len(seen) > self.budget:
                return False
        if len(self.count) + sum(key not in self.count for key in seen) > self.budget:
            return False
        for key in seen:
            self.count[key] = self.count.get(key, 0) + 1
        return True

    def add_known(self, found: UnitGraph, types: frozenset[int], *, least: int) -> None:
        """Counts one trace's instances among those that are known, and others while there is room."""
        seen: set[bytes] = set()
        for keys in self._of_trace(found, types, least=least):
            room = self.budget - len(self.count.keys() | seen)
            seen |= {key for key in keys if key in self.count} | set(sorted(keys - self.count.keys())[: max(room, 0)])
        for key in seen:
            self.count[key] = self.count.get(key, 0) + 1

    def forget_below(self, least: int) -> None:
        """Drops the instances of which an edge has less support."""
        if not self.count:
            return
        rows = np.frombuffer(b"".join(self.count), dtype=np.int64).reshape(len(self.count), -1)
        n_roles = len(self.shape.roles)
        supports = [
            self.support.of_keys(edge_key(rows[:, start], rows[:, end], rows[:, n_roles + place]))
            for place, (start, end) in enumerate(self.shape.edges)
        ]
        kept = (np.stack(supports).min(axis=0) >= least).tolist()
        self.count = {key: count for (key, count), keep in zip(self.count.items(), kept, strict=True) if keep}

    def _of_trace(self, found: UnitGraph, types: frozenset[int], *, least: int) -> Iterator[set[bytes]]:
        among = self.support.of_graph(found) >= least
        wanted = np.array(sorted(types))
        for units, classes, type in self._instances(found, among):
            chosen = np.isin(type, wanted)
            yield self._keys(units[chosen], classes[chosen])

    def keys(self, found: UnitGraph, *, among: Bool[np.ndarray, " edge"]) -> Iterator[set[bytes]]:
        """Yields the keys of a trace's instances that are made of some edges."""
        for units, classes, _ in self._instances(found, among):
            yield self._keys(units, classes)

    def _instances(self, found: UnitGraph, among: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yields the numbers of units, the classes of edges and the types of instances, some at a time."""
        number, edge_class = self.support.numbers(found), found.graph.edge_class
        for block in instance_blocks(found.graph, shapes=[self.shape], among=among):
            yield number[block.nodes], edge_class[block.edges], block.type

    def _keys(self, units: np.ndarray, classes: np.ndarray) -> set[bytes]:
        if not len(units):
            return set()
        if self.shape == Shape.DIAMOND:
            units, classes = _ordered_diamonds(units, classes)
        rows = np.unique(np.concatenate([units, classes], axis=1), axis=0)
        return set(map(bytes, np.ascontiguousarray(rows)))

    def row(self, units: list[int], classes: list[int]) -> bytes:
        """Returns the key of one instance; the middles of a diamond may come in either order."""
        rows, of_edges = np.array([units], dtype=np.int64), np.array([classes], dtype=np.int64)
        if self.shape == Shape.DIAMOND:
            rows, of_edges = _ordered_diamonds(rows, of_edges)
        return bytes(np.ascontiguousarray(np.concatenate([rows, of_edges], axis=1)[0]))

    def unit_ids(self, key: bytes) -> tuple[str, ...]:
        """Returns the unit ids of an instance."""
        return tuple(self.units[number] for number in np.frombuffer(key, dtype=np.int64)[: len(self.shape.roles)])

    def classes(self, key: bytes) -> tuple[int, ...]:
        """Returns the class of each of an instance's edges."""
        return tuple(np.frombuffer(key, dtype=np.int64)[len(self.shape.roles) :].tolist())


def _ordered_diamonds(units: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns diamonds with their two halves (middle, its two edges) in one order, whatever the nodes' order was."""
    one = np.stack([units[:, 1], classes[:, 0], classes[:, 1]], axis=1)
    other = np.stack([units[:, 2], classes[:, 2], classes[:, 3]], axis=1)
    differs = one != other
    first = np.argmax(differs, axis=1)
    rows = np.arange(len(units))
    swap = one[rows, first] > other[rows, first]
    units, classes = units.copy(), classes.copy()
    units[swap, 1], units[swap, 2] = units[swap, 2], units[swap, 1]
    classes[swap] = classes[swap][:, [2, 3, 0, 1]]
    return units, classes
