"""Path patching: what reaches a receiver, and nothing else."""

from pathlib import Path

import pytest
import torch

from circuitbase.errors import InputError
from circuitbase.tracing.components.attribution import attribute
from circuitbase.tracing.components.attribution_options import AttributionOptions
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.running import Edit, Site, run
from circuitbase.tracing.patching.directions import Direction
from circuitbase.tracing.patching.paired import PairedPrompts, ends
from circuitbase.tracing.patching.path_patching import path_patched_metrics
from circuitbase.tracing.patching.seen_run import seen_run
from tests.tracing.patching.gates import BOTH_ON, gate
from tests.tracing.patching.prepared import ARCHITECTURES, prepared, random_pairs, tiny_components

INPUTS = {"a1.h1<q>": Site.QUERY_INPUT, "a2.h0<k>": Site.KEY_INPUT, "a1.h0<v>": Site.VALUE_INPUT, "m1": Site.MLP_INPUT}


def given_its_input(model: ComponentModel, pairs: PairedPrompts, receiver: str) -> torch.Tensor:
    """Returns the metric of the clean run with the receiver's input that of the corrupted run."""
    site, layer = INPUTS[receiver], int(receiver[1])
    at = Site.MLP_INPUT if site == Site.MLP_INPUT else Site.RESID_PRE
    other = seen_run(model, pairs.corrupted.stream, sites={at}, read_at=pairs.read_at).values[at, layer]

    def edit(here: Site, here_layer: int, x: torch.Tensor) -> torch.Tensor:
        if (here, here_layer) != (site, layer):
            return x
        if site == Site.MLP_INPUT:
            return other
        each = x[:, :, None].repeat(1, 1, model.n_heads, 1)
        each[:, :, int(receiver[4])] = other
        return each

    given: Edit = edit
    return pairs.metric(run(model, pairs.clean.stream, edit=given, read_at=pairs.read_at), pairs.numbers)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_patching_all_sources_is_patching_the_receivers_input(architecture: str, tmp_path: Path) -> None:
    model = tiny_components(tmp_path, architecture)
    pairs = prepared(model, random_pairs())
    graph = model.graph
    for receiver in INPUTS:
        reads = int(graph.reads[graph.receiver_names.index(receiver)])
        found = path_patched_metrics(
            model, pairs, [graph.source_names[:reads]], [receiver], direction=Direction.NOISING
        )
        torch.testing.assert_close(found[0], given_its_input(model, pairs, receiver))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_all_sources_into_the_logits_are_the_other_run(architecture: str, tmp_path: Path) -> None:
    model = tiny_components(tmp_path, architecture)
    pairs = prepared(model, random_pairs())
    names = model.graph.source_names
    found = path_patched_metrics(model, pairs, [names, ()], ["logits"], direction=Direction.DENOISING)
    expected = ends(model, pairs)
    torch.testing.assert_close(found[0], expected.clean)
    torch.testing.assert_close(found[1], expected.corrupted)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_mlps_that_are_recomputed_answer_to_input_and_heads(architecture: str, tmp_path: Path) -> None:
    model = tiny_components(tmp_path, architecture)
    pairs = prepared(model, random_pairs())
    senders = [name for name in model.graph.source_names if not name.startswith("m")]
    held, answering = (
        path_patched_metrics(model, pairs, [senders], ["logits"], direction=Direction.NOISING, recompute_mlps=recompute)
        for recompute in (False, True)
    )
    torch.testing.assert_close(answering[0], ends(model, pairs).corrupted)
    assert (held - answering).abs().min() > 1e-3


@pytest.mark.parametrize("architecture", ["GPT2LMHeadModel", "GPTNeoXForCausalLM"])
def test_a_path_of_one_edge_is_exact_attribution_of_that_edge(architecture: str, tmp_path: Path) -> None:
    model = tiny_components(tmp_path, architecture, n_layers=2)
    pairs, graph = prepared(model, random_pairs()), model.graph
    scores = attribute(model, random_pairs(), AttributionOptions("exact")).scores
    clean = ends(model, pairs).clean
    for number, receiver in enumerate(graph.receiver_names):
        senders = [(name,) for name in graph.source_names[: graph.reads[number]]]
        found = path_patched_metrics(model, pairs, senders, [receiver], direction=Direction.NOISING)
        expected = torch.from_numpy(scores[:, : len(senders), number].T.copy())
        torch.testing.assert_close(clean - found, expected.to(found), rtol=1e-9, atol=1e-12)


def test_groups_of_senders_can_be_run_in_any_number_at_once(tmp_path: Path) -> None:
    model = tiny_components(tmp_path)
    pairs = prepared(model, random_pairs())
    groups = [("input",), ("a0.h1",), ("a0.h0", "m0"), ("a1.h1",)]
    to = ["a2.h0<q>", "a2.h1<k>", "m2"]
    one, many = (
        path_patched_metrics(model, pairs, groups, to, direction=Direction.NOISING, rows=rows) for rows in (1, 100)
    )
    torch.testing.assert_close(one, many)


def test_a_gate_has_no_path_from_a_head_to_the_logits_but_by_its_mlp() -> None:
    model = gate("and")
    pairs = prepared(model, [BOTH_ON])

    def found(*names: str, to: str, recompute: bool = False) -> float:
        metrics = path_patched_metrics(
            model, pairs, [names], [to], direction=Direction.NOISING, recompute_mlps=recompute
        )
        return round(float(metrics[0, 0]), 6)

    assert found("a0.h0", to="logits") == 5.0
    assert found("a0.h0", to="logits", recompute=True) == 0.0
    assert found("a0.h0", to="m0") == 0.0
    assert found("input", to="m0") == 5.0
    assert found("input", to="a0.h0<v>") == 0.0
    assert found("input", to="a0.h0<q>") == 5.0


def test_names_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    model = tiny_components(tmp_path)
    pairs = prepared(model, random_pairs())
    wrong = {
        (("input",), ("a0.h7<q>",)): "a receiver is .* heads 0 to 1 in this model, got 'a0.h7<q>'",
        (("input",), ("m1", "logits")): "the logits must be the only receiver",
        (("input",), ()): "at least one receiver",
        (("input<q>",), ("m1",)): "a sender is input, a2.h0 or m1, .* got 'input<q>'",
        (("a1.h0",), ("a1.h1<q>",)): "a1.h1<q> reads nothing of a1.h0",
    }
    for (senders, to), sentence in wrong.items():
        with pytest.raises(InputError, match=sentence):
            path_patched_metrics(model, pairs, [senders], list(to), direction=Direction.NOISING)
