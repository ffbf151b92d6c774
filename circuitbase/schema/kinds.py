"""The kinds of units and of edge ports, with the numbers that trace files store."""

from enum import IntEnum


class NodeKind(IntEnum):
    """What a trace node is; `label` is the second label of its unit in the database."""

    INPUT_TOKEN = 0
    FEATURE = 1
    LAYER_ERROR = 2
    OUTPUT_TOKEN = 3
    HEAD = 4
    MLP = 5
    NEURON = 6
    OTHER_OUTPUT = 7
    ATTENTION_LINK = 8

    @property
    def label(self) -> str:
        """Returns the label of this kind's units (role outputs: `RoleOutput`; see `TargetKind`)."""
        return _LABELS[self]


_LABELS = {
    NodeKind.INPUT_TOKEN: "InputToken",
    NodeKind.FEATURE: "Feature",
    NodeKind.LAYER_ERROR: "LayerError",
    NodeKind.OUTPUT_TOKEN: "OutputToken",
    NodeKind.HEAD: "Head",
    NodeKind.MLP: "Mlp",
    NodeKind.NEURON: "Neuron",
    NodeKind.OTHER_OUTPUT: "RoleOutput",
    NodeKind.ATTENTION_LINK: "AttentionLink",
}

UNIT_LABELS = (*_LABELS.values(), "Direction")
OUTPUT_KINDS = (NodeKind.OUTPUT_TOKEN, NodeKind.OTHER_OUTPUT)


class Port(IntEnum):
    """Which input of a head an edge enters; NONE for every other target."""

    NONE = 0
    Q = 1
    K = 2
    V = 3
