"""What is written into the residual stream before each block, arranged for one batched product per block."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from circuitbase.schema.kinds import NodeKind
from circuitbase.tracing.nodes import Nodes
from circuitbase.tracing.replacement import ReplacedMlp
from circuitbase.tracing.run import PromptRun


@dataclass(frozen=True)
class Writers:
    """Vectors written into one place of the residual stream, by position and slot.

    `node` is the node that writes a slot, -1 for an empty slot (a vector of zeros). The last slot
    is the constant, which belongs to no node.
    """

    write: Float[Tensor, "position slot d_model"]
    node: Int64[np.ndarray, "position slot"]


def writers(nodes: Nodes, mlps: Sequence[ReplacedMlp], run: PromptRun) -> tuple[Writers, ...]:
    """Returns what is written before block 0 (tokens and positions), and by each MLP before the next block."""
    return (
        _token_writers(nodes, run),
        *(_mlp_writers(nodes, mlp, layer=layer) for layer, mlp in enumerate(mlps)),
    )


def _token_writers(nodes: Nodes, run: PromptRun) -> Writers:
    positional = run.layers[0].attention_norm_input - run.embedding
    node = np.stack([nodes.rows(NodeKind.INPUT_TOKEN, -1), np.full(len(positional), -1)], axis=1)
    return Writers(write=torch.stack([run.embedding, positional], dim=1), node=node)


def _mlp_writers(nodes: Nodes, mlp: ReplacedMlp, *, layer: int) -> Writers:
    n_positions, d_model = mlp.error.shape
    position = mlp.position.cpu().numpy()
    per_position = np.bincount(position, minlength=n_positions)
    most = int(per_position.max())
    slot = np.arange(len(position)) - np.repeat(np.cumsum(per_position) - per_position, per_position)
    node = np.full((n_positions, most + 2), -1, dtype=np.int64)
    node[position, slot] = nodes.rows(NodeKind.FEATURE, layer)
    errors = nodes.rows(NodeKind.LAYER_ERROR, layer)
    node[nodes.position[errors], most] = errors
    write = mlp.write.new_zeros(n_positions, most + 2, d_model)
    write[mlp.position, torch.from_numpy(slot).to(mlp.position.device)] = mlp.write
    write[:, most] = mlp.error
    write[:, most + 1] = mlp.constant
    return Writers(write=write, node=node)
