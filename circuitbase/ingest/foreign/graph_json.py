"""Graph JSON of circuit-tracer and Neuronpedia, of every schema age, as a graph in our columns."""

from collections.abc import Mapping, Sequence
from typing import Any

from circuitbase.errors import GraphFileError, InputError
from circuitbase.graph.edge_blocks import blocks_of
from circuitbase.graph.imported import Imported
from circuitbase.ingest.foreign.foreign_graph import ForeignGraph
from circuitbase.ingest.foreign.json_columns import active_of, columns_of, outputs_of
from circuitbase.ingest.foreign.json_groups import named_nodes
from circuitbase.ingest.foreign.json_links import NodeIds, read_links
from circuitbase.ingest.foreign.json_nodes import JsonNode, read_node
from circuitbase.ingest.foreign.json_statements import json_statements
from circuitbase.ingest.foreign.ordering import sorted_nodes
from circuitbase.schema.kinds import NodeKind


def read_graph_json(document: Mapping[str, Any], *, name: str) -> ForeignGraph:
    """Returns the graph of a JSON document; raises GraphFileError, which names the file and what is wrong.

    Layer, feature and position come from a node's id, its feature number must agree where the schema version says
    how it is made. Token ids come from the embeddings' ids, the number of layers from the outputs' layer.
    """
    try:
        return _read(document)
    except (ValueError, InputError) as error:
        raise GraphFileError(
            f"{name} is not a consistent graph file: {error}; export it again with the tool that wrote it"
        ) from error


def _read(document: Mapping[str, Any]) -> ForeignGraph:
    metadata = _part(document, "metadata", Mapping)
    said = json_statements(metadata)
    found = [read_node(node, version=said.version) for node in _part(document, "nodes", list)]
    n_layers = _n_layers(found)
    token_ids = _token_ids(found, said.prompt_tokens)
    _check_ranges(found, n_layers=n_layers, n_positions=len(token_ids))
    ids = NodeIds.of(found)
    links = read_links(_part(document, "links", list), found, ids)
    outputs = outputs_of(found, said)
    ordered = sorted_nodes(columns_of(found, outputs, n_layers=n_layers))
    groups, unknown = named_nodes(document.get("qParams"), ids, found, n_layers=n_layers)
    return ForeignGraph(
        stated=said.stated,
        n_layers=n_layers,
        text=said.text,
        token_ids=token_ids,
        token_strings=said.prompt_tokens,
        positions_without_nodes=said.positions_without_nodes,
        nodes=ordered.nodes,
        outputs=outputs,
        active=active_of(found),
        blocks=blocks_of(
            ordered.place[links.source], ordered.place[links.target], links.weight, n_nodes=len(ordered.place)
        ),
        is_whole=False,
        all_features=False,
        imported=Imported(
            format=said.format,
            stated=said.kept,
            labels={
                node.name(n_layers=n_layers): node.label
                for node in found
                if node.label and node.kind != NodeKind.OUTPUT_TOKEN
            },
            supernodes=groups.supernodes,
            pinned=groups.pinned,
            influence={node.name(n_layers=n_layers): node.influence for node in found if node.influence is not None},
        ),
        request=said.request,
        options=said.options,
        own=said.own,
        warnings=(*_warnings(found), *links.ambiguous, *unknown),
    )


def _part(document: Mapping[str, Any], name: str, kind: type) -> Any:
    found = document.get(name)
    if not isinstance(found, kind):
        described = "an object" if kind is Mapping else "a list"
        raise ValueError(f"`{name}` should be {described}, got {found!r:.40}")
    return found


def _n_layers(nodes: Sequence[JsonNode]) -> int:
    """Returns the number of layers: outputs stand one above it."""
    layers = sorted({node.layer for node in nodes if node.kind == NodeKind.OUTPUT_TOKEN})
    if not layers:
        raise ValueError("it has no logit node, so nothing says where it ends and how many layers there are")
    if len(layers) > 1 or layers[0] < 2:
        raise ValueError(f"its logit nodes should be on one layer, that after the last and one more, got {layers}")
    return layers[0] - 1


def _token_ids(nodes: Sequence[JsonNode], prompt_tokens: Sequence[str]) -> tuple[int, ...]:
    found = {node.position: node.unit for node in nodes if node.kind == NodeKind.INPUT_TOKEN}
    missing = [position for position in range(len(prompt_tokens)) if position not in found]
    if missing or not prompt_tokens or len(found) != len(prompt_tokens):
        where = f"none at position {missing[0]}" if missing else f"{len(found)}"
        raise ValueError(
            f"it should have an embedding node for each of its {len(prompt_tokens)} prompt tokens, which names the "
            f"token's id, got {where}"
        )
    return tuple(found[position] for position in range(len(prompt_tokens)))


def _check_ranges(nodes: Sequence[JsonNode], *, n_layers: int, n_positions: int) -> None:
    for node in nodes:
        if not 0 <= node.position < n_positions:
            raise ValueError(f"node {node.node_id} is at position {node.position} of {n_positions} tokens")
        if node.kind in (NodeKind.FEATURE, NodeKind.LAYER_ERROR) and node.layer >= n_layers:
            raise ValueError(f"node {node.node_id} is on layer {node.layer}, but by its logits there are {n_layers}")
        if node.unit >= 2**62 or n_layers > 30_000:
            raise ValueError(f"node {node.node_id} has a number beyond any feature, token or layer")


def _warnings(nodes: Sequence[JsonNode]) -> tuple[str, ...]:
    missing = sum(node.kind == NodeKind.FEATURE and node.activation is None for node in nodes)
    if not missing:
        return ()
    return (f"{missing} features have no activation in the file, and stand with 0",)
