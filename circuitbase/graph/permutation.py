"""Whether two groups of observations differ, by permuting labels over clusters.

Observations of one cluster are not independent, so labels move by cluster: among the clusters that are in one
group alone they are shuffled, and a cluster that is in both groups has its two sides swapped or not (methods.md
section 3). All ways are tried where there are few, else drawn ones.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from math import comb

import numpy as np
from jaxtyping import Bool, Float64, Shaped

MOST_EXACT = 10_000
BLOCK = 500
CLOSE = 1e-9  # differences that rounding alone makes count as equal


@dataclass(frozen=True)
class Permuted:
    """Differences of means (first group less second) and two-sided p values, one for each column.

    `p = (1 + #{|permuted| ≥ |observed|}) / (1 + permutations)`; over all ways (`exact`) the share of the ways
    that are as extreme, the observed one among them.
    """

    difference: Float64[np.ndarray, " column"]
    p: Float64[np.ndarray, " column"]
    permutations: int
    exact: bool


def permutation_test(
    values: Float64[np.ndarray, "observation column"],
    is_first: Bool[np.ndarray, " observation"],
    clusters: Shaped[np.ndarray, " observation"],
    *,
    permutations: int = 9_999,
    seed: int = 0,
) -> Permuted:
    """Returns the test of every column; raises ValueError if a group is empty."""
    if not is_first.any() or is_first.all():
        raise ValueError("both groups must have observations")
    parts = _Parts.of(values, is_first, clusters)
    observed = parts.difference(parts.labels[None])[0]
    ways = parts.ways
    exact = ways <= MOST_EXACT
    found = parts.every_labelling() if exact else parts.drawn_labellings(permutations, seed=seed)
    scale = CLOSE * np.maximum(np.abs(observed), np.abs(values).max(axis=0, initial=0.0))
    extreme = np.zeros(values.shape[1])
    tried = 0
    for block in _blocks(found, BLOCK):
        labels = np.stack(block)
        extreme += (np.abs(parts.difference(labels)) >= np.abs(observed) - scale).sum(axis=0)
        tried += len(labels)
    p = extreme / tried if exact else (1 + extreme) / (1 + tried)
    return Permuted(difference=observed, p=p, permutations=tried, exact=exact)


@dataclass(frozen=True)
class _Parts:
    """Sums and counts of the two sides of each pair (first rows: one side, then the other), then of lone clusters.

    A labelling says of each part whether it counts to the first group.
    """

    sums: Float64[np.ndarray, "part column"]
    counts: Float64[np.ndarray, " part"]
    labels: Bool[np.ndarray, " part"]
    pairs: int

    @classmethod
    def of(cls, values: np.ndarray, is_first: np.ndarray, clusters: np.ndarray) -> "_Parts":
        names, place = np.unique(clusters, return_inverse=True)
        place = place.reshape(-1)
        on_first = np.bincount(place, weights=is_first, minlength=len(names)) > 0
        on_second = np.bincount(place, weights=~is_first, minlength=len(names)) > 0
        both = np.flatnonzero(on_first & on_second)
        alone = np.flatnonzero(on_first ^ on_second)
        rank = np.full(len(names), -1)
        rank[both] = np.arange(len(both))
        rank[alone] = 2 * len(both) + np.arange(len(alone))
        part = rank[place] + np.where((on_first & on_second)[place] & ~is_first, len(both), 0)
        n_parts = 2 * len(both) + len(alone)
        sums = np.zeros((n_parts, values.shape[1]))
        np.add.at(sums, part, values)
        labels = np.zeros(n_parts, dtype=bool)
        labels[: len(both)] = True
        labels[2 * len(both) :] = on_first[alone]
        return cls(sums=sums, counts=np.bincount(part, minlength=n_parts).astype(float), labels=labels, pairs=len(both))

    @property
    def ways(self) -> int:
        """Returns how many labellings there are."""
        lone = self.labels[2 * self.pairs :]
        return 2**self.pairs * comb(len(lone), int(lone.sum()))

    def difference(self, labels: np.ndarray) -> np.ndarray:
        """Returns the difference of means under each labelling; [labelling, column]."""
        first = labels.astype(np.float64)
        n_first = first @ self.counts
        total, n_total = self.sums.sum(axis=0), self.counts.sum()
        in_first = first @ self.sums
        return in_first / n_first[:, None] - (total - in_first) / (n_total - n_first)[:, None]

    def every_labelling(self) -> Iterator[np.ndarray]:
        lone = self.labels[2 * self.pairs :]
        for swaps in range(2**self.pairs):
            swapped = np.array([bool(swaps >> bit & 1) for bit in range(self.pairs)], dtype=bool)
            for chosen in combinations(range(len(lone)), int(lone.sum())):
                rest = np.zeros(len(lone), dtype=bool)
                rest[list(chosen)] = True
                yield np.concatenate([~swapped, swapped, rest])

    def drawn_labellings(self, number: int, *, seed: int) -> Iterator[np.ndarray]:
        random = np.random.default_rng(seed)
        lone = self.labels[2 * self.pairs :]
        for _ in range(number):
            swapped = random.random(self.pairs) < 0.5
            yield np.concatenate([~swapped, swapped, random.permutation(lone)])


def _blocks(found: Iterator[np.ndarray], size: int) -> Iterator[Sequence[np.ndarray]]:
    while block := list(islice(found, size)):
        yield block
