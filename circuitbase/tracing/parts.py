"""Where the parts of a loaded model are, in one form for every architecture; `adapters` finds them.

Weights come in one form whatever the architecture: `W_V [head, d_model, d_head]` multiplies from the right,
`W_O [head, d_head, d_model]` too, `W_U [token, d_model]` has a row per token.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True)
class Norm:
    """A norm: `weight · (x − mean x) / sqrt(var x + epsilon) + bias`; without `centred` an RMSNorm.

    `weight` is what multiplies, so `1 + w` where the module adds 1 to its parameter.
    """

    module: nn.Module
    weight: Float[Tensor, " d_model"]
    bias: Float[Tensor, " d_model"] | None
    epsilon: float
    centred: bool


@dataclass(frozen=True)
class Attention:
    """An attention layer; its module returns its pattern [prompt, head, query, key] as second element.

    Head h reads the values of group `h // (n_heads / n_groups)`. `output` is the module that takes the
    heads' values, joined [prompt, position, head · d_head], and writes what the layer writes.
    """

    module: nn.Module
    output: nn.Module
    W_V: Float[Tensor, "group d_model d_head"]
    b_V: Float[Tensor, "group d_head"] | None
    W_O: Float[Tensor, "head d_head d_model"]
    b_O: Float[Tensor, " d_model"] | None


@dataclass(frozen=True)
class Block:
    """A block that adds what attention writes, then what its MLP writes, each behind an optional norm.

    A norm before reads the residual stream (without one the part reads it directly), a norm after
    changes what the part writes. In a `parallel` block the MLP reads the block's input, as attention
    does. `module` is called with the block's input [prompt, position, d_model] first; `mlp` is the
    module whose output, behind `mlp_post_norm`, is added.
    """

    module: nn.Module
    attention_norm: Norm | None
    attention: Attention
    attention_post_norm: Norm | None
    mlp_norm: Norm | None
    mlp: nn.Module
    mlp_post_norm: Norm | None
    parallel: bool = False


@dataclass(frozen=True)
class Parts:
    """A model's parts.

    `embedding` is the module whose output is the token embedding alone, where positions add to it
    before block 0; None where block 0 reads the token embedding itself.
    """

    embedding: nn.Module | None
    blocks: tuple[Block, ...]
    final_norm: Norm
    W_U: Float[Tensor, "token d_model"]
    b_U: Float[Tensor, " token"] | None
