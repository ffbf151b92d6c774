"""Edges split by attention head: each path from a source to a target belongs to its last head.

Above its last head a path stays at the target's position and takes residual and skip connections alone, so that part
is one vector per target and layer, pulled down without attention. Below it everything is open, so what reaches a
head is found by pushing the source's write up through the whole frozen model. A head's part of an edge is the product
of the two through that head; the part without attention is what the pulled vector reads of the write itself. Together
they are the edge, exactly (methods.md section 1, head split).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int, Int32, Int64
from torch import Tensor

from circuitbase.graph.edge_blocks import Edges
from circuitbase.tracing.effects import FrozenPaths
from circuitbase.tracing.target_blocks import Point, Targets, chosen_targets
from circuitbase.tracing.writers import Place

SOURCES_AT_ONCE = 64
TARGET_NUMBERS = 2**27  # numbers of pulled vectors that are held at once


@dataclass(frozen=True)
class HeadParts:
    """Parts of edges by last head, sorted by edge, layer and head; parts of exactly 0 are left out.

    `edge` counts the edges as they were given; `without` is, per edge, the part of paths without attention.
    """

    edge: Int64[np.ndarray, " part"]
    layer: Int32[np.ndarray, " part"]
    head: Int32[np.ndarray, " part"]
    weight: Float64[np.ndarray, " part"]
    without: Float64[np.ndarray, " edge"]


@dataclass(frozen=True)
class _Bypass:
    """Read vectors pulled down without attention, a row per target, by the place or layer that they arrive at.

    `row` finds a target's row, `position` is where it reads; `at_heads` is pulled on to a layer's mixed values.
    """

    row: dict[int, int]
    position: Tensor
    at_place: dict[tuple[str, int], Float[Tensor, "target d_model"]]
    at_heads: dict[int, Float[Tensor, "target value"]]


def head_parts(paths: FrozenPaths, targets: Sequence[Targets], edges: Edges) -> HeadParts:
    """Returns the parts of edges, which may be any of the graph that `paths` and `targets` are of."""
    n_layers, n_heads = len(paths.frozen.layers), paths.frozen.layers[0].attention.mix.shape[0]
    without = np.zeros(len(edges.source))
    found: list[tuple[np.ndarray, int, np.ndarray]] = []
    for bypass in _bypasses(paths, targets, np.unique(edges.target), numbers=2 * n_layers * paths.d_model):
        mine = np.flatnonzero(np.isin(edges.target, np.fromiter(bypass.row, dtype=np.int64)))
        sources = np.unique(edges.source[mine])
        for start in range(0, len(sources), SOURCES_AT_ONCE):
            chosen = sources[start : start + SOURCES_AT_ONCE]
            some = mine[np.isin(edges.source[mine], chosen)]
            pushed = _Pushed(paths, bypass, chosen, edges.source[some], edges.target[some])
            found += [(some, layer, parts) for layer, parts in pushed.parts()]
            without[some] += pushed.without.cpu().numpy()
    none: list[np.ndarray] = [np.zeros(0, dtype=np.int64)]
    edge = np.concatenate([np.repeat(some, n_heads) for some, _, _ in found] or none)
    layers = np.concatenate([np.full(parts.size, layer) for _, layer, parts in found] or none)
    head = np.concatenate([np.tile(np.arange(n_heads), len(some)) for some, _, _ in found] or none)
    weight = np.concatenate([parts.ravel() for _, _, parts in found] or none).astype(np.float64)
    order = np.lexsort((head, layers, edge))
    order = order[weight[order] != 0]
    return HeadParts(edge[order], layers[order].astype(np.int32), head[order].astype(np.int32), weight[order], without)


def _bypasses(
    paths: FrozenPaths, targets: Sequence[Targets], wanted: Int[np.ndarray, " target"], *, numbers: int
) -> Iterator[_Bypass]:
    """Yields the wanted targets, pulled down, in parts of limited size."""
    most = max(1, TARGET_NUMBERS // numbers)
    for each in chosen_targets(targets, wanted):
        for start in range(0, len(each), most):
            yield _bypass(paths, each.part(slice(start, start + most)))


def _bypass(paths: FrozenPaths, targets: Targets) -> _Bypass:
    position = targets.position_on(targets.read.device)
    at_place: dict[tuple[str, int], Tensor] = {}
    at_heads: dict[int, Tensor] = {}
    row = {int(node): place for place, node in enumerate(targets.node)}
    found = _Bypass(row, position, at_place, at_heads)
    layer = targets.layer
    if targets.point == Point.ATTENTION:
        attention = paths.frozen.layers[layer].read_attention
        assert attention is not None
        at_heads[layer] = attention.at_heads(targets.read)
        return found
    assert targets.norm is not None
    gradient = targets.norm.pulled(targets.read, position)
    if targets.point == Point.BEFORE_MLP and not paths.frozen.layers[layer].parallel:
        at_heads[layer] = paths.frozen.layers[layer].attention.at_heads(gradient)
    for below in range(layer - 1, -1, -1):
        block = paths.frozen.layers[below]
        at_place["mlp", below] = gradient
        skipped = block.skipped(gradient, position)
        mid = gradient if block.parallel or skipped is None else gradient + skipped
        at_place["attention", below] = mid
        if not paths.written.attention[below].writers:
            at_heads[below] = block.attention.at_heads(mid)
        gradient = gradient if skipped is None else gradient + skipped
    at_place["tokens", -1] = gradient
    return found


class _Pushed:
    """What some sources write, pushed up through the frozen model as far as heads read it."""

    def __init__(
        self,
        paths: FrozenPaths,
        bypass: _Bypass,
        chosen: Int[np.ndarray, " source"],
        source: Int[np.ndarray, " edge"],
        target: Int[np.ndarray, " edge"],
    ) -> None:
        device = bypass.position.device
        self.paths = paths
        self.bypass = bypass
        self.chosen = chosen
        self.column = torch.from_numpy(np.searchsorted(chosen, source)).to(device)
        self.row = torch.tensor([bypass.row[int(node)] for node in target], device=device)
        self.position = bypass.position[self.row]
        self.without = torch.zeros(len(source), dtype=torch.float64, device=device)

    def parts(self) -> Iterator[tuple[int, Float64[np.ndarray, "edge head"]]]:
        """Yields every layer's parts of the edges by head; afterwards `without` is complete."""
        written = self.paths.written
        (tokens,) = written.tokens.writers
        x = tokens.write.new_zeros(tokens.write.shape[0], len(self.chosen), self.paths.d_model)
        self._write(x, written.tokens, ("tokens", -1))
        for layer, block in enumerate(self.paths.frozen.layers):
            replaced = bool(written.attention[layer].writers)
            attention = block.read_attention if replaced else block.attention
            assert attention is not None
            mixed = attention.mixed_values(x)
            if layer in self.bypass.at_heads:
                product = mixed[self.position, self.column] * self.bypass.at_heads[layer][self.row]
                by_head = product.reshape(len(product), attention.mix.shape[0], -1).sum(-1, dtype=torch.float64)
                yield layer, by_head.cpu().numpy()
            mid = x if replaced else x + attention.from_mixed(mixed)
            self._write(mid, written.attention[layer], ("attention", layer))
            skipped = block.pushed_past_features(x if block.parallel else mid)
            x = mid if skipped is None else mid + skipped
            self._write(x, written.mlp[layer], ("mlp", layer))

    def _write(self, x: Float[Tensor, "position source d_model"], place: Place, key: tuple[str, int]) -> None:
        """Adds to `x` what the sources write at a place, and to `without` what targets above read of it there."""
        gradient = self.bypass.at_place.get(key)
        added = torch.zeros_like(x)
        for writers in place.writers:
            position, slot = np.nonzero(np.isin(writers.node, self.chosen))
            column = np.searchsorted(self.chosen, writers.node[position, slot])
            added[position, column] = writers.write[position, slot]
        x += added
        if gradient is not None:
            read = added[self.position, self.column] * gradient[self.row]
            self.without += read.sum(-1, dtype=torch.float64)
