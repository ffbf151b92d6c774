"""What parts of scores are worth in attention weights, which a softmax makes of them.

A part of a score at key j is worth `coefficient[k, j] · part` of the weight of key k. By derivative the coefficient
is that of `a_k` in the score, `a_k (δ_kj − a_j)`; integrated, its mean along the straight line from one pattern's
scores to another's, so that the parts of all keys' scores sum to the difference of the two patterns. Scores are before
the soft cap `u -> cap · tanh(u / cap)`, which lies on the way. Everything is in float64.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

NODES = 16  # of Gauss-Legendre in one stretch of the way
MOST_HALVINGS = 40
GAP_OF_A_STRETCH, ROUNDING = 1e-11, 1e-15  # the latter of the largest score


@dataclass(frozen=True)
class IntegratedCoefficients:
    """Coefficients of chosen keys' weights in all keys' scores; `gap` is the largest that their sums miss."""

    coefficient: Float64[np.ndarray, "chosen key"]
    gap: float


def pattern(scores: Float64[np.ndarray, "*place key"], *, soft_cap: float | None) -> Float64[np.ndarray, "*place key"]:
    """Returns the attention weights of scores."""
    capped = scores if soft_cap is None else soft_cap * np.tanh(scores / soft_cap)
    raised = np.exp(capped - capped.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


def derivative(
    scores: Float64[np.ndarray, " key"], *, of: Int64[np.ndarray, " chosen"], soft_cap: float | None
) -> Float64[np.ndarray, "chosen key"]:
    """Returns the derivatives of chosen keys' weights in all keys' scores."""
    return _derivatives(scores[None], of=of, soft_cap=soft_cap)[0]


def integrated(
    start: Float64[np.ndarray, " key"],
    end: Float64[np.ndarray, " key"],
    *,
    of: Int64[np.ndarray, " chosen"],
    soft_cap: float | None,
) -> IntegratedCoefficients:
    """Returns the mean derivatives along the way from `start` to `end`.

    `coefficient @ (end − start)` is what chosen weights changed. Scores of 0 make the uniform pattern. Each stretch
    of the way is halved until its sums close, so there are as many nodes as the softmax needs.
    """
    points, weights = np.polynomial.legendre.leggauss(NODES)
    difference = end - start
    allowed = GAP_OF_A_STRETCH + ROUNDING * float(np.abs([start, end]).max())
    found = np.zeros((len(of), len(start)))
    stretches = [(0.0, 1.0, 0)]
    while stretches:
        first, last, halvings = stretches.pop()
        along = first + (last - first) * (points + 1) / 2
        scores = start + along[:, None] * difference
        share = weights * (last - first) / 2
        ends = pattern(start + np.array([[first], [last]]) * difference, soft_cap=soft_cap)
        moved = share @ _moved(scores, difference, soft_cap=soft_cap)
        if np.abs(moved - (ends[1] - ends[0])).max() > allowed and halvings < MOST_HALVINGS:
            middle = (first + last) / 2
            stretches += [(middle, last, halvings + 1), (first, middle, halvings + 1)]
            continue
        found += np.einsum("n,ncj->cj", share, _derivatives(scores, of=of, soft_cap=soft_cap))
    before, after = (pattern(scores, soft_cap=soft_cap)[of] for scores in (start, end))
    return IntegratedCoefficients(found, float(np.abs(found @ difference - (after - before)).max(initial=0.0)))


def _derivatives(
    scores: Float64[np.ndarray, "node key"], *, of: Int64[np.ndarray, " chosen"], soft_cap: float | None
) -> Float64[np.ndarray, "node chosen key"]:
    weight = pattern(scores, soft_cap=soft_cap)
    chosen = weight[:, of]
    found = -chosen[:, :, None] * weight[:, None, :]
    found[:, np.arange(len(of)), of] += chosen
    return found * _slope(scores, soft_cap=soft_cap)[:, None, :]


def _moved(
    scores: Float64[np.ndarray, "node key"], difference: Float64[np.ndarray, " key"], *, soft_cap: float | None
) -> Float64[np.ndarray, "node key"]:
    """Returns the derivatives of all weights along the way."""
    weight = pattern(scores, soft_cap=soft_cap)
    pushed = difference * _slope(scores, soft_cap=soft_cap)
    return weight * (pushed - (weight * pushed).sum(-1, keepdims=True))


def _slope(scores: Float64[np.ndarray, "node key"], *, soft_cap: float | None) -> Float64[np.ndarray, "node key"]:
    """Returns the derivatives of the soft cap."""
    return np.ones_like(scores) if soft_cap is None else 1 - np.tanh(scores / soft_cap) ** 2
