"""Random tokens: sequences of different ones, and of ones that are repeated."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from circuitbase.errors import InputError


@dataclass(frozen=True)
class TokenPool:
    """The tokens that sequences are drawn from, and the token before each sequence (None: there is none)."""

    tokens: Int[Tensor, " token"]
    before: int | None

    @property
    def start(self) -> int:
        """Returns the position of a sequence's first drawn token."""
        return 0 if self.before is None else 1


def distinct_tokens(pool: TokenPool, *, sequences: int, length: int, seed: int) -> Int[Tensor, "sequence position"]:
    """Returns sequences of `length` tokens that differ within a sequence, behind what the pool puts before them.

    Raises InputError for a pool that is too small.
    """
    if len(pool.tokens) < length:
        raise InputError(
            f"random sequences of {length} different tokens need that many to draw from, but there are "
            f"{len(pool.tokens)}; give shorter ones, or draw from more tokens"
        )
    generator = torch.Generator().manual_seed(seed)
    places = [torch.randperm(len(pool.tokens), generator=generator)[:length] for _ in range(sequences)]
    return _behind(pool, pool.tokens.cpu()[torch.stack(places)])


def repeated_tokens(pool: TokenPool, *, sequences: int, period: int, seed: int) -> Int[Tensor, "sequence position"]:
    """Returns sequences of `period` different tokens, twice in the same order."""
    drawn = distinct_tokens(pool, sequences=sequences, length=period, seed=seed)
    return torch.cat((drawn, drawn[:, pool.start :]), dim=1)


def _behind(pool: TokenPool, tokens: Int[Tensor, "sequence drawn"]) -> Int[Tensor, "sequence position"]:
    if pool.before is None:
        return tokens
    return torch.cat((tokens.new_full((len(tokens), 1), pool.before), tokens), dim=1)
