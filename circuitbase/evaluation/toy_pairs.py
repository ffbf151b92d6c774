"""Pairs of prompts for the trained toys: of the same shape, differing in what the answer depends on."""

import torch

from circuitbase.errors import InputError
from circuitbase.evaluation.toy_tasks import END, EQUALS, FROM, MODULUS, TO, YEARS, repeated_sequences
from circuitbase.evaluation.truth_pairs import TruthPairs

INDUCTION_EDGES = (
    "input->a0.h0<v>",  # the previous token
    "a0.h0->a1.h0<k>",  # is what the induction head looks for,
    "input->a1.h0<q>",  # which is the current token,
    "input->a1.h0<v>",  # and what stands there
    "a1.h0->logits",  # is the answer
)
"""The mechanism of the induction toy."""
PERIOD = 12  # one for clean and corrupted, so that only tokens differ
SHOWN = 30  # tokens of a pair's prompts, the last one in the third block


def toy_pairs(name: str, *, n_pairs: int = 24, seed: int = 0) -> TruthPairs:
    """Returns pairs for a trained toy, drawn by `seed`; raises InputError for a name there is not."""
    generator = torch.Generator().manual_seed(seed)
    if name in ("induction", "redundancy"):
        return _repetitions(n_pairs, generator)
    if name == "greater-than":
        return _years(n_pairs, generator)
    if name == "modular-addition":
        return _additions(n_pairs, generator)
    raise InputError(
        f"a trained toy must be one of induction, redundancy, greater-than, modular-addition; got {name!r}"
    )


def _repetitions(n_pairs: int, generator: torch.Generator) -> TruthPairs:
    """Returns repeated sequences against other ones of the same period, whose next tokens differ."""
    drawn = repeated_sequences(4 * n_pairs, generator=generator, period=PERIOD).tokens
    clean, corrupted = drawn[: 2 * n_pairs], drawn[2 * n_pairs :]
    kept = (clean[:, SHOWN] != corrupted[:, SHOWN]).nonzero()[:n_pairs, 0]
    clean, corrupted = clean[kept], corrupted[kept]
    return TruthPairs(clean[:, :SHOWN], corrupted[:, :SHOWN], clean[:, SHOWN], corrupted[:, SHOWN])


def _years(n_pairs: int, generator: torch.Generator) -> TruthPairs:
    """Returns a year against an earlier one; wrong is a year between them, correct one behind the later."""
    early = torch.randint(0, YEARS - 10, (n_pairs,), generator=generator)
    late = early + torch.randint(4, 9, (n_pairs,), generator=generator)
    prompts = [
        torch.stack([torch.full_like(year, FROM), year, torch.full_like(year, TO), torch.full_like(year, END)], 1)
        for year in (late, early)
    ]
    return TruthPairs(prompts[0], prompts[1], correct=late + 1, wrong=late - 1)


def _additions(n_pairs: int, generator: torch.Generator) -> TruthPairs:
    """Returns a sum against one of other numbers."""
    numbers = torch.randint(0, MODULUS, (4 * n_pairs, 4), generator=generator)
    sums = (numbers[:, 0] + numbers[:, 1]) % MODULUS, (numbers[:, 2] + numbers[:, 3]) % MODULUS
    kept = (sums[0] != sums[1]).nonzero()[:n_pairs, 0]
    equals = torch.full((len(kept), 1), EQUALS)
    prompts = [torch.cat([numbers[kept][:, place : place + 2], equals], 1) for place in (0, 2)]
    return TruthPairs(prompts[0], prompts[1], sums[0][kept], sums[1][kept])
