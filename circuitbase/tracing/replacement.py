"""A prompt's MLP (or attention) outputs as the dictionary explains them: active features, errors, constants."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuitbase.tracing.dictionaries import Dictionary, Firing, LayerDictionary
from circuitbase.tracing.frozen import FrozenLayer, FrozenModel, read_values, write_values
from circuitbase.tracing.run import PromptRun


@dataclass(frozen=True)
class Features:
    """Features of one layer at positions, sorted by position and feature; `read` has a row of W_enc for each.

    `preactivation` is W_enc·r, without b_enc; activations are 0 and margins (threshold minus
    pre-activation with b_enc) are numbers where the features are silent, else margins are nan.
    """

    position: Int[Tensor, " feature"]
    unit: Int[Tensor, " feature"]
    activation: Float[Tensor, " feature"]
    preactivation: Float[Tensor, " feature"]
    margin: Float[Tensor, " feature"]
    read: Float[Tensor, "feature d_read"]

    def __len__(self) -> int:
        return len(self.position)


@dataclass(frozen=True)
class ReplacedLayer:
    """What a layer's part puts into the residual stream as `Σ write + error + constant + skip`.

    Active features (a ≠ 0) are at positions with nodes alone. `write[j]` is what they write into
    layer l + j. At a position without nodes the error is 0 and the constant takes its place.
    `unexplained` is the fraction of the variance of the part's output that the error is.
    """

    active: Features
    silent: Features
    write: tuple[Float[Tensor, "active d_model"], ...]
    error: Float[Tensor, "position d_model"]
    constant: Float[Tensor, "position d_model"]
    unexplained: float


@dataclass(frozen=True)
class SilentFeature:
    """A feature to be traced where it does not fire, at one position."""

    layer: int
    feature: int
    position: int


def fired_in(
    dictionary: Dictionary, frozen: Sequence[FrozenModel], runs: Sequence[PromptRun]
) -> list[tuple[Firing, ...]]:
    """Returns what fires on each of several prompts, per layer; every layer is encoded once for all of them."""
    lengths = [len(run.final) for run in runs]
    starts = torch.tensor([0, *lengths], device=runs[0].final.device).cumsum(0)
    per_layer = []
    for layer, features in enumerate(dictionary.layers):
        read = [
            read_values(model.layers[layer], dictionary.reads, run.layers[layer])
            for model, run in zip(frozen, runs, strict=True)
        ]
        per_layer.append(list(_split(features.fired(torch.cat(read)), starts)))
    return [tuple(layer[place] for layer in per_layer) for place in range(len(runs))]


def replaced_layers(
    dictionary: Dictionary,
    frozen: FrozenModel,
    run: PromptRun,
    fired: Sequence[Firing],
    *,
    without_nodes: Sequence[int],
    silent: Sequence[SilentFeature] = (),
) -> tuple[ReplacedLayer, ...]:
    """Returns every layer's part as the dictionary explains it on a prompt; `fired` at all positions."""
    has_nodes = torch.ones(len(run.final), dtype=torch.bool, device=run.final.device)
    has_nodes[list(without_nodes)] = False
    kept = [_at(each, has_nodes[each.position]) for each in fired]
    writes = [
        _writes(dictionary, frozen, firing, layer=layer, has_later=len(kept)) for layer, firing in enumerate(kept)
    ]
    found = []
    for layer, (features, firing) in enumerate(zip(dictionary.layers, kept, strict=True)):
        seen = run.layers[layer]
        r = read_values(frozen.layers[layer], dictionary.reads, seen)
        y = write_values(dictionary.writes, seen)
        explained = _explained(writes, kept, layer=layer, like=y)
        error, constant, unexplained = _left_over(
            features, frozen.layers[layer], r, y, explained=explained, has_nodes=has_nodes
        )
        found.append(
            ReplacedLayer(
                active=_features(features, r, firing),
                silent=_silent(features, r, [each for each in silent if each.layer == layer], firing),
                write=tuple(residual for _, residual in writes[layer]),
                error=error,
                constant=constant,
                unexplained=unexplained,
            )
        )
    return tuple(found)


def _split(firing: Firing, starts: Int[Tensor, " boundary"]) -> Iterator[Firing]:
    """Yields the parts of a firing over joined prompts, positions counted from each prompt's own start."""
    cuts = torch.searchsorted(firing.position, starts).tolist()
    for first, start, stop in zip(starts.tolist(), cuts, cuts[1:], strict=False):
        part = slice(start, stop)
        yield Firing(firing.position[part] - first, firing.feature[part], firing.activation[part])


def _at(firing: Firing, chosen: Tensor) -> Firing:
    return Firing(firing.position[chosen], firing.feature[chosen], firing.activation[chosen])


def _writes(
    dictionary: Dictionary, frozen: FrozenModel, firing: Firing, *, layer: int, has_later: int
) -> list[tuple[Tensor, Tensor]]:
    """Returns per layer from `layer` on (what the features write at the write point, and in the residual stream)."""
    found = []
    for slot, rows in enumerate(dictionary.layers[layer].W_dec):
        assert layer + slot < has_later
        vectors = firing.activation[:, None] * rows.chosen(firing.feature)
        found.append((vectors, frozen.layers[layer + slot].written(vectors, firing.position)))
    return found


def _explained(
    writes: Sequence[list[tuple[Tensor, Tensor]]], kept: Sequence[Firing], *, layer: int, like: Tensor
) -> Float[Tensor, "position d_write"]:
    """Returns the sum of what all features write at a layer's write point, added in the same order every time."""
    total = torch.zeros_like(like)
    for earlier in range(layer + 1):
        slot = layer - earlier
        if slot < len(writes[earlier]):
            total += _summed(writes[earlier][slot][0], kept[earlier].position, n_positions=len(like))
    return total


def _summed(
    write: Float[Tensor, "active width"], position: Int[Tensor, " active"], *, n_positions: int
) -> Float[Tensor, "position width"]:
    per_position = torch.bincount(position, minlength=n_positions)
    return torch.segment_reduce(write, "sum", lengths=per_position, axis=0)


def _left_over(
    features: LayerDictionary,
    layer: FrozenLayer,
    r: Float[Tensor, "position d_read"],
    y: Float[Tensor, "position d_write"],
    *,
    explained: Float[Tensor, "position d_write"],
    has_nodes: Tensor,
) -> tuple[Tensor, Tensor, float]:
    """Returns the error and the constant in the residual stream, and the fraction of variance unexplained."""
    every = torch.arange(len(y), device=y.device)
    skipped = torch.zeros_like(y) if features.W_skip is None else r @ features.W_skip.T
    error = torch.where(has_nodes[:, None], y - skipped - features.b_dec - explained, 0)
    constant = torch.where(has_nodes[:, None], features.b_dec, y - skipped)
    if features.W_skip is not None and layer.read is not None and layer.read.bias is not None:
        constant = constant + features.W_skip @ layer.read.bias
    constant = layer.written(constant, every) + layer.written_bias(len(y))
    return layer.written(error, every), constant, _unexplained(error[has_nodes], y[has_nodes])


def _features(features: LayerDictionary, r: Float[Tensor, "position d_read"], firing: Firing) -> Features:
    read = features.W_enc.chosen(firing.feature)
    return Features(
        position=firing.position,
        unit=firing.feature,
        activation=firing.activation,
        preactivation=(read * r[firing.position]).sum(-1),
        margin=torch.full_like(firing.activation, torch.nan),
        read=read,
    )


def _silent(
    features: LayerDictionary, r: Float[Tensor, "position d_read"], asked: Sequence[SilentFeature], firing: Firing
) -> Features:
    """Returns those of the asked features that do not fire, in order."""
    active = set(zip(firing.position.tolist(), firing.feature.tolist(), strict=True))
    places = sorted({(each.position, each.feature) for each in asked} - active)
    index = torch.tensor(places, dtype=torch.long, device=r.device).reshape(-1, 2)
    nothing = Firing(index[:, 0], index[:, 1], torch.zeros(len(index), dtype=r.dtype, device=r.device))
    found = _features(features, r, nothing)
    threshold = features.activation.threshold_of(nothing.feature)
    if threshold is None:
        return found
    margin = threshold - (found.preactivation + features.b_enc[nothing.feature])
    return Features(**{**vars(found), "margin": margin})


def _unexplained(error: Float[Tensor, "kept width"], y: Float[Tensor, "kept width"]) -> float:
    """Returns the fraction of the variance of y that the error is; around 0 where there is one position."""
    centre = y.mean(0) if len(y) > 1 else torch.zeros_like(y[0])
    return float(error.double().square().sum() / (y - centre).double().square().sum().clamp_min(1e-300))
