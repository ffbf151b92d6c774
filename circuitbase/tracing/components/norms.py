"""Norms as they are, denominators included: what they give, and what their derivative does to a gradient."""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from circuitbase.tracing.parts import Norm

if TYPE_CHECKING:
    from circuitbase.tracing.components.layers import HeadNorm


def normed(norm: Norm | None, x: Float[Tensor, "*place d_model"]) -> Float[Tensor, "*place d_model"]:
    """Returns what a norm makes of the residual stream; None changes nothing."""
    if norm is None:
        return x
    found = shaped_over(norm, x, x)
    return found if norm.bias is None else found + norm.bias.to(x)


def shaped_over(
    norm: Norm, vectors: Float[Tensor, "*place d_model"], whole: Float[Tensor, "*outer d_model"]
) -> Float[Tensor, "*place d_model"]:
    """Returns the linear part of a norm of vectors, with the denominator that it has on `whole`.

    `whole` has the vectors' places, or fewer last ones: one denominator for all heads of a position.
    """
    over = denominator(norm, whole)
    over = over.reshape(over.shape + (1,) * (vectors.dim() - over.dim()))
    if norm.centred:
        vectors = vectors - vectors.mean(-1, keepdim=True)
    return vectors * norm.weight.to(vectors) / over


def unshaped_over(
    norm: Norm, reads: Float[Tensor, "*place d_model"], whole: Float[Tensor, "*place d_model"]
) -> Float[Tensor, "*place d_model"]:
    """Returns what reads the result of `shaped_over` as what reads the vectors it was given: its transpose."""
    reads = reads * norm.weight.to(reads)
    if norm.centred:
        reads = reads - reads.mean(-1, keepdim=True)
    return reads / denominator(norm, whole)[..., None]


def denominator(norm: Norm, x: Float[Tensor, "*place d_model"]) -> Float[Tensor, " *place"]:
    """Returns what a norm divides by."""
    centred = x - x.mean(-1, keepdim=True) if norm.centred else x
    variance = centred.square().mean(-1)  # not `var`, which warns where there are no places
    return (variance + norm.epsilon).sqrt()


def pulled(
    norm: Norm | None, gradient: Float[Tensor, "*place row d_model"], x: Float[Tensor, "*place d_model"]
) -> Float[Tensor, "*place row d_model"]:
    """Returns gradients at a norm's output as gradients at its input `x`, the denominator's part included.

    Each place has `row` gradients at the one input.
    """
    if norm is None:
        return gradient
    gradient = gradient * norm.weight.to(gradient)
    centred = x - x.mean(-1, keepdim=True) if norm.centred else x
    over = denominator(norm, x)[..., None]
    direction = centred / over
    if norm.centred:
        gradient = gradient - gradient.mean(-1, keepdim=True)
    along = gradient @ direction[..., None] / x.shape[-1]
    return (gradient - along * direction[..., None, :]) / over[..., None]


def pushed(
    norm: Norm | None, rows: Float[Tensor, "row *place d_model"], x: Float[Tensor, "*place d_model"]
) -> Float[Tensor, "row *place d_model"]:
    """Returns what rows that are added to a norm's input `x` add, to first order, to its output.

    A norm forgets the scale of its input, so rows along `x` all but vanish: the differences are taken in double
    precision.
    """
    if norm is None:
        return rows
    rows, x, dtype = rows.double(), x.double(), rows.dtype
    over = denominator(norm, x)[..., None]
    direction = (x - x.mean(-1, keepdim=True) if norm.centred else x) / over
    if norm.centred:
        rows = rows - rows.mean(-1, keepdim=True)
    along = (rows * direction).mean(-1, keepdim=True)
    return ((rows - along * direction) / over * norm.weight.to(rows)).to(dtype)


def pushed_heads(
    norm: "HeadNorm | None",
    rows: Float[Tensor, "row position head d_head"],
    vectors: Float[Tensor, "position head d_head"],
) -> Float[Tensor, "row position head d_head"]:
    """Returns what rows that are added to queries or keys add, to first order, to what their norm makes of them."""
    if norm is None:
        return rows
    rows, vectors, dtype = rows.double(), vectors.double(), rows.dtype
    over = head_denominator(norm, vectors[None])[0]
    direction = vectors / over
    along = (rows * direction).mean((-2, -1) if norm.joint else -1, keepdim=True)
    return ((rows - along * direction) / over * norm.weight.to(rows)).to(dtype)


def normed_heads(
    norm: "HeadNorm | None", vectors: Float[Tensor, "batch position head d_head"]
) -> Float[Tensor, "batch position head d_head"]:
    """Returns queries or keys behind their norm; None changes nothing."""
    if norm is None:
        return vectors
    return vectors * norm.weight.to(vectors) / head_denominator(norm, vectors)


def head_denominator(
    norm: "HeadNorm", vectors: Float[Tensor, "batch position head d_head"]
) -> Float[Tensor, "batch position head 1"]:
    """Returns what a norm of queries or keys divides by; a joint one divides all heads by the same."""
    over = torch.sqrt(vectors.square().mean((-2, -1) if norm.joint else -1, keepdim=True) + norm.epsilon)
    return over.expand(*vectors.shape[:-1], 1)
