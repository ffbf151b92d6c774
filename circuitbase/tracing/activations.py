"""What a dictionary's features do with their pre-activations."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Relu:
    """z where it is positive, else 0."""

    def __call__(self, z: Float[Tensor, "position feature"]) -> Float[Tensor, "position feature"]:
        """Returns the activations."""
        return z.relu()

    def threshold_of(self, feature: Int[Tensor, " chosen"]) -> Float[Tensor, " chosen"]:
        """Returns the value that a feature's pre-activation must exceed."""
        return torch.zeros(len(feature), device=feature.device)


@dataclass(frozen=True)
class JumpRelu:
    """z where it exceeds its feature's threshold, strictly, else 0.

    Gated and BatchTopK features are of this kind too, with thresholds made from their gates.
    """

    threshold: Float[Tensor, " feature"]

    def __call__(self, z: Float[Tensor, "position feature"]) -> Float[Tensor, "position feature"]:
        """Returns the activations."""
        return torch.where(z > self.threshold, z, torch.zeros_like(z))

    def threshold_of(self, feature: Int[Tensor, " chosen"]) -> Float[Tensor, " chosen"]:
        """Returns the value that a feature's pre-activation must exceed."""
        return self.threshold[feature]


@dataclass(frozen=True)
class TopK:
    """The k largest z of each position, else 0; with `positive` those of them that are positive.

    circuit-tracer keeps negative ones too. No feature has a threshold of its own.
    """

    k: int
    positive: bool

    def __call__(self, z: Float[Tensor, "position feature"]) -> Float[Tensor, "position feature"]:
        """Returns the activations."""
        largest = torch.topk(z, self.k, dim=-1)
        kept = torch.zeros_like(z).scatter(-1, largest.indices, largest.values)
        return kept.relu() if self.positive else kept

    def threshold_of(self, feature: Int[Tensor, " chosen"]) -> None:
        """Returns None: whether a feature is active depends on its rivals."""
        return


Activation = Relu | JumpRelu | TopK
