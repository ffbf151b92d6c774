"""The largest effects up to a share of each row, against a plain sort of the row."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from torch import Tensor

from circuitbase.tracing.kept_mass import largest_up_to

SHARES = st.one_of(st.sampled_from([0.01, 0.5, 0.9, 0.98, 0.999999]), st.floats(0.01, 0.9999))
ROUNDING = 1e-9


@st.composite
def rows(draw: st.DrawFn) -> Tensor:
    """Rows of signed effects, each with a scale of its own: tied or a continuum, some or all of them zeros."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.integers(1, 6)), draw(st.integers(1, 80))
    octaves = draw(st.sampled_from([0.0, 1.0, 10.0, 40.0]))
    if draw(st.booleans()):
        weight = random.choice([-2.0, -1.0, 1.0, 2.0, 0.25], size=shape)
    else:
        weight = 2.0 ** random.uniform(-octaves, 0, size=shape) * random.choice([-1, 1], size=shape)
    weight[random.random(shape) < draw(st.sampled_from([0.0, 0.3, 0.9]))] = 0
    weight *= 10.0 ** random.choice(draw(st.sampled_from([[0], [-3, 3], [-15, 0, 15]])), size=(shape[0], 1))
    return torch.from_numpy(weight).to(draw(st.sampled_from([torch.float32, torch.float64])))


def total_of(weight: Tensor) -> Tensor:
    return weight.abs().sum(1, dtype=torch.float64)


def fewest(magnitude: np.ndarray, wanted: float) -> int:
    """How many of the largest are needed to reach a sum."""
    return 0 if wanted <= 0 else int(np.searchsorted(np.cumsum(np.sort(magnitude)[::-1]), wanted, side="left")) + 1


@given(rows(), SHARES)
def test_the_kept_effects_are_the_fewest_that_reach_the_share(weight: Tensor, share: float) -> None:
    kept = largest_up_to(weight, total_of(weight), share=share).numpy()
    for row, chosen in zip(weight.abs().double().numpy(), kept, strict=True):
        total = row.sum()
        assert row[chosen].sum() >= share * total * (1 - ROUNDING)
        most = fewest(row, share * total * (1 + ROUNDING))
        assert fewest(row, share * total * (1 - ROUNDING)) <= chosen.sum() <= min(most, np.count_nonzero(row))
        if chosen.any():
            assert row[~chosen].max(initial=0.0) <= row[chosen].min()


@given(rows(), SHARES)
def test_of_equal_effects_the_earlier_column_is_kept(weight: Tensor, share: float) -> None:
    kept = largest_up_to(weight, total_of(weight), share=share).numpy()
    for row, chosen in zip(weight.abs().numpy(), kept, strict=True):
        for value in np.unique(row[chosen]):
            (equal,) = np.nonzero(row == value)
            assert (np.diff(chosen[equal].astype(int)) <= 0).all()


@given(rows(), SHARES)
def test_a_row_is_cut_the_same_whichever_rows_stand_beside_it(weight: Tensor, share: float) -> None:
    together = largest_up_to(weight, total_of(weight), share=share).sum(1).tolist()
    for row, count in zip(weight, together, strict=True):
        alone = largest_up_to(row[None], total_of(row[None]), share=share).sum().item()
        wanted = share * float(row.abs().double().sum())
        magnitude = row.abs().double().numpy()
        allowed = {fewest(magnitude, wanted * (1 + sign * ROUNDING)) for sign in (-1, 0, 1)}
        assert alone == count or {alone, count} <= allowed


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_row_without_effects_keeps_none(dtype: torch.dtype) -> None:
    weight = torch.zeros(2, 5, dtype=dtype)
    weight[1, 3] = -2.0
    kept = largest_up_to(weight, total_of(weight), share=0.9)
    assert kept.tolist() == [[False] * 5, [False, False, False, True, False]]


def test_a_share_that_rounding_keeps_out_of_reach_keeps_every_effect() -> None:
    weight = torch.tensor([[1.0, 0.0, -1e-12, 1e-30]], dtype=torch.float64)
    assert largest_up_to(weight, total_of(weight) * (1 + 1e-15), share=1.0).tolist() == [[True, False, True, True]]
