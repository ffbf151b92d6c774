"""Edges measured again unpruned, against traces of the same prompts that were never pruned."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from circuitbase.errors import InputError
from circuitbase.evaluation.completed_edges import completed_edges, unit_key
from circuitbase.graph.trace import Trace
from circuitbase.queries.observed_edges import Edge
from circuitbase.queries.selection import SelectedTrace, Selection
from circuitbase.schema.kinds import NodeKind
from circuitbase.store.trace_store import TraceStore
from circuitbase.tracing.options import RoleTarget, TraceOptions
from tests.tracing.setups import Setup, make_setup

PROMPTS = ((0, 5, 9, 4, 28, 12), (0, 5, 7, 4, 28, 11), (0, 6, 9, 4, 20, 12))
PRUNED = TraceOptions(target="roles", node_threshold=0.7, edge_threshold=0.85, dtype="float64")
ROLE = RoleTarget("answer", token=7, minus=8)


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return make_setup(tmp_path / "model", "GPT2LMHeadModel")


def weights(trace: Trace) -> dict[Edge, float]:
    graph = trace.graph
    ids = [
        trace.unit_id(NodeKind(kind), layer, unit)
        for kind, layer, unit in zip(
            graph.node_kind.tolist(), graph.node_layer.tolist(), graph.node_unit.tolist(), strict=True
        )
    ]
    found: dict[Edge, float] = {}
    for source, target, port, weight in zip(
        graph.edge_source, graph.edge_target, graph.edge_port, graph.edge_weight, strict=True
    ):
        edge = (ids[source], ids[target], int(port))
        found[edge] = found.get(edge, 0.0) + float(weight)
    return found


def test_edges_have_the_weights_of_graphs_that_were_never_pruned(setup: Setup, tmp_path: Path) -> None:
    store = TraceStore(str(tmp_path / "store"))
    pruned = [setup.trace(PRUNED, ROLE, tokens=tokens) for tokens in PROMPTS]
    whole = [weights(setup.trace(replace(PRUNED, prune=False), ROLE, tokens=tokens)) for tokens in PROMPTS]
    for trace in pruned:
        store.save(trace)
    kept = [weights(trace) for trace in pruned]
    edges = sorted({edge for found in kept for edge in found})
    assert len(edges) > 10 and any(edge not in kept[1] and edge in whole[1] for edge in edges)
    selection = Selection(
        name="three",
        configuration=pruned[0].metadata.configuration_id,
        configuration_name="any",
        traces=tuple(
            SelectedTrace(trace.metadata.trace_id, trace.metadata.prompt_id, str(number), 6)
            for number, trace in enumerate(pruned)
        ),
    )
    heard: list[tuple[int, int]] = []
    found = completed_edges(
        store,
        selection,
        edges,
        model=setup.model,
        dictionary=setup.dictionary,
        heard=lambda done, total: heard.append((done, total)),
    )
    assert heard == [(1, 3), (2, 3), (3, 3)]
    for each in found:
        expected = [weight.get(each.edge, 0.0) for weight in whole]
        assert each.mean_weight.value == pytest.approx(np.mean(expected), rel=1e-4, abs=1e-6)
        assert each.traced == sum(each.edge in weight for weight in kept)
        assert each.active == sum(value != 0 for value in expected) >= each.traced > 0
        assert each.mean_weight.low <= each.mean_weight.value <= each.mean_weight.high
        assert each.kept == each.traced / each.active
    assert any(each.active > each.traced for each in found)


def test_another_dictionary_and_units_without_a_feature_trace_are_refused(setup: Setup, tmp_path: Path) -> None:
    store = TraceStore(str(tmp_path / "store"))
    trace = setup.trace(PRUNED, ROLE)
    store.save(trace)
    selection = Selection("one", "c", "c", (SelectedTrace(trace.metadata.trace_id, "p", "p", 6),))
    edge = next(iter(weights(trace)))
    other = replace(setup.dictionary, identity=replace(setup.dictionary.identity, digest="1" * 64))
    with pytest.raises(InputError, match="give those that were traced"):
        completed_edges(store, selection, [edge], model=setup.model, dictionary=other)
    with pytest.raises(InputError, match="cannot be measured again"):
        unit_key("m@12345678/L00/head/1", trace)
