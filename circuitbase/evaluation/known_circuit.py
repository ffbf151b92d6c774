"""How well scores of edges find a circuit that is known, and how faithful the circuits are that they select.

AUROC and average precision are over one fixed universe of edges. Definitions: AUROC is P(score inside > outside) +
½ P(equal); average precision is the sum over distinct scores, from the highest, of the gain in recall times the
precision there, so that the order inside ties does not matter. CPR and CMD are the areas of MIB (2504.13151) under
faithfulness, and under its distance from 1, over the share of edges kept.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import rankdata

from circuitbase.errors import InputError
from circuitbase.graph.faithfulness import CLOSE
from circuitbase.graph.faithfulness import faithfulness as ratio_of_means
from circuitbase.graph.faithfulness_curve import FRACTIONS, cmd, cpr, grid_counts

ROUNDING = 1e-9
COUNTS_BELOW = 1000
"""Under so many edges several of MIB's shares are no edge at all: `grid_sizes` gives counts of edges instead."""


@dataclass(frozen=True)
class InUniverse:
    """Scores and membership of every edge of one universe, in its order."""

    score: Float[np.ndarray, " edge"]
    inside: Bool[np.ndarray, " edge"]


def in_universe(scores: Mapping[str, float], true_edges: Collection[str], universe: Sequence[str]) -> InUniverse:
    """Returns scores and membership in the universe's order.

    Raises InputError where an edge of the universe has no score, a score or true edge lies outside it, a score is no
    number, or all edges or none are true.
    """
    known = set(universe)
    missing = [edge for edge in universe if edge not in scores]
    foreign = sorted((set(scores) | set(true_edges)) - known)
    if missing or foreign:
        raise InputError(
            f"scores must cover exactly the {len(universe)} edges of the model; "
            f"{len(missing)} have none ({', '.join(missing[:3]) or 'none missing'}), "
            f"{len(foreign)} names are no edges ({', '.join(foreign[:3]) or 'none foreign'})"
        )
    score = np.array([scores[edge] for edge in universe], dtype=float)
    if np.isnan(score).any():
        raise InputError(f"the score of {universe[int(np.isnan(score).argmax())]} should be a number, got nan")
    inside = np.array([edge in set(true_edges) for edge in universe])
    if inside.all() or not inside.any():
        raise InputError(f"a known circuit must be some but not all of {len(universe)} edges, got {inside.sum()}")
    return InUniverse(score, inside)


def auroc(edges: InUniverse) -> float:
    """Returns the probability that an edge inside scores above one outside, ties counting half, by ranks."""
    n_inside = int(edges.inside.sum())
    n_outside = len(edges.inside) - n_inside
    ranks = rankdata(edges.score)[edges.inside].sum()
    return float((ranks - n_inside * (n_inside + 1) / 2) / (n_inside * n_outside))


def average_precision(edges: InUniverse) -> float:
    """Returns `Σ (R_i − R_{i−1}) P_i` over distinct scores, from the highest."""
    order = np.argsort(-edges.score, kind="stable")
    score, inside = edges.score[order], edges.inside[order]
    ends = np.flatnonzero(np.append(score[1:] != score[:-1], True))
    hits = np.cumsum(inside)[ends]
    precision, recall = hits / (ends + 1), hits / inside.sum()
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


@dataclass(frozen=True)
class Curve:
    """Faithfulness of circuits of growing size: `share` of the edges, nominal, against f."""

    share: Float[np.ndarray, " size"]
    faithfulness: Float[np.ndarray, " size"]

    @property
    def cpr(self) -> float:
        """Returns the trapezoid area under f; what lies below the first share is left out. It can exceed 1."""
        return cpr(self.faithfulness.tolist(), self.share.tolist())

    @property
    def cmd(self) -> float:
        """Returns the trapezoid area under |1 − f|."""
        return cmd(self.faithfulness.tolist(), self.share.tolist())


@dataclass(frozen=True)
class GridSize:
    """One point of the grid: its place on the axis, and how many edges a circuit there has."""

    share: float
    edges: int


def grid_sizes(n_edges: int) -> list[GridSize]:
    """Returns the sizes of circuits that CPR and CMD are measured at.

    From 1,000 edges on: MIB's nominal shares with their edges, floored. Under that every distinct count
    among 1, 2, 3, 5, 7, 10, 15, 20, 30, … up to all, at the share that it is.
    """
    if n_edges >= COUNTS_BELOW:
        return [GridSize(share, count) for share, count in zip(FRACTIONS, grid_counts(n_edges), strict=True)]
    steps = {step * 10**power for power in range(3) for step in (1, 1.5, 2, 3, 5, 7)}
    counts = sorted({int(step) for step in steps if step < n_edges} | {n_edges})
    return [GridSize(count / n_edges, count) for count in counts]


def faithfulness(
    circuit: Float[np.ndarray, " prompt"], full: Float[np.ndarray, " prompt"], empty: Float[np.ndarray, " prompt"]
) -> float:
    """Returns `(m(C) − m(∅)) / (m(M) − m(∅))`, a ratio of means over prompts.

    Raises InputError where full and empty differ by no more than two standard errors of their difference, over
    which nothing can be said; one prompt is measured against rounding alone.
    """
    found = ratio_of_means(circuit, full, empty, resamples=1)
    gap = found.m_full - found.m_empty
    if found.f is None or abs(gap) <= ROUNDING:
        raise InputError(
            f"faithfulness needs prompts on which the full model and the ablated one differ: the metric differs by "
            f"{gap:.3g}, two standard errors are {CLOSE * (found.standard_error or 0.0):.3g}; give pairs whose answers "
            "differ"
        )
    return found.f
