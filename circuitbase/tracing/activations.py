"""What a dictionary's features do with their pre-activations."""

import torch
from jaxtyping import Float
from torch import Tensor


def relu(z: Float[Tensor, "position feature"]) -> Float[Tensor, "position feature"]:
    """Returns z where it is positive, else 0."""
    return z.relu()


def jumprelu(
    z: Float[Tensor, "position feature"], threshold: Float[Tensor, " feature"]
) -> Float[Tensor, "position feature"]:
    """Returns z where it exceeds its feature's threshold, strictly, else 0."""
    return torch.where(z > threshold, z, torch.zeros_like(z))


def topk(z: Float[Tensor, "position feature"], k: int) -> Float[Tensor, "position feature"]:
    """Returns the k largest z of each position, negative ones too, else 0 (as circuit-tracer trains and runs it)."""
    largest = torch.topk(z, k, dim=-1)
    return torch.zeros_like(z).scatter(-1, largest.indices, largest.values)
