"""How much of a model's behaviour a circuit keeps: a ratio of means over prompts, with its spread."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

CLOSE = 2.0  # standard errors between m(full) and m(empty) within which no ratio is given
INTERVAL = 0.95


@dataclass(frozen=True)
class Faithfulness:
    """f = (m(C) − m(∅)) / (m(M) − m(∅)) of means over prompts (methods.md section 8).

    `per_prompt` divides each prompt's numerator by the common denominator, so that its mean is f; `variance` is
    over prompts, `low` and `high` are the bootstrap's 95 % interval of f over prompts. All are None where m(M) and
    m(∅) are within 2 standard errors of each other; with one prompt there is no standard error, interval or
    variance, and f is None only where both are equal.
    """

    m_circuit: float
    m_full: float
    m_empty: float
    standard_error: float | None
    n_prompts: int
    f: float | None
    per_prompt: tuple[float, ...] | None
    variance: float | None
    low: float | None
    high: float | None


def faithfulness(
    circuit: Float[np.ndarray, " prompt"],
    full: Float[np.ndarray, " prompt"],
    empty: Float[np.ndarray, " prompt"],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Faithfulness:
    """Returns a circuit's faithfulness from the metric of every prompt in the circuit, the model and the empty one.

    The bootstrap draws prompts with all three of their numbers.
    """
    circuit, full, empty = (np.asarray(values, dtype=np.float64) for values in (circuit, full, empty))
    n, between = len(full), full - empty
    error = float(between.std(ddof=1) / n**0.5) if n > 1 else None
    gap = float(between.mean())
    close = abs(gap) <= CLOSE * (error or 0.0)
    f, each, variance, low, high = None, None, None, None, None
    if not close:
        each = (circuit - empty) / gap
        f = float(each.mean())
        if n > 1:
            variance = float(each.var(ddof=1))
            low, high = _interval(circuit - empty, between, resamples=resamples, seed=seed)
    return Faithfulness(
        m_circuit=float(circuit.mean()),
        m_full=float(full.mean()),
        m_empty=float(empty.mean()),
        standard_error=error,
        n_prompts=n,
        f=f,
        per_prompt=None if each is None else tuple(each.tolist()),
        variance=variance,
        low=low,
        high=high,
    )


def _interval(
    above: Float[np.ndarray, " prompt"], between: Float[np.ndarray, " prompt"], *, resamples: int, seed: int
) -> tuple[float, float]:
    """Returns the percentiles of the ratio of means over prompts drawn anew; samples without a ratio are left out."""
    drawn = np.random.default_rng(seed).integers(len(above), size=(resamples, len(above)))
    over, under = above[drawn].mean(1), between[drawn].mean(1)
    ratios = over[under != 0] / under[under != 0]
    low, high = np.quantile(ratios, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2])
    return float(low), float(high)
