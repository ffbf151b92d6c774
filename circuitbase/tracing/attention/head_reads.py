"""A head's query or key at one position as a linear map of the residual stream there.

The denominators of the layer's norm and of a norm of queries or keys (also one over all heads) are held at what they
are on the prompt, so the map is exact there: query · key · scale is the score before any soft cap.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from circuitbase.tracing.components.layers import AttentionLayer, HeadNorm, turned
from circuitbase.tracing.components.norms import head_denominator
from circuitbase.tracing.frozen_norm import frozen_norm


@dataclass(frozen=True)
class HeadRead:
    """`rows` read the residual stream; `bias` is what the query or key is whatever is read: norm and weight biases.

    Both are behind the norm of queries or keys and behind the rotation.
    """

    rows: Float[Tensor, "d_head d_model"]
    bias: Float[Tensor, " d_head"]

    def of(self, vectors: Float[Tensor, "node d_model"]) -> Float[Tensor, "node d_head"]:
        """Returns what parts of the residual stream bring to the query or key, `bias` left out."""
        return vectors @ self.rows.T


def query_read(
    attention: AttentionLayer, x: Float[Tensor, "position d_model"], *, head: int, position: int
) -> HeadRead:
    """Returns a head's query at a position of a prompt whose residual stream before the layer is `x`."""
    norm = attention.scoring.query_norm
    return _read(attention, x, attention.W_Q, attention.b_Q, norm, head=head, position=position)


def key_read(attention: AttentionLayer, x: Float[Tensor, "position d_model"], *, head: int, position: int) -> HeadRead:
    """Returns a head's key at a position; heads that share keys read the same."""
    norm = attention.scoring.key_norm
    return _read(attention, x, attention.W_K, attention.b_K, norm, head=head, position=position)


def _read(
    attention: AttentionLayer,
    x: Float[Tensor, "position d_model"],
    weight: Float[Tensor, "group d_model d_head"],
    bias: Float[Tensor, "group d_head"] | None,
    norm: HeadNorm | None,
    *,
    head: int,
    position: int,
) -> HeadRead:
    here = x[position : position + 1]
    group = head // (attention.n_heads // weight.shape[0])
    rows = weight[group].T
    constant = torch.zeros_like(rows[:, 0]) if bias is None else bias[group]
    if attention.norm is not None:
        before = frozen_norm(attention.norm, here)
        constant = constant + before.constant(rows)
        rows = before.folded(rows) / before.denominator
    if norm is not None:
        own_weight = norm.weight[head] if norm.joint else norm.weight
        whole = attention.projected(here[None], weight, bias)
        scale = own_weight.to(rows) / head_denominator(norm, whole)[0, 0, head]
        rows, constant = rows * scale[:, None], constant * scale
    if attention.scoring.rotations is not None:
        cosines, sines = (each[position] for each in attention.scoring.rotations(len(x)))
        rows, constant = turned(rows.T, cosines, sines).T, turned(constant, cosines, sines)
    return HeadRead(rows, constant)
