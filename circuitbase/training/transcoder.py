"""A transcoder of one MLP: a sparse dictionary that reads the MLP's input and writes its output."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Transcoder:
    """`a = z · 1[z > threshold]` with `z = W_enc·r + b_enc`; the output is `a·W_dec + b_dec`.

    Rows of `W_enc` and `W_dec` belong to features. JumpReLU compares strictly, as circuit-tracer does.
    """

    W_enc: Float[Tensor, "feature d_model"]
    W_dec: Float[Tensor, "feature d_model"]
    b_enc: Float[Tensor, " feature"]
    b_dec: Float[Tensor, " d_model"]
    threshold: Float[Tensor, " feature"]

    @property
    def n_features(self) -> int:
        """Returns the number of features, dead ones included."""
        return self.W_enc.shape[0]

    def encode(self, inputs: Float[Tensor, "row d_model"]) -> Float[Tensor, "row feature"]:
        """Returns the activations of every feature, zero where it is silent."""
        pre = torch.addmm(self.b_enc, inputs, self.W_enc.T)
        return pre * (pre > self.threshold)

    def decode(self, activations: Float[Tensor, "row feature"]) -> Float[Tensor, "row d_model"]:
        """Returns the reconstruction of the MLP's output."""
        return torch.addmm(self.b_dec, activations, self.W_dec)

    def __call__(self, inputs: Float[Tensor, "row d_model"]) -> Float[Tensor, "row d_model"]:
        """Returns the reconstructed output for MLP inputs."""
        return self.decode(self.encode(inputs))

    def to(self, dtype: torch.dtype) -> "Transcoder":
        """Returns the same transcoder in another floating type."""
        return Transcoder(*(getattr(self, name).to(dtype) for name in self.__dataclass_fields__))

    def rescaled(self, scale: Float[Tensor, " feature"]) -> "Transcoder":
        """Returns the same function with each feature's activation multiplied by a positive factor (the gauge)."""
        return replace(
            self,
            W_enc=self.W_enc * scale[:, None],
            b_enc=self.b_enc * scale,
            threshold=self.threshold * scale,
            W_dec=self.W_dec / scale[:, None],
        )
