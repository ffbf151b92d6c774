import networkx as nx
import numpy as np
import pytest

from circuitbase.graph.networkx_view import to_networkx
from circuitbase.tracing.options import TraceOptions
from tests.synthetic import synthetic_trace, with_arrays


def test_the_view_holds_every_node_and_edge_of_the_trace() -> None:
    trace = synthetic_trace(1)
    view = to_networkx(trace)
    assert view.number_of_nodes() == trace.graph.n_nodes
    assert view.number_of_edges() == trace.graph.n_edges
    assert nx.is_directed_acyclic_graph(view)
    assert view.graph["trace_id"] == trace.metadata.trace_id
    assert view.graph["prompt"] == trace.metadata.prompt.text


def test_nodes_say_their_unit_token_and_account() -> None:
    trace = synthetic_trace(1)
    view = to_networkx(trace)
    token = view.nodes[1]
    assert token["kind"] == "InputToken"
    assert token["unit"] == f"synthetic@abababab/in/{trace.metadata.prompt.token_ids[1]}"
    assert token["token"] == trace.metadata.prompt.token_strings[1]
    assert "rest" not in token
    feature = next(node for node in view if view.nodes[node]["kind"] == "Feature")
    assert view.nodes[feature]["unit"].startswith("synthetic@abababab/tc@cdcdcdcd/mlp/L00/F")
    account = sum(weight for _, _, weight in view.in_edges(feature, data="weight"))
    account += view.nodes[feature]["rest"] + view.nodes[feature]["bias_effect"]
    assert account == pytest.approx(view.nodes[feature]["preactivation"], rel=1e-5)


def test_role_outputs_are_named_by_their_role() -> None:
    view = to_networkx(synthetic_trace(1, options=TraceOptions(target="roles")))
    outputs = [data for _, data in view.nodes(data=True) if data["kind"] == "RoleOutput"]
    assert [data["unit"] for data in outputs] == ["synthetic@abababab/role/answer-distractor"]


def test_edges_carry_signed_weight_share_and_influence() -> None:
    trace = synthetic_trace(2)
    columns = trace.graph
    source, target, data = next(iter(to_networkx(trace).edges(data=True)))
    row = np.flatnonzero((columns.edge_source == source) & (columns.edge_target == target))[0]
    assert data["weight"] == columns.edge_weight[row]
    assert data["share"] == pytest.approx(abs(columns.edge_weight[row]) / columns.node_absolute_input[target])
    assert data["influence"] == columns.edge_influence[row]


def test_edges_through_two_ports_stay_apart() -> None:
    trace = synthetic_trace(2)
    columns = trace.graph
    twice = {
        name: np.insert(getattr(columns, name), 1, getattr(columns, name)[0])
        for name in ("edge_source", "edge_target", "edge_port", "edge_weight", "edge_influence")
    }
    twice["edge_port"][:2] = (1, 3)
    view = to_networkx(with_arrays(trace, **twice))
    source, target = int(columns.edge_source[0]), int(columns.edge_target[0])
    assert set(view[source][target]) == {"q", "v"}
