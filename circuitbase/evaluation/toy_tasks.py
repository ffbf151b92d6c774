"""What the trained toys are trained on; everything is drawn by a generator that is passed in."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

INDUCTION_VOCABULARY = 32
INDUCTION_LENGTH = 48
PERIODS = (8, 24)
"""Smallest and largest period. Drawn per sequence: with one fixed period a model learns fixed lags instead."""

YEARS = 50
FROM, TO, END = YEARS, YEARS + 1, YEARS + 2

MODULUS = 37
EQUALS = MODULUS


@dataclass(frozen=True)
class Repeated:
    """Sequences of a random block, repeated until the length is full."""

    tokens: Int[Tensor, "sequence position"]
    period: Int[Tensor, " sequence"]


def repeated_sequences(
    count: int, *, generator: torch.Generator, period: int | None = None, length: int = INDUCTION_LENGTH
) -> Repeated:
    """Returns sequences whose blocks hold no token twice; the period is drawn for each unless it is given."""
    low, high = PERIODS
    if period is None:
        periods = torch.randint(low, high + 1, (count,), generator=generator)
    else:
        periods = torch.full((count,), period)
    order = torch.rand(count, INDUCTION_VOCABULARY, generator=generator).argsort(-1)
    place = torch.arange(length)[None, :] % periods[:, None]
    return Repeated(order.gather(1, place), periods)


def predictable(repeated: Repeated) -> Float[Tensor, "sequence next"]:
    """Returns 1 at each position (but the last) whose next token is a repetition, else 0."""
    length = repeated.tokens.shape[1]
    return (torch.arange(1, length)[None, :] >= repeated.period[:, None]).float()


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
