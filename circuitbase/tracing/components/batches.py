"""Pairs that are run together: padded on the right, which a causal model never looks at from the left of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from circuitbase.tracing.components.pairs import Pair

PADDING = 0  # any token: nothing reads it


@dataclass(frozen=True)
class PairBatch:
    """Pairs as tokens; `places` are their places among all pairs, `read_at` their last unpadded positions."""

    places: tuple[int, ...]
    pairs: tuple[Pair, ...]
    clean: Int[Tensor, "batch position"]
    corrupted: Int[Tensor, "batch position"]
    read_at: Int[Tensor, " batch"]

    @property
    def unpadded(self) -> Bool[Tensor, "batch position"]:
        """Returns which positions are a prompt's own."""
        return unpadded(self.read_at, n_positions=self.clean.shape[1])


@dataclass(frozen=True)
class PromptBatch:
    """Prompts as tokens, padded on the right."""

    tokens: Int[Tensor, "batch position"]
    read_at: Int[Tensor, " batch"]

    @property
    def unpadded(self) -> Bool[Tensor, "batch position"]:
        """Returns which positions are a prompt's own."""
        return unpadded(self.read_at, n_positions=self.tokens.shape[1])


def pair_batches(pairs: Sequence[Pair], *, batch_size: int, causal: bool, device: torch.device) -> Iterator[PairBatch]:
    """Yields pairs in batches, sorted by length; for a model that looks ahead, lengths are never mixed."""
    for places in _grouped([len(pair.clean) for pair in pairs], batch_size=batch_size, mixed=causal):
        chosen = tuple(pairs[place] for place in places)
        clean = padded([pair.clean for pair in chosen], device=device)
        yield PairBatch(
            places=tuple(places),
            pairs=chosen,
            clean=clean.tokens,
            corrupted=padded([pair.corrupted for pair in chosen], device=device).tokens,
            read_at=clean.read_at,
        )


def prompt_batches(
    prompts: Sequence[tuple[int, ...]], *, batch_size: int, causal: bool, device: torch.device
) -> Iterator[PromptBatch]:
    """Yields prompts in batches, as `pair_batches` does pairs."""
    for places in _grouped([len(prompt) for prompt in prompts], batch_size=batch_size, mixed=causal):
        yield padded([prompts[place] for place in places], device=device)


def padded(prompts: Sequence[tuple[int, ...]], *, device: torch.device) -> PromptBatch:
    """Returns prompts as one tensor, padded on the right."""
    longest = max(len(prompt) for prompt in prompts)
    rows = [[*prompt, *[PADDING] * (longest - len(prompt))] for prompt in prompts]
    return PromptBatch(
        tokens=torch.tensor(rows, device=device),
        read_at=torch.tensor([len(prompt) - 1 for prompt in prompts], device=device),
    )


def unpadded(read_at: Int[Tensor, " batch"], *, n_positions: int) -> Bool[Tensor, "batch position"]:
    """Returns which positions are up to the last one of each prompt."""
    return torch.arange(n_positions, device=read_at.device)[None] <= read_at[:, None]


def _grouped(lengths: Sequence[int], *, batch_size: int, mixed: bool) -> Iterator[list[int]]:
    group: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: lengths[place]):
        if group and (len(group) == batch_size or (not mixed and lengths[place] != lengths[group[0]])):
            yield group
            group = []
        group.append(place)
    if group:
        yield group
