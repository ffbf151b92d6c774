"""How far the numbers of a global circuit can be trusted: intervals by cluster, coverage, and agreement of halves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Shaped

from circuitbase.graph.cluster_bootstrap import bootstrapped_means, bootstrapped_ratios
from circuitbase.graph.coverage import Coverage
from circuitbase.queries.intervals import Interval
from circuitbase.queries.observed_edges import Edge, ObservedEdges
from circuitbase.queries.rollup_sums import RollupSums

HALVINGS = 100


@dataclass(frozen=True)
class EdgeIntervals:
    """95 % intervals of one edge, clusters resampled: presence and influence over all traces, the rest where it is."""

    edge: Edge
    presence: Interval
    mean_influence: Interval
    mean_share: Interval
    mean_weight: Interval


@dataclass(frozen=True)
class SplitHalf:
    """How alike the circuits of two halves of the clusters are, over many halvings.

    `influence` is the mean Pearson correlation of the edges' mean influence between halves, stepped up to the whole
    set (Spearman 1910, Brown 1910); `overlap` the mean Jaccard index of the edges that reach the minimum presence in
    each half. None where there are fewer than two clusters or edges.
    """

    influence: float | None
    overlap: float | None
    clusters: int
    halvings: int


def edge_intervals(
    found: ObservedEdges, clusters: Sequence[str], *, samples: int, seed: int = 0
) -> tuple[EdgeIntervals, ...]:
    """Returns intervals of every observed edge."""
    there = (found.nodes > 0).astype(np.float64)
    names = np.array(clusters)
    presence = bootstrapped_means(there, names, samples=samples, seed=seed)
    influence = bootstrapped_means(found.influence, names, samples=samples, seed=seed)
    share = bootstrapped_ratios(found.share, there, names, samples=samples, seed=seed)
    weight = bootstrapped_ratios(found.weight, there, names, samples=samples, seed=seed)
    return tuple(
        EdgeIntervals(
            edge,
            *(
                Interval(float(each.mean[number]), float(each.low[number]), float(each.high[number]))
                for each in (presence, influence, share, weight)
            ),
        )
        for number, edge in enumerate(found.edges)
    )


def coverage_of(sums: RollupSums, *, traces: int) -> Coverage:
    """Returns what the edges of these sums say about those that were not seen."""
    times = sums.edge_sums.traces
    return Coverage(
        traces=traces,
        edges=len(times),
        occurrences=int(times.sum()),
        singletons=int((times == 1).sum()),
        doubletons=int((times == 2).sum()),
    )


def split_half(
    found: ObservedEdges, clusters: Sequence[str], *, min_presence: float, halvings: int = HALVINGS, seed: int = 0
) -> SplitHalf:
    """Returns the agreement of halves over edges that were chosen generously enough to be missed by one of them."""
    names, place = np.unique(np.array(clusters), return_inverse=True)
    if len(names) < 2 or len(found.edges) < 2:
        return SplitHalf(influence=None, overlap=None, clusters=len(names), halvings=0)
    random = np.random.default_rng(seed)
    there = (found.nodes > 0).astype(np.float64)
    correlations, overlaps = [], []
    for _ in range(halvings):
        chosen = np.zeros(len(names), dtype=bool)
        chosen[random.permutation(len(names))[: len(names) // 2]] = True
        half = chosen[place.reshape(-1)]
        correlations.append(_correlation(found.influence, half))
        often = [_mean(there, side) >= min_presence - 1e-9 for side in (half, ~half)]
        either = int((often[0] | often[1]).sum())
        overlaps.append(float((often[0] & often[1]).sum() / either) if either else 1.0)
    halved = float(np.nanmean(correlations)) if np.isfinite(correlations).any() else None
    whole = None if halved is None or halved <= -1 else 2 * halved / (1 + halved)
    return SplitHalf(influence=whole, overlap=float(np.mean(overlaps)), clusters=len(names), halvings=halvings)


def _mean(values: Float64[np.ndarray, "trace edge"], rows: Shaped[np.ndarray, " trace"]) -> np.ndarray:
    return values[rows].mean(axis=0)


def _correlation(values: np.ndarray, half: np.ndarray) -> float:
    first, second = _mean(values, half), _mean(values, ~half)
    first, second = first - first.mean(), second - second.mean()
    norms = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum() / norms) if norms > 0 else float("nan")
