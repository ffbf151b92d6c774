import numpy as np
import pytest

from circuitbase.graph.consistency import length_problems, problems
from circuitbase.graph.trace import Trace
from circuitbase.schema.kinds import NodeKind
from circuitbase.tracing.options import TraceOptions
from tests.synthetic import synthetic_trace, with_arrays, without_account

TRACE = synthetic_trace(4)
GRAPH = TRACE.graph


def found(trace: Trace) -> list[str]:
    metadata = trace.metadata
    return problems(
        trace.graph,
        n_layers=metadata.model.n_layers,
        n_positions=len(metadata.prompt.token_ids),
        n_targets=len(metadata.targets),
    )


def found_with(**arrays: np.ndarray) -> str:
    return "; ".join(found(with_arrays(TRACE, **arrays)))


def replaced(name: str, row: int, value: float) -> dict[str, np.ndarray]:
    column = getattr(GRAPH, name).copy()
    column[row] = value
    return {name: column}


def first_of(kind: NodeKind) -> int:
    return int(np.flatnonzero(GRAPH.node_kind == kind)[0])


def in_order(order: np.ndarray, prefix: str) -> dict[str, np.ndarray]:
    return {name: array[order] for name, array in GRAPH.arrays().items() if name.startswith(prefix)}


def with_edge(source: int, target: int) -> dict[str, np.ndarray]:
    """The edge columns with one edge more, in its place."""
    columns = {
        "edge_source": np.append(GRAPH.edge_source, np.int32(source)),
        "edge_target": np.append(GRAPH.edge_target, np.int32(target)),
        "edge_port": np.append(GRAPH.edge_port, np.uint8(0)),
        "edge_weight": np.append(GRAPH.edge_weight, np.float32(1)),
        "edge_influence": np.append(GRAPH.edge_influence, np.float32(0)),
    }
    order = np.lexsort((columns["edge_port"], columns["edge_source"], columns["edge_target"]))
    return {name: column[order] for name, column in columns.items()}


@pytest.mark.parametrize("target", ["probable", "roles"])
@pytest.mark.parametrize("seed", range(5))
def test_synthetic_traces_have_no_problem(seed: int, target: str) -> None:
    assert found(synthetic_trace(seed, options=TraceOptions(target=target))) == []


def test_a_graph_without_edges_has_no_problem() -> None:
    assert found_with(**in_order(np.arange(0), "edge_")) == ""


@pytest.mark.parametrize("name", ["node_layer", "edge_weight", "active_value"])
def test_columns_of_unequal_length_are_named(name: str) -> None:
    arrays = GRAPH.arrays() | {name: getattr(GRAPH, name)[:-1]}
    [said] = length_problems(arrays)
    assert said.startswith(f"the {name.split('_')[0]} columns must be equally long, got")
    assert length_problems(GRAPH.arrays()) == []


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["edge_weight", "edge_influence", "node_activation", "node_influence", "active_value"])
def test_a_value_that_is_not_finite_is_named_with_its_row(name: str, value: float) -> None:
    assert f"{name} must be finite, got {value} at row 2 (1 such rows)" in found_with(**replaced(name, 2, value))


@pytest.mark.parametrize("name", ["preactivation", "bias_effect", "rest", "absolute_input"])
def test_a_target_without_its_account_is_named(name: str) -> None:
    node = int(GRAPH.edge_target[0])
    said = found_with(**replaced(f"node_{name}", node, np.nan))
    assert said == f"node_{name} must be finite where a node has in-edges, got nan at node {node}"


def test_an_unknown_kind_of_node_is_named() -> None:
    last = GRAPH.n_nodes - 1
    assert f"node_kind must be 0 to 8, got 9 at node {last}" in found_with(**replaced("node_kind", last, 9))


def test_unsorted_nodes_are_found() -> None:
    order = np.arange(GRAPH.n_nodes)
    order[[0, 1]] = order[[1, 0]]
    assert "nodes must be sorted by kind, layer, position, key position, unit" in found_with(**in_order(order, "node_"))


def test_a_node_that_stands_twice_is_found() -> None:
    order = np.arange(GRAPH.n_nodes)
    order[1] = 0
    assert "each node must stand once, and some stand twice" in found_with(**in_order(order, "node_"))


@pytest.mark.parametrize(("name", "lowest"), [("node", -1), ("active", 0)])
def test_a_layer_that_the_model_lacks_is_named(name: str, lowest: int) -> None:
    assert f"{name}_layer must be -1 to 3, got {lowest} to 7" in found_with(**replaced(f"{name}_layer", -1, 7))


@pytest.mark.parametrize("name", ["node", "active"])
def test_a_position_that_the_prompt_lacks_is_named(name: str) -> None:
    said = found_with(**replaced(f"{name}_position", -1, 5))
    assert f"{name}_position must be -1 to 4, got" in said


def test_an_output_without_target_in_the_metadata_is_named() -> None:
    trace = synthetic_trace(4, options=TraceOptions(target="roles"))
    unit = trace.graph.node_unit.copy()
    unit[-1] = 1
    assert found(with_arrays(trace, node_unit=unit)) == [
        "an output points to target 1, but the metadata lists 1 targets"
    ]


@pytest.mark.parametrize(("name", "value"), [("edge_source", 10_000), ("edge_target", -1)])
def test_an_edge_to_a_missing_node_is_named(name: str, value: int) -> None:
    said = found_with(**replaced(name, 3, value))
    assert f"{name} must name one of the {GRAPH.n_nodes} nodes, got {value} at edge 3" in said


def test_unsorted_edges_are_found() -> None:
    order = np.arange(GRAPH.n_edges)[::-1]
    assert found_with(**in_order(order, "edge_")) == "edges must be sorted by target, source, port, and are not"


def test_an_unknown_port_is_named() -> None:
    assert found_with(**replaced("edge_port", 0, 4)) == "edge_port must be 0 to 3, got 4"


def test_an_edge_that_stands_twice_is_named() -> None:
    order = np.sort(np.append(np.arange(GRAPH.n_edges), 2))
    assert found_with(**in_order(order, "edge_")) == "each edge must stand once, and edge 2 stands twice"


def test_an_edge_out_of_an_output_is_found() -> None:
    output = first_of(NodeKind.OUTPUT_TOKEN)
    assert "an output node must have no out-edges" in found_with(**with_edge(output, output + 1))


@pytest.mark.parametrize("kind", [NodeKind.INPUT_TOKEN, NodeKind.LAYER_ERROR])
def test_an_edge_into_a_token_or_an_error_is_found(kind: NodeKind) -> None:
    said = found_with(**with_edge(0, first_of(kind) + 1))
    assert "input tokens and layer errors must have no in-edges, and one has" in said


def test_an_edge_to_an_earlier_position_is_found() -> None:
    feature = int(np.flatnonzero((GRAPH.node_kind == NodeKind.FEATURE) & (GRAPH.node_position == 1))[0])
    assert "an edge must not run to an earlier position" in found_with(**with_edge(4, feature))


def test_an_edge_to_a_lower_layer_is_found() -> None:
    features = np.flatnonzero((GRAPH.node_kind == NodeKind.FEATURE) & (GRAPH.node_position == 2))
    assert "an edge must not run to a lower layer" in found_with(**with_edge(int(features[-1]), int(features[0])))


def test_an_unproven_graph_needs_of_its_targets_only_the_absolute_input():
    graph = without_account(TRACE).graph
    sizes = {"n_layers": TRACE.metadata.model.n_layers, "n_positions": 5, "n_targets": len(TRACE.metadata.targets)}
    assert problems(graph, **sizes, unproven=True) == []
    assert [sentence.split()[0] for sentence in problems(graph, **sizes)] == [
        "node_preactivation",
        "node_bias_effect",
        "node_rest",
    ]
    nothing = np.full(graph.n_nodes, np.nan, dtype=np.float32)
    without_input = with_arrays(TRACE, node_absolute_input=nothing).graph
    assert "node_absolute_input must be finite" in "".join(problems(without_input, **sizes, unproven=True))
