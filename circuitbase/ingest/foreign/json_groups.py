"""The pins and supernodes of a graph JSON, by the ids that nodes have in files of today."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from circuitbase.ingest.foreign.json_links import NodeIds
from circuitbase.ingest.foreign.json_nodes import JsonNode


@dataclass(frozen=True)
class Groups:
    """Pins, and lists of a label and the nodes that it groups."""

    supernodes: tuple[tuple[str, ...], ...] = ()
    pinned: tuple[str, ...] = ()


def named_nodes(
    parameters: Any, ids: NodeIds, nodes: Sequence[JsonNode], *, n_layers: int
) -> tuple[Groups, tuple[str, ...]]:
    """Returns supernodes and pins by today's ids, and a sentence for what names no node."""
    if not isinstance(parameters, Mapping):
        return Groups(), ()
    lost: list[str] = []

    def today(node_id: Any) -> list[str]:
        if isinstance(node_id, str) and node_id in ids.index:
            return [nodes[ids.index[node_id]].name(n_layers=n_layers)]
        lost.append(str(node_id))
        return []

    pinned = [name for node_id in _list(parameters.get("pinnedIds")) for name in today(node_id)]
    supernodes = []
    for group in _list(parameters.get("supernodes")):
        if isinstance(group, list) and group and isinstance(group[0], str):
            members = [name for node_id in group[1:] for name in today(node_id)]
            supernodes += [(group[0], *members)] if members else []
        else:
            lost.append(str(group))
    shown = ", ".join(f"{each:.40}" for each in lost[:3])
    return Groups(tuple(supernodes), tuple(pinned)), (
        (f"{len(lost)} pinned or grouped ids name no node of the graph and were left out ({shown})",) if lost else ()
    )


def _list(found: Any) -> list[Any]:
    return found if isinstance(found, list) else []
