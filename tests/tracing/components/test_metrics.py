"""Metrics by hand, and what is refused of one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from circuitbase.errors import InputError
from circuitbase.tracing.components.attribution import attribute
from circuitbase.tracing.components.attribution_options import AttributionOptions
from circuitbase.tracing.components.metric_file import read_metric
from circuitbase.tracing.components.metrics import logit_difference, negative_divergence, probability_difference
from circuitbase.tracing.components.pairs import Pair
from tests.tracing.components.random_pairs import random_pairs, tiny

LOGITS = torch.tensor([[0.0, 1.0, 2.0, 4.0], [3.0, 0.0, 0.0, 1.0]], dtype=torch.float64).log()
PAIRS = [Pair((1, 2), (3, 2), (1,), (3,)), Pair((1, 2), (3, 2), (0, 3), (2,))]


def test_differences_are_of_mean_logits_and_of_summed_probabilities() -> None:
    logits = torch.tensor([[5.0, 1.0, 2.0, 4.0], [3.0, 7.0, 2.0, 1.0]], dtype=torch.float64)
    assert logit_difference(logits, logits, PAIRS).tolist() == [-3.0, 0.0]
    chances = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.3, 0.2]], dtype=torch.float64)
    found = probability_difference(chances.log(), logits, PAIRS)
    np.testing.assert_allclose(found, [0.2 - 0.4, 0.25 + 0.2 - 0.3])


def test_kl_is_minus_the_divergence_from_the_clean_run_in_nats() -> None:
    clean = torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64)
    other = torch.tensor([[0.25, 0.5, 0.25]], dtype=torch.float64)
    found = negative_divergence(other.log(), clean.log(), PAIRS[:1])
    assert float(found) == pytest.approx(-(0.5 * np.log(2) + 0.25 * np.log(0.5)))
    assert float(negative_divergence(clean.log(), clean.log(), PAIRS[:1])) == pytest.approx(0, abs=1e-15)


def test_edges_that_keep_the_clean_output_have_positive_scores_under_kl(tmp_path: Path) -> None:
    model, pairs = tiny(tmp_path), random_pairs()
    found = attribute(model, pairs, AttributionOptions("exact", metric="kl"))
    assert found.clean is not None and found.ablated is not None
    assert (found.scores >= -1e-12).all() and found.scores.max() > 0
    np.testing.assert_allclose(found.clean, 0, atol=1e-12)
    assert (found.ablated < 0).all()


def test_a_function_of_the_users_own_is_a_metric(tmp_path: Path) -> None:
    path = tmp_path / "metric.py"
    path.write_text("def margin(logits, clean_logits, pairs):\n    return logits[:, 3] - logits[:, 4]\n")
    model, pairs = tiny(tmp_path), random_pairs()
    named = [Pair(pair.clean, pair.corrupted, (3,), (4,)) for pair in pairs]
    without = [Pair(pair.clean, pair.corrupted) for pair in pairs]
    found = attribute(model, without, AttributionOptions("eap", metric=read_metric(f"{path}:margin")))
    np.testing.assert_allclose(found.scores, attribute(model, named, AttributionOptions("eap")).scores)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("accuracy", "the metric must be one of logit-difference, .* or FILE.py:FUNCTION"),
        ("none.py:margin", "the metric's file none.py does not exist"),
        ("FOLDER/broken.py:margin", "broken.py cannot be run .ZeroDivisionError"),
        ("FOLDER/empty.py:margin", "should define a function margin"),
    ],
)
def test_a_metric_that_is_not_there_is_refused(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "empty.py").write_text("")
    with pytest.raises(InputError, match=sentence):
        read_metric(text.replace("FOLDER", str(tmp_path)))


def test_a_metric_without_one_finite_number_per_pair_is_refused(tmp_path: Path) -> None:
    model, pairs = tiny(tmp_path), random_pairs()

    def total(logits: Any, clean_logits: Any, pairs: Any) -> Any:
        return logits.sum()

    def endless(logits: Any, clean_logits: Any, pairs: Any) -> Any:
        return logits[:, 0] / 0

    def broken(logits: Any, clean_logits: Any, pairs: Any) -> Any:
        return {}["answer"]

    with pytest.raises(InputError, match=r"the metric broken failed .KeyError: 'answer'."):
        attribute(model, pairs, AttributionOptions("eap", metric=broken))
    with pytest.raises(InputError, match=r"the metric total must return one number per pair, \[2\], got a tensor"):
        attribute(model, pairs, AttributionOptions("eap", metric=total))
    with pytest.raises(InputError, match="the metric endless must be finite on every pair"):
        attribute(model, pairs, AttributionOptions("eap", metric=endless))


def test_pairs_without_the_tokens_of_a_metric_are_refused(tmp_path: Path) -> None:
    model, pairs = tiny(tmp_path), random_pairs()
    pairs[1] = Pair(pairs[1].clean, pairs[1].corrupted)
    with pytest.raises(InputError, match="pair 1: it has no correct and wrong tokens, which logit-difference compares"):
        attribute(model, pairs, AttributionOptions("eap"))
    assert attribute(model, pairs, AttributionOptions("exact", metric="kl")).n_pairs == 2


def test_a_metric_that_counts_is_for_exact_patching_alone(tmp_path: Path) -> None:
    model, pairs = tiny(tmp_path), random_pairs()

    def right(logits: Any, clean_logits: Any, pairs: Any) -> Any:
        return torch.stack([row.argmax() == pair.correct[0] for row, pair in zip(logits, pairs, strict=True)]).double()

    with pytest.raises(InputError, match=r"the metric has no derivative .* or the method exact"):
        attribute(model, pairs, AttributionOptions("eap", metric=right))
    assert attribute(model, pairs, AttributionOptions("exact", metric=right)).n_pairs == 2
