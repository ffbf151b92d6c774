"""Faithfulness over circuits of growing size: MIB's grid and its two areas (methods.md section 8)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

FRACTIONS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def grid_counts(n_items: int, fractions: Sequence[float] = FRACTIONS) -> tuple[int, ...]:
    """Returns how many items each circuit of the grid holds: the fraction of all, rounded down."""
    return tuple(int(fraction * n_items + 1e-9) for fraction in fractions)  # 0.1 * 30 is a little below 3


def cpr(faithfulness: Sequence[float], fractions: Sequence[float] = FRACTIONS) -> float:
    """Returns the area under f over the nominal fractions by the trapezoidal rule; more is better.

    [0, .001] is left out: f = 1 everywhere gives .999, and f above 1 more.
    """
    return _area(np.asarray(faithfulness, dtype=np.float64), fractions)


def cmd(faithfulness: Sequence[float], fractions: Sequence[float] = FRACTIONS) -> float:
    """Returns the area under |1 − f| over the nominal fractions by the trapezoidal rule; 0 is best."""
    values = np.asarray(faithfulness, dtype=np.float64)
    return _area(np.abs(1 - values), fractions)


def _area(values: Float[np.ndarray, " size"], fractions: Sequence[float]) -> float:
    if len(values) != len(fractions):
        raise ValueError(f"an area needs one value per fraction, got {len(values)} for {len(fractions)}")
    return float((np.diff(np.asarray(fractions)) * (values[1:] + values[:-1]) / 2).sum())
