"""Nodes of any order in that of an attribution graph."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32

from circuitbase.ingest.foreign.foreign_graph import Nodes


@dataclass(frozen=True)
class Sorted:
    """Nodes by kind, layer, position and unit; `place` says where each of the given ones went."""

    nodes: Nodes
    place: Int32[np.ndarray, " node"]


def sorted_nodes(given: Nodes) -> Sorted:
    """Returns the nodes in order."""
    order = np.lexsort((given.unit, given.position, given.layer, given.kind))
    place = np.empty(len(order), dtype=np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    return Sorted(
        Nodes(
            kind=given.kind[order],
            layer=given.layer[order],
            position=given.position[order],
            unit=given.unit[order],
            activation=given.activation[order],
            weight=given.weight[order],
        ),
        place,
    )
