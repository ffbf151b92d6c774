import math

import pytest
from scipy.stats import binomtest

from circuitbase.queries.intervals import log_odds_ratio, wilson


@pytest.mark.parametrize(("count", "total"), [(0, 12), (1, 12), (6, 12), (12, 12), (37, 100), (1, 1)])
def test_wilsons_interval_is_that_of_scipy(count: int, total: int) -> None:
    found, expected = wilson(count, total), binomtest(count, total).proportion_ci(0.95, method="wilson")
    assert found.value == count / total
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_nothing_observed_says_nothing() -> None:
    assert (wilson(0, 0).value, wilson(0, 0).low, wilson(0, 0).high) == (0, 0, 1)


def test_a_count_above_its_total_is_refused() -> None:
    with pytest.raises(ValueError, match="count must be 0 to 3, got 4"):
        wilson(4, 3)
    with pytest.raises(ValueError, match="got 4 and 1"):
        log_odds_ratio(4, 3, 1, 3)


def test_a_log_odds_ratio_by_hand() -> None:
    found = log_odds_ratio(8, 12, 2, 10)
    assert found.value == pytest.approx(math.log(8.5 / 4.5) - math.log(2.5 / 8.5))
    half = 1.959963984540054 * math.sqrt(1 / 8.5 + 1 / 4.5 + 1 / 2.5 + 1 / 8.5)
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half))


def test_a_log_odds_ratio_is_finite_at_none_and_all_and_turns_with_the_sets() -> None:
    found = log_odds_ratio(5, 5, 0, 7)
    assert math.isfinite(found.low) and found.low > 0
    assert log_odds_ratio(0, 7, 5, 5).value == pytest.approx(-found.value)
    assert log_odds_ratio(3, 6, 3, 6).value == 0
