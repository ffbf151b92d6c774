"""A prompt's MLPs as the dictionary explains them: active features, errors, and what is constant."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuitbase.tracing.dictionaries import Dictionary, LayerDictionary
from circuitbase.tracing.frozen import FrozenModel, FrozenNorm, read_values
from circuitbase.tracing.run import PromptRun


@dataclass(frozen=True)
class ReplacedMlp:
    """One MLP's output as `Σ write + constant + skip + error`.

    Active features (a ≠ 0) are sorted by position and index, at positions with nodes alone. `write`
    is a·W_dec and `read` W_enc, one row per active feature; `preactivation` is W_enc·r, without
    b_enc. At a position without nodes the error is 0 and the constant takes its place.
    """

    position: Int[Tensor, " active"]
    unit: Int[Tensor, " active"]
    activation: Float[Tensor, " active"]
    preactivation: Float[Tensor, " active"]
    read: Float[Tensor, "active d_model"]
    write: Float[Tensor, "active d_model"]
    error: Float[Tensor, "position d_model"]
    constant: Float[Tensor, "position d_model"]
    unexplained: float

    @property
    def n_active(self) -> int:
        """Returns the number of active features at all positions."""
        return len(self.position)


def replaced_mlps(
    dictionary: Dictionary, frozen: FrozenModel, run: PromptRun, *, without_nodes: Sequence[int]
) -> tuple[ReplacedMlp, ...]:
    """Returns every layer's MLP as the dictionary explains it on this prompt."""
    layers = zip(dictionary.layers, frozen.layers, run.layers, strict=True)
    return tuple(
        _replaced(
            transcoder,
            read_values(layer.read, dictionary.reads, seen),
            seen.mlp_output,
            read=layer.read,
            without_nodes=without_nodes,
        )
        for transcoder, layer, seen in layers
    )


def _replaced(
    transcoder: LayerDictionary,
    r: Float[Tensor, "position d_model"],
    y: Float[Tensor, "position d_model"],
    *,
    read: FrozenNorm,
    without_nodes: Sequence[int],
) -> ReplacedMlp:
    has_nodes = torch.ones(len(r), dtype=torch.bool, device=r.device)
    has_nodes[list(without_nodes)] = False
    fired = transcoder.fired(r)
    kept = has_nodes[fired.position]
    position, unit, activation = fired.position[kept], fired.feature[kept], fired.activation[kept]
    write = activation[:, None] * transcoder.W_dec[0].chosen(unit)
    vectors = transcoder.W_enc.chosen(unit)

    skipped = torch.zeros_like(y) if transcoder.W_skip is None else r @ transcoder.W_skip.T
    error = y - skipped - transcoder.b_dec - _summed(write, position, n_positions=len(r))
    error = torch.where(has_nodes[:, None], error, 0)
    constant = torch.where(has_nodes[:, None], transcoder.b_dec, y - skipped)
    if transcoder.W_skip is not None and read.bias is not None:
        constant = constant + transcoder.W_skip @ read.bias
    return ReplacedMlp(
        position=position,
        unit=unit,
        activation=activation,
        preactivation=(vectors * r[position]).sum(-1),
        read=vectors,
        write=write,
        error=error,
        constant=constant,
        unexplained=_unexplained(error[has_nodes], y[has_nodes]),
    )


def _summed(
    write: Float[Tensor, "active d_model"], position: Int[Tensor, " active"], *, n_positions: int
) -> Float[Tensor, "position d_model"]:
    """Returns the sum of the writes at each position, added in the same order every time."""
    per_position = torch.bincount(position, minlength=n_positions).tolist()
    return torch.stack([rows.sum(0) for rows in write.split(per_position)])


def _unexplained(error: Float[Tensor, "kept d_model"], y: Float[Tensor, "kept d_model"]) -> float:
    """Returns the fraction of the variance of y that the error is; around 0 where there is one position."""
    centre = y.mean(0) if len(y) > 1 else torch.zeros_like(y[0])
    return float(error.double().square().sum() / (y - centre).double().square().sum().clamp_min(1e-300))
