"""What a dictionary's features do with their pre-activations."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Firing:
    """The active features (a ≠ 0) of a prompt in one layer, sorted by position and feature."""

    position: Int[Tensor, " active"]
    feature: Int[Tensor, " active"]
    activation: Float[Tensor, " active"]


@dataclass(frozen=True)
class Part:
    """The pre-activations, or activations, of the features from `first` on."""

    first: int
    values: Float[Tensor, "position feature"]


@dataclass(frozen=True)
class Relu:
    """z where it is positive, else 0."""

    def __call__(self, z: Float[Tensor, "position feature"]) -> Float[Tensor, "position feature"]:
        """Returns the activations."""
        return z.relu()

    def fired(self, parts: Iterable[Part]) -> Firing:
        """Returns the active features, given the pre-activations of some after the others."""
        return _joined(Part(part.first, self(part.values)) for part in parts)

    def threshold_of(self, feature: Int[Tensor, " chosen"]) -> Float[Tensor, " chosen"]:
        """Returns the value that a feature's pre-activation must exceed."""
        return torch.zeros(len(feature), device=feature.device)


@dataclass(frozen=True)
class JumpRelu:
    """z where it exceeds its feature's threshold, strictly, else 0.

    Gated and BatchTopK features are of this kind too, with thresholds made from their gates.
    """

    threshold: Float[Tensor, " feature"]

    def __call__(self, z: Float[Tensor, "position feature"]) -> Float[Tensor, "position feature"]:
        """Returns the activations."""
        return _above(z, self.threshold)

    def fired(self, parts: Iterable[Part]) -> Firing:
        """Returns the active features, given the pre-activations of some after the others."""
        return _joined(
            Part(part.first, _above(part.values, self.threshold[part.first : part.first + part.values.shape[1]]))
            for part in parts
        )

    def threshold_of(self, feature: Int[Tensor, " chosen"]) -> Float[Tensor, " chosen"]:
        """Returns the value that a feature's pre-activation must exceed."""
        return self.threshold[feature]


@dataclass(frozen=True)
class TopK:
    """The k largest z of each position, else 0; with `positive` those of them that are positive.

    circuit-tracer keeps negative ones too. What is ranked is `z`, with `rank_scale` z times the
    feature's scale, and with `by_magnitude` the absolute value of either. No feature has a threshold of its own.
    """

    k: int
    positive: bool
    rank_scale: Float[Tensor, " feature"] | None = None
    by_magnitude: bool = False

    def __call__(self, z: Float[Tensor, "position feature"]) -> Float[Tensor, "position feature"]:
        """Returns the activations."""
        largest = torch.topk(self._ranked(Part(0, z)), self.k, dim=-1).indices
        kept = torch.zeros_like(z).scatter(-1, largest, z.gather(-1, largest))
        return kept.relu() if self.positive else kept

    def fired(self, parts: Iterable[Part]) -> Firing:
        """Returns the active features, keeping of the pre-activations seen so far only the k that lead."""
        rank, feature, value = (torch.empty(0),) * 3
        for part in parts:
            found = self._ranked(part)
            rank_here, at = torch.topk(found, min(self.k, found.shape[1]), dim=-1)
            value_here = part.values.gather(-1, at)
            if part.first == 0:
                rank, feature, value = rank_here, at, value_here
                continue
            rank, feature, value = (
                torch.cat(pair, dim=-1) for pair in ((rank, rank_here), (feature, at + part.first), (value, value_here))
            )
            rank, leads = torch.topk(rank, min(self.k, rank.shape[1]), dim=-1)
            feature, value = feature.gather(-1, leads), value.gather(-1, leads)
        return _sorted(feature, value.relu() if self.positive else value)

    def threshold_of(self, feature: Int[Tensor, " chosen"]) -> None:
        """Returns None: whether a feature is active depends on its rivals."""
        return

    def _ranked(self, part: Part) -> Float[Tensor, "position feature"]:
        z = part.values
        if self.rank_scale is not None:
            z = z * self.rank_scale[part.first : part.first + z.shape[1]]
        return z.abs() if self.by_magnitude else z


@dataclass(frozen=True)
class GroupMax:
    """The largest z of each of `groups` equal, contiguous groups of features if it is positive, else 0."""

    groups: int

    def __call__(self, z: Float[Tensor, "position feature"]) -> Float[Tensor, "position feature"]:
        """Returns the activations."""
        feature, value = self._largest(z)
        return torch.zeros_like(z).scatter(-1, feature, value.relu())

    def fired(self, parts: Iterable[Part]) -> Firing:
        """Returns the active features; the pre-activations of all are held at once."""
        feature, value = self._largest(torch.cat([part.values for part in parts], dim=-1))
        return _sorted(feature, value.relu())

    def threshold_of(self, feature: Int[Tensor, " chosen"]) -> None:
        """Returns None: whether a feature is active depends on its rivals."""
        return

    def _largest(self, z: Float[Tensor, "position feature"]) -> tuple[Tensor, Tensor]:
        value, at = z.unflatten(-1, (self.groups, -1)).max(dim=-1)
        return at + torch.arange(0, z.shape[1], z.shape[1] // self.groups, device=z.device), value


Activation = Relu | JumpRelu | TopK | GroupMax


def _above(z: Float[Tensor, "position feature"], threshold: Float[Tensor, " feature"]) -> Tensor:
    return torch.where(z > threshold, z, torch.zeros_like(z))


def _joined(parts: Iterator[Part]) -> Firing:
    """Returns the firing of activations that come part by part."""
    found = []
    for part in parts:
        position, feature = torch.nonzero(part.values, as_tuple=True)
        found.append(Firing(position, feature + part.first, part.values[position, feature]))
    if len(found) == 1:
        return found[0]
    whole = Firing(
        *(torch.cat([getattr(one, name) for one in found]) for name in ("position", "feature", "activation"))
    )
    # features are ascending from part to part, so a stable sort by position sorts both
    order = torch.sort(whole.position, stable=True).indices
    return Firing(whole.position[order], whole.feature[order], whole.activation[order])


def _sorted(feature: Int[Tensor, "position kept"], value: Float[Tensor, "position kept"]) -> Firing:
    """Returns the firing of the features kept at each position, in any order."""
    feature, order = torch.sort(feature, dim=-1)
    value = value.gather(-1, order)
    position, at = torch.nonzero(value, as_tuple=True)
    return Firing(position, feature[position, at], value[position, at])
