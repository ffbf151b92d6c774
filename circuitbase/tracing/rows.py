"""Matrices with a row per feature, of which a prompt needs few: kept on the device, or read when asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

CHUNK_NUMBERS = 2**25  # numbers read at once where a matrix is not kept: 128 MiB of float32


@runtime_checkable
class Rows(Protocol):
    """Rows of one width, one per feature; what comes out is on one device in one dtype."""

    @property
    def shape(self) -> tuple[int, int]:
        """Returns (features, width)."""
        ...

    def chosen(self, feature: Int[Tensor, " chosen"]) -> Float[Tensor, "chosen width"]:
        """Returns the rows of some features, in their order."""
        ...

    def chunks(self) -> Iterator[Float[Tensor, "row width"]]:
        """Yields all rows in order, some at a time."""
        ...


@dataclass(frozen=True)
class ResidentRows:
    """A matrix [feature, width] that lies on the device."""

    matrix: Float[Tensor, "feature width"]

    @property
    def shape(self) -> tuple[int, int]:
        """Returns (features, width)."""
        return self.matrix.shape[0], self.matrix.shape[1]

    def chosen(self, feature: Int[Tensor, " chosen"]) -> Float[Tensor, "chosen width"]:
        """Returns the rows of some features, in their order."""
        return self.matrix[feature]

    def chunks(self) -> Iterator[Float[Tensor, "row width"]]:
        """Yields the whole matrix."""
        yield self.matrix


@dataclass(frozen=True)
class LazyRows:
    """A matrix that stays where it is (a mapped file, the host); what is asked for is copied to the device."""

    source: Float[Tensor, "feature width"]
    dtype: torch.dtype
    device: torch.device

    @property
    def shape(self) -> tuple[int, int]:
        """Returns (features, width)."""
        return self.source.shape[0], self.source.shape[1]

    def chosen(self, feature: Int[Tensor, " chosen"]) -> Float[Tensor, "chosen width"]:
        """Returns the rows of some features, in their order."""
        return self.source[feature.to(self.source.device)].to(device=self.device, dtype=self.dtype)

    def chunks(self) -> Iterator[Float[Tensor, "row width"]]:
        """Yields all rows in order, about `CHUNK_NUMBERS` numbers at a time."""
        for part in self.source.split(max(1, CHUNK_NUMBERS // self.shape[1])):
            yield part.to(device=self.device, dtype=self.dtype)
