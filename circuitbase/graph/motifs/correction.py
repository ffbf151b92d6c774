"""Correction of p values for many tests."""

from typing import Literal, get_args

import numpy as np
from jaxtyping import Float64

Correction = Literal["benjamini-hochberg", "holm"]
CORRECTIONS: tuple[str, ...] = get_args(Correction)


def corrected(p: Float64[np.ndarray, " test"], *, by: Correction) -> Float64[np.ndarray, " test"]:
    """Returns p values that may be compared with the level at which all tests together shall hold.

    `holm` bounds the chance of any false finding, whatever the dependence between tests; `benjamini-hochberg` the
    expected share of false ones among the findings, for tests that are independent or depend positively.
    """
    order = np.argsort(p, kind="stable")
    rank = np.arange(1, len(p) + 1)
    found = np.empty_like(p)
    if by == "holm":
        found[order] = np.maximum.accumulate(p[order] * (len(p) + 1 - rank))
    else:
        found[order] = np.minimum.accumulate((p[order] * len(p) / rank)[::-1])[::-1]
    return np.minimum(found, 1.0)
