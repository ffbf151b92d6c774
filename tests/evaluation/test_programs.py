"""Compiled programs: the same outputs as tracr's, and nothing outside their structure."""

import pytest
import torch

from circuitbase.errors import InputError
from circuitbase.evaluation.edge_reference import logit_difference, patched_effects, plain_edges, plain_run
from circuitbase.evaluation.small_files import packaged_model
from circuitbase.evaluation.structural_edges import structural_edges
from circuitbase.evaluation.truth_pairs import indirect_object_rows, of_rows, program_pairs

PROGRAMS = ("frac-prevs", "reverse", "compiled-induction", "two-hop", "indirect-object")


@pytest.mark.parametrize("name", PROGRAMS)
def test_outputs_are_those_that_tracr_gave(name: str) -> None:
    stored = packaged_model(name)
    error = (stored.model(stored.arrays["tokens"]) - stored.arrays["logits"]).abs().max()
    assert error <= 2e-6


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_right_on_every_pair(name: str) -> None:
    model, pairs = packaged_model(name).model, program_pairs(name)
    clean = logit_difference(model(pairs.clean), pairs.correct, pairs.wrong)
    corrupted = logit_difference(model(pairs.corrupted), pairs.correct, pairs.wrong)
    assert (clean > 0.2).all()
    assert (clean - corrupted > 0.2).all()


@pytest.mark.parametrize("name", PROGRAMS)
def test_edges_outside_the_compiled_structure_have_exactly_no_effect(name: str) -> None:
    stored, pairs = packaged_model(name, dtype=torch.float64), program_pairs(name)
    effects = patched_effects(stored.model, pairs.clean, pairs.corrupted, correct=pairs.correct, wrong=pairs.wrong)
    assert set(stored.facts["edges"]) < set(effects)
    assert {edge for edge, effect in effects.items() if effect.ne(0).any()} <= set(stored.facts["edges"])


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_structure_is_that_of_the_weights(name: str) -> None:
    stored = packaged_model(name)
    assert structural_edges(stored.model, stored.facts["directions"]) == stored.facts["edges"]
    assert set(stored.facts["edges"]) <= set(plain_edges(stored.model.config))


def test_which_structural_edges_have_an_effect_depends_on_the_pairs() -> None:
    model = packaged_model("indirect-object", dtype=torch.float64).model
    found = {}
    for corruption in ("third", "swapped", "other"):
        pairs = of_rows(indirect_object_rows(corruption))
        effects = patched_effects(model, pairs.clean, pairs.corrupted, correct=pairs.correct, wrong=pairs.wrong)
        found[corruption] = {edge for edge, effect in effects.items() if effect.abs().max() > 1e-6}
    # the counts are the same on both sides when the other name is the repeated one
    assert "a0.h0->m0" in found["third"]
    assert "a0.h0->m0" not in found["swapped"]
    assert "input->a2.h0<v>" in found["swapped"]
    assert found["third"] != found["other"]


@pytest.mark.parametrize("node", ["a0.h0", "m0", "m1", "a2.h0", "a3.h0"])
def test_resampling_any_part_of_the_indirect_object_program_loses_the_answer(node: str) -> None:
    model = packaged_model("indirect-object", dtype=torch.float64).model
    pairs = of_rows(indirect_object_rows("third"))
    others = plain_run(model, pairs.corrupted).writes
    logits = plain_run(model, pairs.clean, others=others, replaced=(node,)).logits
    assert logit_difference(logits, pairs.correct, pairs.wrong).abs().max() < 1e-6
    whole = logit_difference(model(pairs.clean), pairs.correct, pairs.wrong)
    assert (whole - 1).abs().max() < 1e-6


@pytest.mark.parametrize("node", ["a0.h0", "m0", "m1"])
def test_the_mean_over_one_template_hides_the_first_layers(node: str) -> None:
    model = packaged_model("indirect-object", dtype=torch.float64).model
    pairs = of_rows(indirect_object_rows("third"))
    one_template = pairs.clean[:, 1] == pairs.clean[:, 3]  # A B A
    clean = pairs.clean[one_template]
    means = {name: write.mean(0, keepdim=True) for name, write in plain_run(model, clean).writes.items()}
    logits = plain_run(model, clean, others=means, replaced=(node,)).logits
    left = logit_difference(logits, pairs.correct[one_template], pairs.wrong[one_template])
    assert (left - 1).abs().max() < 1e-6


def test_two_hop_keeps_its_hops_in_two_mlps() -> None:
    edges = packaged_model("two-hop").facts["edges"]
    assert {"input->m0", "m0->a1.h0<v>", "a1.h0->m1", "m1->logits"} <= set(edges)
    assert "m0->m1" not in edges


def test_pairs_of_an_unknown_program_are_refused() -> None:
    with pytest.raises(InputError, match="must be one of: frac-prevs"):
        program_pairs("sort")


def test_structure_behind_norms_is_refused() -> None:
    with pytest.raises(InputError, match="behind a norm everything reads everything"):
        structural_edges(packaged_model("induction").model, ())
