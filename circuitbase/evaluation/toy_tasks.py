"""What the trained toys are trained on; everything is drawn by a generator that is passed in."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

INDUCTION_VOCABULARY = 48
INDUCTION_LENGTH = 64
PERIODS = (8, 24)
"""Smallest and largest period. Drawn per sequence: with one fixed period a model learns fixed lags instead."""
LONGEST_PREFIX = 15
"""Tokens before the first block. Without a prefix the mean over all earlier tokens tells where a token came first."""

YEARS = 50
FROM, TO, END = YEARS, YEARS + 1, YEARS + 2

MODULUS = 37
EQUALS = MODULUS


@dataclass(frozen=True)
class Repeated:
    """Sequences of a random prefix and a random block, repeated until the length is full."""

    tokens: Int[Tensor, "sequence position"]
    period: Int[Tensor, " sequence"]
    prefix: Int[Tensor, " sequence"]

    @property
    def again(self) -> Bool[Tensor, "sequence position"]:
        """Returns which positions hold a token that came before in the sequence."""
        return torch.arange(self.tokens.shape[1])[None, :] >= (self.prefix + self.period)[:, None]


def repeated_sequences(count: int, *, generator: torch.Generator, period: int | None = None) -> Repeated:
    """Returns sequences in which no token comes twice before the block is repeated.

    Period and length of the prefix are drawn for each, unless a period is given: then there is no prefix.
    """
    low, high = PERIODS
    if period is None:
        periods = torch.randint(low, high + 1, (count,), generator=generator)
        prefix = torch.randint(0, LONGEST_PREFIX + 1, (count,), generator=generator)
    else:
        periods, prefix = torch.full((count,), period), torch.zeros(count, dtype=torch.long)
    order = torch.rand(count, INDUCTION_VOCABULARY, generator=generator).argsort(-1)
    place = torch.arange(INDUCTION_LENGTH)[None, :] - prefix[:, None]
    # blocks are of the first tokens in `order`, prefixes of the last
    chosen = torch.where(place >= 0, place % periods[:, None], INDUCTION_VOCABULARY + place)
    return Repeated(order.gather(1, chosen), periods, prefix)


def predictable(repeated: Repeated) -> Float[Tensor, "sequence next"]:
    """Returns 1 at each position (but the last) whose token came before, so that the next is known, else 0."""
    return repeated.again[:, :-1].float()


def year_prompts() -> Int[Tensor, "year position"]:
    """Returns [FROM, YY, TO, END] for every YY but the last, in order."""
    years = torch.arange(YEARS - 1)
    fixed = [torch.full_like(years, token) for token in (FROM, TO, END)]
    return torch.stack([fixed[0], years, fixed[1], fixed[2]], dim=1)


def later_years() -> Float[Tensor, "year answer"]:
    """Returns, for each of `year_prompts`, the uniform distribution over the years behind it."""
    behind = (torch.arange(YEARS)[None, :] > torch.arange(YEARS - 1)[:, None]).float()
    return behind / behind.sum(-1, keepdim=True)


def additions() -> Int[Tensor, "sum position"]:
    """Returns [a, b, =] for all pairs."""
    numbers = torch.arange(MODULUS)
    pairs = torch.cartesian_prod(numbers, numbers)
    return torch.cat([pairs, torch.full((len(pairs), 1), EQUALS)], dim=1)


def sums(tokens: Int[Tensor, "sum position"]) -> Int[Tensor, " sum"]:
    """Returns a + b mod 37 of prompts of `additions`."""
    return (tokens[:, 0] + tokens[:, 1]) % MODULUS
