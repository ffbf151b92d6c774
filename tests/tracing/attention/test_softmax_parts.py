"""What parts of scores are worth in attention weights: sums that close, whatever the scores."""

import numpy as np
import pytest

from circuitbase.tracing.attention.softmax_parts import derivative, integrated, pattern

EVERY = np.arange(6)


def scores(scale: float, seed: int = 0) -> np.ndarray:
    return scale * np.random.default_rng(seed).normal(size=6)


@pytest.mark.parametrize("soft_cap", [None, 1.0, 30.0])
@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0, 1e4])
def test_integrated_parts_sum_to_the_pattern_less_the_uniform_one(scale: float, soft_cap: float | None) -> None:
    end = scores(scale)
    found = integrated(np.zeros(6), end, of=EVERY, soft_cap=soft_cap)
    expected = pattern(end, soft_cap=soft_cap) - 1 / 6
    assert np.abs(found.coefficient @ end - expected).max() <= 1e-8
    assert found.gap <= 1e-8


@pytest.mark.parametrize("soft_cap", [None, 2.0])
def test_integrated_parts_sum_to_the_change_between_two_patterns(soft_cap: float | None) -> None:
    start, end = scores(40.0, seed=1), scores(40.0, seed=2)
    found = integrated(start, end, of=EVERY[2:4], soft_cap=soft_cap)
    expected = (pattern(end, soft_cap=soft_cap) - pattern(start, soft_cap=soft_cap))[2:4]
    assert np.abs(found.coefficient @ (end - start) - expected).max() <= 1e-8


def test_coefficients_are_the_mean_derivative_along_the_way() -> None:
    start, end = scores(3.0, seed=3), scores(3.0, seed=4)
    along = (np.arange(2_000) + 0.5) / 2_000
    mean = sum(derivative(start + at * (end - start), of=EVERY, soft_cap=2.0) for at in along) / len(along)
    found = integrated(start, end, of=EVERY, soft_cap=2.0).coefficient
    np.testing.assert_allclose(found, mean, rtol=0, atol=1e-6)


@pytest.mark.parametrize("soft_cap", [None, 2.0])
def test_a_derivative_is_that_of_the_weight_in_the_score(soft_cap: float | None) -> None:
    here, step = scores(2.0), 1e-6
    found = derivative(here, of=np.array([1, 4]), soft_cap=soft_cap)
    for key in range(6):
        moved = here + step * (key == EVERY), here - step * (key == EVERY)
        above, below = (pattern(each, soft_cap=soft_cap)[[1, 4]] for each in moved)
        np.testing.assert_allclose(found[:, key], (above - below) / (2 * step), rtol=1e-6, atol=1e-9)


def test_without_a_cap_it_is_the_softmax_formula() -> None:
    here = scores(1.0)
    weight = pattern(here, soft_cap=None)
    expected = weight[:, None] * (np.eye(6) - weight[None, :])
    np.testing.assert_allclose(derivative(here, of=EVERY, soft_cap=None), expected, rtol=0, atol=1e-15)
