import pytest

from circuitbase.schema.kinds import NodeKind
from circuitbase.schema.unit_names import unit_name

EXPECTED = {
    NodeKind.INPUT_TOKEN: 'in " Paris"',
    NodeKind.OUTPUT_TOKEN: 'out " Paris"',
    NodeKind.OTHER_OUTPUT: " Paris",
    NodeKind.FEATURE: "L05/F00012",
    NodeKind.LAYER_ERROR: "L05/error",
    NodeKind.HEAD: "L05/head/12",
    NodeKind.ATTENTION_LINK: "L05/head/12/link",
    NodeKind.MLP: "L05/mlp",
    NodeKind.NEURON: "L05/neuron/12",
}


@pytest.mark.parametrize("kind", NodeKind)
def test_each_kind_has_a_name_that_people_read(kind: NodeKind):
    assert unit_name(kind, layer=5, index=12, text=" Paris") == EXPECTED[kind]


def test_a_line_break_in_a_token_is_shown_as_one():
    assert unit_name(NodeKind.INPUT_TOKEN, layer=-1, index=3, text='\n"') == r'in "\n\""'
