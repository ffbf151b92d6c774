"""Direct effects: every edge of a prompt's attribution graph, by pulling read vectors back through the frozen model.

Targets of one layer go together, in blocks of neighbouring positions, and only over the positions up to the last one
they read at. Edges come as lists; no array has a row and a column for every node.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int32, Int64
from torch import Tensor

from circuitbase.schema.kinds import NodeKind
from circuitbase.tracing.frozen import FrozenModel, FrozenNorm, seeded
from circuitbase.tracing.nodes import Nodes
from circuitbase.tracing.outputs import Outputs
from circuitbase.tracing.replacement import ReplacedMlp
from circuitbase.tracing.writers import Writers

BLOCK_NUMBERS = 2**20  # numbers in a block's gradient: small enough to stay in a core's cache, large enough to batch


@dataclass(frozen=True)
class Effects:
    """Edges sorted by target and source, without zeros, and each node's bias effect (0 where no target)."""

    source: Int32[np.ndarray, " edge"]
    target: Int32[np.ndarray, " edge"]
    weight: Float[np.ndarray, " edge"]
    bias_effect: Float64[np.ndarray, " node"]


@dataclass(frozen=True)
class _Block:
    """Targets that are pulled back together; `layer` is the layer whose dictionary reads, n_layers for outputs."""

    layer: int
    node: Int64[np.ndarray, " target"]
    read: Float[Tensor, "target d_model"]
    position: Tensor  # of each target
    constant: Float[Tensor, " target"]


def direct_effects(
    frozen: FrozenModel,
    written: Sequence[Writers],
    mlps: Sequence[ReplacedMlp],
    outputs: Outputs,
    nodes: Nodes,
    *,
    block_numbers: int = BLOCK_NUMBERS,
) -> Effects:
    """Returns the effect of every node on every target that it reaches, and of all constants together."""
    bias_effect = np.zeros(len(nodes))
    sources, targets, weights = [], [], []
    for block in _blocks(mlps, outputs, nodes, block_numbers=block_numbers):
        matrix, columns, bias = _pulled_back(frozen, written, block)
        row, column = np.nonzero(matrix)
        sources.append(columns[column].astype(np.int32))
        targets.append(block.node[row].astype(np.int32))
        weights.append(matrix[row, column])
        bias_effect[block.node] = bias
    return Effects(
        source=np.concatenate(sources),
        target=np.concatenate(targets),
        weight=np.concatenate(weights),
        bias_effect=bias_effect,
    )


def _blocks(mlps: Sequence[ReplacedMlp], outputs: Outputs, nodes: Nodes, *, block_numbers: int) -> Iterator[_Block]:
    """Yields all targets in node order, each block from one layer."""
    for layer, mlp in enumerate(mlps):
        rows = nodes.rows(NodeKind.FEATURE, layer)
        start = 0
        while start < len(rows):
            stop = _block_end(nodes.position[rows], start, d_model=mlp.read.shape[1], block_numbers=block_numbers)
            part = slice(start, stop)
            yield _Block(layer, rows[part], mlp.read[part], mlp.position[part], torch.zeros_like(mlp.activation[part]))
            start = stop
    rows = nodes.rows(outputs.kind, len(mlps))
    position = torch.from_numpy(nodes.position[rows]).long().to(outputs.read.device)
    yield _Block(len(mlps), rows, outputs.read, position, outputs.constant)


def _block_end(position: Int32[np.ndarray, " target"], start: int, *, d_model: int, block_numbers: int) -> int:
    """Returns where a block that begins at `start` ends: targets sorted by position, at least one."""
    size = (np.arange(len(position) - start) + 1) * (position[start:] + 1) * d_model
    return start + max(1, int(np.searchsorted(size, block_numbers, side="right")))


def _pulled_back(
    frozen: FrozenModel, written: Sequence[Writers], block: _Block
) -> tuple[np.ndarray, Int64[np.ndarray, " column"], Float64[np.ndarray, " target"]]:
    """Returns the effects [target, column] on a block's targets, the node of each column, and the bias effects."""
    norm = _norm_before(frozen, block.layer)
    gradient = seeded(norm, block.read, block.position)
    collected = _Collected(n_positions=len(gradient), bias=block.constant.double() + norm.constant(block.read).double())
    below = block.layer
    if block.layer == len(frozen.layers):
        collected.add(gradient, written[below])
        below -= 1
        gradient = frozen.layers[below].past_features(gradient)
    for layer in range(below, -1, -1):  # the gradient is at the residual stream before this layer's MLP
        attention = frozen.layers[layer].attention
        collected.add_constant(gradient, attention.constant)
        gradient = gradient + attention.pulled(gradient)
        collected.add(gradient, written[layer])
        if layer > 0:
            gradient = frozen.layers[layer - 1].past_features(gradient)
    return collected.result()


def _norm_before(frozen: FrozenModel, layer: int) -> FrozenNorm:
    return frozen.layers[layer].read if layer < len(frozen.layers) else frozen.final_norm


class _Collected:
    """Effects gathered on the way down, one part per place where something is written."""

    def __init__(self, *, n_positions: int, bias: Float[Tensor, " target"]) -> None:
        self.n_positions = n_positions
        self.bias = bias
        self.parts: list[Tensor] = []
        self.nodes: list[np.ndarray] = []

    def add(self, gradient: Float[Tensor, "position target d_model"], written: Writers) -> None:
        """Adds the effects of what is written where the gradient is; the last slot goes to the bias."""
        write = written.write[: self.n_positions]
        effect = torch.bmm(gradient, write.transpose(1, 2))
        self.bias = self.bias + effect[:, :, -1].double().sum(0)
        self.parts.append(effect[:, :, :-1].transpose(0, 1).reshape(effect.shape[1], -1))
        self.nodes.append(written.node[: self.n_positions, :-1].ravel())

    def add_constant(
        self, gradient: Float[Tensor, "position target d_model"], constant: Float[Tensor, "prompt_position d_model"]
    ) -> None:
        """Adds the effect of a constant to the bias."""
        effect = torch.bmm(gradient, constant[: self.n_positions, :, None])
        self.bias = self.bias + effect[:, :, 0].double().sum(0)

    def result(self) -> tuple[np.ndarray, Int64[np.ndarray, " column"], Float64[np.ndarray, " target"]]:
        """Returns the effects with a column per node, ascending, and the bias effects."""
        nodes = np.concatenate(self.nodes)
        order = np.argsort(nodes, kind="stable")
        order = order[nodes[order] >= 0]
        joined = torch.cat(self.parts, dim=1)
        chosen = joined[:, torch.from_numpy(order).to(joined.device)]
        return chosen.cpu().numpy(), nodes[order], self.bias.cpu().numpy()
