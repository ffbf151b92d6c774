"""Chosen pairs of units, measured unpruned without tracing everything."""

from dataclasses import replace

import numpy as np
import pytest

from circuitbase.errors import InputError
from circuitbase.schema.kinds import NodeKind
from circuitbase.tracing.effects import FrozenPaths, RowBlock
from circuitbase.tracing.options import RoleTarget, TraceOptions
from circuitbase.tracing.pairs import PairEffects, UnitKey, pair_effects
from circuitbase.tracing.target_blocks import Targets
from tests.tiny_models import PROMPT
from tests.tracing.cases import CASES, WHOLE, Loaded, dense, keys, loaded


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return loaded(tmp_path_factory.mktemp("pairs"), CASES[3])


def measured(
    found: Loaded, *pairs: tuple[UnitKey, UnitKey], options: TraceOptions = WHOLE, targets: tuple = ()
) -> PairEffects:
    prompt = found.model.tokenizer.read(PROMPT)
    return pair_effects(found.model, found.dictionary, prompt, options, pairs=pairs, targets=targets)


def units_of(found: Loaded, kind: NodeKind) -> list[UnitKey]:
    graph = found.trace(WHOLE).graph
    rows = np.flatnonzero(graph.node_kind == kind)
    seen = {(int(graph.node_layer[row]), int(graph.node_unit[row])) for row in rows}
    return [UnitKey(kind, layer, unit) for layer, unit in sorted(seen)]


def test_pairs_have_the_weights_of_the_whole_graph_at_every_pair_of_positions(found: Loaded) -> None:
    graph = found.trace(WHOLE).graph
    place = {key: row for row, key in enumerate(keys(graph))}
    weights = dense(graph)
    sources = [*units_of(found, NodeKind.FEATURE)[:4], *units_of(found, NodeKind.INPUT_TOKEN)[:2]]
    sources += units_of(found, NodeKind.LAYER_ERROR)[:1]
    ends = [*units_of(found, NodeKind.FEATURE)[-6:], *units_of(found, NodeKind.OUTPUT_TOKEN)[:1]]
    pairs = [(source, target) for source in sources for target in ends]
    rows = measured(found, *pairs)
    assert len(rows.pair) > 20
    assert (np.diff(rows.pair) >= 0).all()
    nonzero = 0
    for row, pair in enumerate(rows.pair.tolist()):
        source, target = pairs[pair]
        s = place[(source.kind, source.layer, int(rows.source_position[row]), source.index)]
        t = place[(target.kind, target.layer, int(rows.target_position[row]), target.index)]
        assert rows.weight[row] == pytest.approx(weights[t, s], rel=1e-6, abs=1e-9)
        assert rows.absolute_input[row] == pytest.approx(float(graph.node_absolute_input[t]), rel=1e-6)
        assert rows.source_activation[row] == pytest.approx(float(graph.node_activation[s]), rel=1e-6)
        assert rows.target_activation[row] == pytest.approx(float(graph.node_activation[t]), rel=1e-6)
        nonzero += rows.weight[row] != 0
    expected = sum(
        1
        for source, target in pairs
        for s in keys(graph)
        for t in keys(graph)
        if (s[0], s[1], s[3]) == (source.kind, source.layer, source.index)
        and (t[0], t[1], t[3]) == (target.kind, target.layer, target.index)
    )
    assert len(rows.pair) == expected
    assert nonzero > 10


def test_only_the_rows_of_the_targets_are_traced(found: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    traced: list[int] = []
    rows = FrozenPaths.rows

    def counted(self: FrozenPaths, targets: Targets) -> RowBlock:
        traced.extend(targets.node.tolist())
        return rows(self, targets)

    monkeypatch.setattr(FrozenPaths, "rows", counted)
    source, *_, target = units_of(found, NodeKind.FEATURE)
    traced.clear()
    effects = measured(found, (source, target), (source, target))
    assert len(traced) == len(set(effects.target_position.tolist()))
    assert np.array_equal(effects.weight[effects.pair == 0], effects.weight[effects.pair == 1])


def test_a_pair_with_a_unit_that_is_not_active_has_no_row(found: Loaded) -> None:
    active = units_of(found, NodeKind.FEATURE)
    n_features = found.dictionary.layers[0].W_enc.shape[0]
    silent = next(i for i in range(n_features) if UnitKey(NodeKind.FEATURE, 0, i) not in active)
    nothing = UnitKey(NodeKind.FEATURE, 0, silent)
    assert len(measured(found, (active[0], nothing), (nothing, active[-1])).pair) == 0
    assert len(measured(found).pair) == 0


def test_a_silent_target_is_measured_if_the_options_name_it(found: Loaded) -> None:
    active = units_of(found, NodeKind.FEATURE)
    layer = max(unit.layer for unit in active)
    n_features = found.dictionary.layers[layer].W_enc.shape[0]
    index = next(i for i in range(n_features) if UnitKey(NodeKind.FEATURE, layer, i) not in active)
    silent = UnitKey(NodeKind.FEATURE, layer, index)
    options = replace(WHOLE, silent=((layer, index),))
    rows = measured(found, (active[0], silent), options=options)
    assert len(rows.pair) > 0
    assert (rows.target_activation == 0).all()
    assert (rows.weight != 0).any()


def test_a_role_output_is_a_target_by_its_place(found: Loaded) -> None:
    options = replace(WHOLE, target="roles")
    roles = (RoleTarget("answer-distractor", 5, 6),)
    token = units_of(found, NodeKind.INPUT_TOKEN)[0]
    rows = measured(found, (token, UnitKey(NodeKind.OTHER_OUTPUT, 3, 0)), options=options, targets=roles)
    graph = found.trace(options, roles=roles).graph
    at = np.flatnonzero((graph.edge_target == graph.n_nodes - 1) & (graph.node_unit[graph.edge_source] == token.index))
    is_token = graph.node_kind[graph.edge_source[at]] == NodeKind.INPUT_TOKEN
    assert rows.weight[rows.weight != 0] == pytest.approx(graph.edge_weight[at][is_token], rel=1e-6)
    with pytest.raises(InputError, match="needs an answer"):
        measured(found, options=options)
