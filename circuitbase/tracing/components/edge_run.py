"""A forward pass in which every receiver is given its own residual stream: kept edges carry what this run writes.

The others carry what was written in another run (a corrupted prompt, a mean, nothing).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuitbase.schema.kinds import Port
from circuitbase.tracing.components.component_model import ComponentModel, Embedding


def edge_run(
    model: ComponentModel,
    embedding: Embedding,
    *,
    others: Float[Tensor, "batch position source d_model"],
    kept: Float[Tensor, "*batch source receiver"],
    read_at: Int[Tensor, " batch"] | None = None,
) -> Float[Tensor, "batch *position token"]:
    """Returns the logits of the model of kept edges.

    A receiver reads `sum_u kept[u] · write_u + (1 − kept[u]) · others[u]` over the sources u that it reads, plus the
    constants of this run; what a head or an MLP writes then follows from what it read. `kept` is one mask for all
    prompts or one for each; numbers between 0 and 1 mix, and gradients flow through it. With all edges kept it is
    the model's own run, with none it gives the logits of `others`. Source and receiver order are those of
    `ComponentGraph`.
    """
    graph, n_heads = model.graph, model.n_heads
    mask = kept.expand(len(embedding.tokens), *kept.shape[-2:])
    written = [embedding.tokens[:, :, None]]  # by group of sources
    constant = embedding.constant

    def read(receivers: slice, n_sources: int) -> Float[Tensor, "batch position receiver d_model"]:
        writes = torch.cat(written, dim=2)[:, :, :n_sources]
        other, keep = others[:, :, :n_sources], mask[:, :n_sources, receivers]
        return (
            torch.einsum("btsd,bsr->btrd", writes - other, keep)
            + other.sum(2, keepdim=True)
            + constant_read[:, :, None]
        )

    for layer, (attention, mlp) in enumerate(zip(model.attention, model.mlps, strict=True)):
        constant_read = constant
        inputs = [
            read(slice(first, first + n_heads), graph.before_heads(layer))
            for first in (graph.port(layer, 0, port) for port in (Port.Q, Port.K, Port.V))
        ]
        mixed = attention.attended(
            attention.queries(inputs[0]), attention.keys(inputs[1]), attention.values(inputs[2])
        ).mixed
        heads = attention.head_writes(mixed)
        written.append(heads.heads)
        constant = constant + heads.constant
        constant_read = constant_read if model.parallel else constant
        place = graph.mlp_input(layer)
        mlp_input = read(slice(place, place + 1), graph.before_mlp(layer))[:, :, 0]
        written.append(mlp.written(mlp_input)[:, :, None])
    constant_read = constant
    final = read(slice(graph.logits, graph.logits + 1), graph.n_sources)[:, :, 0]
    if read_at is not None:
        final = final[torch.arange(len(final), device=final.device), read_at]
    return model.logits(final)
