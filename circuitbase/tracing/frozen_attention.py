"""An attention layer under a constant pattern: its OV circuits, with the norms before and after."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuitbase.tracing.frozen_norm import FrozenNorm, frozen_norm, no_norm
from circuitbase.tracing.hooks import Hook
from circuitbase.tracing.parts import Block
from circuitbase.tracing.run import LayerRun


@dataclass(frozen=True)
class FrozenAttention:
    """What an attention layer does to a gradient.

    `to_heads` maps a gradient behind the layer to the heads' mixed values (None where it is at them),
    `mix[head, key, query]` is the pattern over the denominators of the norm before, at the key, and of the norm
    after, at the query; `to_input` maps values, summed over the heads that share them, to the layer's input.
    `constant` is what the layer writes whatever it reads (biases of norms, values and output).
    """

    to_heads: Float[Tensor, "d_out value"] | None
    mix: Float[Tensor, "head position position"]
    to_input: Float[Tensor, "group_value d_model"]
    constant: Float[Tensor, "position d_out"]

    def mixed(self, gradient: Float[Tensor, "position target d_out"]) -> Float[Tensor, "position target group_value"]:
        """Returns the gradient at the values before they are mixed, in the heads' groups."""
        n_positions, n_targets, _ = gradient.shape
        n_heads = self.mix.shape[0]
        by_head = self.at_heads(gradient).reshape(n_positions, n_targets, n_heads, -1).permute(2, 0, 1, 3)
        mixed = self.mix[:, :n_positions, :n_positions] @ by_head.reshape(n_heads, n_positions, -1)
        return self._grouped(mixed.reshape(n_heads, n_positions, n_targets, -1))

    def mixed_from(
        self, vectors: Float[Tensor, "target d_out"], position: Int[Tensor, " target"], *, n_positions: int
    ) -> Float[Tensor, "position target group_value"]:
        """Returns what `mixed` does for gradients that are at one position each."""
        n_heads = self.mix.shape[0]
        values = self.at_heads(vectors).reshape(len(vectors), n_heads, -1).transpose(0, 1)  # [head, target, value]
        weight = self.mix[:, :n_positions].index_select(2, position)  # [head, key, target]
        return self._grouped(weight[..., None] * values[:, None])

    def pulled_from(
        self, vectors: Float[Tensor, "target d_out"], position: Int[Tensor, " target"], *, n_positions: int
    ) -> Float[Tensor, "position target d_model"]:
        """Returns the gradients at the input of gradients at the output that are at one position each.

        Every key reads such a gradient through the same few vectors, one a head, so the product with
        `to_input` is that of one position.
        """
        n_heads, n_targets = self.mix.shape[0], len(vectors)
        values = self.at_heads(vectors).reshape(n_targets, n_heads, -1).transpose(0, 1)  # [head, target, value]
        groups = self.to_input.reshape(-1, values.shape[-1], self.to_input.shape[-1])
        by_head = values @ groups.repeat_interleave(n_heads // len(groups), dim=0)  # [head, target, d_model]
        weight = self.mix[:, :n_positions].index_select(2, position)  # [head, key, target]
        return torch.einsum("hkt,htd->ktd", weight, by_head)

    def at_input(self, mixed: Float[Tensor, "position target group_value"]) -> Float[Tensor, "position target d_model"]:
        """Returns the gradient at the input of a gradient at the values."""
        return (mixed.reshape(-1, mixed.shape[-1]) @ self.to_input).reshape(*mixed.shape[:2], -1)

    def pushed(self, x: Float[Tensor, "position row d_model"]) -> Float[Tensor, "position row d_out"]:
        """Returns what the layer writes, constants apart, of what it reads: the other way round."""
        return self.from_mixed(self.mixed_values(x))

    def from_mixed(self, mixed: Float[Tensor, "position row value"]) -> Float[Tensor, "position row d_out"]:
        """Returns what the layer writes of the heads' mixed values."""
        return mixed if self.to_heads is None else mixed @ self.to_heads.T

    def mixed_values(self, x: Float[Tensor, "position row d_model"]) -> Float[Tensor, "position row value"]:
        """Returns the heads' mixed values, constants apart, of what the layer reads, over the norms' denominators."""
        n_positions, n_rows, _ = x.shape
        n_heads = self.mix.shape[0]
        d_head = (self.constant.shape[1] if self.to_heads is None else self.to_heads.shape[1]) // n_heads
        values = (x @ self.to_input.T).reshape(n_positions, n_rows, -1, d_head)
        by_head = values.repeat_interleave(n_heads // values.shape[2], dim=2).permute(2, 0, 1, 3)
        mixed = self.mix[:, :n_positions, :n_positions].transpose(1, 2) @ by_head.reshape(n_heads, n_positions, -1)
        return mixed.reshape(n_heads, n_positions, n_rows, d_head).permute(1, 2, 0, 3).reshape(n_positions, n_rows, -1)

    def at_heads(self, gradient: Float[Tensor, "*place d_out"]) -> Float[Tensor, "row value"]:
        """Returns gradients behind the layer, in rows, as gradients at the heads' mixed values."""
        rows = gradient.reshape(-1, gradient.shape[-1])
        return rows if self.to_heads is None else rows @ self.to_heads

    def _grouped(
        self, by_head: Float[Tensor, "head position target d_head"]
    ) -> Float[Tensor, "position target group_value"]:
        """Returns the gradient at the values, summed over the heads that read the same values."""
        n_heads, n_positions, n_targets, d_head = by_head.shape
        n_groups = self.to_input.shape[0] // d_head
        if n_groups < n_heads:
            by_head = by_head.reshape(n_groups, -1, n_positions, n_targets, d_head).sum(1)
        return by_head.permute(1, 2, 0, 3).reshape(n_positions, n_targets, -1)


def frozen_attention(block: Block, seen: LayerRun) -> FrozenAttention:
    """Returns a block's attention from its input to what it writes into the residual stream."""
    after = block.attention_post_norm
    return _frozen(
        block, seen, after=no_norm(seen.input) if after is None else frozen_norm(after, seen.attention_output)
    )


def read_attention(block: Block, seen: LayerRun, *, hook: Hook) -> FrozenAttention:
    """Returns a block's attention from its input to where an SAE reads it."""
    if hook == Hook.ATTENTION_WRITE:
        return frozen_attention(block, seen)
    whole = _frozen(block, seen, after=no_norm(seen.input))
    if hook == Hook.ATTENTION_OUTPUT:
        return whole
    values = _constant_values(block, seen)
    return FrozenAttention(to_heads=None, mix=whole.mix, to_input=whole.to_input, constant=values)


def _frozen(block: Block, seen: LayerRun, *, after: FrozenNorm) -> FrozenAttention:
    attention, like = block.attention, seen.input
    before = _before(block, seen)
    W_V, W_O = attention.W_V.to(like), attention.W_O.to(like)
    rows = W_V.transpose(1, 2).reshape(-1, W_V.shape[1])  # [group · d_head, d_model]
    output = W_O.reshape(-1, W_O.shape[-1])
    every = torch.arange(len(seen.input), device=seen.input.device)
    written = _constant_values(block, seen) @ output
    if attention.b_O is not None:
        written = written + attention.b_O.to(like)
    constant = after.applied(written, every)
    return FrozenAttention(
        to_heads=after.shaped(output).T,
        mix=seen.pattern.transpose(1, 2) / (before.denominator[None, :, None] * after.denominator[None, None, :]),
        to_input=before.folded(rows),
        constant=constant if after.bias is None else constant + after.bias,
    )


def _before(block: Block, seen: LayerRun) -> FrozenNorm:
    return no_norm(seen.input) if block.attention_norm is None else frozen_norm(block.attention_norm, seen.input)


def _constant_values(block: Block, seen: LayerRun) -> Float[Tensor, "position value"]:
    """Returns what the heads hand on whatever they read, [position, head · d_head]."""
    attention, like = block.attention, seen.input
    before = _before(block, seen)
    W_V = attention.W_V.to(like)
    value = torch.zeros_like(W_V[:, 0]) if before.bias is None else torch.einsum("gde,d->ge", W_V, before.bias)
    if attention.b_V is not None:
        value = value + attention.b_V.to(like)
    n_heads = seen.pattern.shape[0]
    per_head = value.repeat_interleave(n_heads // len(value), dim=0)
    return torch.einsum("hqk,he->qhe", seen.pattern, per_head).reshape(len(seen.input), -1)
