"""Local derivatives of what a block computes: forwards by formula, and backwards to heads and neurons."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from circuitbase.tracing.components.layers import AttentionLayer, MlpLayer
from circuitbase.tracing.components.norms import normed, pulled, pushed, pushed_heads
from circuitbase.tracing.components.seen import SeenLayer
from circuitbase.tracing.parts import Norm


@dataclass(frozen=True)
class HeadGradients:
    """The gradient of a number at what a layer's heads mix, and at their scores before scale and soft cap.

    `scores[h, p, k]` is that at query · key; it sums to 0 over the keys where there is no soft cap.
    """

    mixed: Float[Tensor, "position head d_value"]
    scores: Float[Tensor, "head position position"]


def at_heads(
    attention: AttentionLayer,
    seen: SeenLayer,
    gradient: Float[Tensor, "position d_model"],
    *,
    kept: Bool[Tensor, "position head"],
) -> HeadGradients:
    """Returns the gradient, given behind the layer, at the kept heads; 0 at the others.

    Softmax: ∂a_j/∂s_i = a_j (δ_ij − a_i). A soft cap c·tanh(s/c) adds the factor 1 − tanh²(s/c).
    """
    raw = attention.written_before_norm(seen.mixed[None])[0]
    behind = pulled_one(attention.post_norm, gradient, raw)
    mixed = torch.einsum("pd,hvd->phv", behind, attention.W_O) * kept[:, :, None]
    at_pattern = torch.einsum("phv,khv->hpk", mixed, seen.values)
    carried = seen.pattern * at_pattern
    scores = carried - seen.pattern * carried.sum(-1, keepdim=True)
    cap = attention.scoring.soft_cap
    if cap is not None:
        scores = scores * (1 - torch.tanh(seen.raw_scores / cap).square())
    return HeadGradients(mixed=mixed, scores=scores * attention.scoring.scale)


def at_stream(
    attention: AttentionLayer, seen: SeenLayer, gradients: HeadGradients
) -> Float[Tensor, "position d_model"]:
    """Returns the gradient at the residual stream that the heads read, through queries, keys and values together."""
    queries = torch.einsum("hpk,khd->phd", gradients.scores, seen.keys)
    keys = torch.einsum("hpk,phd->khd", gradients.scores, seen.queries)
    values = torch.einsum("hpk,phv->khv", seen.pattern, gradients.mixed)

    def read(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return (
            attention.rotated_queries(attention.queries(x)),
            attention.rotated_keys(attention.keys(x)),
            attention.values(x),
        )

    back = torch.func.vjp(read, seen.before[None])[1]
    stream: Tensor = back((queries[None], keys[None], values[None]))[0][0]
    return stream


@dataclass(frozen=True)
class Pushed:
    """What rows add, to first order, to a layer's queries and keys as they meet, and to its values."""

    queries: Float[Tensor, "row position head d_head"]
    keys: Float[Tensor, "row position head d_head"]
    values: Float[Tensor, "row position head d_value"]


def pushed_to_heads(
    attention: AttentionLayer, x: Float[Tensor, "position d_model"], rows: Float[Tensor, "row position d_model"]
) -> Pushed:
    """Returns what rows that are added to the residual stream `x` before a layer do to its queries, keys and values."""
    behind = pushed(attention.norm, rows, x)
    scoring = attention.scoring
    queries, keys = attention.queries(x[None])[0], attention.keys(x[None])[0]
    return Pushed(
        queries=attention.rotated(
            pushed_heads(scoring.query_norm, attention.joined(behind, attention.W_Q, None), queries)
        ),
        keys=attention.rotated(pushed_heads(scoring.key_norm, attention.joined(behind, attention.W_K, None), keys)),
        values=attention.joined(behind, attention.W_V, None),
    )


def at_neurons(
    mlp: MlpLayer, neurons: Float[Tensor, "position neuron"], gradient: Float[Tensor, "position d_model"]
) -> Float[Tensor, "position neuron"]:
    """Returns the gradient, given behind the MLP, at its `neurons`."""
    raw = mlp.written_before_norm(neurons)
    return pulled_one(mlp.post_norm, gradient, raw) @ mlp.W_out.T


def through_neurons(
    mlp: MlpLayer, x: Float[Tensor, "place d_model"], gradient: Float[Tensor, "place neuron"]
) -> Float[Tensor, "place d_model"]:
    """Returns gradients at neurons as gradients behind the MLP's norm, where `x` is what the MLP reads."""
    back = torch.func.vjp(lambda given: mlp.neurons_behind(given[None]), normed(mlp.norm, x))[1]
    stream: Tensor = back(gradient[None])[0]
    return stream


def pulled_one(
    norm: Norm | None, gradient: Float[Tensor, "position d_model"], x: Float[Tensor, "position d_model"]
) -> Float[Tensor, "position d_model"]:
    """Returns one gradient a position at a norm's output as one at its input `x`."""
    return pulled(norm, gradient[:, None], x)[:, 0]
