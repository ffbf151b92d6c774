"""The frozen model of one prompt: what is left of the model when attention patterns and norms are constants.

It is linear, so the effect of anything on a read is found by pulling the read vector back: from where it is
read, through the transposes of what lies between, to where something is written (methods.md section 1). Gradients
here are these pulled-back vectors, [position, target, d_model]; no autograd is involved.

The centring and the weight of each norm are folded into the matrix behind it and its denominator into what scales by
position (for attention: the pattern), so that a pull through attention is two matrix products and a mix of positions.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuitbase.tracing.dictionaries import Dictionary, LayerDictionary
from circuitbase.tracing.hooks import Hook
from circuitbase.tracing.models import TracedModel
from circuitbase.tracing.parts import Attention, Block, Norm
from circuitbase.tracing.run import LayerRun, PromptRun


@dataclass(frozen=True)
class FrozenNorm:
    """`weight · (x − mean x) / denominator[position] + bias`, where a None or an unset flag leaves that out."""

    denominator: Float[Tensor, " position"]
    weight: Float[Tensor, " d_model"] | None
    bias: Float[Tensor, " d_model"] | None
    centred: bool

    def folded(self, rows: Float[Tensor, "row d_model"]) -> Float[Tensor, "row d_model"]:
        """Returns rows that read the norm's output as rows that read its input times the denominator."""
        if self.weight is not None:
            rows = rows * self.weight
        return rows - rows.mean(-1, keepdim=True) if self.centred else rows

    def constant(self, rows: Float[Tensor, "row d_model"]) -> Float[Tensor, " row"]:
        """Returns what rows that read the norm's output read of its bias."""
        return torch.zeros_like(rows[:, 0]) if self.bias is None else rows @ self.bias


@dataclass(frozen=True)
class FrozenAttention:
    """OV circuits under constant patterns, with the norm before them.

    `to_heads` maps a gradient at the output to the heads' values, `mix[head, key, query]` is the
    pattern over the norm's denominator at the key, `to_input` maps values to the norm's input.
    `constant` is what the layer writes whatever it reads (biases of norm, values and output).
    """

    to_heads: Float[Tensor, "d_model value"]
    mix: Float[Tensor, "head position position"]
    to_input: Float[Tensor, "value d_model"]
    constant: Float[Tensor, "position d_model"]

    def pulled(self, gradient: Float[Tensor, "position target d_model"]) -> Float[Tensor, "position target d_model"]:
        """Returns the gradient at the input of a gradient at the output; positions may end early."""
        n_positions, n_targets, d_model = gradient.shape
        n_heads = self.mix.shape[0]
        values = gradient.reshape(-1, d_model) @ self.to_heads
        by_head = values.reshape(n_positions, n_targets, n_heads, -1).permute(2, 0, 1, 3)
        mixed = self.mix[:, :n_positions, :n_positions] @ by_head.reshape(n_heads, n_positions, -1)
        by_position = mixed.reshape(n_heads, n_positions, n_targets, -1).permute(1, 2, 0, 3)
        return (by_position.reshape(n_positions * n_targets, -1) @ self.to_input).reshape(gradient.shape)


@dataclass(frozen=True)
class FrozenLayer:
    """One block: its attention, where its dictionary reads, and the path past the features (`W_skip`).

    `skip` maps a gradient at the MLP's output to the read point's norm's input times its denominator.
    """

    attention: FrozenAttention
    read: FrozenNorm
    skip: Float[Tensor, "d_model d_model"] | None

    def past_features(
        self, gradient: Float[Tensor, "position target d_model"]
    ) -> Float[Tensor, "position target d_model"]:
        """Returns the gradient at the residual stream before the MLP of one after it."""
        if self.skip is None:
            return gradient
        return gradient + (gradient @ self.skip) / self.read.denominator[: len(gradient), None, None]


@dataclass(frozen=True)
class FrozenModel:
    """The frozen model of one prompt."""

    layers: tuple[FrozenLayer, ...]
    final_norm: FrozenNorm


def freeze(model: TracedModel, dictionary: Dictionary, run: PromptRun) -> FrozenModel:
    """Returns the frozen model of a prompt that was run."""
    blocks = zip(model.parts.blocks, dictionary.layers, run.layers, strict=True)
    return FrozenModel(
        layers=tuple(_layer(block, transcoder, dictionary.reads, seen) for block, transcoder, seen in blocks),
        final_norm=frozen_norm(model.parts.final_norm, run.final_norm_input),
    )


def frozen_norm(norm: Norm, x: Float[Tensor, "position d_model"]) -> FrozenNorm:
    """Returns a norm with the denominators it has on `x`."""
    variance = x.var(-1, correction=0) if norm.centred else x.square().mean(-1)
    return FrozenNorm(
        denominator=(variance + norm.epsilon).sqrt(), weight=norm.weight, bias=norm.bias, centred=norm.centred
    )


def frozen_read(norm: Norm, reads: Hook, x: Float[Tensor, "position d_model"]) -> FrozenNorm:
    """Returns what lies between the residual stream `x` and the point where a dictionary reads."""
    if reads == Hook.RESIDUAL_MID:
        return FrozenNorm(denominator=torch.ones_like(x[:, 0]), weight=None, bias=None, centred=False)
    frozen = frozen_norm(norm, x)
    if reads == Hook.MLP_NORMALIZED:
        return FrozenNorm(denominator=frozen.denominator, weight=None, bias=None, centred=frozen.centred)
    return frozen


def read_values(read: FrozenNorm, reads: Hook, seen: LayerRun) -> Float[Tensor, "position d_model"]:
    """Returns `r`, what a dictionary reads at every position."""
    if reads == Hook.RESIDUAL_MID:
        return seen.mlp_norm_input
    if reads == Hook.MLP_INPUT:
        return seen.mlp_norm_output
    return read.folded(seen.mlp_norm_input) / read.denominator[:, None]


def seeded(
    read: FrozenNorm, vectors: Float[Tensor, "target d_model"], position: Int[Tensor, " target"]
) -> Float[Tensor, "position target d_model"]:
    """Returns the gradients, up to the last position read at, of reads behind a norm."""
    gradient = vectors.new_zeros(int(position.max()) + 1, *vectors.shape)
    rows = torch.arange(len(position), device=position.device)
    gradient[position, rows] = read.folded(vectors) / read.denominator[position, None]
    return gradient


def _layer(block: Block, transcoder: LayerDictionary, reads: Hook, seen: LayerRun) -> FrozenLayer:
    read = frozen_read(block.mlp_norm, reads, seen.mlp_norm_input)
    return FrozenLayer(
        attention=_attention(
            block.attention, frozen_norm(block.attention_norm, seen.attention_norm_input), seen.pattern
        ),
        read=read,
        skip=None if transcoder.W_skip is None else read.folded(transcoder.W_skip),
    )


def _attention(
    attention: Attention, norm: FrozenNorm, pattern: Float[Tensor, "head position position"]
) -> FrozenAttention:
    W_V, W_O = attention.W_V, attention.W_O
    rows = W_V.transpose(1, 2)  # [head, d_head, d_model]
    constant_value = torch.zeros_like(rows[:, :, 0]) if norm.bias is None else rows @ norm.bias
    if attention.b_V is not None:
        constant_value = constant_value + attention.b_V
    written = torch.einsum("hqk,he,hed->qd", pattern, constant_value, W_O)
    return FrozenAttention(
        to_heads=W_O.reshape(-1, W_O.shape[-1]).T,
        mix=pattern.transpose(1, 2) / norm.denominator[None, :, None],
        to_input=norm.folded(rows.reshape(-1, rows.shape[-1])),
        constant=written if attention.b_O is None else written + attention.b_O,
    )
