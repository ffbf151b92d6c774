"""Matrices with a row per feature, of which a prompt needs few: kept on the device, or read when asked for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuitbase.errors import ModelError

CHUNK_NUMBERS = 2**25  # numbers read at once where a matrix is not kept: 128 MiB of float32


def all_finite(numbers: Tensor) -> bool:
    """Returns whether no number is infinite or nan, in one pass without a copy where none is."""
    total = numbers.sum(dtype=torch.promote_types(numbers.dtype, torch.float32))
    return bool(torch.isfinite(total)) or bool(torch.isfinite(numbers).all())  # finite ones may sum to infinity


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
    """A matrix [feature, width] that lies on the device; what comes out is in `dtype`, by default its own."""

    matrix: Float[Tensor, "feature width"]
    dtype: torch.dtype | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Returns (features, width)."""
        return self.matrix.shape[0], self.matrix.shape[1]

    def chosen(self, feature: Int[Tensor, " chosen"]) -> Float[Tensor, "chosen width"]:
        """Returns the rows of some features, in their order."""
        return self.matrix[feature].to(self.dtype or self.matrix.dtype)

    def chunks(self) -> Iterator[Float[Tensor, "row width"]]:
        """Yields the whole matrix, or in another dtype than its own about `CHUNK_NUMBERS` numbers at a time."""
        if self.dtype in (None, self.matrix.dtype):
            yield self.matrix
            return
        for part in self.matrix.split(max(1, CHUNK_NUMBERS // self.shape[1])):
            yield part.to(self.dtype)


@dataclass(frozen=True)
class LazyRows:
    """A matrix that stays where it is (a file, the host); what is asked for is copied to the device.

    `source` opens it, mapped, each time it is read, and it is let go after that: a mapping that stays counts as
    this process's memory as soon as it was read once.
    Each row comes out multiplied by its `scale`, and rounded as if it were kept in `kept_in`. Numbers are held
    to be finite when they are read, not before; `name` is what the sentence calls the matrix.
    """

    source: Callable[[], Float[Tensor, "feature width"]]
    dtype: torch.dtype
    device: torch.device
    scale: Float[Tensor, " feature"] | None = None
    name: str = "the dictionary"
    kept_in: torch.dtype | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Returns (features, width)."""
        n_features, width = self.source().shape
        return n_features, width

    def chosen(self, feature: Int[Tensor, " chosen"]) -> Float[Tensor, "chosen width"]:
        """Returns the rows of some features, in their order; raises ModelError if they are not finite."""
        source = self.source()
        here = feature.to(source.device)
        return self._given(source[here], None if self.scale is None else self.scale[here])

    def chunks(self) -> Iterator[Float[Tensor, "row width"]]:
        """Yields all rows in order, about `CHUNK_NUMBERS` numbers at a time; raises ModelError if not finite."""
        source = self.source()
        most = max(1, CHUNK_NUMBERS // source.shape[1])
        for first in range(0, source.shape[0], most):
            scale = None if self.scale is None else self.scale[first : first + most]
            yield self._given(source[first : first + most], scale)

    def _given(self, rows: Float[Tensor, "row width"], scale: Float[Tensor, " row"] | None) -> Tensor:
        given = rows.to(device=self.device, dtype=self.dtype)
        if scale is not None:
            given = given * scale.to(device=self.device, dtype=self.dtype)[:, None]
        if not all_finite(given):
            raise ModelError(f"{self.name} must hold finite numbers, but has others; train the dictionary again")
        return given if self.kept_in is None else given.to(self.kept_in).to(self.dtype)
