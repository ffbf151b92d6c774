"""One prompt's forward pass through a model's components, with what derivatives are taken at."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.running import Site, run


@dataclass(frozen=True)
class SeenLayer:
    """What one block did; `raw_scores` are before any soft cap, and there also where a query may not look.

    `constant` is what attention adds whatever its heads do.
    """

    before: Float[Tensor, "position d_model"]
    middle: Float[Tensor, "position d_model"]
    queries: Float[Tensor, "position head d_head"]
    keys: Float[Tensor, "position head d_head"]
    values: Float[Tensor, "position head d_value"]
    raw_scores: Float[Tensor, "head position position"]
    pattern: Float[Tensor, "head position position"]
    mixed: Float[Tensor, "position head d_value"]
    heads: Float[Tensor, "position head d_model"]
    constant: Float[Tensor, "position d_model"]
    neurons: Float[Tensor, "position neuron"]
    mlp: Float[Tensor, "position d_model"]


@dataclass(frozen=True)
class SeenPrompt:
    """A forward pass of one prompt; queries and keys of its layers are as they meet, normed and rotated.

    `middle` of a layer is what its MLP reads: in a parallel block what is before the block.
    """

    tokens: Float[Tensor, "position d_model"]
    constant: Float[Tensor, "position d_model"]
    layers: tuple[SeenLayer, ...]
    final: Float[Tensor, "position d_model"]
    logits: Float[Tensor, " token"]


@torch.no_grad()
def seen_prompt(model: ComponentModel, token_ids: Int[Tensor, " position"]) -> SeenPrompt:
    """Returns what a model does on one prompt; `logits` are those of its last position."""
    embedding = model.embedded(token_ids[None])
    seen: dict[tuple[Site, int], Tensor] = {}

    def keep(site: Site, layer: int, x: Tensor) -> Tensor:
        seen[site, layer] = x[0]
        return x

    last = torch.tensor([len(token_ids) - 1], device=token_ids.device)
    logits = run(model, embedding.stream, edit=keep, read_at=last)[0]
    layers = tuple(_layer(model, layer, seen) for layer in range(model.n_layers))
    return SeenPrompt(
        tokens=embedding.tokens[0],
        constant=embedding.constant[0],
        layers=layers,
        final=seen[Site.RESID_POST, model.n_layers - 1],
        logits=logits,
    )


def _layer(model: ComponentModel, layer: int, seen: dict[tuple[Site, int], Tensor]) -> SeenLayer:
    attention = model.attention[layer]
    writes = attention.head_writes(seen[Site.MIXED, layer][None])
    queries = attention.rotated_queries(seen[Site.QUERY, layer][None])[0]
    keys = attention.rotated_keys(seen[Site.KEY, layer][None])[0]
    return SeenLayer(
        before=seen[Site.RESID_PRE, layer],
        middle=seen[Site.MLP_INPUT, layer],
        queries=queries,
        keys=keys,
        values=seen[Site.VALUE, layer],
        raw_scores=attention.scoring.scale * torch.einsum("phd,khd->hpk", queries, keys),
        pattern=seen[Site.PATTERN, layer],
        mixed=seen[Site.MIXED, layer],
        heads=writes.heads[0],
        constant=writes.constant[0],
        neurons=seen[Site.NEURONS, layer],
        mlp=seen[Site.MLP, layer],
    )
