"""The smallest that can be traced: one token, one layer, one position with nodes, nothing that fires."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from circuitbase.graph.consistency import problems
from circuitbase.schema.kinds import NodeKind
from circuitbase.store.trace_file import from_bytes, to_bytes
from circuitbase.tracing.activations import JumpRelu
from circuitbase.tracing.options import TraceOptions
from tests.tracing.setups import TOKENS, WHOLE, Exact, Setup, make_setup

Make = Callable[..., Setup]
OPTIONS = [{}, {"prune": True, "heads": True}, {"max_features": 3, "silent": ((0, 1),)}, {"keep_mass": 0.5}]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Makes each model once."""
    folder: Path = tmp_path_factory.mktemp("small")

    def made(architecture: str, kind: str, n_layers: int, *, bos: bool = True) -> Setup:
        place = folder / f"{architecture}-{n_layers}-{bos}" / "model"
        return make_setup(place, architecture, kind, n_layers=n_layers, bos=bos)

    return made


def agrees(setup: Setup, found: Exact, tokens: tuple[int, ...]) -> None:
    expected = setup.reference(tokens).edges(found.graph)
    assert np.abs(found.matrix() - expected).max() <= 1e-10 * np.abs(expected).max()
    assert found.assembled.scores.account_violation <= 1e-11


def every_option_works(setup: Setup, tokens: tuple[int, ...], without: tuple[int, ...] = ()) -> None:
    for changes in OPTIONS:
        options: TraceOptions = replace(WHOLE, **changes)  # type: ignore[arg-type]
        made = setup.trace(options, tokens=tokens, without=without)
        assert made.metadata.scores.account_violation <= 1e-11
        assert made.metadata.scores.stored_account_violation <= 1e-6
        assert from_bytes(to_bytes(made), name="trace").metadata == made.metadata
        n_layers = made.metadata.model.n_layers
        assert problems(made.graph, n_layers=n_layers, n_positions=len(tokens), n_targets=5) == []


@pytest.mark.parametrize("kind", ["relu-skip", "attention-sae"])
@pytest.mark.parametrize("tokens", [(0, 7), (7,)])
def test_one_token_with_or_without_a_bos(kind: str, tokens: tuple[int, ...], make: Make) -> None:
    setup = make("LlamaForCausalLM", kind, 2, bos=len(tokens) > 1)
    agrees(setup, setup.exact(WHOLE, tokens=tokens), tokens)
    every_option_works(setup, tokens)


@pytest.mark.parametrize("kind", ["jumprelu", "cross-layer-skip", "head-value-sae"])
def test_a_model_with_one_layer(kind: str, make: Make) -> None:
    setup = make("GPTNeoXForCausalLM", kind, 1)
    found = setup.exact(WHOLE)
    agrees(setup, found, TOKENS)
    features = found.graph.node_kind == NodeKind.FEATURE
    assert not found.matrix()[np.ix_(features, features)].any()
    every_option_works(setup, TOKENS)


@pytest.mark.parametrize("kept", [1, 3, 5])
def test_one_position_with_nodes(kept: int, make: Make) -> None:
    setup = make("LlamaForCausalLM", "relu-skip", 2)
    without = tuple(position for position in range(len(TOKENS)) if position != kept)
    found = setup.exact(WHOLE, without=without)
    agrees(setup, found, TOKENS)
    inner = np.isin(found.graph.node_kind, (NodeKind.FEATURE, NodeKind.LAYER_ERROR))
    assert set(found.graph.node_position[inner].tolist()) == {kept}
    assert set(found.graph.active_position.tolist()) == {kept}
    every_option_works(setup, TOKENS, without)


@pytest.mark.parametrize("kind", ["jumprelu", "cross-layer"])
def test_a_prompt_on_which_nothing_fires(kind: str, make: Make) -> None:
    setup = make("LlamaForCausalLM", kind, 2)
    layers = [{**each, "threshold": each["threshold"] + 1e6} for each in setup.layers]
    never = tuple(
        replace(layer, activation=JumpRelu(arrays["threshold"]))
        for layer, arrays in zip(setup.dictionary.layers, layers, strict=True)
    )
    quiet = replace(setup, layers=layers, dictionary=replace(setup.dictionary, layers=never))
    found = quiet.exact(WHOLE)
    agrees(quiet, found, TOKENS)
    assert not (found.graph.node_kind == NodeKind.FEATURE).any()
    every_option_works(quiet, TOKENS)
    silent = quiet.exact(replace(WHOLE, silent=((0, 1), (1, 3))))
    agrees(quiet, silent, TOKENS)
    assert (silent.graph.node_kind == NodeKind.FEATURE).sum() == 2 * (len(TOKENS) - 1)


def test_edges_that_a_sliding_window_makes_impossible_are_not_stored(make: Make) -> None:
    # one layer, and a window of 3: what is 3 positions away reaches nothing
    setup = make("MistralForCausalLM", "jumprelu", 1)
    found = setup.exact(WHOLE)
    agrees(setup, found, TOKENS)
    graph = found.graph
    assert (graph.edge_weight != 0).all()
    distance = graph.node_position[graph.edge_target] - graph.node_position[graph.edge_source]
    assert distance.min() == 0
    assert distance.max() == 2
    assert found.assembled.counts.edges == graph.n_edges == np.count_nonzero(found.matrix())
