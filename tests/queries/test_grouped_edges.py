import numpy as np
import pytest

from circuitbase.queries.grouped_edges import grouped_edges
from tests.queries.columns import columns_of
from tests.synthetic import synthetic_trace


def test_members_at_one_position_are_one_node() -> None:
    columns = columns_of(synthetic_trace(3))
    members = sorted({unit for unit in columns.unit if "L00/F" in unit})[:4]
    found = grouped_edges(columns, dict.fromkeys(members, "group"))
    positions = [p for unit, p in zip(found.unit, found.position, strict=True) if unit == "group"]
    mine = {int(p) for unit, p in zip(columns.unit, columns.position, strict=True) if unit in members}
    assert sorted(positions) == sorted(mine)
    ends = list(zip(found.source.tolist(), found.target.tolist(), found.port.tolist(), strict=True))
    assert len(set(ends)) == len(ends)
    assert found.influence.sum() == pytest.approx(columns.edge_influence.sum())


def test_without_groups_the_nodes_and_edges_stay() -> None:
    columns = columns_of(synthetic_trace(4))
    found = grouped_edges(columns, {})
    assert found.unit == columns.unit and np.array_equal(found.position, columns.position)
    assert len(found.source) == len(columns.edge_source)
