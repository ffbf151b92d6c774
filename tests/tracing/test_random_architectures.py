"""Any architecture with any dictionary at any size and option, against the frozen model computed independently."""

from dataclasses import dataclass, replace
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from circuitbase.schema.kinds import NodeKind
from circuitbase.store.trace_file import from_bytes, to_bytes
from circuitbase.tracing.options import TraceOptions
from circuitbase.tracing.targets import AskedTarget, FeatureTarget, TokenTarget
from tests.tiny_configs import PECULIAR
from tests.tracing.dictionary_kinds import KINDS
from tests.tracing.setups import make_setup

WITHOUT_IN_EDGES = ("mlp-sae", "mlp-write-sae")


@dataclass(frozen=True)
class Drawn:
    """A model, a dictionary, a prompt and how it is traced."""

    architecture: str
    kind: str
    n_layers: int
    n_heads: int
    seed: int
    bos: bool
    tokens: tuple[int, ...]
    without: tuple[int, ...]
    targets: tuple[AskedTarget, ...]
    options: dict[str, Any]
    block_numbers: int


@st.composite
def anything(draw: st.DrawFn) -> Drawn:
    kind = draw(st.sampled_from(sorted(KINDS)))
    n_layers = draw(st.integers(1, 3))
    bos = draw(st.booleans())
    words = draw(st.lists(st.integers(2, 28), min_size=1 if bos else 2, max_size=7 if bos else 8))
    tokens = (0, *words) if bos else tuple(words)
    with_nodes = range(1 if bos else 0, len(tokens))
    traced = draw(st.sets(st.sampled_from(with_nodes), min_size=1))
    places = st.tuples(st.integers(0, n_layers - 1), st.integers(0, 11))
    in_edges = kind not in WITHOUT_IN_EDGES
    asked: dict[str, tuple[AskedTarget, ...]] = {"probable": (), "tokens": (TokenTarget(draw(st.integers(0, 28))),)}
    if in_edges:
        asked["features"] = (FeatureTarget(*draw(places), draw(st.sampled_from(sorted(traced)))),)
    target = draw(st.sampled_from(sorted(asked)))
    options = {
        "target": target,
        "heads": draw(st.booleans()),
        "max_features": draw(st.sampled_from([None, None, 1, 18])),
        "keep_mass": draw(st.sampled_from([1.0, 1.0, 0.6])),
        "silent": tuple(draw(st.lists(places, max_size=2))) if in_edges else (),
    }
    return Drawn(
        architecture=draw(st.sampled_from(sorted(PECULIAR))),
        kind=kind,
        n_layers=n_layers,
        n_heads=4 if kind == "head-value-sae" else draw(st.sampled_from([2, 4])),
        seed=draw(st.integers(0, 50)),
        bos=bos,
        tokens=tokens,
        without=tuple(sorted(set(range(len(tokens))) - traced)),
        targets=asked[target],
        options=options,
        block_numbers=draw(st.sampled_from([1, 300, 2**20])),
    )


@settings(
    max_examples=12,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(drawn=anything())
def test_edges_are_exact_and_accounts_close(drawn: Drawn, tmp_path_factory: pytest.TempPathFactory) -> None:
    setup = make_setup(
        tmp_path_factory.mktemp("any") / "model",
        drawn.architecture,
        drawn.kind,
        n_layers=drawn.n_layers,
        n_heads=drawn.n_heads,
        seed=drawn.seed,
        bos=drawn.bos,
    )
    options = TraceOptions(prune=False, max_outputs=3, dtype="float64", **drawn.options)
    found = setup.exact(
        options, *drawn.targets, tokens=drawn.tokens, without=drawn.without, block_numbers=drawn.block_numbers
    )
    graph, reference = found.graph, setup.reference(drawn.tokens)
    expected, bias = reference.edges(graph), reference.bias_effects(graph)
    matrix, scale = found.matrix(), np.abs(expected).max()
    limited = options.keep_mass < 1
    differs = np.abs(matrix - expected) > 1e-8 * scale
    assert not differs[matrix != 0].any() if limited else not differs.any()
    has_account = np.isfinite(graph.node_preactivation)
    assert np.abs(found.of_stored(found.rows.bias_effect) - bias)[has_account].max() <= 1e-8 * np.abs(bias).max(
        initial=1e-300, where=has_account
    )
    scores = found.assembled.scores
    assert scores.account_violation <= 1e-11
    assert scores.stored_account_violation <= 1e-5
    assert (graph.edge_weight != 0).all()
    inner = np.isin(graph.node_kind, (NodeKind.FEATURE, NodeKind.LAYER_ERROR))
    assert not np.isin(graph.node_position[inner], drawn.without).any()
    pruned = setup.trace(replace(options, prune=True), *drawn.targets, tokens=drawn.tokens, without=drawn.without)
    assert pruned.metadata.scores.account_violation <= 1e-11
    assert pruned.metadata.scores.stored_account_violation <= 1e-5
    assert from_bytes(to_bytes(pruned), name="trace").metadata == pruned.metadata
