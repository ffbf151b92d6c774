"""A small transformer as a ComponentModel, so that every method of components runs on it."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from circuitbase.evaluation.small_transformer import SmallBlock, SmallTransformer
from circuitbase.tracing.components.component_model import ComponentModel, Embedding
from circuitbase.tracing.components.layers import AttentionLayer, MlpLayer, Scoring
from circuitbase.tracing.parts import Norm


def component_model(model: SmallTransformer) -> ComponentModel:
    """Returns a small transformer by its components; weights are shared, gradients stop at them.

    A model without MLPs has MLPs of no neurons, which write zeros.
    """
    bias = model.b_U.detach() if model.config.biases else None
    return ComponentModel(
        embedded=lambda tokens: _embedding(model, tokens),
        attention=tuple(_attention(block) for block in model.layers),
        mlps=tuple(_mlp(block) for block in model.layers),
        final_norm=_norm(getattr(model, "norm_final", None)),
        W_U=model.W_U.detach().T,
        b_U=bias,
        logit_cap=None,
        n_input_tokens=model.config.d_vocab,
    )


def _embedding(model: SmallTransformer, tokens: Int[Tensor, "batch position"]) -> Embedding:
    written = model.embed(tokens).detach()
    return Embedding(tokens=written, constant=model.positions(tokens.shape[1]).detach().expand_as(written))


def _attention(block: SmallBlock) -> AttentionLayer:
    config = block.config
    return AttentionLayer(
        norm=_norm(getattr(block, "norm_attention", None)),
        post_norm=None,
        W_Q=block.W_Q.detach(),
        b_Q=block.b_Q.detach() if config.biases else None,
        W_K=block.W_K.detach(),
        b_K=block.b_K.detach() if config.biases else None,
        W_V=block.W_V.detach(),
        b_V=block.b_V.detach() if config.biases else None,
        W_O=block.W_O.detach(),
        b_O=block.b_O.detach() if config.biases else None,
        scoring=Scoring(scale=config.score_scale, causal=config.causal),
    )


def _mlp(block: SmallBlock) -> MlpLayer:
    config = block.config
    has_bias = config.biases and bool(config.d_mlp)
    into, out = _mlp_weights(block)
    return MlpLayer(
        norm=_norm(getattr(block, "norm_mlp", None)),
        post_norm=None,
        activation=torch.relu if config.activation == "relu" else nn.functional.gelu,
        W_in=into,
        b_in=block.b_in.detach() if has_bias else None,
        W_gate=None,
        b_gate=None,
        W_out=out,
        b_out=block.b_out.detach() if has_bias else None,
    )


def _mlp_weights(block: SmallBlock) -> tuple[Float[Tensor, "d_model neuron"], Float[Tensor, "neuron d_model"]]:
    if block.config.d_mlp:
        return block.W_in.detach(), block.W_out.detach()
    nothing = block.W_O.new_zeros(block.config.d_model, 0).detach()
    return nothing, nothing.T


def _norm(norm: nn.LayerNorm | None) -> Norm | None:
    if norm is None:
        return None
    return Norm(norm, norm.weight.detach(), norm.bias.detach(), norm.eps, centred=True)
