"""The frozen model of one prompt: what is left of the model when attention patterns and norms are constants.

It is linear, so the effect of anything on a read is found by pulling the read vector back: from where it is
read, through the transposes of what lies between, to where something is written (methods.md section 1). Gradients
here are these pulled-back vectors, [position, target, d_model]; no autograd is involved.

The centring and the weight of each norm are folded into the matrix behind it and its denominator into what scales by
position (for attention: the pattern), so that a pull through attention is two matrix products and a mix of positions.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuitbase.tracing.dictionaries import Dictionary, LayerDictionary
from circuitbase.tracing.frozen_attention import FrozenAttention, frozen_attention, read_attention
from circuitbase.tracing.frozen_norm import FrozenNorm, frozen_norm, no_norm
from circuitbase.tracing.hooks import READS_BEFORE_MLP, WRITES_OF_ATTENTION, Hook
from circuitbase.tracing.models import TracedModel
from circuitbase.tracing.parts import Block
from circuitbase.tracing.precision import HALF, share_of
from circuitbase.tracing.run import LayerRun, PromptRun


@dataclass(frozen=True)
class Rounding:
    """What a half-precision model rounded away where attention writes and where the MLP does: constants of a prompt."""

    at_attention: Float[Tensor, "position d_model"]
    at_mlp: Float[Tensor, "position d_model"]
    share: float


@dataclass(frozen=True)
class FrozenLayer:
    """One block, with what its dictionary reads through and writes through.

    `read` lies between the residual stream before the MLP and where a transcoder reads it, `read_attention`
    between the block's input and where an attention SAE reads; without either, features are no targets.
    `write` lies between where the dictionary writes and the residual stream: as its linear part
    [d_write, d_model] if it is not the identity, then a bias, then a norm. `skip` maps a gradient at the
    residual stream, over the denominator of `write`, to the input of `read` times its denominator. `rounding`
    is what a half-precision model rounded away.
    """

    attention: FrozenAttention
    parallel: bool
    read: FrozenNorm | None
    read_attention: FrozenAttention | None
    write_matrix: Float[Tensor, "d_write d_model"] | None
    write_bias: Float[Tensor, " d_model"] | None
    write: FrozenNorm
    skip: Float[Tensor, "d_model d_model"] | None
    rounding: Rounding | None = None

    def past_features(
        self, gradient: Float[Tensor, "position target d_model"]
    ) -> Float[Tensor, "position target d_model"] | None:
        """Returns what the skip path adds to the gradient before the MLP of one after it, None without one."""
        if self.skip is None:
            return None
        return (gradient @ self.skip) / self._skip_denominator[: len(gradient), None, None]

    def skipped(
        self, gradient: Float[Tensor, "row d_model"], position: Int[Tensor, " row"]
    ) -> Float[Tensor, "row d_model"] | None:
        """Returns the same for gradients that are at one position each."""
        if self.skip is None:
            return None
        return (gradient @ self.skip) / self._skip_denominator[position, None]

    def pushed_past_features(
        self, x: Float[Tensor, "position row d_model"]
    ) -> Float[Tensor, "position row d_model"] | None:
        """Returns what the skip path writes of what the MLP reads, None without one: the transpose of the above."""
        if self.skip is None:
            return None
        return (x @ self.skip.T) / self._skip_denominator[: len(x), None, None]

    @property
    def _skip_denominator(self) -> Float[Tensor, " position"]:
        assert self.read is not None
        return self.read.denominator * self.write.denominator

    def written_bias(self, n_positions: int) -> Float[Tensor, "position d_model"]:
        """Returns what is written whatever the dictionary writes: biases behind its write point."""
        every = torch.arange(n_positions, device=self.write.denominator.device)
        nothing = self.write.denominator.new_zeros(n_positions, self.attention.to_input.shape[1])
        found = nothing if self.write_bias is None else self.write.applied(nothing + self.write_bias, every)
        return found if self.write.bias is None else found + self.write.bias

    def written(
        self, vectors: Float[Tensor, "write d_write"], position: Int[Tensor, " write"]
    ) -> Float[Tensor, "write d_model"]:
        """Returns what vectors at the dictionary's write point become in the residual stream."""
        if self.write_matrix is not None:
            vectors = vectors @ self.write_matrix
        return self.write.applied(vectors, position)


@dataclass(frozen=True)
class FrozenModel:
    """The frozen model of one prompt; `final_norm` is read at the residual stream after the last block."""

    layers: tuple[FrozenLayer, ...]
    final_norm: FrozenNorm


def freeze(model: TracedModel, dictionary: Dictionary, run: PromptRun) -> FrozenModel:
    """Returns the frozen model of a prompt that was run."""
    blocks = zip(model.parts.blocks, dictionary.layers, run.layers, strict=True)
    layers = tuple(_layer(block, features, dictionary, seen) for block, features, seen in blocks)
    if model.dtype in HALF:
        after = (*(seen.input for seen in run.layers[1:]), run.final)
        every = zip(layers, run.layers, after, strict=True)
        layers = tuple(_with_rounding(layer, seen, x, writes=dictionary.writes) for layer, seen, x in every)
    return FrozenModel(
        layers=layers,
        final_norm=frozen_norm(model.parts.final_norm, run.final),
    )


def seeded(
    rows: Float[Tensor, "target d_model"], position: Int[Tensor, " target"], *, n_positions: int
) -> Float[Tensor, "position target d_model"]:
    """Returns the gradients, over the first positions, of targets that read with one row at one position each."""
    gradient = rows.new_zeros(n_positions, *rows.shape)
    gradient[position, torch.arange(len(position), device=position.device)] = rows
    return gradient


def read_values(layer: FrozenLayer, reads: Hook, seen: LayerRun) -> Float[Tensor, "position d_read"]:
    """Returns `r`, what a dictionary reads at every position."""
    match reads:
        case Hook.RESIDUAL_MID:
            return seen.before_mlp
        case Hook.MLP_NORMALIZED:
            assert layer.read is not None
            return layer.read.folded(seen.before_mlp) / layer.read.denominator[:, None]
        case Hook.MLP_INPUT if layer.rounding is None:
            return seen.mlp_input
        case Hook.MLP_INPUT:  # as the frozen norm has it, not as the model rounded it
            assert layer.read is not None
            every = torch.arange(len(seen.before_mlp), device=seen.before_mlp.device)
            r = layer.read.applied(seen.before_mlp, every)
            return r if layer.read.bias is None else r + layer.read.bias
    return write_values(reads, seen)


def write_values(writes: Hook, seen: LayerRun) -> Float[Tensor, "position d_write"]:
    """Returns `y`, what a dictionary reconstructs at every position."""
    match writes:
        case Hook.MLP_OUTPUT:
            return seen.mlp_output
        case Hook.MLP_WRITE:
            return seen.mlp_write
        case Hook.HEAD_VALUES:
            return seen.head_values
        case Hook.ATTENTION_OUTPUT:
            return seen.attention_output
    assert writes == Hook.ATTENTION_WRITE
    return seen.attention_write


def _layer(block: Block, features: LayerDictionary, dictionary: Dictionary, seen: LayerRun) -> FrozenLayer:
    read = _read(block, dictionary.reads, seen)
    write, matrix = _write(block, dictionary.writes, seen)
    b_O = block.attention.b_O
    on_attention = dictionary.writes in WRITES_OF_ATTENTION
    return FrozenLayer(
        attention=frozen_attention(block, seen),
        parallel=block.parallel,
        read=read,
        read_attention=read_attention(block, seen, hook=dictionary.reads) if on_attention else None,
        write_matrix=matrix,
        write_bias=None if matrix is None or b_O is None else b_O.to(seen.input),
        write=write,
        skip=None if features.W_skip is None or read is None else read.folded(write.shaped(features.W_skip.T).T),
    )


def _with_rounding(
    layer: FrozenLayer, seen: LayerRun, after: Float[Tensor, "position d_model"], *, writes: Hook
) -> FrozenLayer:
    """Returns a layer that knows what the model rounded away, so that accounts close; `after` comes out of it."""
    every = torch.arange(len(after), device=after.device)
    y = write_values(writes, seen)
    by_dictionary = layer.written(y, every) + layer.written_bias(len(after))
    attention, read = layer.attention, layer.read_attention
    at_attention, at_mlp = attention.pushed(seen.input[:, None])[:, 0] + attention.constant, by_dictionary
    if read is not None:
        at_attention, at_mlp = by_dictionary, seen.mlp_write
        constant = y - read.pushed(seen.input[:, None])[:, 0]  # that what is read there is what the model had
        layer = replace(layer, read_attention=replace(read, constant=constant))
    before_mlp = seen.input + at_attention if layer.parallel else seen.before_mlp
    rounded = (before_mlp - seen.input - at_attention, after - before_mlp - at_mlp)
    if read is None:
        layer = replace(layer, attention=replace(attention, constant=attention.constant + rounded[0]))
    return replace(layer, rounding=Rounding(*rounded, share=max(share_of(each, after) for each in rounded)))


def _read(block: Block, reads: Hook, seen: LayerRun) -> FrozenNorm | None:
    """Returns what lies between the residual stream before the MLP and where a dictionary reads."""
    if reads not in READS_BEFORE_MLP:
        return None
    if reads == Hook.RESIDUAL_MID or block.mlp_norm is None:
        return no_norm(seen.before_mlp)
    frozen = frozen_norm(block.mlp_norm, seen.before_mlp)
    if reads == Hook.MLP_INPUT:
        return frozen
    return FrozenNorm(denominator=frozen.denominator, weight=None, bias=None, centred=frozen.centred)


def _write(block: Block, writes: Hook, seen: LayerRun) -> tuple[FrozenNorm, Tensor | None]:
    """Returns what lies between where a dictionary writes and the residual stream: a norm, a matrix before it."""
    match writes:
        case Hook.MLP_OUTPUT if block.mlp_post_norm is not None:
            return frozen_norm(block.mlp_post_norm, seen.mlp_output), None
        case Hook.ATTENTION_OUTPUT if block.attention_post_norm is not None:
            return frozen_norm(block.attention_post_norm, seen.attention_output), None
        case Hook.HEAD_VALUES:
            W_O = block.attention.W_O.to(seen.head_values)
            norm = block.attention_post_norm
            after = no_norm(seen.input) if norm is None else frozen_norm(norm, seen.attention_output)
            return after, W_O.reshape(-1, W_O.shape[-1])
    return no_norm(seen.input), None
