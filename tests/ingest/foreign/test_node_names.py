import pytest
from hypothesis import given
from hypothesis import strategies as st

from circuitbase.ingest.foreign.node_names import NodeName, node_name, paired, unpaired
from circuitbase.schema.kinds import NodeKind


def test_layer_and_feature_are_paired_as_published():
    assert paired(2, 14696) == 108037647
    assert unpaired(108037647) == (2, 14696)


@given(st.integers(0, 200), st.integers(0, 2**31))
def test_unpairing_gives_back_what_was_paired(layer: int, feature: int):
    assert unpaired(paired(layer, feature)) == (layer, feature)


@pytest.mark.parametrize(
    ("kind", "layer", "unit", "expected"),
    [
        (NodeKind.FEATURE, 2, 14696, NodeName("2_14696_3", 108037647, "2", "2_14696-0")),
        (NodeKind.LAYER_ERROR, 24, 0, NodeName("24_-1_3", -1, "24", "24_-1-3")),
        (NodeKind.INPUT_TOKEN, -1, 235304, NodeName("E_235304_3", 3, "E", "E_235304-3")),
        (NodeKind.OUTPUT_TOKEN, 26, 235310, NodeName("27_235310_3", 235310, "27", "L_235310-3")),
    ],
)
def test_nodes_are_named_as_in_published_files(kind: NodeKind, layer: int, unit: int, expected: NodeName):
    assert node_name(kind, layer=layer, position=3, unit=unit, n_layers=26) == expected
