"""Integrated gradients: on inputs complete on the cut of the input's edges, on activations as their definition says."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from circuitbase.tracing.components.attribution import attribute
from circuitbase.tracing.components.attribution_options import RULE_NAMES, AblationName, AttributionOptions, Rule
from circuitbase.tracing.components.batches import pair_batches
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.integration import nodes
from circuitbase.tracing.components.metrics import logit_difference
from circuitbase.tracing.components.pairs import Pair
from circuitbase.tracing.components.running import Site, run
from circuitbase.tracing.components.writes import component_writes
from tests.tracing.components.random_pairs import VARIED, random_pairs, tiny


@pytest.mark.parametrize("rule", RULE_NAMES)
def test_weights_sum_to_one_and_rules_integrate_what_they_should(rule: Rule) -> None:
    found = nodes(rule, 4)
    places, weights = np.array(found.places), np.array(found.weights)
    assert weights.sum() == pytest.approx(1)
    degree = {"left": 0, "right": 0, "midpoint": 1, "gauss": 7}[rule]
    assert (weights * places**degree).sum() == pytest.approx(1 / (degree + 1))
    assert nodes("left", 2).places == (0.0, 0.5)
    assert nodes("right", 2).places == (0.5, 1.0)
    assert nodes("midpoint", 2).places == (0.25, 0.75)


def gap(model: ComponentModel, pairs: list[Pair], rule: Rule, steps: int) -> float:
    found = attribute(model, pairs, AttributionOptions("eap-ig-inputs", rule=rule, steps=steps))
    assert found.gap is not None and found.clean is not None and found.ablated is not None
    difference = found.clean - found.ablated
    np.testing.assert_allclose(found.scores[:, 0].sum(-1) - difference, found.gap, atol=1e-12)
    return float(np.abs(found.gap).sum() / np.abs(difference).sum())


@pytest.mark.parametrize("architecture", ["GPT2LMHeadModel", "LlamaForCausalLM", "Gemma2ForCausalLM"])
def test_parts_that_leave_the_input_sum_to_the_difference_of_the_metric(architecture: str, tmp_path: Path) -> None:
    model, pairs = tiny(tmp_path, architecture), random_pairs()
    assert gap(model, pairs, "gauss", 100) <= 1e-3
    assert gap(model, pairs, "midpoint", 40) <= 0.03
    assert gap(model, pairs, "left", 40) <= 0.2


def test_more_steps_leave_less_of_a_gap_and_gauss_the_least(tmp_path: Path) -> None:
    model, pairs = tiny(tmp_path), random_pairs()
    rules: tuple[Rule, ...] = ("left", "midpoint", "gauss")
    by_rule = {rule: [gap(model, pairs, rule, steps) for steps in (4, 10, 25)] for rule in rules}
    for gaps in by_rule.values():
        assert gaps == sorted(gaps, reverse=True)
    for left, midpoint, gauss in zip(*by_rule.values(), strict=True):
        assert left > midpoint > gauss


@pytest.mark.parametrize("ablation", ["zero", "mean", "positional-mean"])
def test_with_another_ablation_they_sum_to_the_difference_from_the_ablated_embedding(
    ablation: AblationName, tmp_path: Path
) -> None:
    model, pairs = tiny(tmp_path), random_pairs()
    found = attribute(model, pairs, AttributionOptions("eap-ig-inputs", steps=40, ablation=ablation))
    assert found.gap is not None
    assert np.abs(found.gap).max() <= 1e-3 * np.abs(found.scores[:, 0].sum(-1)).max()


def literal_activations(model: ComponentModel, pair: Pair, steps: int) -> np.ndarray:
    """Returns EAP-IG's second form as methods.md says it, an input at a time and a group at a time."""
    graph = model.graph
    (batch,) = pair_batches([pair], batch_size=1, causal=True, device=torch.device("cpu"))
    embedding = model.embedded(batch.clean)
    here = component_writes(model, embedding, read_at=batch.read_at)
    there = component_writes(model, model.embedded(batch.corrupted), read_at=batch.read_at)
    groups = [[0]]
    for layer in range(model.n_layers):
        groups += [[graph.head(layer, head) for head in range(model.n_heads)], [graph.mlp(layer)]]
    total = np.zeros((graph.n_sources, graph.n_receivers))
    for group in groups:
        for k in range(1, steps + 1):
            inputs: dict[int, Any] = {}
            at = k / steps
            written = (at * here.sources + (1 - at) * there.sources)[:, :, group].sum(2)

            def edit(site: Site, layer: int, x: Any, group: Any = group, written: Any = written, inputs: Any = inputs):
                ports = {Site.QUERY_INPUT: 0, Site.KEY_INPUT: 1, Site.VALUE_INPUT: 2}
                if site in ports:
                    copies = [x.clone() for _ in range(model.n_heads)]
                    first = layer * (3 * model.n_heads + 1) + ports[site] * model.n_heads
                    inputs.update({first + head: copy for head, copy in enumerate(copies)})
                    return torch.stack(copies, dim=2)
                if site == Site.MLP_INPUT:
                    inputs[graph.mlp_input(layer)] = copy = x.clone()
                    return copy
                if site == Site.LOGITS_INPUT:
                    inputs[graph.logits] = x
                if site == Site.ATTENTION and group[0] == graph.head(layer, 0):
                    return written + here.constant[layer + 1] - here.constant[layer]
                if site == Site.MLP and group == [graph.mlp(layer)]:
                    return written
                return x

            stream = embedding.constant + (written if group == [0] else embedding.tokens)
            logits = run(model, stream.requires_grad_(), edit=edit, read_at=batch.read_at)
            metric = logit_difference(logits, logits, [pair]).sum()
            for receiver, x in inputs.items():
                (gradient,) = torch.autograd.grad(metric, x, retain_graph=True, allow_unused=True)
                if gradient is None:
                    continue
                change = (here.sources - there.sources)[0]
                change = change[-1] if receiver == graph.logits else change
                axes = "sd,d->s" if receiver == graph.logits else "tsd,td->s"
                total[:, receiver] += torch.einsum(axes, change, gradient[0]).numpy() * graph.edges[:, receiver]
    return total / (len(groups) * steps)


@pytest.mark.parametrize("architecture", VARIED)
def test_on_activations_scores_are_as_defined(architecture: str, tmp_path: Path) -> None:
    model, (pair,) = tiny(tmp_path, architecture), random_pairs((5,))
    found = attribute(model, [pair], AttributionOptions("eap-ig-activations", steps=3)).scores[0]
    expected = literal_activations(model, pair, 3)
    assert np.abs(found - expected).max() <= 1e-10 * np.abs(expected).max()


def test_clean_corrupted_is_the_mean_of_two_gradients(tmp_path: Path) -> None:
    model, (pair,) = tiny(tmp_path), random_pairs((6,))
    turned = Pair(pair.corrupted, pair.clean, pair.correct, pair.wrong)
    here, there = (attribute(model, [each], AttributionOptions("eap")).scores for each in (pair, turned))
    found = attribute(model, [pair], AttributionOptions("clean-corrupted")).scores
    np.testing.assert_allclose(found, (here - there) / 2, rtol=0, atol=1e-12)
