"""The unexplained fraction against known values for N(3, I) in 32 dimensions; L0 and dead features by hand."""

import pytest
import torch

from circuitbase.training.scores import fraction_of_variance_unexplained, score_transcoder
from circuitbase.training.transcoder import Transcoder


@pytest.fixture
def wanted() -> torch.Tensor:
    return 3 + torch.randn(4000, 32, generator=torch.Generator().manual_seed(0))


def test_a_perfect_reconstruction_leaves_nothing_unexplained(wanted: torch.Tensor) -> None:
    assert fraction_of_variance_unexplained(wanted, wanted.clone()) == 0


def test_predicting_the_mean_leaves_everything_unexplained(wanted: torch.Tensor) -> None:
    mean = wanted.mean(0, keepdim=True).expand_as(wanted)
    assert fraction_of_variance_unexplained(wanted, mean) == pytest.approx(1, abs=1e-6)


def test_predicting_zero_is_worse_than_the_mean(wanted: torch.Tensor) -> None:
    # explained variance −8.97 on N(3, I), so 9.97 (1 + 3²) unexplained
    assert fraction_of_variance_unexplained(wanted, torch.zeros_like(wanted)) == pytest.approx(10, abs=0.1)


def test_an_offset_is_punished_though_the_residual_does_not_vary(wanted: torch.Tensor) -> None:
    assert fraction_of_variance_unexplained(wanted, wanted + 0.5) == pytest.approx(0.25, abs=0.01)


def identity_transcoder(thresholds: list[float]) -> Transcoder:
    """Returns a transcoder whose features are the axes."""
    width = len(thresholds)
    return Transcoder(
        torch.eye(width), torch.eye(width), torch.zeros(width), torch.zeros(width), torch.tensor(thresholds)
    )


def test_l0_and_dead_features_are_counted_by_hand() -> None:
    inputs = torch.tensor([[1.0, 0.2, 0.0], [2.0, 0.0, 0.0], [0.0, 0.4, 0.0], [3.0, 1.0, 0.0]])
    score = score_transcoder(identity_transcoder([0.5, 0.3, 0.0]), inputs, inputs)
    assert score.rows == 4
    assert score.l0 == pytest.approx(5 / 4)  # 1, 1, 1 and 2 axes above their thresholds
    assert score.dead == pytest.approx(1 / 3)
    assert score.fvu == pytest.approx(0.04 / (inputs - inputs.mean(0)).square().sum().item(), rel=1e-6)


def test_the_threshold_is_compared_strictly() -> None:
    at_threshold = torch.full((1, 2), 0.5)
    assert identity_transcoder([0.5, 0.25]).encode(at_threshold).tolist() == [[0.0, 0.5]]


def test_scores_do_not_depend_on_how_rows_are_split(wanted: torch.Tensor) -> None:
    rows = wanted.repeat(5, 1)
    transcoder = identity_transcoder([3.0] * 32)
    whole = score_transcoder(transcoder, rows, rows)
    found = transcoder(rows)
    assert whole.fvu == pytest.approx(fraction_of_variance_unexplained(rows, found), rel=1e-6)
    assert whole.l0 == pytest.approx((transcoder.encode(rows) != 0).sum(1).double().mean().item())


def test_the_gauge_changes_no_output() -> None:
    generator = torch.Generator().manual_seed(1)
    transcoder = Transcoder(
        torch.randn(40, 8, generator=generator),
        torch.randn(40, 8, generator=generator),
        torch.randn(40, generator=generator),
        torch.randn(8, generator=generator),
        torch.rand(40, generator=generator),
    ).to(torch.float64)
    rows = torch.randn(50, 8, generator=generator, dtype=torch.float64)
    scale = torch.rand(40, generator=generator, dtype=torch.float64) + 0.1
    other = transcoder.rescaled(scale)
    torch.testing.assert_close(other(rows), transcoder(rows), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(other.encode(rows), transcoder.encode(rows) * scale, rtol=1e-12, atol=1e-12)
