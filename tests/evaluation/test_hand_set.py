"""Gates and the linear model: what single edges do is known beforehand."""

from typing import Literal

import pytest
import torch

from circuitbase.evaluation.edge_reference import logit_difference, patched_effects, plain_edges, plain_run
from circuitbase.evaluation.hand_set import MULTIPLIERS, gate, linear_effects, linear_model
from circuitbase.evaluation.structural_edges import structural_edges
from circuitbase.evaluation.truth_pairs import gate_pairs, linear_pairs

HEADS = ("input->a0.h0<v>", "input->a0.h1<v>", "a0.h0->m0", "a0.h1->m0")
Kind = Literal["or", "and"]


@pytest.mark.parametrize(("kind", "table"), [("or", [0.0, 1.0, 1.0, 1.0]), ("and", [0.0, 0.0, 0.0, 1.0])])
def test_a_gate_computes_its_table(kind: Kind, table: list[float]) -> None:
    model = gate(kind).model
    tokens = torch.tensor([(0, 0, 2), (0, 1, 2), (1, 0, 2), (1, 1, 2)])
    assert model(tokens)[:, -1, 0].tolist() == pytest.approx(table)
    assert (model(tokens)[..., 1] == 0).all()


def effects(kind: Kind, direction: str) -> dict[str, float]:
    pairs = gate_pairs(direction)
    found = patched_effects(gate(kind).model, pairs.clean, pairs.corrupted, correct=pairs.correct, wrong=pairs.wrong)
    return {edge: float(effect) for edge, effect in found.items()}


def test_noising_finds_the_heads_of_and_and_denoising_those_of_or() -> None:
    for kind, direction, seen in (
        ("and", "noising", 1.0), ("or", "noising", 0.0), ("and", "denoising", 0.0), ("or", "denoising", -1.0),
    ):  # fmt: skip
        found = effects(kind, direction)  # type: ignore[arg-type]
        assert [found[edge] for edge in HEADS] == pytest.approx([seen] * 4), (kind, direction)


@pytest.mark.parametrize("kind", ["or", "and"])
def test_a_mean_over_both_directions_cancels_what_always_matters(kind: Kind) -> None:
    both = [effects(kind, direction)["m0->logits"] for direction in ("noising", "denoising")]
    assert both == pytest.approx([1.0, -1.0])
    assert sum(both) == pytest.approx(0.0)


def test_backup_heads_matter_jointly_and_not_alone() -> None:
    model, pairs = gate("or").model, gate_pairs("noising")
    others = plain_run(model, pairs.corrupted).writes
    for cut, left in ((HEADS[2:3], 1.0), (HEADS[3:], 1.0), (HEADS[2:], 0.0)):
        logits = plain_run(model, pairs.clean, others=others, cut=cut).logits
        assert logit_difference(logits, pairs.correct, pairs.wrong).item() == pytest.approx(left), cut


@pytest.mark.parametrize("kind", ["or", "and"])
def test_a_gates_structure_is_its_heads_and_its_mlp(kind: Kind) -> None:
    built = gate(kind)
    assert set(structural_edges(built.model, built.directions)) == {*HEADS, "m0->logits"}


def test_the_linear_model_has_the_effects_of_its_closed_form() -> None:
    built, pairs = linear_model(dtype=torch.float64), linear_pairs()
    found = patched_effects(built.model, pairs.clean, pairs.corrupted, correct=pairs.correct, wrong=pairs.wrong)
    assert set(found) == set(plain_edges(built.model.config))
    for place, (clean, corrupted) in enumerate(zip(pairs.clean[:, 0], pairs.corrupted[:, 0], strict=True)):
        expected = linear_effects(MULTIPLIERS, clean=float(clean), corrupted=float(corrupted))
        assert all(expected.values())
        for edge, effect in found.items():
            assert float(effect[place]) == pytest.approx(expected.get(edge, 0.0), abs=1e-6), edge


def test_one_path_of_the_linear_model_by_hand() -> None:
    # input 4 -> 1: a0.h0 writes 2x, m0 (1 + .25·2)x, m1 half of that; the logits take 4 of m1
    expected = linear_effects(MULTIPLIERS, clean=4.0, corrupted=1.0)
    assert expected["a0.h0->m0"] == pytest.approx(3 * 2 * 0.25 * (0.5 * 4 - 1.5 * 0.75))
    assert expected["m1->logits"] == pytest.approx(3 * (0.5 * 1.5 + 0.125 * 3.5) * 4)
