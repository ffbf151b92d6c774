"""Information-flow routes: how close each write is to what its receiver reads, from the clean run alone.

Ferrando and Voita 2024. At a position the proximity of a source u to a receiver v is
`max(0, |in_v|₁ − |in_v − z_u|₁)`, its share that over the sum of all sources. No metric, no ablation, no sign.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from circuitbase.schema.kinds import Port
from circuitbase.tracing.components.attribution_options import AttributionOptions
from circuitbase.tracing.components.contrast import Contrast
from circuitbase.tracing.components.method_result import Found
from circuitbase.tracing.components.writes import constant_before_heads, constant_before_mlp

NUMBERS_AT_ONCE = 2**24  # of one block of sources


@torch.no_grad()
def information_flow(contrast: Contrast, options: AttributionOptions) -> Found:
    """Returns each edge's share, averaged over a prompt's unpadded positions (the logits': where they are read).

    The queries, keys and values of all heads of a layer read the same, so their edges score the same. What no
    source writes (positional embeddings, biases) is in what receivers read, but has no share.
    """
    graph, writes = contrast.model.graph, contrast.clean
    own = contrast.batch.unpadded.to(writes.sources)
    mean = own / own.sum(1, keepdim=True)
    last = torch.zeros_like(own).scatter_(1, contrast.batch.read_at[:, None], 1)
    scores = writes.sources.new_zeros(len(own), graph.n_sources, graph.n_receivers)

    def shares(n_sources: int, constant: int, weight: Tensor) -> Float[Tensor, "batch source"]:
        sources = writes.sources[:, :, :n_sources]
        near = _proximity(sources, sources.sum(2) + writes.constant[constant])
        total = near.sum(-1, keepdim=True)
        share = torch.where(total > 0, near / total, torch.zeros_like(near))
        return torch.einsum("bts,bt->bs", share, weight)

    for layer in range(graph.n_layers):
        n_sources, first = graph.before_heads(layer), graph.port(layer, 0, Port.Q)
        found = shares(n_sources, constant_before_heads(layer), mean)
        scores[:, :n_sources, first : first + 3 * graph.n_heads] = found[:, :, None]
        n_sources = graph.before_mlp(layer)
        place = constant_before_mlp(layer, parallel=graph.parallel)
        scores[:, :n_sources, graph.mlp_input(layer)] = shares(n_sources, place, mean)
    scores[:, :, graph.logits] = shares(graph.n_sources, constant_before_heads(graph.n_layers), last)
    return Found(scores)


def _proximity(
    sources: Float[Tensor, "batch position source d_model"], x: Float[Tensor, "batch position d_model"]
) -> Float[Tensor, "batch position source"]:
    at_once = max(1, NUMBERS_AT_ONCE // x.numel())
    whole = x.abs().sum(-1, keepdim=True)
    blocks = [(whole - (x[:, :, None] - block).abs().sum(-1)) for block in sources.split(at_once, dim=2)]
    return torch.cat(blocks, dim=2).clamp_min(0)
