"""Intervals for means over observations of which those of one cluster are not independent.

Clusters are drawn with replacement, each with all of its observations (methods.md section 3). Percentiles of few
clusters are too narrow, so they are taken further out, as far as Student's t is wider than the normal distribution
(the expanded percentile interval of Hesterberg 2015, section 5.3).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Shaped
from scipy import stats

BLOCK = 200
TAIL = 0.025


@dataclass(frozen=True)
class Bootstrapped:
    """Means of columns with their 95 % percentile limits; `clusters` is how many there are to draw from."""

    mean: Float64[np.ndarray, " column"]
    low: Float64[np.ndarray, " column"]
    high: Float64[np.ndarray, " column"]
    clusters: int


def bootstrapped_means(
    values: Float64[np.ndarray, "observation column"],
    clusters: Shaped[np.ndarray, " observation"],
    *,
    samples: int = 1_000,
    seed: int = 0,
) -> Bootstrapped:
    """Returns means with intervals; raises ValueError without observations."""
    return bootstrapped_ratios(values, np.ones_like(values), clusters, samples=samples, seed=seed)


def bootstrapped_ratios(
    numerator: Float64[np.ndarray, "observation column"],
    denominator: Float64[np.ndarray, "observation column"],
    clusters: Shaped[np.ndarray, " observation"],
    *,
    samples: int = 1_000,
    seed: int = 0,
) -> Bootstrapped:
    """Returns ratios of sums with intervals, nan where the denominator is 0; such draws are left out of the limits.

    A mean over those observations that have something is such a ratio.
    """
    if not len(numerator):
        raise ValueError("there must be observations")
    names, place = np.unique(clusters, return_inverse=True)
    above, below = (_summed(each, place.reshape(-1), len(names)) for each in (numerator, denominator))
    random = np.random.default_rng(seed)
    drawn = []
    for start in range(0, samples, BLOCK):
        number = min(BLOCK, samples - start)
        times = random.multinomial(len(names), np.full(len(names), 1 / len(names)), size=number).astype(np.float64)
        drawn.append(_ratio(times @ above, times @ below))
    every = np.concatenate(drawn)
    with np.errstate(all="ignore"):
        low, high = _limits(every, clusters=len(names))
    return Bootstrapped(mean=_ratio(above.sum(axis=0), below.sum(axis=0)), low=low, high=high, clusters=len(names))


def _summed(values: np.ndarray, place: np.ndarray, n_clusters: int) -> np.ndarray:
    sums = np.zeros((n_clusters, values.shape[1]))
    np.add.at(sums, place, values)
    return sums


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below != 0)


def _limits(drawn: np.ndarray, *, clusters: int) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.full(drawn.shape[1], np.nan), np.full(drawn.shape[1], np.nan)
    there = ~np.isnan(drawn).all(axis=0)
    tail = 100 * _expanded_tail(clusters)
    low[there], high[there] = np.nanpercentile(drawn[:, there], [tail, 100 - tail], axis=0)
    return low, high


def _expanded_tail(clusters: int) -> float:
    if clusters < 2:
        return 0.0
    wider = np.sqrt(clusters / (clusters - 1)) * stats.t.ppf(TAIL, clusters - 1)
    return float(stats.norm.cdf(wider))
