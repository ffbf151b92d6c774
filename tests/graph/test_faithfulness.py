"""Faithfulness by hand."""

import numpy as np
import pytest

from circuitbase.graph.faithfulness import faithfulness
from circuitbase.graph.faithfulness_curve import FRACTIONS, cmd, cpr, grid_counts


def test_faithfulness_is_a_ratio_of_means_and_the_mean_over_prompts() -> None:
    found = faithfulness(np.array([2.0, 5.0, 3.0]), np.array([4.0, 6.0, 5.0]), np.array([0.0, 1.0, 2.0]))
    assert (found.m_circuit, found.m_full, found.m_empty) == (10 / 3, 5.0, 1.0)
    assert found.f == pytest.approx((10 / 3 - 1) / 4)
    assert found.per_prompt == pytest.approx((0.5, 1.0, 0.25))
    assert found.variance == pytest.approx(np.var([0.5, 1.0, 0.25], ddof=1))
    assert found.low is not None and found.high is not None
    assert found.low <= found.f <= found.high


def test_the_full_model_has_faithfulness_1_and_the_empty_one_0() -> None:
    full, empty = np.array([4.0, 6.0]), np.array([0.0, 1.0])
    assert faithfulness(full, full, empty).f == 1.0
    assert (faithfulness(full, full, empty).low, faithfulness(full, full, empty).high) == (1.0, 1.0)
    assert faithfulness(empty, full, empty).f == 0.0


def test_no_number_is_given_where_model_and_empty_circuit_are_within_two_standard_errors() -> None:
    found = faithfulness(np.array([1.0, 2.0, 3.0]), np.array([1.0, -1.0, 0.5]), np.zeros(3))
    assert (found.f, found.per_prompt, found.variance, found.low, found.high) == (None,) * 5
    assert found.m_full == pytest.approx(0.5 / 3)
    assert found.standard_error == pytest.approx(np.std([1.0, -1.0, 0.5], ddof=1) / 3**0.5)


def test_one_prompt_has_a_value_and_no_spread() -> None:
    found = faithfulness(np.array([1.0]), np.array([4.0]), np.array([0.0]))
    assert (found.f, found.variance, found.low, found.standard_error) == (0.25, None, None, None)
    assert faithfulness(np.array([1.0]), np.array([4.0]), np.array([4.0])).f is None


def test_the_bootstrap_is_seeded_and_draws_prompts() -> None:
    numbers = np.random.default_rng(0).normal(size=(2, 40))
    circuit, full, empty = 3 + numbers[0], 5 + numbers[1], np.zeros(40)
    first, again, other = (faithfulness(circuit, full, empty, seed=seed) for seed in (1, 1, 2))
    assert (first.low, first.high) == (again.low, again.high) != (other.low, other.high)
    assert first.low < first.f < first.high  # type: ignore[operator]


def test_areas_of_constant_faithfulness_are_those_of_the_grid() -> None:
    assert cpr([1.0] * len(FRACTIONS)) == pytest.approx(0.999)
    assert cmd([1.0] * len(FRACTIONS)) == 0.0
    assert cmd([0.5] * len(FRACTIONS)) == cmd([1.5] * len(FRACTIONS)) == pytest.approx(0.999 / 2)
    assert cpr([0.0] * 9 + [1.0]) == pytest.approx(0.25)
    with pytest.raises(ValueError, match="got 2 for 10"):
        cpr([1.0, 1.0])


def test_the_grid_holds_the_floor_of_each_fraction() -> None:
    assert grid_counts(32_491) == (32, 64, 162, 324, 649, 1624, 3249, 6498, 16245, 32491)
    assert grid_counts(30)[:7] == (0, 0, 0, 0, 0, 1, 3)
