"""Causal tracing: noise on the embeddings of some tokens, and what is restored of the clean run undoes it.

Source: Meng et al. 2022, section 2.1. Noise takes a model out of what it was trained on; corrupting by symmetric
token replacement (activation patching on pairs) is the better practice (methods.md section 7).
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from circuitbase.errors import InputError
from circuitbase.tracing.components.component_model import Embedding
from circuitbase.tracing.patching.noise import Noise
from circuitbase.tracing.patching.paired import PairedPrompts


def embedding_deviation(embedding: Embedding, read_at: Int[Tensor, " pair"]) -> float:
    """Returns the standard deviation of all entries of the token embeddings up to where the prompts are read."""
    positions = torch.arange(embedding.tokens.shape[1], device=read_at.device)
    return float(embedding.tokens[positions <= read_at[:, None]].std())


def noised_pairs(pairs: PairedPrompts, positions: Bool[Tensor, "pair position"], *, noise: Noise) -> PairedPrompts:
    """Returns the clean prompts, `noise.samples` times each, with noise on these positions as their corrupted runs.

    The corrupted prompts of `pairs` are not looked at. Samples come one after the other, each of all pairs. Raises
    InputError where a prompt has no position to put noise on.
    """
    bare = (~positions.any(1)).nonzero().flatten().tolist()
    if bare:
        raise InputError(
            f"causal tracing needs a position to put noise on in every prompt, and pair {bare[0]} has none"
        )
    tokens = pairs.clean.tokens
    drawn = torch.randn(
        noise.samples, *tokens.shape, generator=torch.Generator().manual_seed(noise.seed), dtype=torch.float64
    ).to(tokens)
    deviation = embedding_deviation(pairs.clean, pairs.read_at)
    noisy = tokens + noise.scale * deviation * drawn * positions[:, :, None]
    constant = pairs.clean.constant.repeat(noise.samples, 1, 1)

    def metric(logits: Float[Tensor, "row token"], pair: Int[Tensor, " row"]) -> Float[Tensor, " row"]:
        return pairs.metric(logits, pair % pairs.n_pairs)

    return PairedPrompts(
        clean=Embedding(tokens=tokens.repeat(noise.samples, 1, 1), constant=constant),
        corrupted=Embedding(tokens=noisy.flatten(0, 1), constant=constant),
        read_at=pairs.read_at.repeat(noise.samples),
        metric=metric,
    )


def mean_of_samples(metrics: Float[Tensor, "*patch row"], *, samples: int) -> Float[Tensor, "*patch pair"]:
    """Returns metrics of rows of `noised_pairs` as means over the samples of each pair."""
    return metrics.unflatten(-1, (samples, -1)).mean(-2)
