"""What is written into the residual stream, arranged for one batched product per place and kind of writer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from circuitbase.schema.kinds import NodeKind
from circuitbase.tracing.frozen import FrozenModel
from circuitbase.tracing.hooks import WRITES_OF_ATTENTION, Hook
from circuitbase.tracing.nodes import Nodes
from circuitbase.tracing.replacement import ReplacedLayer
from circuitbase.tracing.run import PromptRun


@dataclass(frozen=True)
class Writers:
    """Vectors of nodes that write at one place, by position and slot; `node` is -1 in an empty slot (zeros).

    The last slot may be the constant that is written there, which belongs to no node.
    """

    write: Float[Tensor, "position slot d_model"]
    node: Int64[np.ndarray, "position slot"]
    with_constant: bool = False

    @cached_property
    def filled(self) -> Int64[np.ndarray, " filled"]:
        """Returns the filled slots in the flattened order of `node`."""
        return np.flatnonzero(self.node.ravel() >= 0)

    @cached_property
    def _filled_on_device(self) -> Tensor:
        return torch.from_numpy(self.filled).to(self.write.device)

    def filled_up_to(self, n_positions: int) -> tuple[Tensor, Int64[np.ndarray, " filled"]]:
        """Returns the filled slots of the first positions, as an index, and the nodes that fill them."""
        count = int(np.searchsorted(self.filled, n_positions * self.node.shape[1]))
        return self._filled_on_device[:count], self.node.ravel()[self.filled[:count]]


@dataclass(frozen=True)
class Place:
    """One place of the residual stream: who writes there, and the constant if no writers have it in their last slot."""

    writers: tuple[Writers, ...]
    constant: Float[Tensor, "position d_model"] | None


@dataclass(frozen=True)
class Written:
    """Every place where something is written: before block 0, by each attention layer, by each MLP.

    An attention layer that no dictionary replaces has no writers: paths go on through it.
    """

    tokens: Place
    attention: tuple[Place, ...]
    mlp: tuple[Place, ...]


def written_by(
    nodes: Nodes, layers: Sequence[ReplacedLayer], run: PromptRun, *, writes: Hook, frozen: FrozenModel
) -> Written:
    """Returns what all nodes write."""
    tokens = _tokens(nodes, run)
    rounding = [block.rounding for block in frozen.layers]
    if writes in WRITES_OF_ATTENTION:
        mlp = tuple(
            Place((_by_position(nodes, NodeKind.MLP, seen.mlp_write, layer=layer),), lost.at_mlp if lost else None)
            for layer, (seen, lost) in enumerate(zip(run.layers, rounding, strict=True))
        )
        replaced = tuple(
            _part(nodes, layers, layer=layer, constant=each.constant + lost.at_attention if lost else each.constant)
            for layer, (each, lost) in enumerate(zip(layers, rounding, strict=True))
        )
        return Written(tokens=tokens, attention=replaced, mlp=mlp)
    attention: list[Place] = []
    by_mlps: list[Place] = []
    for layer, each in enumerate(layers):
        block, lost = frozen.layers[layer], rounding[layer]
        constant = each.constant + lost.at_mlp if lost else each.constant
        # what attention writes is read as what the MLP writes is, unless a skip path lies between
        together = block.parallel or block.skip is None
        attention.append(Place((), None if together else block.attention.constant))
        by_mlps.append(
            _part(nodes, layers, layer=layer, constant=constant + block.attention.constant if together else constant)
        )
    return Written(tokens=tokens, attention=tuple(attention), mlp=tuple(by_mlps))


def _tokens(nodes: Nodes, run: PromptRun) -> Place:
    found = _by_position(nodes, NodeKind.INPUT_TOKEN, run.embedding, layer=-1)
    return Place((_with_constant(found, run.layers[0].input - run.embedding),), None)


def _part(
    nodes: Nodes, layers: Sequence[ReplacedLayer], *, layer: int, constant: Float[Tensor, "position d_model"]
) -> Place:
    """Returns what a replaced part writes: its features, those of earlier layers that write here, its error."""
    errors = _with_constant(_by_position(nodes, NodeKind.LAYER_ERROR, layers[layer].error, layer=layer), constant)
    features = list(_feature_writers(nodes, layers, layer=layer))
    if len(layers[0].write) > 1:  # cross-layer features are met again at other places, so they stand apart
        return Place((*features, errors), None)
    (own,) = features
    both = Writers(
        torch.cat([own.write, errors.write], dim=1), np.concatenate([own.node, errors.node], axis=1), with_constant=True
    )
    return Place((both,), None)


def _with_constant(writers: Writers, constant: Float[Tensor, "position d_model"]) -> Writers:
    empty = np.full((len(constant), 1), -1, dtype=np.int64)
    return Writers(
        torch.cat([writers.write, constant[:, None]], dim=1),
        np.concatenate([writers.node, empty], axis=1),
        with_constant=True,
    )


def _feature_writers(nodes: Nodes, layers: Sequence[ReplacedLayer], *, layer: int) -> Iterator[Writers]:
    """Yields, for this layer and each earlier one that writes into it, what its features write."""
    for earlier in range(layer, -1, -1):
        slot = layer - earlier
        if slot < len(layers[earlier].write):
            yield _slots(nodes.active[earlier], layers[earlier], layers[earlier].write[slot])


def _slots(
    node: Int64[np.ndarray, " active"], replaced: ReplacedLayer, vectors: Float[Tensor, "active d_model"]
) -> Writers:
    n_positions, d_model = replaced.error.shape
    position = replaced.active.position.cpu().numpy()
    per_position = np.bincount(position, minlength=n_positions)
    slot = np.arange(len(position)) - np.repeat(np.cumsum(per_position) - per_position, per_position)
    nodes = np.full((n_positions, int(per_position.max())), -1, dtype=np.int64)
    nodes[position, slot] = node
    write = vectors.new_zeros(*nodes.shape, d_model)
    write[replaced.active.position, torch.from_numpy(slot).to(vectors.device)] = vectors
    return Writers(write=write, node=nodes)


def _by_position(nodes: Nodes, kind: NodeKind, vectors: Float[Tensor, "position d_model"], *, layer: int) -> Writers:
    """Returns writers of a kind that has at most one node at a position."""
    rows = nodes.rows(kind, layer)
    node = np.full((len(vectors), 1), -1, dtype=np.int64)
    node[nodes.position[rows], 0] = rows
    return Writers(write=vectors[:, None], node=node)
