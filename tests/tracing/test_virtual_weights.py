"""Virtual weights against what a trace finds where no attention lies between."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from circuitbase.errors import InputError
from circuitbase.schema.kinds import NodeKind
from circuitbase.tracing.frozen import freeze
from circuitbase.tracing.run import run_prompts
from circuitbase.tracing.virtual_weights import FeaturePair, virtual_weights
from tests.tracing.setups import WHOLE, Setup, make_setup


def decoder_norm(setup: Setup, layer: int, feature: int) -> float:
    rows = [each.chosen(torch.tensor([feature]))[0] for each in setup.dictionary.layers[layer].W_dec]
    return float(torch.cat(rows).norm())


@pytest.mark.parametrize(
    ("architecture", "kind"),
    [
        ("GPT2LMHeadModel", "jumprelu"),
        ("LlamaForCausalLM", "jumprelu"),
        ("LlamaForCausalLM", "cross-layer"),
        ("GPTNeoXForCausalLM", "jumprelu"),
        ("Qwen2ForCausalLM", "topk"),
    ],
)
def test_an_edge_past_no_attention_is_activation_times_virtual_weight(
    tmp_path: Path, architecture: str, kind: str
) -> None:
    setup = make_setup(tmp_path / "model", architecture, kind)
    graph = setup.trace(replace(WHOLE, heads=True)).graph
    left = graph.edge_weight - np.bincount(graph.head_edge, weights=graph.head_weight, minlength=graph.n_edges)
    (run,) = run_prompts(setup.model, [setup.read()])
    frozen = freeze(setup.model, setup.dictionary, run)
    source, target = graph.edge_source, graph.edge_target
    both = (graph.node_kind[source] == NodeKind.FEATURE) & (graph.node_kind[target] == NodeKind.FEATURE)
    here = np.flatnonzero(both & (graph.node_position[source] == graph.node_position[target]))
    assert len(here) > 20
    units = [
        FeaturePair(
            (int(graph.node_layer[s]), int(graph.node_unit[s])), (int(graph.node_layer[t]), int(graph.node_unit[t]))
        )
        for s, t in zip(source[here], target[here], strict=True)
    ]
    found = virtual_weights(setup.model, setup.dictionary, units).numpy()
    expected = np.array(
        [
            value
            * float(graph.node_activation[s])
            * decoder_norm(setup, *pair.source)
            / float(frozen.layers[pair.target[0]].read.denominator[int(graph.node_position[t])])
            for value, pair, s, t in zip(found, units, source[here], target[here], strict=True)
        ]
    )
    assert left[here] == pytest.approx(expected, rel=1e-4, abs=2e-6 * float(np.abs(graph.edge_weight).max()))
    assert np.abs(expected).max() > 0


def test_scaling_a_feature_changes_no_virtual_weight_out_of_it(tmp_path: Path) -> None:
    setup = make_setup(tmp_path / "model", "LlamaForCausalLM")
    pairs = [FeaturePair((0, feature), (2, 3)) for feature in range(4)]
    before = virtual_weights(setup.model, setup.dictionary, pairs)
    layer = setup.dictionary.layers[0]
    scaled = replace(layer, W_dec=tuple(replace(rows, matrix=rows.matrix * 3.0) for rows in layer.W_dec))
    dictionary = replace(setup.dictionary, layers=(scaled, *setup.dictionary.layers[1:]))
    assert torch.allclose(virtual_weights(setup.model, dictionary, pairs), before)


def test_a_feature_that_is_not_below_has_none_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    setup = make_setup(tmp_path / "model", "GPT2LMHeadModel")
    pairs = [FeaturePair((1, 0), (1, 2)), FeaturePair((2, 0), (0, 1))]
    assert virtual_weights(setup.model, setup.dictionary, pairs).tolist() == [0, 0]
    with pytest.raises(InputError, match="has no feature 99999 in layer 0"):
        virtual_weights(setup.model, setup.dictionary, [FeaturePair((0, 99999), (1, 0))])
