"""Edges in blocks of neighbouring targets: the form in which graphs of any size are made, measured and pruned.

Blocks come in topological order: no edge of a block starts at a target of that block or of a later one. So one
pass from the last block to the first follows every walk. A block stores either all effects on its targets
(`DenseBlock`, a column per source) or a list for each of them (`SparseBlock`); nothing has a row and a column for
every node of a graph.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int32, Int64, UInt8

from circuitbase.errors import InputError


@dataclass(frozen=True)
class Edges:
    """Some edges as columns; without `port` each enters its target by its only input."""

    source: Int32[np.ndarray, " edge"]
    target: Int32[np.ndarray, " edge"]
    weight: Float[np.ndarray, " edge"]
    port: UInt8[np.ndarray, " edge"] | None = None


@runtime_checkable
class EdgeBlock(Protocol):
    """The in-edges of some targets; each target of a graph is in one block."""

    @property
    def target(self) -> Int64[np.ndarray, " target"]:
        """Returns the nodes whose in-edges these are."""
        ...

    @property
    def weight(self) -> Float[np.ndarray, "..."]:
        """Returns the effects as they are stored."""
        ...

    @property
    def n_edges(self) -> int:
        """Returns the number of edges, zeros not counted."""
        ...

    def absolute_input(self) -> Float64[np.ndarray, " target"]:
        """Returns Σ|A| over the in-edges of each target."""
        ...

    def net_input(self) -> Float64[np.ndarray, " target"]:
        """Returns ΣA over the in-edges of each target."""
        ...

    def add_flow(self, flow: Float64[np.ndarray, " target"], reached: Float64[np.ndarray, " node"]) -> None:
        """Adds Σ_t |A[s→t]|·flow[t] to `reached` at each source s."""
        ...

    def among(self, kept: Bool[np.ndarray, " node"]) -> "EdgeBlock":
        """Returns the edges whose ends are both kept; targets without edges stay."""
        ...

    def scores(self, factor: Float64[np.ndarray, " target"]) -> Float64[np.ndarray, " place"]:
        """Returns |A|·factor[t] of every stored place, 0 where there is no edge."""
        ...

    def edges(self, chosen: Bool[np.ndarray, " place"]) -> Edges:
        """Returns the edges at the chosen places, in the order of `scores`."""
        ...


@dataclass(frozen=True)
class DenseBlock:
    """Effects of every source on every target, [target, source]; 0 is no edge. Sources come in any order."""

    target: Int64[np.ndarray, " target"]
    source: Int64[np.ndarray, " source"]
    weight: Float[np.ndarray, "target source"]

    @property
    def n_edges(self) -> int:
        """Returns the number of edges, zeros not counted."""
        return int(np.count_nonzero(self.weight))

    def absolute_input(self) -> Float64[np.ndarray, " target"]:
        """Returns Σ|A| over the in-edges of each target."""
        return np.abs(self.weight).sum(axis=1, dtype=np.float64)

    def net_input(self) -> Float64[np.ndarray, " target"]:
        """Returns ΣA over the in-edges of each target."""
        return self.weight.sum(axis=1, dtype=np.float64)

    def add_flow(self, flow: Float64[np.ndarray, " target"], reached: Float64[np.ndarray, " node"]) -> None:
        """Adds Σ_t |A[s→t]|·flow[t] to `reached` at each source s."""
        reached[self.source] += flow @ np.abs(self.weight, dtype=np.float64)

    def among(self, kept: Bool[np.ndarray, " node"]) -> "DenseBlock":
        """Returns the edges whose ends are both kept."""
        rows, columns = np.flatnonzero(kept[self.target]), np.flatnonzero(kept[self.source])
        return DenseBlock(self.target[rows], self.source[columns], self.weight[np.ix_(rows, columns)])

    def scores(self, factor: Float64[np.ndarray, " target"]) -> Float64[np.ndarray, " place"]:
        """Returns |A|·factor[t] of every stored place, 0 where there is no edge."""
        return (np.abs(self.weight, dtype=np.float64) * factor[:, None]).ravel()

    def edges(self, chosen: Bool[np.ndarray, " place"]) -> Edges:
        """Returns the edges at the chosen places, in the order of `scores`."""
        row, column = np.divmod(np.flatnonzero(chosen), max(1, len(self.source)))
        return Edges(self.source.astype(np.int32)[column], self.target.astype(np.int32)[row], self.weight[row, column])


@dataclass(frozen=True)
class SparseBlock:
    """A list of edges for each target: those of target i are from `start[i]` to `start[i + 1]`; none is 0.

    With `port`, several edges may join two nodes, by different inputs.
    """

    target: Int64[np.ndarray, " target"]
    start: Int64[np.ndarray, " boundary"]
    source: Int32[np.ndarray, " edge"]
    weight: Float[np.ndarray, " edge"]
    port: UInt8[np.ndarray, " edge"] | None = None

    @property
    def n_edges(self) -> int:
        """Returns the number of edges."""
        return len(self.source)

    def absolute_input(self) -> Float64[np.ndarray, " target"]:
        """Returns Σ|A| over the in-edges of each target."""
        return self._sums(np.abs(self.weight, dtype=np.float64))

    def net_input(self) -> Float64[np.ndarray, " target"]:
        """Returns ΣA over the in-edges of each target."""
        return self._sums(self.weight)

    def add_flow(self, flow: Float64[np.ndarray, " target"], reached: Float64[np.ndarray, " node"]) -> None:
        """Adds Σ_t |A[s→t]|·flow[t] to `reached` at each source s."""
        if len(self.source):
            reached += np.bincount(self.source, weights=self.scores(flow), minlength=len(reached))

    def among(self, kept: Bool[np.ndarray, " node"]) -> "SparseBlock":
        """Returns the edges whose ends are both kept."""
        rows = kept[self.target]
        chosen = kept[self.source] & np.repeat(rows, self._per_target)
        counts = np.diff(np.concatenate([[0], np.cumsum(chosen)])[self.start])[rows]
        return SparseBlock(
            self.target[rows],
            np.concatenate([[0], np.cumsum(counts)]),
            self.source[chosen],
            self.weight[chosen],
            None if self.port is None else self.port[chosen],
        )

    def scores(self, factor: Float64[np.ndarray, " target"]) -> Float64[np.ndarray, " place"]:
        """Returns |A|·factor[t] of every edge."""
        return np.abs(self.weight, dtype=np.float64) * np.repeat(factor, self._per_target)

    def edges(self, chosen: Bool[np.ndarray, " place"]) -> Edges:
        """Returns the chosen edges."""
        target = np.repeat(self.target.astype(np.int32), self._per_target)[chosen]
        return Edges(self.source[chosen], target, self.weight[chosen], None if self.port is None else self.port[chosen])

    @property
    def _per_target(self) -> Int64[np.ndarray, " target"]:
        return np.diff(self.start)

    def _sums(self, value: Float[np.ndarray, " edge"]) -> Float64[np.ndarray, " target"]:
        # reduceat gives an empty target the value at its start, so empty ones are left out
        sums = np.zeros(len(self.target))
        full = self._per_target > 0
        if full.any():
            sums[full] = np.add.reduceat(value, self.start[:-1][full], dtype=np.float64)
        return sums


def blocks_of(
    source: Int[np.ndarray, " edge"],
    target: Int[np.ndarray, " edge"],
    weight: Float[np.ndarray, " edge"],
    *,
    n_nodes: int,
    port: UInt8[np.ndarray, " edge"] | None = None,
) -> list[SparseBlock]:
    """Returns any edge list without a cycle as blocks, a block for each level of its targets.

    Raises InputError if the edges have a cycle.
    """
    order = np.lexsort((source, target) if port is None else (port, source, target))
    order = order[weight[order] != 0]
    source, target, weight = source[order], target[order], weight[order]
    port = None if port is None else port[order]
    level = _levels(source, target, n_nodes=n_nodes)
    found = []
    for each in range(1, int(level.max(initial=0)) + 1):
        chosen = np.flatnonzero(level[target] == each)
        nodes, counts = np.unique(target[chosen], return_counts=True)
        found.append(
            SparseBlock(
                target=nodes.astype(np.int64),
                start=np.concatenate([[0], np.cumsum(counts)]),
                source=source[chosen].astype(np.int32),
                weight=weight[chosen],
                port=None if port is None else port[chosen],
            )
        )
    return found


def _levels(
    source: Int[np.ndarray, " edge"], target: Int[np.ndarray, " edge"], *, n_nodes: int
) -> Int64[np.ndarray, " node"]:
    """Returns the length of the longest walk that ends in each node."""
    level = np.zeros(n_nodes, dtype=np.int64)
    for _ in range(n_nodes + 1):
        found = level.copy()
        np.maximum.at(found, target, level[source] + 1)
        if np.array_equal(found, level):
            return level
        level = found
    raise InputError(
        "an attribution graph must have no cycle, but walks went on after as many steps as it has nodes "
        f"({n_nodes}); check that every edge runs from an earlier to a later node"
    )


def all_edges(blocks: Sequence[EdgeBlock]) -> Edges:
    """Returns every edge, sorted by target, source and port."""
    if any(isinstance(block, SparseBlock) and block.port is not None for block in blocks):
        return joined([block.edges(block.scores(np.ones(len(block.target))) > 0) for block in blocks])
    ordered = sorted(blocks, key=lambda block: int(block.target[0]) if len(block.target) else -1)
    sizes = np.cumsum([0, *(block.n_edges for block in ordered)])
    found = Edges(
        source=np.empty(sizes[-1], dtype=np.int32),
        target=np.empty(sizes[-1], dtype=np.int32),
        weight=np.empty(sizes[-1], dtype=ordered[0].weight.dtype if ordered else np.float64),
    )
    for block, start, stop in zip(ordered, sizes, sizes[1:], strict=False):
        part = block.edges(block.scores(np.ones(len(block.target))) > 0)
        found.source[start:stop], found.target[start:stop] = part.source, part.target
        found.weight[start:stop] = part.weight
    return found if _is_sorted(found.source, found.target) else _sorted(found)


def joined(parts: Sequence[Edges]) -> Edges:
    """Returns edges together, sorted by target, source and port; all have ports, or none has."""
    parts = sorted((part for part in parts if len(part.target)), key=lambda part: int(part.target[0]))
    if not parts:
        return Edges(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0))
    source = np.concatenate([part.source for part in parts])
    target = np.concatenate([part.target for part in parts])
    weight = np.concatenate([part.weight for part in parts])
    ports = [part.port for part in parts if part.port is not None]
    found = Edges(source, target, weight, np.concatenate(ports) if ports else None)
    return found if _is_sorted(source, target) else _sorted(found)


def _sorted(edges: Edges) -> Edges:
    keys = (edges.source, edges.target) if edges.port is None else (edges.port, edges.source, edges.target)
    order = np.lexsort(keys)
    port = None if edges.port is None else edges.port[order]
    return Edges(edges.source[order], edges.target[order], edges.weight[order], port)


def _is_sorted(source: Int32[np.ndarray, " edge"], target: Int32[np.ndarray, " edge"]) -> bool:
    later = target[1:] > target[:-1]
    return bool((later | ((target[1:] == target[:-1]) & (source[1:] >= source[:-1]))).all())
