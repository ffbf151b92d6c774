"""BatchTopK training on data whose dictionary is known."""

import pytest
import torch

from circuitbase.training.batch_topk import TrainingOptions, kept, spread_rows, train_transcoder
from circuitbase.training.scores import score_transcoder

OPTIONS = TrainingOptions(n_features=24, k=2, steps=800, batch_rows=512, learning_rate=5e-3)


def planted(n_true: int, width: int, rows: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns inputs, outputs and the true writes: two of `n_true` orthogonal directions are on in each row."""
    generator = torch.Generator().manual_seed(3)
    reads = torch.linalg.qr(torch.randn(width, width, generator=generator)).Q[:n_true]
    writes = torch.nn.functional.normalize(torch.randn(n_true, width, generator=generator), dim=1)
    on = torch.zeros(rows, n_true)
    chosen = torch.rand(rows, n_true, generator=generator).topk(2, dim=1).indices
    on.scatter_(1, chosen, 1 + torch.rand(rows, 2, generator=generator))
    return on @ reads, on @ writes + 0.7, writes


def test_a_planted_dictionary_is_recovered() -> None:
    inputs, outputs, writes = planted(n_true=12, width=16, rows=6000)
    transcoder = train_transcoder(inputs[:5000], outputs[:5000], OPTIONS)
    score = score_transcoder(transcoder, inputs[5000:], outputs[5000:])
    assert score.fvu < 0.02
    assert score.l0 == pytest.approx(2, abs=0.4)
    match = (writes @ transcoder.W_dec.T).max(1).values
    assert match.mean() > 0.95


def test_training_is_the_same_twice_and_differs_by_seed() -> None:
    inputs, outputs, _ = planted(n_true=12, width=16, rows=1000)
    short = TrainingOptions(n_features=16, k=2, steps=20, batch_rows=128)
    first, again = (train_transcoder(inputs, outputs, short) for _ in range(2))
    assert torch.equal(first.W_enc, again.W_enc)
    other = train_transcoder(inputs, outputs, TrainingOptions(n_features=16, k=2, steps=20, batch_rows=128, seed=1))
    assert not torch.equal(first.W_enc, other.W_enc)


def test_decoder_rows_have_norm_one_and_thresholds_are_shared() -> None:
    inputs, outputs, _ = planted(n_true=12, width=16, rows=1000)
    short = TrainingOptions(n_features=16, k=2, steps=30, batch_rows=128)
    transcoder = train_transcoder(5 * inputs, 3 * outputs, short)
    torch.testing.assert_close(transcoder.W_dec.norm(dim=1), torch.ones(16))
    assert transcoder.threshold.unique().numel() == 1
    assert transcoder.threshold[0] > 0


def test_a_batch_shares_its_budget_and_rows_do_not() -> None:
    activations = torch.tensor([[9.0, 8.0, 7.0], [3.0, 2.0, 1.0]])
    shared, smallest = kept(activations, TrainingOptions(n_features=3, k=1))
    assert shared.tolist() == [[9.0, 8.0, 0.0], [0.0, 0.0, 0.0]]
    assert smallest == 8.0
    own, _ = kept(activations, TrainingOptions(k=2, shared_budget=False))
    assert own.tolist() == [[9.0, 8.0, 0.0], [3.0, 2.0, 0.0]]


def test_spread_rows_do_not_start_features_alike() -> None:
    rows = torch.cat([torch.zeros(900, 4), torch.eye(4).repeat(5, 1), -torch.eye(4).repeat(5, 1)])
    chosen = spread_rows(rows, 9, torch.Generator().manual_seed(0))
    assert len({tuple(row) for row in rows[chosen].tolist()}) == 9
