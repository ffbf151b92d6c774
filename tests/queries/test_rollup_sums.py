import numpy as np
import pytest

from circuitbase.queries.rollup_sums import ActiveFeatures, RollupSums, rollup_sums
from circuitbase.queries.trace_columns import TraceColumns


def columns(trace_id: str, units: str, positions: list[int], edges: list[tuple]) -> TraceColumns:
    """Returns a trace whose nodes are one letter each, capital letters for features.

    Edges are (source, target, weight), shares and influences a tenth and a hundredth of |weight|; the
    activation of node n is n + 1, its influence (n + 1) / 10.
    """
    n = np.arange(1.0, len(units) + 1)
    weight = np.array([edge[2] for edge in edges], dtype=np.float64)
    return TraceColumns(
        trace_id=trace_id,
        unit=tuple(units),
        is_feature=np.array([unit.isupper() for unit in units]),
        is_active=np.ones(len(units), dtype=bool),
        position=np.array(positions, dtype=np.int64),
        activation=n,
        influence=n / 10,
        edge_source=np.array([edge[0] for edge in edges], dtype=np.int64),
        edge_target=np.array([edge[1] for edge in edges], dtype=np.int64),
        edge_port=np.array([edge[3] if len(edge) > 3 else 0 for edge in edges], dtype=np.uint8),
        edge_weight=weight,
        edge_share=np.abs(weight) / 10,
        edge_influence=np.abs(weight) / 100,
    )


def active(**activations: float) -> ActiveFeatures:
    return ActiveFeatures(tuple(activations), np.array(list(activations.values()), dtype=np.float64))


def edge(sums: RollupSums, source: str, target: str, port: int = 0) -> dict[str, float]:
    found = sums.edge_sums
    chosen = (
        (found.source == sums.units.index(source)) & (found.target == sums.units.index(target)) & (found.port == port)
    )
    (row,) = np.flatnonzero(chosen)
    return {name: getattr(found, name)[row] for name in vars(found)}


def unit(sums: RollupSums, name: str) -> dict[str, float]:
    row = sums.units.index(name)
    return {name: getattr(sums.unit_sums, name)[row] for name in vars(sums.unit_sums)}


def test_a_trace_counts_once_with_its_weights_summed_over_position_pairs() -> None:
    # two nodes of unit t at positions 0 and 1, one of F at position 1: weights +3 and -1 make one of +2
    sums = rollup_sums([(columns("x", "ttF", [0, 1, 1], [(0, 2, 3.0), (1, 2, -1.0)]), active(F=3.0))])
    found = edge(sums, "t", "F")
    assert (found["traces"], found["positive"], found["same_position"]) == (1, 1, 1)
    assert (found["weight_sum"], found["weight_square_sum"], found["absolute_sum"]) == (2, 4, 2)
    assert found["share_sum"] == pytest.approx(0.4) and found["share_square_sum"] == pytest.approx(0.16)
    assert found["influence_sum"] == pytest.approx(0.04)
    assert found["target_weighted_sum"] == 3 * 2  # the activation of F is 3


def test_traces_add_up_and_signs_are_counted_per_trace() -> None:
    one = columns("x", "tF", [0, 1], [(0, 1, 2.0)])
    other = columns("y", "tF", [0, 1], [(0, 1, -3.0)])
    found = edge(rollup_sums([(one, active(F=2.0)), (other, active(F=2.0))]), "t", "F")
    assert (found["traces"], found["positive"], found["same_position"]) == (2, 1, 0)
    assert (found["weight_sum"], found["weight_square_sum"], found["absolute_sum"]) == (-1, 13, 5)


def test_ports_are_edges_of_their_own() -> None:
    sums = rollup_sums([(columns("x", "th", [0, 1], [(0, 1, 2.0, 1), (0, 1, 5.0, 3)]), active())])
    assert edge(sums, "t", "h", port=1)["weight_sum"] == 2
    assert edge(sums, "t", "h", port=3)["weight_sum"] == 5
    assert len(sums.edge_sums.port) == 2


def test_features_are_counted_as_active_by_the_trace_file_and_the_rest_by_its_nodes() -> None:
    # F has a node and fired; G fired and was pruned away; t is no feature
    sums = rollup_sums([(columns("x", "ttF", [0, 1, 1], []), active(F=7.5, G=0.5))])
    of_f, of_g, of_t = unit(sums, "F"), unit(sums, "G"), unit(sums, "t")
    assert (of_f["active_traces"], of_f["traced"], of_f["activation_sum"]) == (1, 1, 7.5)
    assert (of_g["active_traces"], of_g["traced"], of_g["activation_sum"]) == (1, 0, 0.5)
    assert (of_t["active_traces"], of_t["traced"], of_t["activation_sum"]) == (1, 1, 3)
    assert of_t["influence_sum"] == pytest.approx(0.3) and of_t["influence_square_sum"] == pytest.approx(0.09)
    assert of_g["influence_sum"] == 0


def test_a_trace_without_edges_sums_to_units_alone() -> None:
    sums = rollup_sums([(columns("x", "t", [0], []), active())])
    assert sums.units == ("t",) and len(sums.edge_sums.source) == 0
