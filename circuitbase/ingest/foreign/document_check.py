"""Whether a graph document is what Neuronpedia takes: its required keys, their types, and ids that agree."""

from collections.abc import Mapping, Sequence
from typing import Any

from circuitbase.ingest.foreign.json_links import NodeIds, read_links
from circuitbase.ingest.foreign.json_nodes import read_node

# key -> types; null is allowed where None is
METADATA_KEYS: dict[str, tuple[type, ...]] = {
    "slug": (str,),
    "scan": (str,),
    "prompt_tokens": (list,),
    "prompt": (str,),
}
NODE_KEYS: dict[str, tuple[type, ...]] = {
    "node_id": (str,),
    "feature": (int, type(None)),
    "layer": (str, int),
    "ctx_idx": (int,),
    "feature_type": (str,),
    "jsNodeId": (str,),
    "clerp": (str,),
}
OPTIONAL_NODE_KEYS: dict[str, tuple[type, ...]] = {
    "influence": (int, float, type(None)),
    "activation": (int, float, type(None)),
}
LINK_KEYS: dict[str, tuple[type, ...]] = {"source": (str,), "target": (str,), "weight": (int, float)}


def document_problems(document: Mapping[str, Any]) -> list[str]:
    """Returns a sentence for each way in which a document is not ready for upload; empty if none."""
    missing = [name for name in ("metadata", "qParams", "nodes", "links") if name not in document]
    if missing:
        return [f"it lacks {', '.join(missing)}"]
    found = _type_problems("metadata", document["metadata"], METADATA_KEYS)
    for place, node in enumerate(document["nodes"]):
        found += _type_problems(f"node {place}", node, NODE_KEYS)
        found += _type_problems(f"node {place}", {**dict.fromkeys(OPTIONAL_NODE_KEYS), **node}, OPTIONAL_NODE_KEYS)
        influence = node.get("influence")
        if isinstance(influence, float) and not 0 <= influence <= 1:
            found.append(f"node {place} has influence {influence}, which as a share should be 0 to 1")
    for place, link in enumerate(document["links"]):
        found += _type_problems(f"link {place}", link, LINK_KEYS)
    return found or _name_problems(document["nodes"], document["links"], document["metadata"].get("schema_version"))


def _type_problems(what: str, found: Any, expected: Mapping[str, tuple[type, ...]]) -> list[str]:
    if not isinstance(found, Mapping):
        return [f"{what} should be an object, got {found!r:.40}"]
    return [
        f"{what} should have {name} of type {' or '.join(each.__name__ for each in types)}, got {found.get(name)!r:.40}"
        for name, types in expected.items()
        if name not in found or isinstance(found[name], bool) or not isinstance(found[name], types)
    ]


def _name_problems(nodes: Sequence[Any], links: Sequence[Any], version: int | None) -> list[str]:
    try:
        read = [read_node(node, version=version) for node in nodes]
        ids = NodeIds.of(read)
        if ids.error_beside:
            return [f"the error {next(iter(ids.error_beside))} has the id of a feature"]
        read_links(links, read, ids)
    except ValueError as error:
        return [str(error)]
    return []
