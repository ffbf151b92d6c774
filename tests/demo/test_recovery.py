"""How well features recover a variable, counted by hand."""

import pytest
import torch

from circuitbase.demo.recovery import best_features, f1_scores

TRUTH = torch.tensor([True, True, True, True, False, False])
FIRES = torch.tensor(
    [
        # two halves of the truth; a feature that is always on; one that never is; three quarters and a mistake
        [True, False, True, False, True],
        [True, False, True, False, True],
        [False, True, True, False, True],
        [False, True, True, False, False],
        [False, False, True, False, True],
        [False, False, True, False, False],
    ]
)


def test_f1_is_twice_the_overlap_over_both_sizes() -> None:
    assert f1_scores(FIRES, TRUTH).tolist() == pytest.approx([4 / 6, 4 / 6, 8 / 10, 0, 6 / 8])


def test_features_are_joined_until_the_variable_is_recovered() -> None:
    halves = FIRES[:, :2]
    found = best_features("half", halves, TRUTH, per_layer=1)
    assert (found.feature, found.needed) == ("L00/F00000", 2)
    assert found.f1 == pytest.approx(2 / 3)
    assert (found.precision, found.recall) == (1, 0.5)
    assert found.joined_f1 == 1


def test_a_variable_that_no_join_recovers_is_said_to_be_so() -> None:
    found = best_features("lost", FIRES[:, 2:4], TRUTH, per_layer=2)
    assert found.needed is None
    assert found.joined_f1 == pytest.approx(0.8)


def test_a_features_layer_and_index_are_named() -> None:
    found = best_features("late", FIRES[:, [3, 3, 3, 4]], TRUTH, per_layer=2)
    assert found.feature == "L01/F00001"
