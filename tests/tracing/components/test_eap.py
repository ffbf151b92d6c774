"""Edge attribution patching is the derivative of the metric in the masks of edges."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from circuitbase.tracing.components.attribution import attribute
from circuitbase.tracing.components.attribution_options import AttributionOptions
from circuitbase.tracing.components.batches import pair_batches
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.edge_run import edge_run
from circuitbase.tracing.components.metrics import logit_difference
from circuitbase.tracing.components.pairs import Pair
from circuitbase.tracing.components.writes import component_writes
from tests.tiny_configs import PECULIAR
from tests.tracing.components.random_pairs import VARIED, random_pairs, tiny

FURTHER = [("GPTNeoXForCausalLM", {"settings": {"use_parallel_residual": False}}), ("GPT2LMHeadModel", {"n_layers": 1})]
CASES: list[tuple[str, dict[str, Any]]] = [*((name, {}) for name in PECULIAR), *FURTHER]


def derivative_in_masks(model: ComponentModel, pairs: list[Pair]) -> np.ndarray:
    """Returns the derivative of the logit difference in every edge's mask, with all edges kept."""
    (batch,) = pair_batches(pairs, batch_size=len(pairs), causal=True, device=torch.device("cpu"))
    others = component_writes(model, model.embedded(batch.corrupted)).sources
    kept = torch.from_numpy(model.graph.edges).double().repeat(len(pairs), 1, 1).requires_grad_()
    logits = edge_run(model, model.embedded(batch.clean), others=others, kept=kept, read_at=batch.read_at)
    (found,) = torch.autograd.grad(logit_difference(logits, logits, batch.pairs).sum(), kept)
    return found.numpy()[np.argsort(batch.places)]


@pytest.mark.parametrize(("architecture", "sizes"), CASES)
def test_scores_are_the_derivative_in_the_edges_masks(architecture: str, sizes: dict[str, Any], tmp_path: Path) -> None:
    model, pairs = tiny(tmp_path, architecture, **sizes), random_pairs((6, 5, 6))
    found = attribute(model, pairs, AttributionOptions("eap"))
    expected = derivative_in_masks(model, pairs)
    assert np.abs(found.scores - expected).max() <= 1e-10 * np.abs(expected).max()
    assert (found.scores[:, ~model.graph.edges] == 0).all()
    assert (found.scores[:, model.graph.edges] != 0).mean() > 0.5


def test_a_nodes_score_is_the_sum_of_its_out_edges_and_the_derivative_of_ablating_it(tmp_path: Path) -> None:
    model, pairs = tiny(tmp_path), random_pairs((6,))
    found = attribute(model, pairs, AttributionOptions("eap"))
    (batch,) = pair_batches(pairs, batch_size=1, causal=True, device=torch.device("cpu"))
    others = component_writes(model, model.embedded(batch.corrupted)).sources
    whole = torch.ones(model.graph.n_sources, dtype=torch.float64, requires_grad=True)
    kept = torch.from_numpy(model.graph.edges).double() * whole[:, None]
    logits = edge_run(model, model.embedded(batch.clean), others=others, kept=kept, read_at=batch.read_at)
    (expected,) = torch.autograd.grad(logit_difference(logits, logits, batch.pairs).sum(), whole)
    np.testing.assert_allclose(found.nodes[0], found.scores[0].sum(-1))
    np.testing.assert_allclose(found.nodes[0], expected.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "method", ["eap", "eap-ig-inputs", "eap-ig-activations", "clean-corrupted", "exact", "information-flow"]
)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-10), ("float32", 1e-6)])
def test_neither_batch_size_nor_padding_changes_a_score(
    method: Any, dtype: str, tolerance: float, tmp_path: Path
) -> None:
    model, pairs = tiny(tmp_path, "LlamaForCausalLM", dtype=dtype), random_pairs((6, 3, 9, 4, 6))
    together = attribute(model, pairs, AttributionOptions(method, batch_size=5)).scores
    alone = attribute(model, pairs, AttributionOptions(method, batch_size=1)).scores
    one_by_one = np.concatenate([attribute(model, [pair], AttributionOptions(method)).scores for pair in pairs])
    for other in (alone, one_by_one):
        assert np.abs(together - other).max() <= tolerance * np.abs(together).max()


@pytest.mark.parametrize("architecture", VARIED)
def test_models_that_look_ahead_are_not_padded(architecture: str, tmp_path: Path) -> None:
    from dataclasses import replace

    model, pairs = tiny(tmp_path, architecture), random_pairs((6, 3, 6))
    layers = tuple(replace(layer, scoring=replace(layer.scoring, causal=False)) for layer in model.attention)
    model = replace(model, attention=layers)
    together = attribute(model, pairs, AttributionOptions("eap")).scores
    alone = np.concatenate([attribute(model, [pair], AttributionOptions("eap")).scores for pair in pairs])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-10 * np.abs(alone).max())
