"""What every component writes into the residual stream on prompts."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuitbase.tracing.components.component_model import ComponentModel, Embedding
from circuitbase.tracing.components.running import Site, run


@dataclass(frozen=True)
class Writes:
    """A forward pass by what was written: `sources` in the order of `ComponentGraph`.

    `constant[k]` is what no source writes of what is in the stream behind the first k attention layers:
    positional embeddings and these layers' biases (an MLP's write holds its own). `logits` are at the positions
    that were read, or at all.
    """

    sources: Float[Tensor, "batch position source d_model"]
    constant: Float[Tensor, "layers_behind batch position d_model"]
    logits: Float[Tensor, "batch *position token"]


@torch.no_grad()
def component_writes(
    model: ComponentModel, embedding: Embedding, *, read_at: Int[Tensor, " batch"] | None = None
) -> Writes:
    """Returns what the components write on embedded prompts.

    The input writes the token embedding alone. The residual stream that a receiver reads is the sum of the sources
    that it reads plus `constant` at `constant_before_heads(layer)` or `constant_before_mlp(layer)`.
    """
    sources = [embedding.tokens[:, :, None]]
    constants = [embedding.constant]

    def kept(site: Site, layer: int, x: Tensor) -> Tensor:
        if site == Site.MIXED:
            found = model.attention[layer].head_writes(x)
            sources.append(found.heads)
            constants.append(constants[-1] + found.constant)
        elif site == Site.MLP:
            sources.append(x[:, :, None])
        return x

    logits = run(model, embedding.stream, edit=kept, read_at=read_at)
    return Writes(torch.cat(sources, dim=2), torch.stack(constants), logits)


def constant_before_heads(layer: int) -> int:
    """Returns the place in `Writes.constant` of what heads of a layer read; `n_layers`: what the logits read."""
    return layer


def constant_before_mlp(layer: int, *, parallel: bool) -> int:
    """Returns the place in `Writes.constant` of what the MLP of a layer reads."""
    return layer if parallel else layer + 1
