"""A norm whose denominator is a constant of the prompt, so that it is linear."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuitbase.tracing.parts import Norm


@dataclass(frozen=True)
class FrozenNorm:
    """`weight · (x − mean x) / denominator[position] + bias`, where a None or an unset flag leaves that out."""

    denominator: Float[Tensor, " position"]
    weight: Float[Tensor, " d_model"] | None
    bias: Float[Tensor, " d_model"] | None
    centred: bool

    def folded(self, rows: Float[Tensor, "row d_model"]) -> Float[Tensor, "row d_model"]:
        """Returns rows that read the norm's output as rows that read its input times the denominator."""
        if self.weight is not None:
            rows = rows * self.weight
        return rows - rows.mean(-1, keepdim=True) if self.centred else rows

    def pulled(self, rows: Float[Tensor, "row d_model"], position: Int[Tensor, " row"]) -> Float[Tensor, "row d_model"]:
        """Returns rows that read the norm's output at positions as rows that read its input there."""
        return self.folded(rows) / self.denominator[position, None]

    def applied(
        self, vectors: Float[Tensor, "row d_model"], position: Int[Tensor, " row"]
    ) -> Float[Tensor, "row d_model"]:
        """Returns what the linear part of the norm makes of vectors at positions."""
        return self.shaped(vectors) / self.denominator[position, None]

    def shaped(self, vectors: Float[Tensor, "row d_model"]) -> Float[Tensor, "row d_model"]:
        """Returns what the linear part of the norm makes of vectors, times the denominator."""
        if self.centred:
            vectors = vectors - vectors.mean(-1, keepdim=True)
        return vectors if self.weight is None else vectors * self.weight

    def constant(self, rows: Float[Tensor, "row d_model"]) -> Float[Tensor, " row"]:
        """Returns what rows that read the norm's output read of its bias."""
        return torch.zeros_like(rows[:, 0]) if self.bias is None else rows @ self.bias


def frozen_norm(norm: Norm, x: Float[Tensor, "position d_model"]) -> FrozenNorm:
    """Returns a norm with the denominators it has on `x`, in the dtype and on the device of `x`."""
    variance = x.var(-1, correction=0) if norm.centred else x.square().mean(-1)
    return FrozenNorm(
        denominator=(variance + norm.epsilon).sqrt(),
        weight=norm.weight.to(x),
        bias=None if norm.bias is None else norm.bias.to(x),
        centred=norm.centred,
    )


def no_norm(x: Float[Tensor, "position d_model"]) -> FrozenNorm:
    """Returns what lies between a point and itself."""
    return FrozenNorm(denominator=torch.ones_like(x[:, 0]), weight=None, bias=None, centred=False)
