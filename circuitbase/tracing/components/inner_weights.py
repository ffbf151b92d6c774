"""Where the weights of queries, keys and neurons are in Hugging Face modules; all multiply from the right."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class QueryKeyWeights:
    """The weights that make queries, per head, and keys, per group of heads."""

    W_Q: Float[Tensor, "head d_model d_head"]
    b_Q: Float[Tensor, "head d_head"] | None
    W_K: Float[Tensor, "group d_model d_head"]
    b_K: Float[Tensor, "group d_head"] | None


@dataclass(frozen=True)
class NeuronWeights:
    """The weights into and out of an MLP's neurons; `W_gate` is None where nothing gates them."""

    activation: Callable[[Tensor], Tensor]
    W_in: Float[Tensor, "d_model neuron"]
    b_in: Float[Tensor, " neuron"] | None
    W_gate: Float[Tensor, "d_model neuron"] | None
    b_gate: Float[Tensor, " neuron"] | None
    W_out: Float[Tensor, "neuron d_model"]
    b_out: Float[Tensor, " d_model"] | None


def query_key_weights(attention: Any, *, n_heads: int) -> QueryKeyWeights:
    """Returns views of an attention module's query and key weights."""
    if hasattr(attention, "c_attn"):  # GPT-2: [in, out], all queries, then all keys
        weight, bias = attention.c_attn.weight.detach(), attention.c_attn.bias.detach()
        by_kind = weight.unflatten(1, (3, n_heads, -1)).permute(1, 2, 0, 3)
        biases = bias.unflatten(0, (3, n_heads, -1))
        return QueryKeyWeights(by_kind[0], biases[0], by_kind[1], biases[1])
    if hasattr(attention, "query_key_value"):  # GPT-NeoX: of each head its query, its key, its value
        weight, bias = attention.query_key_value.weight.detach(), attention.query_key_value.bias
        by_head = weight.unflatten(0, (n_heads, 3, -1)).permute(1, 0, 3, 2)
        biases = (None,) * 3 if bias is None else bias.detach().unflatten(0, (n_heads, 3, -1)).unbind(1)
        return QueryKeyWeights(by_head[0], biases[0], by_head[1], biases[1])
    if hasattr(attention, "qkv_proj"):  # Phi-3: all queries, all keys, all values
        weight, d_head = attention.qkv_proj.weight.detach(), attention.head_dim
        n_queries, n_keys = n_heads * d_head, attention.num_key_value_heads * d_head
        keys = weight[n_queries : n_queries + n_keys]
        return QueryKeyWeights(_by_head(weight[:n_queries], d_head), None, _by_head(keys, d_head), None)
    asks, offers, d_head = attention.q_proj, attention.k_proj, attention.head_dim
    return QueryKeyWeights(
        W_Q=_by_head(asks.weight.detach(), d_head),
        b_Q=_bias_by_head(asks.bias, d_head),
        W_K=_by_head(offers.weight.detach(), d_head),
        b_K=_bias_by_head(offers.bias, d_head),
    )


def neuron_weights(mlp: Any) -> NeuronWeights:
    """Returns views of an MLP module's weights."""
    if hasattr(mlp, "c_fc"):  # GPT-2: [in, out]
        into, out = mlp.c_fc, mlp.c_proj
        return NeuronWeights(mlp.act, into.weight.detach(), into.bias, None, None, out.weight.detach(), out.bias)
    if hasattr(mlp, "dense_h_to_4h"):  # GPT-NeoX
        into, out = mlp.dense_h_to_4h, mlp.dense_4h_to_h
        return NeuronWeights(mlp.act, into.weight.detach().T, into.bias, None, None, out.weight.detach().T, out.bias)
    out = mlp.down_proj
    if hasattr(mlp, "gate_up_proj"):  # Phi-3: the gates first
        gate, into = mlp.gate_up_proj.weight.detach().chunk(2, dim=0)
        activation = mlp.activation_fn
        return NeuronWeights(activation, into.T, None, gate.T, None, out.weight.detach().T, out.bias)
    gate, into = mlp.gate_proj, mlp.up_proj
    return NeuronWeights(
        activation=mlp.act_fn,
        W_in=into.weight.detach().T,
        b_in=into.bias,
        W_gate=gate.weight.detach().T,
        b_gate=gate.bias,
        W_out=out.weight.detach().T,
        b_out=out.bias,
    )


def _by_head(weight: Float[Tensor, "out d_model"], d_head: int) -> Float[Tensor, "head d_model d_head"]:
    return weight.unflatten(0, (-1, d_head)).transpose(1, 2)


def _bias_by_head(bias: Float[Tensor, " out"] | None, d_head: int) -> Float[Tensor, "head d_head"] | None:
    return None if bias is None else bias.detach().unflatten(0, (-1, d_head))
