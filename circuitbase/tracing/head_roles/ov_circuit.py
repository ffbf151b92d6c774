"""The OV circuits of heads, from tokens that are read to logits that are written.

A head that looks at one token adds `x W_V W_O` to the residual stream. Here x is the token's embedding behind the norm
before the layer (with the denominator that it has there, without biases), and what is written goes through the
weights of the norms behind it to the unembedding, whose mean over tokens is left out: a softmax does not see it.
Denominators of the norms behind, and soft caps, change a write's size alone and are left out too.

Layers after the first read tokens with what the first MLP writes for the embedding alone, since in many models it
is that sum which stands for the token (Wang et al. 2022; Gould et al. 2023); without `through_first_mlp` they
read the bare embedding (Elhage et al. 2021).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.norms import shaped_over
from circuitbase.tracing.parts import Norm

BATCH_SIZE = 1024


@dataclass(frozen=True)
class OVCircuits:
    """What the heads of one layer read of tokens, and the directions that their writes are read in."""

    read: Float[Tensor, "token d_model"]
    W_V: Float[Tensor, "head d_model d_value"]
    W_O: Float[Tensor, "head d_value d_model"]
    directions: Float[Tensor, "token d_model"]


@torch.no_grad()
def ov_circuits(
    model: ComponentModel, tokens: Int[Tensor, " token"], *, layer: int, through_first_mlp: bool
) -> OVCircuits:
    """Returns the OV circuits of a layer's heads on tokens; grouped values are repeated for each of their heads."""
    attention = model.attention[layer]
    embeddings = token_embeddings(model, tokens, through_first_mlp=through_first_mlp and layer > 0)
    directions = pulled_through(attention.post_norm, unembedding(model, tokens))
    return OVCircuits(
        read=embeddings if attention.norm is None else shaped_over(attention.norm, embeddings, embeddings),
        W_V=attention.W_V.repeat_interleave(model.n_heads // len(attention.W_V), dim=0),
        W_O=attention.W_O,
        directions=directions,
    )


def token_embeddings(
    model: ComponentModel, tokens: Int[Tensor, " token"], *, through_first_mlp: bool
) -> Float[Tensor, "token d_model"]:
    """Returns what tokens write into the residual stream, with what the first MLP makes of each alone if so asked."""
    found = []
    for some in tokens.split(BATCH_SIZE):
        embedded = model.embedded(some[:, None]).tokens
        found.append(embedded + model.mlps[0].written(embedded) if through_first_mlp else embedded)
    return torch.cat(found)[:, 0]


def unembedding(model: ComponentModel, tokens: Int[Tensor, " token"]) -> Float[Tensor, "token d_model"]:
    """Returns the directions of the residual stream that raise each token's logit over the mean of all of them."""
    directions = pulled_through(model.final_norm, model.W_U[tokens.to(model.W_U.device)])
    return directions - directions.mean(0)


def pulled_through(norm: Norm | None, directions: Float[Tensor, "token d_model"]) -> Float[Tensor, "token d_model"]:
    """Returns directions behind a norm as directions before it, its denominator left out."""
    if norm is None:
        return directions
    directions = directions * norm.weight.to(directions)
    return directions - directions.mean(-1, keepdim=True) if norm.centred else directions
