"""Activations: on whole matrices, and found some features after the others."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from circuitbase.tracing.activations import Activation, GroupMax, JumpRelu, Part, Relu, TopK

N_FEATURES = 24
GENERATOR = torch.Generator().manual_seed(3)
SCALE = torch.rand(N_FEATURES, generator=GENERATOR, dtype=torch.float64) + 0.5
THRESHOLD = torch.randn(N_FEATURES, generator=GENERATOR, dtype=torch.float64) / 2

ACTIVATIONS: dict[str, Activation] = {
    "relu": Relu(),
    "jumprelu": JumpRelu(THRESHOLD),
    "topk": TopK(5, positive=False),
    "topk of the positive": TopK(20, positive=True),
    "topk by the decoder's norm": TopK(5, positive=True, rank_scale=SCALE),
    "topk by magnitude": TopK(5, positive=False, by_magnitude=True),
    "groupmax": GroupMax(6),
}


def parts(z: Tensor, sizes: int) -> Iterator[Part]:
    for first in range(0, z.shape[1], sizes):
        yield Part(first, z[:, first : first + sizes])


@given(seed=st.integers(0, 1000), positions=st.integers(0, 5), size=st.integers(1, N_FEATURES))
@pytest.mark.parametrize("name", ACTIVATIONS)
@settings(max_examples=25, deadline=None)
def test_what_fires_is_the_same_whole_and_some_features_after_the_others(
    name: str, seed: int, positions: int, size: int
) -> None:
    z = torch.randn(positions, N_FEATURES, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    whole = ACTIVATIONS[name](z)
    firing = ACTIVATIONS[name].fired(parts(z, size))
    position, feature = np.nonzero(whole.numpy())
    np.testing.assert_array_equal(firing.position, position)
    np.testing.assert_array_equal(firing.feature, feature)
    np.testing.assert_array_equal(firing.activation, whole[position, feature])


def test_topk_ranks_by_the_scaled_value_and_keeps_the_unscaled_one() -> None:
    z, scale = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([9.0, 1.0, 1.0])
    assert TopK(1, positive=True, rank_scale=scale)(z).tolist() == [[1.0, 0.0, 0.0]]


def test_topk_by_magnitude_keeps_signs() -> None:
    assert TopK(2, positive=False, by_magnitude=True)(torch.tensor([[1.0, -3.0, 2.0]])).tolist() == [[0.0, -3.0, 2.0]]


def test_groupmax_keeps_the_largest_of_each_group_if_it_is_positive() -> None:
    assert GroupMax(2)(torch.tensor([[1.0, 2.0, -2.0, -1.0]])).tolist() == [[0.0, 2.0, 0.0, 0.0]]


def test_only_features_that_do_not_compete_have_a_threshold() -> None:
    chosen = torch.tensor([3, 5])
    assert Relu().threshold_of(chosen).tolist() == [0.0, 0.0]
    assert JumpRelu(THRESHOLD).threshold_of(chosen).tolist() == THRESHOLD[chosen].tolist()
    assert TopK(2, positive=True).threshold_of(chosen) is None
    assert GroupMax(2).threshold_of(chosen) is None
