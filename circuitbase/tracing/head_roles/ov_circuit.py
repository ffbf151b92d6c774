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
class ReadTokens:
    """Tokens as heads read and write them: the stream of each alone before layer 0 and before later ones.

    `directions` are those of the residual stream behind the last block that raise a token's logit.
    """

    first: Float[Tensor, "token d_model"]
    later: Float[Tensor, "token d_model"]
    directions: Float[Tensor, "token d_model"]


@dataclass(frozen=True)
class OVCircuits:
    """What the heads of one layer read of tokens, and the directions that their writes are read in."""

    read: Float[Tensor, "token d_model"]
    W_V: Float[Tensor, "head d_model d_value"]
    W_O: Float[Tensor, "head d_value d_model"]
    directions: Float[Tensor, "token d_model"]


@torch.no_grad()
def read_tokens(model: ComponentModel, tokens: Int[Tensor, " token"], *, through_first_mlp: bool) -> ReadTokens:
    """Returns what stands for tokens where heads of each layer read them."""
    bare, enriched = [], []
    for some in tokens.split(BATCH_SIZE):
        embedded = model.embedded(some[:, None]).tokens
        bare.append(embedded[:, 0])
        enriched.append((embedded + model.mlps[0].written(embedded))[:, 0] if through_first_mlp else embedded[:, 0])
    return ReadTokens(torch.cat(bare), torch.cat(enriched), unembedding(model, tokens))


@torch.no_grad()
def ov_circuits(model: ComponentModel, tokens: ReadTokens, *, layer: int) -> OVCircuits:
    """Returns the OV circuits of a layer's heads on tokens; grouped values are repeated for each of their heads."""
    attention = model.attention[layer]
    embeddings = (tokens.later if layer > 0 else tokens.first).to(attention.W_V)
    return OVCircuits(
        read=embeddings if attention.norm is None else shaped_over(attention.norm, embeddings, embeddings),
        W_V=attention.W_V.repeat_interleave(model.n_heads // len(attention.W_V), dim=0),
        W_O=attention.W_O,
        directions=pulled_through(attention.post_norm, tokens.directions.to(attention.W_V)),
    )


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
