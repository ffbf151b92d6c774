"""Every architecture with every kind of dictionary, against the frozen model computed independently."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from circuitbase.tracing.attribution import trace
from circuitbase.tracing.dtypes import DType
from circuitbase.tracing.models import load_model
from tests.tiny_configs import PECULIAR
from tests.tracing.dictionary_kinds import KINDS, dictionary
from tests.tracing.setups import WHOLE, make_setup

MODELS = [
    *(pytest.param(architecture, {}, id=architecture) for architecture in PECULIAR),
    pytest.param("GPTNeoXForCausalLM", {"use_parallel_residual": False}, id="GPTNeoXForCausalLM-sequential"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("architecture", "settings"), MODELS)
def test_edges_biases_and_accounts_are_exact(
    architecture: str, settings: dict[str, Any], kind: str, tmp_path: Path
) -> None:
    setup = make_setup(tmp_path / "model", architecture, kind, settings=settings)
    found = setup.exact(WHOLE, block_numbers=600)
    assert found.assembled.scores.account_violation <= 1e-11

    reference = setup.reference()
    expected, bias = reference.edges(found.graph), reference.bias_effects(found.graph)
    assert np.abs(found.matrix() - expected).max() <= 1e-8 * np.abs(expected).max()
    targets = found.nodes.is_target
    assert np.abs(found.rows.bias_effect - bias)[targets].max() <= 1e-8 * np.abs(bias[targets]).max()
    assert (found.nodes.kind == 1).sum() > 5

    single = make_setup(tmp_path / "model", architecture, kind, dtype="float32")
    assert single.trace(replace(WHOLE, dtype="float32")).metadata.scores.account_violation <= 1e-5


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("kind", ["relu-skip", "cross-layer", "attention-sae"])
@pytest.mark.parametrize("architecture", ["Gemma2ForCausalLM", "GPTNeoXForCausalLM", "Olmo2ForCausalLM"])
def test_accounts_close_in_single_precision_whatever_the_models_dtype(
    architecture: str, kind: str, dtype: DType, tmp_path: Path
) -> None:
    setup = make_setup(tmp_path / "model", architecture, kind, dtype="float32")
    model = load_model(setup.folder, dtype=dtype)
    features = dictionary(kind, setup.layers, setup.reads, setup.writes, model=model, dtype="float32")
    found = trace(model, replace(features, dtype=dtype), setup.read(), replace(WHOLE, dtype=dtype))
    assert found.metadata.scores.account_violation <= 1e-5
    single = setup.trace(replace(WHOLE, dtype="float32"))
    largest = np.abs(single.graph.edge_weight).max()
    # the same tokens act on the same outputs, but for what the model itself rounds
    tokens = (found.graph.node_kind == 0).sum()
    for graph in (found.graph, single.graph):
        assert (graph.node_kind == 0).sum() == tokens
    assert abs(np.abs(found.graph.edge_weight).max() - largest) <= 0.2 * largest
