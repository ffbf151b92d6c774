"""Ablations against their definitions, written out."""

from pathlib import Path

import numpy as np
import pytest
import torch

from circuitbase.errors import InputError
from circuitbase.tracing.components.ablations import ablation
from circuitbase.tracing.components.attribution import attribute
from circuitbase.tracing.components.attribution_options import AblationName, AttributionOptions
from circuitbase.tracing.components.batches import pair_batches
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.edge_run import edge_run
from circuitbase.tracing.components.metrics import logit_difference, negative_divergence
from circuitbase.tracing.components.pairs import Pair
from circuitbase.tracing.components.running import Site, run
from circuitbase.tracing.components.writes import component_writes
from tests.tracing.components.random_pairs import random_pairs, tiny

SET = ((3, 4, 5, 6), (7, 8), (9, 10, 11))
EQUAL = ((3, 4, 5, 6, 7), (7, 8, 2, 3, 4), (9, 10, 11, 2, 2))


def sources(model: ComponentModel, prompt: tuple[int, ...]) -> torch.Tensor:
    return component_writes(model, model.embedded(torch.tensor([prompt]))).sources[0]


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_a_mean_is_over_the_unpadded_positions_of_its_set(batch_size: int, tmp_path: Path) -> None:
    model = tiny(tmp_path)
    found = ablation(model, "mean", over=SET, batch_size=batch_size).means
    expected = torch.cat([sources(model, prompt) for prompt in SET]).mean(0)
    assert found is not None
    torch.testing.assert_close(found, expected)


def test_a_positional_mean_is_over_the_prompts_of_its_set(tmp_path: Path) -> None:
    model = tiny(tmp_path)
    found = ablation(model, "positional-mean", over=EQUAL, batch_size=2).means
    assert found is not None
    torch.testing.assert_close(found, torch.stack([sources(model, prompt) for prompt in EQUAL]).mean(0))


@pytest.mark.parametrize("architecture", ["GPT2LMHeadModel", "Gemma2ForCausalLM"])
@pytest.mark.parametrize("name", ["patching", "zero", "mean", "positional-mean"])
def test_exact_scores_under_each_ablation_are_those_of_cut_edges(
    name: AblationName, architecture: str, tmp_path: Path
) -> None:
    model, (pair,) = tiny(tmp_path, architecture), random_pairs((5,))
    graph = model.graph
    over = None if name in ("patching", "zero") else EQUAL
    found = attribute(model, [pair], AttributionOptions("exact", ablation=name), mean_over=over)
    clean = sources(model, pair.clean)
    others = {
        "patching": sources(model, pair.corrupted),
        "zero": torch.zeros_like(clean),
        "mean": torch.cat([sources(model, prompt) for prompt in EQUAL]).mean(0).expand_as(clean),
        "positional-mean": torch.stack([sources(model, prompt) for prompt in EQUAL]).mean(0),
    }[name]
    embedding = model.embedded(torch.tensor([pair.clean]))

    def metric(kept: torch.Tensor) -> float:
        logits = edge_run(model, embedding, others=others[None], kept=kept, read_at=torch.tensor([4]))
        return float(logit_difference(logits, logits, [pair]))

    whole = torch.from_numpy(graph.edges).double()
    assert found.clean is not None and found.ablated is not None
    assert found.clean[0] == pytest.approx(metric(whole))
    assert found.ablated[0] == pytest.approx(metric(torch.zeros_like(whole)))
    for edge in ("input->a0.h1<k>", "a0.h0->a1.h1<v>", "m0->m1", "a1.h0->logits", "a0.h1->m0"):
        source, receiver = graph.edge(edge)
        cut = whole.clone()
        cut[source, receiver] = 0
        assert found.scores[0, source, receiver] == pytest.approx(metric(whole) - metric(cut), abs=1e-12)


@pytest.mark.parametrize("architecture", ["GPT2LMHeadModel", "Gemma2ForCausalLM"])
def test_in_single_precision_all_edges_are_the_model_and_none_the_corrupted_run(
    architecture: str, tmp_path: Path
) -> None:
    model, (pair,) = tiny(tmp_path, architecture, dtype="float32"), random_pairs((6,))
    (batch,) = pair_batches([pair], batch_size=1, causal=True, device=torch.device("cpu"))
    here, there = (model.embedded(tokens) for tokens in (batch.clean, batch.corrupted))
    others = component_writes(model, there).sources
    whole = torch.from_numpy(model.graph.edges).float()
    for kept, expected in ((whole, here), (torch.zeros_like(whole), there)):
        found = edge_run(model, here, others=others, kept=kept, read_at=batch.read_at)
        wanted = run(model, expected.stream, read_at=batch.read_at)
        assert abs(float(negative_divergence(found.double(), wanted.double(), [pair]))) < 1e-6


@pytest.mark.parametrize("architecture", ["GPT2LMHeadModel", "Olmo2ForCausalLM"])
def test_patching_every_source_into_one_receiver_is_patching_its_input(architecture: str, tmp_path: Path) -> None:
    model, (pair,) = tiny(tmp_path, architecture), random_pairs((5,))
    graph = model.graph
    (batch,) = pair_batches([pair], batch_size=1, causal=True, device=torch.device("cpu"))
    here, there = (model.embedded(tokens) for tokens in (batch.clean, batch.corrupted))
    inputs: dict[Site, torch.Tensor] = {}

    def seen(site: Site, layer: int, x: torch.Tensor) -> torch.Tensor:
        if layer == 1:
            inputs[site] = x
        return x

    run(model, there.stream, edit=seen)

    def patched(site: Site, layer: int, x: torch.Tensor) -> torch.Tensor:
        if (site, layer) == (Site.KEY_INPUT, 1):
            x = x[:, :, None].repeat(1, 1, model.n_heads, 1)
            x[:, :, 0] = inputs[site]
        return x

    kept = torch.from_numpy(graph.edges).double()
    kept[:, graph.receiver_names.index("a1.h0<k>")] = 0
    others = component_writes(model, there).sources
    found = edge_run(model, here, others=others, kept=kept)
    torch.testing.assert_close(found, run(model, here.stream, edit=patched))


def test_what_a_mean_lacks_is_said(tmp_path: Path) -> None:
    model, pairs = tiny(tmp_path), random_pairs((5, 4))
    for name, over, sentence in (
        ("positional-mean", None, "a positional mean needs prompts of one length, got 4 and 5 tokens; take mean"),
        ("positional-mean", EQUAL, "over prompts of 5 tokens cannot stand for a prompt of 4"),
        ("mean", (), "needs the set that the mean is over"),
        ("zero", EQUAL, "an ablation by zero takes no mean, so mean_over does nothing; leave it out"),
    ):
        with pytest.raises(InputError, match=sentence):
            attribute(model, pairs, AttributionOptions("eap", ablation=name), mean_over=over)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="the method information-flow takes no mean"):
        attribute(model, pairs, AttributionOptions("information-flow"), mean_over=EQUAL)


def test_the_mean_is_by_default_over_the_clean_prompts(tmp_path: Path) -> None:
    model, pairs = tiny(tmp_path), random_pairs((5, 4))
    by_default = attribute(model, pairs, AttributionOptions("eap", ablation="mean"))
    named = attribute(model, pairs, AttributionOptions("eap", ablation="mean"), mean_over=[p.clean for p in pairs])
    np.testing.assert_array_equal(by_default.scores, named.scores)


def test_pairs_that_nothing_reads_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one pair"):
        attribute(tiny(tmp_path), [])
    with pytest.raises(InputError, match=r"pair 0: token 99 of its clean is not among the model's 0 to 28"):
        attribute(tiny(tmp_path), [Pair((99, 3), (2, 3), (4,), (5,))])
