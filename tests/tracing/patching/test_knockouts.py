"""Knockouts by the mean over a named set."""

from pathlib import Path

import pytest
import torch

from circuitbase.errors import InputError
from circuitbase.tracing.components.running import Site
from circuitbase.tracing.patching.knockouts import component_means, knocked_out_metrics
from circuitbase.tracing.patching.paired import ends
from circuitbase.tracing.patching.seen_run import seen_run
from tests.tracing.patching.gates import BOTH_ON, gate
from tests.tracing.patching.prepared import prepared, random_pairs, tiny_components


def test_backup_heads_are_missed_only_jointly() -> None:
    model = gate("or")
    pairs = prepared(model, [BOTH_ON])
    means = component_means(model, [BOTH_ON.corrupted], by_position=True, batch_size=4)
    found = knocked_out_metrics(model, pairs, [("a0.h0",), ("a0.h1",), ("a0.h0", "a0.h1")], means=means)
    assert [round(value, 6) for value in found[:, 0].tolist()] == [5.0, 5.0, 0.0]


def test_the_mean_over_the_prompt_itself_changes_nothing(tmp_path: Path) -> None:
    model = tiny_components(tmp_path, "Gemma2ForCausalLM")
    (pair,) = chosen = random_pairs(1)
    pairs = prepared(model, chosen)
    means = component_means(model, [pair.clean], by_position=True, batch_size=1)
    everything = model.graph.source_names[1:]
    found = knocked_out_metrics(model, pairs, [everything, ("m1",)], means=means)
    torch.testing.assert_close(found, ends(model, pairs).clean.expand(2, 1))


def test_means_are_over_all_unpadded_positions_however_prompts_are_batched(tmp_path: Path) -> None:
    model = tiny_components(tmp_path)
    prompts = [pair.clean for pair in random_pairs(3, lengths=(4, 6, 5))]
    one, many = (component_means(model, prompts, by_position=False, batch_size=size) for size in (1, 3))
    alone = [
        seen_run(
            model,
            model.embedded(torch.tensor([prompt])).stream,
            sites={Site.MLP},
            read_at=torch.tensor([len(prompt) - 1]),
        ).values[Site.MLP, 1][0]
        for prompt in prompts
    ]
    expected = torch.cat(alone).mean(0)
    for found in (one, many):
        torch.testing.assert_close(found[Site.MLP, 1][0, 0], expected)


def test_what_cannot_be_averaged_or_knocked_out_is_refused(tmp_path: Path) -> None:
    model = tiny_components(tmp_path)
    uneven = [pair.clean for pair in random_pairs(2, lengths=(4, 6))]
    with pytest.raises(InputError, match="one length, got lengths 4, 6"):
        component_means(model, uneven, by_position=True, batch_size=2)
    with pytest.raises(InputError, match="at least one prompt"):
        component_means(model, [], by_position=False, batch_size=2)
    pairs = prepared(model, random_pairs())
    with pytest.raises(InputError, match="over prompts of 4 tokens and cannot stand in prompts of 6"):
        means = component_means(model, uneven[:1], by_position=True, batch_size=1)
        knocked_out_metrics(model, pairs, [("m0",)], means=means)
    with pytest.raises(InputError, match=r"a component is a1.h0 or m1.*got 'input'"):
        means = component_means(model, uneven, by_position=False, batch_size=1)
        knocked_out_metrics(model, pairs, [("input",)], means=means)
