"""Graph JSON of circuit-tracer and Neuronpedia, of every schema age, as a graph in our columns."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from circuitbase.errors import GraphFileError, InputError
from circuitbase.graph.edge_blocks import blocks_of
from circuitbase.graph.imported import Imported
from circuitbase.ingest.foreign.foreign_graph import Active, ForeignGraph, Nodes, Output
from circuitbase.ingest.foreign.json_links import NodeIds, read_links
from circuitbase.ingest.foreign.json_nodes import JsonNode, read_node
from circuitbase.ingest.foreign.json_statements import JsonStatements, json_statements
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
    outputs = _outputs(found, said)
    ordered = sorted_nodes(_columns(found, outputs, n_layers=n_layers))
    groups, unknown = _named_nodes(document.get("qParams"), ids, found, n_layers=n_layers)
    return ForeignGraph(
        stated=said.stated,
        n_layers=n_layers,
        text=said.text,
        token_ids=token_ids,
        token_strings=said.prompt_tokens,
        positions_without_nodes=said.positions_without_nodes,
        nodes=ordered.nodes,
        outputs=outputs,
        active=_active(found),
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


def _outputs(nodes: Sequence[JsonNode], said: JsonStatements) -> tuple[Output, ...]:
    n_vocab = said.stated.d_vocab
    found = [node for node in nodes if node.kind == NodeKind.OUTPUT_TOKEN]
    known = any(node.output_probability for node in found)
    weights = said.weights or [(node.output_probability or 0.0) if known else 1.0 for node in found]
    if len(weights) != len(found):
        raise ValueError(f"`metadata.circuitbase` has {len(weights)} targets, and there are {len(found)} logit nodes")
    return tuple(
        Output(
            token=node.unit,
            string=node.output_string,
            position=node.position,
            probability=node.output_probability or 0.0,
            weight=weight,
            is_custom=0 < n_vocab <= node.unit,
        )
        for node, weight in zip(found, weights, strict=True)
    )


def _columns(nodes: Sequence[JsonNode], outputs: Sequence[Output], *, n_layers: int) -> Nodes:
    is_output = [node.kind == NodeKind.OUTPUT_TOKEN for node in nodes]
    remaining, number = iter(outputs), iter(range(len(outputs)))
    of_node = [next(remaining) if output else None for output in is_output]
    place = [next(number) if output else 0 for output in is_output]
    custom = [output is not None and output.is_custom for output in of_node]
    unknown = math.nan
    activation = [
        output.probability if output else _or(node.activation, unknown) if node.kind == NodeKind.FEATURE else 1.0
        for node, output in zip(nodes, of_node, strict=True)
    ]
    return Nodes(
        kind=np.array(
            [NodeKind.OTHER_OUTPUT if c else node.kind for node, c in zip(nodes, custom, strict=True)], dtype=np.uint8
        ),
        layer=np.array([n_layers if o else node.layer for node, o in zip(nodes, is_output, strict=True)], np.int16),
        position=np.array([node.position for node in nodes], dtype=np.int32),
        unit=np.array([p if c else node.unit for node, p, c in zip(nodes, place, custom, strict=True)], np.int64),
        activation=np.array(activation, dtype=np.float32),
        weight=np.array([output.weight if output else 0.0 for output in of_node], dtype=np.float64),
    )


def _or(value: float | None, other: float) -> float:
    return other if value is None else value


def _active(nodes: Sequence[JsonNode]) -> Active:
    features = sorted((node.layer, node.position, node.unit, node.activation or 0.0) for node in nodes if _fires(node))
    layer, position, unit, value = ([row[column] for row in features] for column in range(4))
    return Active(
        np.array(layer, dtype=np.int16),
        np.array(position, dtype=np.int32),
        np.array(unit, dtype=np.int64),
        np.array(value, dtype=np.float32),
    )


def _fires(node: JsonNode) -> bool:
    return node.kind == NodeKind.FEATURE and node.activation != 0


@dataclass(frozen=True)
class _Groups:
    supernodes: tuple[tuple[str, ...], ...] = ()
    pinned: tuple[str, ...] = ()


def _named_nodes(
    parameters: Any, ids: NodeIds, nodes: Sequence[JsonNode], *, n_layers: int
) -> tuple[_Groups, tuple[str, ...]]:
    """Returns supernodes and pins by today's ids, and a sentence for what names no node."""
    if not isinstance(parameters, Mapping):
        return _Groups(), ()
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
    return _Groups(tuple(supernodes), tuple(pinned)), (
        (f"{len(lost)} pinned or grouped ids name no node of the graph and were left out ({shown})",) if lost else ()
    )


def _list(found: Any) -> list[Any]:
    return found if isinstance(found, list) else []


def _warnings(nodes: Sequence[JsonNode]) -> tuple[str, ...]:
    missing = sum(node.kind == NodeKind.FEATURE and node.activation is None for node in nodes)
    if not missing:
        return ()
    return (f"{missing} features have no activation in the file, and stand with 0",)
