"""Causal scrubbing of hypotheses about gates whose truth is known."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from circuitbase.errors import InputError
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.metrics import logit_difference
from circuitbase.tracing.components.pairs import Pair
from circuitbase.tracing.patching.hypothesis import read_hypothesis
from circuitbase.tracing.patching.scrubbing import scrubbed_logits, scrubbing_data
from circuitbase.tracing.patching.scrubbing_result import Scrubbed, scrub
from tests.tracing.patching.gates import gate
from tests.tracing.patching.prepared import ARCHITECTURES, random_pairs, tiny_components


def and_pairs() -> list[Pair]:
    """Returns all four inputs of an AND, with its answer as the correct token."""
    found = []
    for a in (0, 1):
        for b in (0, 1):
            answer = a & b
            found.append(Pair((a, b, 2), (1 - a, b, 2), correct=(answer,), wrong=(1 - answer,)))
    return found


def head(number: int, **more: Any) -> dict[str, Any]:
    return {"node": f"a0.h{number}", "matters": [number], **more}


def scrubbed(
    model: ComponentModel, pairs: list[Pair], output: dict[str, Any], folder: Path, samples: int = 50, **more: Any
) -> Scrubbed:
    path = folder / "hypothesis.json"
    path.write_text(json.dumps({"output": output, **more}))
    hypothesis = read_hypothesis(path, graph=model.graph, n_pairs=len(pairs))
    data = scrubbing_data(model, pairs)
    return scrub(data, hypothesis, metric=logit_difference, metric_name="logit-difference", samples=samples)


def test_the_true_hypothesis_loses_nothing(tmp_path: Path) -> None:
    model = gate("and")
    output = {"inputs": [{"node": "m0", "matters": [0, 1], "inputs": [head(0), head(1)]}]}
    metric, loss = scrubbed(model, and_pairs(), output, tmp_path).recovered
    assert (metric.what, loss.what) == ("logit-difference", "loss")
    assert metric.share == pytest.approx(1.0)
    assert loss.share == pytest.approx(1.0)
    assert metric.random < metric.model


def test_the_reason_of_a_head_can_be_a_part_of_the_hypothesis(tmp_path: Path) -> None:
    heads = [head(n, inputs=[{"node": "input", "port": "v", "matters": [n]}]) for n in (0, 1)]
    output = {"inputs": [{"node": "m0", "matters": [0, 1], "inputs": heads}]}
    assert scrubbed(gate("and"), and_pairs(), output, tmp_path).recovered[0].share == pytest.approx(1.0)


def test_a_hypothesis_that_forgets_a_head_loses(tmp_path: Path) -> None:
    output = {"inputs": [{"node": "m0", "matters": [0], "inputs": [head(0)]}]}
    share = scrubbed(gate("and"), and_pairs(), output, tmp_path).recovered[0].share
    assert share is not None and share < 0.7


def test_labels_of_the_file_say_what_must_agree(tmp_path: Path) -> None:
    output = {"inputs": [{"node": "m0", "matters": ["label:and"]}]}
    found = scrubbed(gate("and"), and_pairs(), output, tmp_path, labels={"and": [0, 0, 0, 1]})
    assert found.recovered[0].share == pytest.approx(1.0)
    (node,) = found.alternatives
    assert (node.node, node.prompts) == ("m0", (3 * 3 + 1) / 4)
    useless = scrubbed(gate("and"), and_pairs(), output, tmp_path, labels={"and": [0, 1, 2, 3]})
    assert useless.alternatives[0].prompts == 1.0


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_nodes_whose_prompts_all_differ_are_the_model(architecture: str, tmp_path: Path) -> None:
    model = tiny_components(tmp_path, architecture, n_layers=1)
    whole = list(range(6))

    def node(name: str, **more: Any) -> dict[str, Any]:
        return {"node": name, "matters": whole, **more}

    below_mlp = [node("input")] + [node(f"a0.h{head}") for head in range(model.n_heads) if not model.parallel]
    ports = [node("input", port=port) for port in "qkv"]
    heads = [node(f"a0.h{head}", inputs=ports) for head in range(model.n_heads)]
    output = {"inputs": [node("input"), *heads, node("m0", inputs=below_mlp)]}
    path = tmp_path / "whole.json"
    path.write_text(json.dumps({"output": output}))
    data = scrubbing_data(model, random_pairs())
    found = scrubbed_logits(
        data,
        read_hypothesis(path, graph=model.graph, n_pairs=3),
        torch.arange(3),
        generator=torch.Generator().manual_seed(0),
    )
    torch.testing.assert_close(found, data.writes.logits)


def test_an_output_without_inputs_is_the_model_and_with_none_named_a_random_prompt(tmp_path: Path) -> None:
    model, pairs = gate("and"), and_pairs()
    assert scrubbed(model, pairs, {}, tmp_path).recovered[0].share == 1.0
    path = tmp_path / "none.json"
    path.write_text(json.dumps({"output": {"inputs": []}}))
    data = scrubbing_data(model, pairs)
    found = scrubbed_logits(
        data,
        read_hypothesis(path, graph=model.graph, n_pairs=4),
        torch.arange(4).repeat(200),
        generator=torch.Generator().manual_seed(0),
    )
    assert all(any(torch.allclose(row, each) for each in data.writes.logits) for row in found)
    torch.testing.assert_close(found.mean(0), data.writes.logits.mean(0), rtol=0, atol=0.3)


def test_everything_wrong_with_a_hypothesis_is_said_at_once(tmp_path: Path) -> None:
    graph = gate("and").graph
    path = tmp_path / "wrong.json"
    wrong = {
        "labels": {"x": [1]},
        "output": {
            "inputs": [
                {"node": "m7"},
                {"node": "m0", "port": "q", "extra": 1, "matters": ["answer"]},
                {"node": "a0.h0", "inputs": [{"node": "input"}, {"node": "m0", "port": "k"}]},
                {"node": "a0.h0", "matters": 3},
                {"node": "input", "inputs": []},
            ]
        },
    }
    path.write_text(json.dumps(wrong))
    with pytest.raises(InputError) as error:
        read_hypothesis(path, graph=graph, n_pairs=2)
    for sentence in (
        "label 'x' should list one value for each of the 2 pairs",
        "node 'm7' below logits is none of the model's",
        "node 'm0' below logits has a key 'extra'",
        "node 'm0' below logits should have no port",
        'a label of the file, got "answer"',
        "node 'input' below a0.h0 should say its port, q, k or v",
        "node 'm0' below a0.h0 writes only after a0.h0 reads",
        "what matters for node 'a0.h0' below logits should be a list",
        "node 'logits' names its input a0.h0 twice",
        "node 'input' below logits should have a list of inputs, or none",
    ):
        assert sentence in str(error.value)


def test_what_cannot_be_scrubbed_is_refused(tmp_path: Path) -> None:
    model = gate("and")
    with pytest.raises(InputError, match="two pairs or more of one length, got 1 of lengths 3"):
        scrubbing_data(model, and_pairs()[:1])
    with pytest.raises(InputError, match="position 5 matters to the hypothesis, but prompts have 3 tokens"):
        scrubbed(model, and_pairs(), {"inputs": [{"node": "m0", "matters": [5]}]}, tmp_path)
    for text, sentence in (("{", "should hold JSON"), ("[]", 'an object with "output"')):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(InputError, match=sentence):
            read_hypothesis(tmp_path / "bad.json", graph=model.graph, n_pairs=2)
    with pytest.raises(InputError, match="cannot be read"):
        read_hypothesis(tmp_path / "missing.json", graph=model.graph, n_pairs=2)
