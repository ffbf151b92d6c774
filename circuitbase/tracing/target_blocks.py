"""The targets of a trace, in blocks that are pulled back together.

A block's targets read at one layer, at neighbouring positions, so that one gradient [position, target, d_model] holds
them all and stays small.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import torch
from jaxtyping import Float, Int, Int32, Int64
from torch import Tensor

from circuitbase.tracing.frozen_norm import FrozenNorm


class Point(Enum):
    """Where in its layer a target reads."""

    BLOCK_INPUT = "the residual stream before the block"
    BEFORE_MLP = "the residual stream before the MLP"
    ATTENTION = "what attention writes"


@dataclass(frozen=True)
class Targets:
    """Targets that read at one point of one layer (n_layers: behind the last block), sorted by position.

    `node` are their trace nodes, `read` the vectors they read with behind `norm` (None at ATTENTION),
    `constant` what they read whatever the model does.
    """

    layer: int
    point: Point
    norm: FrozenNorm | None
    node: Int64[np.ndarray, " target"]
    position: Int32[np.ndarray, " target"]
    read: Float[Tensor, "target d_read"]
    constant: Float[Tensor, " target"]

    def __len__(self) -> int:
        return len(self.node)

    @property
    def n_positions(self) -> int:
        """Returns how many positions can matter: all up to the last one read at."""
        return int(self.position[-1]) + 1

    def position_on(self, device: torch.device) -> Tensor:
        """Returns the positions as a tensor."""
        return torch.from_numpy(self.position.astype(np.int64)).to(device)

    def part(self, rows: slice | Int64[np.ndarray, " chosen"]) -> "Targets":
        """Returns some of the targets, in their order."""
        index = rows if isinstance(rows, slice) else torch.from_numpy(rows).to(self.read.device)
        return Targets(
            layer=self.layer,
            point=self.point,
            norm=self.norm,
            node=self.node[rows],
            position=self.position[rows],
            read=self.read[index],
            constant=self.constant[index],
        )

    def block_from(self, start: int, *, block_numbers: int, width: int) -> "Targets":
        """Returns the next targets, as many as have gradients of at most `block_numbers` numbers together, or one."""
        size = (np.arange(len(self) - start) + 1) * (self.position[start:].astype(np.int64) + 1) * width
        return self.part(slice(start, start + max(1, int(np.searchsorted(size, block_numbers, side="right")))))


def chosen_targets(targets: Sequence[Targets], node: Int[np.ndarray, " chosen"]) -> list[Targets]:
    """Returns the targets with these nodes, in their order; sets without any are left out."""
    found = [each.part(np.flatnonzero(np.isin(each.node, node))) for each in targets]
    return [each for each in found if len(each)]
