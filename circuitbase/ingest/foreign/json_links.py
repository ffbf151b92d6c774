"""The links of a graph JSON, joined to nodes also where two nodes share an id.

The error of layer f, called `0_{f}_{position}` until the middle of 2026, shares its id with feature f of layer 0. A
link to that id, or from it to a layer up to f, means the feature, for nothing acts on an error and an error only on
layers above. Of two links with equal ends the first is the feature's, as writers order them; a single one to a
later layer could be of either, and is left out and reported.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32

from circuitbase.ingest.foreign.json_nodes import LARGEST, JsonNode
from circuitbase.schema.kinds import NodeKind


@dataclass(frozen=True)
class Links:
    """Edges between node numbers, in file order; `ambiguous` has a sentence for each link that was left out."""

    source: Int32[np.ndarray, " edge"]
    target: Int32[np.ndarray, " edge"]
    weight: Float32[np.ndarray, " edge"]
    ambiguous: tuple[str, ...]


@dataclass(frozen=True)
class NodeIds:
    """Which node an id means: the feature where an old error id is also a feature's, with the error beside it."""

    index: Mapping[str, int]
    error_beside: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, nodes: Sequence[JsonNode]) -> "NodeIds":
        """Returns the ids of nodes; raises ValueError with a sentence for a node that stands twice."""
        seen: dict[tuple[int, ...], str] = {}
        index: dict[str, int] = {}
        errors: dict[str, int] = {}
        for place, node in enumerate(nodes):
            if node.key in seen:
                raise ValueError(f"node {node.node_id} stands twice")
            seen[node.key] = node.node_id
            (errors if node.kind == NodeKind.LAYER_ERROR else index)[node.node_id] = place
        beside = {node_id: place for node_id, place in errors.items() if node_id in index}
        return cls(index={**errors, **index}, error_beside=beside)


def read_links(found: Sequence[Any], nodes: Sequence[JsonNode], ids: NodeIds) -> Links:
    """Returns the links of a file; those of weight 0 are none. Raises ValueError that lists what is wrong."""
    ends: dict[tuple[int, int], float] = {}
    shared: dict[tuple[str, int], list[float]] = defaultdict(list)
    problems: list[str] = []
    for place, link in enumerate(found):
        try:
            source, target, weight = link["source"], ids.index[link["target"]], _weight(link["weight"])
            if source in ids.error_beside and nodes[target].layer > nodes[ids.error_beside[source]].layer:
                shared[source, target].append(weight)
            elif (ids.index[source], target) in ends:
                problems.append(f"the link {source} → {link['target']} stands twice")
            else:
                ends[ids.index[source], target] = weight
        except (KeyError, TypeError, IndexError, ValueError) as error:
            problems.append(_problem(place, link, ids, error))
    ambiguous = []
    for (source, target), weights in shared.items():
        match weights:
            case [of_feature, of_error]:
                ends[ids.index[source], target], ends[ids.error_beside[source], target] = of_feature, of_error
            case [weight]:
                ambiguous.append(_either(source, nodes[target], weight, nodes[ids.error_beside[source]]))
            case _:
                problems.append(f"the link {source} → {nodes[target].node_id} stands {len(weights)} times")
    if problems:
        raise ValueError(_listed(problems))
    kept = {pair: weight for pair, weight in ends.items() if weight != 0}
    pairs = np.array(list(kept), dtype=np.int32).reshape(-1, 2)
    return Links(pairs[:, 0], pairs[:, 1], np.array(list(kept.values()), dtype=np.float32), tuple(ambiguous))


def _weight(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        raise ValueError(f"should have a finite weight, got {value!r:.40}")
    return float(value)


def _problem(place: int, link: Any, ids: NodeIds, error: Exception) -> str:
    if not isinstance(link, Mapping) or not {"source", "target", "weight"} <= set(link):
        return f"link {place} should have source, target and weight, got {link!r:.60}"
    unknown = [end for end in (link["source"], link["target"]) if not isinstance(end, str) or end not in ids.index]
    if unknown:
        return f"link {place} names a node {unknown[0]!r:.40} that is not there"
    return f"link {place} {error}"


def _either(source: str, target: JsonNode, weight: float, error: JsonNode) -> str:
    return (
        f"the link {source} → {target.node_id} of weight {weight:.4g} may be of feature {error.layer} of layer 0 or of "
        f"the error of layer {error.layer}, which share that id, and was left out"
    )


def _listed(problems: Sequence[str]) -> str:
    more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
    return "; ".join(problems[:3]) + more
