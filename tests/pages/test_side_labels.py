from itertools import pairwise

import numpy as np
import pytest

from circuitbase.pages.side_labels import spread


def test_places_that_are_far_apart_stay() -> None:
    assert spread([0.1, 0.5, 0.9], gap=0.1, low=0.0, high=1.0) == [0.1, 0.5, 0.9]


def test_equal_places_are_drawn_apart_inside_the_limits() -> None:
    assert spread([1.0, 1.0, 1.0], gap=0.2, low=0.1, high=0.9) == pytest.approx([0.5, 0.7, 0.9])
    assert spread([0.0, 0.0], gap=0.2, low=0.1, high=0.9) == pytest.approx([0.1, 0.3])


@pytest.mark.parametrize("seed", range(5))
def test_places_keep_their_order_and_their_gap(seed: int) -> None:
    wanted = sorted(np.random.default_rng(seed).random(9).tolist())
    places = spread(wanted, gap=0.1, low=0.05, high=0.95)
    assert all(b - a >= 0.1 - 1e-9 for a, b in pairwise(places))
    assert places[0] >= 0.05 - 1e-9 and places[-1] <= 0.95 + 1e-9
