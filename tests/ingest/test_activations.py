import numpy as np

from circuitbase.graph.attribution_graph import ARRAY_DTYPES, AttributionGraph
from circuitbase.ingest.activations import feature_activations
from circuitbase.schema.kinds import NodeKind
from tests.synthetic import synthetic_trace


def graph(active: list[tuple[int, int, int, float]], traced: list[tuple[int, int]] = ()) -> AttributionGraph:
    """Returns a graph without edges: (layer, position, unit, value) fired, (layer, unit) have a node."""
    arrays = {name: np.zeros(0, dtype) for name, dtype in ARRAY_DTYPES.items()}
    for column, name in enumerate(("layer", "position", "unit", "value")):
        arrays[f"active_{name}"] = np.array([row[column] for row in active], ARRAY_DTYPES[f"active_{name}"])
    for name, dtype in ARRAY_DTYPES.items():
        if name.startswith("node_"):
            arrays[name] = np.zeros(len(traced), dtype)
    arrays["node_kind"][:] = NodeKind.FEATURE
    arrays["node_layer"][:] = [layer for layer, _ in traced]
    arrays["node_unit"][:] = [unit for _, unit in traced]
    return AttributionGraph(**arrays)


def test_a_feature_is_summed_over_its_positions():
    found = feature_activations(graph([(0, 3, 7, 0.5), (0, 1, 7, 2.0), (0, 2, 7, 2.0), (1, 1, 7, 1.0)]))
    assert found.layer.tolist() == [0, 1]
    assert found.unit.tolist() == [7, 7]
    assert found.peak.tolist() == [2.0, 1.0]
    assert found.peak_position.tolist() == [1, 1]  # the first of two equal peaks
    assert found.positions.tolist() == [3, 1]
    assert found.total.tolist() == [4.5, 1.0]


def test_features_with_a_node_and_the_strongest_beside_are_kept():
    active = [(0, 1, unit, float(unit)) for unit in range(1, 8)]
    found = feature_activations(graph(active, traced=[(0, 1), (1, 2), (0, 99)]), strongest=2)
    assert found.unit.tolist() == [1, 6, 7]


def test_a_prompt_on_which_nothing_fired_has_no_rows():
    assert len(feature_activations(graph([])).unit) == 0


def test_sums_agree_with_a_loop():
    trace = synthetic_trace(3, n_positions=9, active_per_position=8)
    columns = trace.graph
    found = feature_activations(columns, strongest=10**6)
    expected: dict[tuple[int, int], list[tuple[int, float]]] = {}
    fired = zip(
        columns.active_layer.tolist(),
        columns.active_position.tolist(),
        columns.active_unit.tolist(),
        columns.active_value.tolist(),
        strict=True,
    )
    for layer, position, unit, value in fired:
        expected.setdefault((layer, unit), []).append((position, value))
    assert list(zip(found.layer.tolist(), found.unit.tolist(), strict=True)) == sorted(expected)
    for place, key in enumerate(sorted(expected)):
        values = expected[key]
        assert found.peak[place] == max(value for _, value in values)
        assert (found.peak_position[place], found.peak[place]) in values
        assert found.positions[place] == len(values)
        assert abs(found.total[place] - sum(value for _, value in values)) < 1e-12
