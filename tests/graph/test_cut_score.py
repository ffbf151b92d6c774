"""The cut by selection against a plain sort."""

from collections.abc import Iterator

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given

from circuitbase.graph.pruning import cut_score

FRACTIONS = st.one_of(st.sampled_from([1e-6, 0.1, 0.5, 0.8, 0.98, 1 - 1e-9, 1.0]), st.floats(1e-3, 1.0))
ROUNDING = 1e-9


@st.composite
def score_lists(draw: st.DrawFn) -> np.ndarray:
    """Scores with zeros: a few values that are met again and again, or a continuum; of any range up to 1e±200."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size, octaves = draw(st.integers(0, 300)), draw(st.sampled_from([0.0, 1.0, 30.0, 300.0]))
    scale = 10.0 ** draw(st.sampled_from([-200, -30, 0, 30, 200]))
    if draw(st.booleans()):
        score = random.choice([0.0, 1.0, 1.0, 2.0, 3.0, 5e-5], size=size) * scale
    else:
        score = 2.0 ** random.uniform(-octaves, 0, size=size) * scale
    return np.where(random.random(size) < draw(st.sampled_from([0.0, 0.3, 1.0])), 0.0, score)


def split(score: np.ndarray, n_parts: int) -> Iterator[np.ndarray]:
    yield from np.array_split(score, n_parts)


def plain_cut(score: np.ndarray, fraction: float) -> tuple[float, float]:
    """The least and the greatest cut that sums in another order may lead to."""
    ordered = np.sort(score[score > 0])[::-1]
    if len(ordered) == 0:
        return np.inf, np.inf
    running = np.cumsum(ordered)
    first, last = (
        int(np.searchsorted(running, min(fraction * rounding, 1.0) * running[-1], side="left"))
        for rounding in (1 - ROUNDING, 1 + ROUNDING)
    )
    end = len(ordered) - 1
    return float(ordered[end if fraction == 1 else min(last, end)]), float(
        ordered[end if fraction == 1 else min(first, end)]
    )


@given(score_lists(), FRACTIONS, st.integers(1, 40))
@example(np.array([1.0, 1e-30]), 1.0, 1)
@example(np.array([1.0, 1e-300, 1e-300]), 0.5, 7)
def test_the_cut_is_that_of_a_plain_sort(score: np.ndarray, fraction: float, n_parts: int) -> None:
    cut = cut_score(lambda: split(score, n_parts), fraction=fraction)
    least, greatest = plain_cut(score, fraction)
    assert cut == least == greatest or least * (1 - ROUNDING) <= cut <= greatest


@given(score_lists(), FRACTIONS)
def test_what_reaches_the_cut_makes_up_the_fraction_and_without_the_smallest_of_it_does_not(
    score: np.ndarray, fraction: float
) -> None:
    kept = score >= cut_score(lambda: split(score, 1), fraction=fraction)
    assert not kept[score == 0].any()
    assert score[kept].sum() >= fraction * score.sum() * (1 - ROUNDING)
    if kept.any():
        above = kept & (score > score[kept].min() * (1 + ROUNDING))
        assert score[above].sum() <= fraction * score.sum() * (1 + ROUNDING)


@given(score_lists(), FRACTIONS, st.integers(2, 40))
def test_the_same_scores_are_cut_however_they_are_split(score: np.ndarray, fraction: float, n_parts: int) -> None:
    # whole numbers, so that sums in any order are equal
    whole = np.floor(2.0**20 * score / max(score.max(initial=0.0), 1e-250))
    together = cut_score(lambda: split(whole, 1), fraction=fraction)
    assert cut_score(lambda: split(whole, n_parts), fraction=fraction) == together
    empty = [np.zeros(0), whole, np.zeros(0), np.zeros(3)]
    assert cut_score(lambda: iter(empty), fraction=fraction) == together


@pytest.mark.parametrize("fraction", [0.5, 1.0])
@pytest.mark.parametrize("parts", [[], [np.zeros(0)], [np.zeros(4), np.zeros(0)]])
def test_without_a_positive_score_nothing_reaches_the_cut(parts: list[np.ndarray], fraction: float) -> None:
    assert cut_score(lambda: iter(parts), fraction=fraction) == np.inf


def test_equal_scores_stay_together_at_every_fraction() -> None:
    score = np.full(1000, 0.1)
    for fraction in (1e-9, 0.3, 0.999, 1.0):
        assert (score >= cut_score(lambda: split(score, 7), fraction=fraction)).all()
