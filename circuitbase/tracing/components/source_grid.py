"""What writes in a component trace: a grid of units by positions, in the order in which they write."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from circuitbase.schema.kinds import NodeKind
from circuitbase.tracing.components.propagation import Propagated, PropagatedLayer
from circuitbase.tracing.components.seen import SeenPrompt


@dataclass(frozen=True)
class SourceGrid:
    """Units by positions. `kept` says where a unit is a node; elsewhere what it writes counts as left out.

    The input is one unit whose tokens are its nodes. Of each layer its heads come first, then its MLP without
    the neurons that are nodes of their own, then these. `before_mlp[l]` and `before_heads[l]` say how many units
    the parts of a layer read, the first so many; `before_heads[n_layers]` is all of them.
    """

    kind: tuple[NodeKind, ...]
    layer: tuple[int, ...]
    unit: tuple[int, ...]
    write: Float[Tensor, "unit position d_model"]
    kept: Bool[Tensor, "unit position"]
    activation: Float[Tensor, "unit position"]
    before_heads: tuple[int, ...]
    before_mlp: tuple[int, ...]


@dataclass(frozen=True)
class _Units:
    kind: NodeKind
    layer: int
    unit: Sequence[int]
    write: Float[Tensor, "unit position d_model"]
    kept: Bool[Tensor, "unit position"]
    activation: Float[Tensor, "unit position"]


def source_grid(seen: SeenPrompt, found: Propagated, *, parallel: bool) -> SourceGrid:
    """Returns everything that writes on a prompt."""
    every = torch.ones_like(seen.tokens[:, 0], dtype=torch.bool)
    groups = [_Units(NodeKind.INPUT_TOKEN, -1, [0], seen.tokens[None], every[None], torch.ones_like(seen.tokens.T[:1]))]
    before_heads, before_mlp, n_units = [], [], 1
    for layer, propagated in enumerate(found.layers):
        of_layer = list(_of_layer(seen, layer, propagated))
        before_heads.append(n_units)
        before_mlp.append(n_units + (0 if parallel else len(of_layer[0].unit)))
        n_units += sum(len(each.unit) for each in of_layer)
        groups += of_layer
    return SourceGrid(
        kind=tuple(each.kind for each in groups for _ in each.unit),
        layer=tuple(each.layer for each in groups for _ in each.unit),
        unit=tuple(unit for each in groups for unit in each.unit),
        write=torch.cat([each.write for each in groups]),
        kept=torch.cat([each.kept for each in groups]),
        activation=torch.cat([each.activation for each in groups]),
        before_heads=(*before_heads, n_units),
        before_mlp=tuple(before_mlp),
    )


def _of_layer(seen: SeenPrompt, layer: int, found: PropagatedLayer) -> Iterator[_Units]:
    heads = seen.layers[layer].heads.transpose(0, 1)
    yield _Units(NodeKind.HEAD, layer, range(len(heads)), heads, found.kept_heads.T, _size(heads))
    yield _Units(NodeKind.MLP, layer, [0], found.mlp_write[None], found.kept_mlp[None], _size(found.mlp_write[None]))
    chosen = found.neurons
    if len(chosen.neuron):
        neurons, row = chosen.neuron.unique(return_inverse=True)
        n_positions, d_model = found.mlp_write.shape
        yield _Units(
            NodeKind.NEURON,
            layer,
            neurons.tolist(),
            _placed(chosen.write, row, chosen.position, chosen.write.new_zeros(len(neurons), n_positions, d_model)),
            _placed(torch.ones_like(row) > 0, row, chosen.position, heads.new_zeros(len(neurons), n_positions) > 0),
            _placed(chosen.activation, row, chosen.position, heads.new_zeros(len(neurons), n_positions)),
        )


def _placed(values: Tensor, row: Int[Tensor, " chosen"], position: Int[Tensor, " chosen"], into: Tensor) -> Tensor:
    return into.index_put((row, position), values)


def _size(write: Float[Tensor, "unit position d_model"]) -> Float[Tensor, "unit position"]:
    return torch.linalg.vector_norm(write, dim=-1)
