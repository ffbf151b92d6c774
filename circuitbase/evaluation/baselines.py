"""Scores that know nothing of a circuit, for methods to be better than."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from circuitbase.errors import InputError
from circuitbase.tracing.components.batches import pair_batches
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.pairs import Pair
from circuitbase.tracing.components.writes import component_writes


def baseline_scores(
    model: ComponentModel, pairs: Sequence[Pair], name: str, *, seed: int = 0
) -> Float[np.ndarray, "pair source receiver"]:
    """Returns a baseline's scores, 0 where there is no edge; raises InputError for a name there is not."""
    if name == "activation-size":
        return activation_size(model, pairs)
    if name == "random":
        return random_scores(model, n_pairs=len(pairs), seed=seed)
    raise InputError(f"a baseline must be activation-size or random, got {name!r}")


def activation_size(model: ComponentModel, pairs: Sequence[Pair]) -> Float[np.ndarray, "pair source receiver"]:
    """Returns the length of what an edge's source writes on the clean prompt, averaged over positions."""
    graph = model.graph
    scores = np.zeros((len(pairs), graph.n_sources, graph.n_receivers))
    for batch in pair_batches(pairs, batch_size=len(pairs), causal=model.causal, device=model.W_U.device):
        sources = component_writes(model, model.embedded(batch.clean)).sources
        length = sources.norm(dim=-1).masked_fill(~batch.unpadded[:, :, None], 0).sum(1)
        size = length / batch.unpadded.sum(1)[:, None]
        scores[list(batch.places)] = size.cpu().numpy()[:, :, None] * graph.edges
    return scores


def random_scores(model: ComponentModel, *, n_pairs: int, seed: int) -> Float[np.ndarray, "pair source receiver"]:
    """Returns uniform random scores, the same for all pairs."""
    graph = model.graph
    one = np.random.default_rng(seed).random((graph.n_sources, graph.n_receivers)) * graph.edges
    return np.repeat(one[None], n_pairs, axis=0)
