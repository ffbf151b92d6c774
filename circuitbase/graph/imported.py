"""What came with an imported graph and is no part of the graph: labels, groups, and what its file said of itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Imported:
    """What a file of another tool held beside nodes and edges.

    Nodes are named as circuit-tracer's files of 2026 name them: `{layer}_{feature}_{position}`, errors
    `{layer}_-1_{position}`, embeddings `E_{token}_{position}`, outputs `{layers + 1}_{token}_{position}`. `supernodes`
    are lists of a label and the nodes that it groups, `labels` the label of each node that has one. `influence` is
    theirs: the share of all influence reached, from the top, at a node, so that small is important; it is no
    `node_influence`, which is computed anew. `stated` is what the file says of itself, without the prompt.
    """

    format: str
    stated: dict[str, Any]
    labels: dict[str, str] = field(default_factory=dict)
    supernodes: tuple[tuple[str, ...], ...] = ()
    pinned: tuple[str, ...] = ()
    influence: dict[str, float] = field(default_factory=dict)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Imported":
        """Returns what `dataclasses.asdict` made of it, also after a way through JSON."""
        return cls(
            format=found["format"],
            stated=dict(found["stated"]),
            labels=dict(found["labels"]),
            supernodes=tuple(tuple(group) for group in found["supernodes"]),
            pinned=tuple(found["pinned"]),
            influence=dict(found["influence"]),
        )
