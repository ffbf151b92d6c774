"""Complete-link grouping: two groups join while every pair of their members is alike enough.

Deterministic: the most alike groups join first, ties by place, so that who sorts the rows by id gets ties by id.
"""

from collections.abc import Collection, Sequence

import numpy as np
from jaxtyping import Float64

_DIGITS = 9  # what rounding leaves of equal likenesses must stay a tie


def complete_link(
    likeness: Float64[np.ndarray, "unit unit"],
    *,
    threshold: float,
    together: Sequence[Sequence[int]] = (),
    apart: Collection[tuple[int, int]] = (),
    shut: Collection[int] = (),
) -> list[tuple[int, ...]]:
    """Returns groups of row numbers, each sorted, in the order of their first members; every row is in one.

    Rows of `together` start in one group, however unlike; pairs of `apart` end in different ones; nothing joins the
    group of a row in `shut`. The three must not contradict each other.
    """
    n = len(likeness)
    linked = np.round(likeness, _DIGITS)
    for first, second in apart:
        linked[first, second] = linked[second, first] = -np.inf
    members: list[list[int]] = [[row] for row in range(n)]
    for group in together:
        first, *others = sorted(group)
        for other in others:
            _join(linked, members, first, other)
    for row in shut:
        linked[row], linked[:, row] = -np.inf, -np.inf
        home = next(place for place, group in enumerate(members) if row in group)
        linked[home], linked[:, home] = -np.inf, -np.inf
    np.fill_diagonal(linked, -np.inf)
    best = linked.argmax(axis=1) if n else np.zeros(0, dtype=np.int64)
    while n:
        first = int(linked[np.arange(n), best].argmax())
        second = int(best[first])
        if not linked[first, second] >= threshold:
            break
        _join(linked, members, min(first, second), max(first, second))
        # the likeness of joined groups only falls, so other rows keep their best unless it was one of the two
        stale = np.flatnonzero((best == first) | (best == second))
        stale = np.union1d(stale, [first, second])
        best[stale] = linked[stale].argmax(axis=1)
    return [tuple(sorted(group)) for group in members if group]


def _join(linked: np.ndarray, members: list[list[int]], first: int, second: int) -> None:
    """Makes two groups one, in the row of the first."""
    least = np.minimum(linked[first], linked[second])
    linked[first], linked[:, first] = least, least
    linked[second], linked[:, second] = -np.inf, -np.inf
    linked[first, first] = -np.inf
    members[first] += members[second]
    members[second] = []
