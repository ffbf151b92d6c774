from dataclasses import replace

import numpy as np
import pytest

from circuitbase.errors import DatabaseError
from circuitbase.graph.trace import Trace
from circuitbase.ingest import trace_rows
from circuitbase.ingest.shared_rows import configuration_name, dictionary_row, model_row, prompt_row
from circuitbase.ingest.trace_rows import edge_share
from circuitbase.schema.declaration import NodeLabel, RelationshipType, node, relationship
from circuitbase.schema.kinds import NodeKind, Port
from circuitbase.schema.statements import row_properties
from circuitbase.store.trace_file import array_digest
from circuitbase.tracing.options import TraceOptions
from tests.synthetic import synthetic_trace, with_arrays, without_account


def named(owner: NodeLabel | RelationshipType, row: tuple, *, first: int = 0) -> dict[str, object]:
    names = [property.name for property in row_properties(owner)]
    return dict(zip(names, row[first : first + len(names)], strict=True))


def of_kind(trace: Trace, kind: NodeKind) -> int:
    """Returns the index of the first node of a kind."""
    return int(np.flatnonzero(trace.graph.node_kind == kind)[0])


def test_node_rows_hold_the_columns_as_python_numbers_and_end_in_their_unit():
    trace = synthetic_trace(0)
    found = trace_rows.trace_rows(trace).nodes
    place = of_kind(trace, NodeKind.FEATURE)
    assert len(found) == trace.graph.n_nodes
    assert named(node("TraceNode"), found[place]) == {
        "index": place,
        "layer": int(trace.graph.node_layer[place]),
        "position": int(trace.graph.node_position[place]),
        "token": trace.metadata.prompt.token_strings[trace.graph.node_position[place]],
        "key_position": None,
        "activation": float(trace.graph.node_activation[place]),
        "influence": float(trace.graph.node_influence[place]),
        "preactivation": float(trace.graph.node_preactivation[place]),
        "bias_effect": float(trace.graph.node_bias_effect[place]),
        "rest": float(trace.graph.node_rest[place]),
        "absolute_input": float(trace.graph.node_absolute_input[place]),
        "silent": False,
        "margin": None,
    }
    assert found[place][-1] == trace.unit_id(
        NodeKind.FEATURE, int(trace.graph.node_layer[place]), int(trace.graph.node_unit[place])
    )


def test_what_is_no_number_in_the_file_is_absent_in_the_row():
    trace = synthetic_trace(0)
    row = named(node("TraceNode"), trace_rows.trace_rows(trace).nodes[of_kind(trace, NodeKind.INPUT_TOKEN)])
    assert [row[name] for name in ("preactivation", "bias_effect", "rest", "absolute_input")] == [None] * 4


def test_a_node_whose_positions_are_summed_has_no_token():
    trace = synthetic_trace(0)
    place = of_kind(trace, NodeKind.FEATURE)
    position = trace.graph.node_position.copy()
    position[place] = -1
    row = named(node("TraceNode"), trace_rows.trace_rows(with_arrays(trace, node_position=position)).nodes[place])
    assert (row["position"], row["token"]) == (-1, None)


def test_a_silent_node_has_its_margin():
    trace = synthetic_trace(0)
    place = of_kind(trace, NodeKind.FEATURE)
    silent, margin = trace.graph.node_silent.copy(), trace.graph.node_margin.copy()
    silent[place], margin[place] = 1, 0.25
    found = trace_rows.trace_rows(with_arrays(trace, node_silent=silent, node_margin=margin)).nodes[place]
    assert named(node("TraceNode"), found)["silent"] is True
    assert named(node("TraceNode"), found)["margin"] == 0.25


def test_edge_rows_begin_with_their_ends():
    trace = synthetic_trace(0)
    graph, found = trace.graph, trace_rows.trace_rows(trace).edges
    assert [row[:2] for row in found] == list(zip(graph.edge_source.tolist(), graph.edge_target.tolist(), strict=True))
    target = graph.edge_target[5]
    assert named(relationship("AFFECTS"), found[5], first=2) == {
        "weight": float(graph.edge_weight[5]),
        "share": abs(float(graph.edge_weight[5])) / float(graph.node_absolute_input[target]),
        "influence": float(graph.edge_influence[5]),
        "port": None,
    }


def test_ports_are_named():
    trace = synthetic_trace(0)
    port = np.zeros(trace.graph.n_edges, np.uint8)
    port[:4] = (Port.NONE, Port.Q, Port.K, Port.V)
    assert [row[-1] for row in trace_rows.trace_rows(with_arrays(trace, edge_port=port)).edges[:4]] == [
        None,
        "q",
        "k",
        "v",
    ]


def test_an_edge_of_weight_zero_has_share_zero_also_where_nothing_else_comes_in():
    trace = synthetic_trace(0)
    nothing = with_arrays(
        trace,
        edge_weight=np.zeros_like(trace.graph.edge_weight),
        node_absolute_input=np.zeros_like(trace.graph.node_absolute_input),
    )
    assert not edge_share(nothing.graph).any()


def test_units_are_sorted_by_id_and_carry_the_labels_of_kind_and_layer():
    trace = synthetic_trace(0)
    units = trace_rows.trace_rows(trace).units
    ids = [row[0] for row in units.rows]
    assert ids == sorted(set(ids))
    assert set(units.of_node) | set(units.of_activation) == set(ids)
    for row in units.rows:
        unit, labels = named(node("Unit"), row), row[-1]
        layered = unit["kind"] in ("Feature", "LayerError")
        assert labels == ([unit["kind"], f"L{unit['layer']:02d}"] if layered else [unit["kind"]])
        assert (row[0] in units.in_dictionary) == layered
        assert (unit["token"] is not None) == (unit["kind"] in ("InputToken", "OutputToken"))


def test_a_role_output_is_named_by_its_role():
    trace = synthetic_trace(0, options=TraceOptions(target="roles"))
    (row,) = [row for row in trace_rows.trace_rows(trace).units.rows if "/role/" in row[0]]
    assert named(node("Unit"), row) == {
        "id": "synthetic@abababab/role/answer-distractor",
        "name": "answer-distractor",
        "kind": "RoleOutput",
        "index": 0,
        "layer": None,
        "token": None,
        "label": None,
    }


def test_the_trace_row_has_the_digest_of_its_arrays_and_the_facts_of_the_run():
    trace = synthetic_trace(0, options=TraceOptions(target="roles"))
    found = trace_rows.trace_rows(trace)
    row = named(node("Trace"), found.trace)
    assert row["id"] == trace.metadata.trace_id
    assert row["array_digest"] == found.array_digest == array_digest(trace.graph.arrays())
    assert (row["n_nodes"], row["n_edges"]) == (trace.graph.n_nodes, trace.graph.n_edges)
    assert row["n_active"] == len(trace.graph.active_unit)
    assert (row["answer_rank"], row["correct"], row["logit_difference"]) == (1, True, 1.5)


def test_a_score_that_is_no_number_is_refused():
    trace = synthetic_trace(0)
    scores = replace(trace.metadata.scores, replacement=float("nan"))
    with pytest.raises(DatabaseError, match=r"Trace\.replacement_score must be FLOAT or none, got nan"):
        trace_rows.trace_rows(replace(trace, metadata=replace(trace.metadata, scores=scores)))


def test_an_imported_trace_is_unproven_and_what_nobody_knows_of_it_is_left_out():
    proven, unproven = (
        named(node("Trace"), trace_rows.trace_rows(trace).trace)
        for trace in (synthetic_trace(0), without_account(synthetic_trace(0)))
    )
    assert proven["unproven"] is None
    assert unproven["unproven"] is True
    left_out = {name for name in proven if proven[name] is not None and unproven[name] is None}
    assert left_out == {"replacement_score", "completeness_score", "account_violation", "stored_account_violation"}


def test_a_configuration_is_named_by_model_dictionary_target_and_digits_of_its_id():
    probable, roles = (synthetic_trace(0, options=TraceOptions(target=target)) for target in ("probable", "roles"))
    short = [trace.metadata.configuration_id[:8] for trace in (probable, roles)]
    assert configuration_name(probable.metadata) == f"synthetic/tc/probable@{short[0]}"
    assert configuration_name(roles.metadata) == f"synthetic/tc/answer-distractor@{short[1]}"


def test_shared_rows_hold_ids_that_units_begin_with():
    trace = synthetic_trace(0)
    model, dictionary = model_row(trace.metadata.model)[0], dictionary_row(trace.metadata)
    assert dictionary is not None
    assert dictionary[0].startswith(f"{model}/")
    assert all(row[0].startswith(f"{model}/") for row in trace_rows.trace_rows(trace).units.rows)
    assert prompt_row(trace.metadata)[0] == trace.metadata.prompt_id


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        (TraceOptions(), r"with a lower node threshold \(now 0\.8\) or edge threshold \(now 0\.98\)$"),
        (TraceOptions(prune=False), r"with a lower node threshold and edge threshold \(it was not pruned at all\)$"),
    ],
)
def test_a_trace_too_large_for_one_transaction_names_what_to_lower(
    monkeypatch: pytest.MonkeyPatch, options: TraceOptions, remedy: str
):
    trace = synthetic_trace(0, options=options)
    found = trace_rows.trace_rows(trace)
    n = 2 + 2 * len(found.nodes) + len(found.edges) + len(found.activations)
    monkeypatch.setattr(trace_rows, "MOST_RELATIONSHIPS", n)
    trace_rows.trace_rows(trace)
    monkeypatch.setattr(trace_rows, "MOST_RELATIONSHIPS", n - 1)
    with pytest.raises(DatabaseError, match=f"has {n} relationships, and at most {n - 1} are stored; .* {remedy}"):
        trace_rows.trace_rows(trace)
