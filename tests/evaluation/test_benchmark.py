"""The benchmark: exact patching finds what is known, circuits are run as defined, and options say what is run."""

import numpy as np
import pytest
import torch

from circuitbase.errors import InputError
from circuitbase.evaluation.baselines import baseline_scores
from circuitbase.evaluation.benchmark import Row, attribution_pairs, benchmark, method_scores
from circuitbase.evaluation.benchmark_options import (
    GROUND_TRUTH_NAMES,
    HAND_SET_NAMES,
    PROGRAM_NAMES,
    SCORERS,
    BenchmarkOptions,
)
from circuitbase.evaluation.circuit_curves import circuit_curve, circuit_runs, largest_edges
from circuitbase.evaluation.edge_reference import logit_difference, patched_effects, plain_run
from circuitbase.evaluation.ground_truths import ground_truth
from circuitbase.evaluation.known_circuit import grid_sizes
from circuitbase.evaluation.small_components import component_model
from circuitbase.tracing.components.attribution_options import METHOD_NAMES


def rows(*ground_truths: str, **options: object) -> dict[tuple[str, str, str], Row]:
    found = benchmark(BenchmarkOptions(ground_truths=ground_truths, **options))  # type: ignore[arg-type]
    return {(row.ground_truth, row.method, row.ablation): row for row in found}


@pytest.mark.parametrize("name", [*PROGRAM_NAMES, *HAND_SET_NAMES])
def test_exact_patching_finds_every_known_circuit(name: str) -> None:
    row = rows(name, methods=("exact",))[name, "exact", "patching"]
    assert (row.auroc, row.average_precision, row.dead) == (1.0, 1.0, 0)


@pytest.mark.parametrize("name", ["indirect-object", "reverse", "greater-than"])
def test_exact_patching_is_the_plain_one(name: str) -> None:
    truth = ground_truth(name)
    model, pairs = component_model(truth.model), truth.pairs
    found = method_scores(model, attribution_pairs(truth), "exact", ablation="patching", metric="logit-difference")
    plain = patched_effects(truth.model, pairs.clean, pairs.corrupted, correct=pairs.correct, wrong=pairs.wrong)
    for edge, effect in plain.items():
        np.testing.assert_allclose(found[:, *model.graph.edge(edge)], effect.numpy(), atol=1e-10)


def test_every_gradient_method_is_exact_on_the_linear_model() -> None:
    truth = ground_truth("linear")
    model, pairs = component_model(truth.model), attribution_pairs(truth)
    exact = method_scores(model, pairs, "exact", ablation="patching", metric="logit-difference")
    for method in ("eap", "eap-ig-inputs", "clean-corrupted"):
        found = method_scores(model, pairs, method, ablation="patching", metric="logit-difference")
        np.testing.assert_allclose(found, exact, atol=1e-9, err_msg=method)


def test_gates_answer_noising_and_denoising_oppositely() -> None:
    found = rows(*HAND_SET_NAMES[:4], methods=("exact",))
    structural = {name: row.structural_auroc for (name, _, _), row in found.items()}
    assert structural["and-gate"] == structural["or-gate-denoising"] == 1.0
    assert structural["or-gate"] == structural["and-gate-denoising"]
    assert structural["or-gate"] < 1.0


def test_a_saturated_softmax_leaves_true_edges_with_next_to_no_gradient() -> None:
    found = rows("indirect-object", methods=("eap", "exact"))
    assert found["indirect-object", "eap", "patching"].dead > 4
    truth = ground_truth("indirect-object")
    model = component_model(truth.model)
    scores = method_scores(model, attribution_pairs(truth), "eap", ablation="patching", metric="logit-difference")
    assert truth.true_edges
    strength = [np.abs(scores[:, *model.graph.edge(edge)]).mean() for edge in truth.true_edges]
    assert 0 < min(strength) < 1e-15


def test_ablations_give_different_circuits() -> None:
    found = rows("indirect-object", methods=("exact",), ablations=("patching", "zero", "mean"))
    assert len({round(row.structural_auroc, 6) for row in found.values()}) > 1


def test_a_circuits_metric_is_that_of_the_plain_run() -> None:
    truth = ground_truth("indirect-object")
    model, pairs = component_model(truth.model), truth.pairs
    runs = circuit_runs(model, attribution_pairs(truth), ablation="patching", metric="logit-difference")
    scores = np.random.default_rng(0).random(model.graph.n_edges)
    others = plain_run(truth.model, pairs.corrupted).writes
    names = np.array(list(model.graph.edge_names()))
    for count in (0, 5, 20, model.graph.n_edges):
        cut = set(names[np.argsort(-scores)[count:]])
        plain = plain_run(truth.model, pairs.clean, others=others, cut=cut).logits
        expected = logit_difference(plain, pairs.correct, pairs.wrong)
        torch.testing.assert_close(torch.from_numpy(runs.of_circuit(largest_edges(runs, scores, count))), expected)
    np.testing.assert_allclose(runs.of_circuit(model.graph.edges), runs.full, atol=1e-12)
    np.testing.assert_allclose(runs.of_circuit(np.zeros_like(model.graph.edges)), runs.empty, atol=1e-12)


def test_a_curve_ends_at_the_full_model() -> None:
    truth = ground_truth("two-hop")
    model = component_model(truth.model)
    runs = circuit_runs(model, attribution_pairs(truth), ablation="patching", metric="logit-difference")
    curve = circuit_curve(runs, np.arange(model.graph.n_edges, dtype=float))
    assert curve is not None
    assert len(curve.share) == len(grid_sizes(model.graph.n_edges))
    assert curve.faithfulness[-1] == pytest.approx(1.0)


def test_no_area_where_nothing_differs() -> None:
    # the mean over the one clean prompt is what the clean prompt writes, but positions differ: with one prompt a
    # positional mean changes nothing
    row = rows("or-gate", methods=("exact",), ablations=("positional-mean",))["or-gate", "exact", "positional-mean"]
    assert (row.cpr, row.cmd) == (None, None)


def test_edges_of_a_toy_without_known_edges_are_not_judged() -> None:
    row = rows("greater-than", methods=("eap",))["greater-than", "eap", "patching"]
    assert (row.auroc, row.structural_auroc, row.dead) == (None, None, None)
    assert row.cpr is not None


def test_the_induction_toy_is_judged_by_its_mechanism() -> None:
    found = rows("induction", methods=("eap-ig-inputs", "random"))
    assert found["induction", "eap-ig-inputs", "patching"].auroc > 0.9
    assert found["induction", "random", "patching"].structural_auroc is None


def test_activation_size_is_the_length_of_what_is_written() -> None:
    truth = ground_truth("or-gate")
    model = component_model(truth.model)
    scores = baseline_scores(model, attribution_pairs(truth), "activation-size")
    # `on`, `on`, `read` embed with lengths 1, 1, 0
    assert scores[0, *model.graph.edge("input->m0")] == pytest.approx(2 / 3)
    assert (scores[:, ~model.graph.edges] == 0).all()


def test_random_scores_follow_their_seed() -> None:
    truth = ground_truth("or-gate")
    model, pairs = component_model(truth.model), attribution_pairs(truth)
    one, again, other = (baseline_scores(model, pairs, "random", seed=seed) for seed in (0, 0, 1))
    assert (one == again).all()
    assert (one != other).any()


def test_every_method_of_attribution_is_benchmarked() -> None:
    assert set(METHOD_NAMES) < set(SCORERS)
    assert {method for method, _, _ in BenchmarkOptions().runs()} == set(SCORERS)


def test_combinations_that_mean_nothing_are_left_out() -> None:
    options = BenchmarkOptions(ablations=("zero",), metrics=("kl", "logit-difference"))
    runs = set(options.runs())
    assert ("eap", "zero", "kl") not in runs
    assert ("clean-corrupted", "zero", "logit-difference") not in runs
    assert ("exact", "zero", "kl") in runs


def test_the_divergence_runs_through_all_methods_that_take_it() -> None:
    found = rows("two-hop", metrics=("kl",), steps=2)
    assert {method for _, method, _ in found} == set(SCORERS) - {"eap"}
    assert found["two-hop", "exact", "patching"].auroc == 1.0


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"methods": ("guess",)}, "each method of a benchmark must be one of"),
        ({"ground_truths": ()}, "got none"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"methods": ("clean-corrupted",), "ablations": ("zero",)}, "none of these methods takes"),
    ],
)
def test_what_cannot_be_run_is_refused(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        BenchmarkOptions(**given)  # type: ignore[arg-type]


def test_unknown_names_are_refused() -> None:
    with pytest.raises(InputError, match="a ground truth must be one of"):
        ground_truth("sorting")
    truth = ground_truth("or-gate")
    with pytest.raises(InputError, match="activation-size or random"):
        baseline_scores(component_model(truth.model), attribution_pairs(truth), "size")
    assert len(GROUND_TRUTH_NAMES) == 15
