"""circuit-tracer's raw graph `.pt`: a dense matrix, row = target, column = source, unpruned.

Nodes are the selected features, the errors (layer by layer), the embeddings and the outputs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int64

from circuitbase.errors import GraphFileError
from circuitbase.graph.edge_blocks import DenseBlock
from circuitbase.graph.imported import Imported
from circuitbase.ingest.foreign.foreign_graph import Active, ForeignGraph, Nodes, Output, StatedModel
from circuitbase.ingest.foreign.json_statements import listed_name
from circuitbase.ingest.foreign.ordering import sorted_nodes
from circuitbase.ingest.foreign.pickled_arrays import RawArrays, raw_arrays
from circuitbase.ingest.foreign.pickled_file import load_pickled
from circuitbase.schema.kinds import OUTPUT_KINDS, NodeKind

PICKLED = "circuit-tracer .pt"


def read_pickled_graph(location: str) -> ForeignGraph:
    """Returns the graph of a raw .pt file; raises GraphFileError, which names the file and what is wrong."""
    found = load_pickled(location)
    try:
        return _read(found)
    except ValueError as error:
        raise GraphFileError(
            f"{location} is not a consistent graph file: {error}; save the graph again with circuit-tracer"
        ) from error


def _read(found: Mapping[str, Any]) -> ForeignGraph:
    arrays = raw_arrays(found)
    outputs = _outputs(found, arrays)
    everything = _columns(arrays, outputs)
    without = _positions_without_nodes(arrays)
    kept = ~((everything.kind == NodeKind.LAYER_ERROR) & np.isin(everything.position, without))
    ordered = sorted_nodes(_chosen(everything, kept))
    return ForeignGraph(
        stated=_stated(found, arrays),
        n_layers=arrays.n_layers,
        text=found["input_string"] if isinstance(found.get("input_string"), str) else None,
        token_ids=tuple(int(token) for token in arrays.tokens),
        token_strings=tuple(f"<{token}>" for token in arrays.tokens),
        positions_without_nodes=without,
        nodes=ordered.nodes,
        outputs=outputs,
        active=_active(arrays),
        blocks=_blocks(arrays.matrix, everything, np.flatnonzero(kept), ordered.place),
        is_whole=True,
        all_features=len(arrays.selected) == len(arrays.active),
        imported=Imported(format=PICKLED, stated={"scan": _scan(found)}),
        warnings=(f"the file has no token strings; they stand as ids ({arrays.tokens[0]} as <{arrays.tokens[0]}>)",),
    )


def _outputs(found: Mapping[str, Any], arrays: RawArrays) -> tuple[Output, ...]:
    last = len(arrays.tokens) - 1
    vocabulary = arrays.d_vocab
    return tuple(
        Output(
            token=token,
            string=string or f"<{token}>",
            position=last,
            probability=float(probability),
            weight=float(probability) if arrays.probabilities.any() else 1.0,
            is_custom=0 < vocabulary <= token,
        )
        for (string, token), probability in zip(arrays.targets, arrays.probabilities, strict=True)
    )


def _columns(arrays: RawArrays, outputs: Sequence[Output]) -> Nodes:
    """Returns the nodes in the order of the matrix."""
    n_layers, n_positions = arrays.n_layers, len(arrays.tokens)
    features = arrays.active[arrays.selected]
    n_errors, n_outputs = n_layers * n_positions, len(outputs)
    positions = np.arange(n_positions)
    probability = np.array([output.probability for output in outputs])
    weight = [output.weight for output in outputs]
    kinds = [NodeKind.OTHER_OUTPUT if output.is_custom else NodeKind.OUTPUT_TOKEN for output in outputs]
    units = [place if output.is_custom else output.token for place, output in enumerate(outputs)]
    ones = np.ones(n_errors + n_positions)
    return Nodes(
        kind=np.concatenate(
            [
                np.full(len(features), NodeKind.FEATURE),
                np.full(n_errors, NodeKind.LAYER_ERROR),
                np.full(n_positions, NodeKind.INPUT_TOKEN),
                kinds,
            ]
        ).astype(np.uint8),
        layer=np.concatenate(
            [
                features[:, 0],
                np.repeat(np.arange(n_layers), n_positions),
                np.full(n_positions, -1),
                np.full(n_outputs, n_layers),
            ]
        ).astype(np.int16),
        position=np.concatenate(
            [features[:, 1], np.tile(positions, n_layers), positions, [output.position for output in outputs]]
        ).astype(np.int32),
        unit=np.concatenate([features[:, 2], np.zeros(n_errors), arrays.tokens, units]).astype(np.int64),
        activation=np.concatenate([arrays.activations[arrays.selected], ones, probability]).astype(np.float32),
        weight=np.concatenate([np.zeros(len(features) + len(ones)), weight]),
    )


def _chosen(nodes: Nodes, kept: Bool[np.ndarray, " node"]) -> Nodes:
    return Nodes(
        kind=nodes.kind[kept],
        layer=nodes.layer[kept],
        position=nodes.position[kept],
        unit=nodes.unit[kept],
        activation=nodes.activation[kept],
        weight=nodes.weight[kept],
    )


def _positions_without_nodes(arrays: RawArrays) -> tuple[int, ...]:
    """Returns the positions that have no active feature and whose errors act on nothing, as that of a special token."""
    n_positions, first = len(arrays.tokens), len(arrays.selected)
    errors = arrays.matrix[:, first : first + arrays.n_layers * n_positions]
    acts = np.any(errors, axis=0).reshape(arrays.n_layers, n_positions).any(axis=0)
    acts[arrays.active[:, 1]] = True
    return tuple(int(position) for position in np.flatnonzero(~acts))


def _active(arrays: RawArrays) -> Active:
    layer, position, unit = arrays.active.T
    order = np.lexsort((unit, position, layer))
    return Active(
        layer=layer[order].astype(np.int16),
        position=position[order].astype(np.int32),
        unit=unit[order].astype(np.int64),
        value=arrays.activations[order].astype(np.float32),
    )


@dataclass(frozen=True)
class _Rows:
    """The rows of one layer's targets; no edge may start at `not_before` nodes."""

    rows: Int64[np.ndarray, " target"]
    not_before: Bool[np.ndarray, " node"]


def _blocks(
    matrix: Float32[np.ndarray, "node node"],
    nodes: Nodes,
    kept: Int64[np.ndarray, " kept"],
    place: np.ndarray,
) -> list[DenseBlock]:
    """Returns the matrix in blocks of a layer's targets; raises ValueError for edges that no graph can have."""
    is_output = np.isin(nodes.kind, OUTPUT_KINDS)
    is_feature = nodes.kind == NodeKind.FEATURE
    rowless = np.flatnonzero(~is_output & ~is_feature)
    if matrix[rowless].any():
        raise ValueError("nothing may act on an error or an embedding, but rows of theirs are not 0")
    new = np.full(len(nodes.kind), -1, dtype=np.int64)
    new[kept] = place
    groups = [
        _Rows(np.flatnonzero(is_feature & (nodes.layer == layer)), nodes.layer >= layer)
        for layer in np.unique(nodes.layer[is_feature])
    ]
    found = []
    for group in [*groups, _Rows(np.flatnonzero(is_output), is_output)]:
        weight = matrix[group.rows]
        if not np.isfinite(weight).all():
            raise ValueError("adjacency_matrix should be finite, but holds nan or infinity")
        if weight[:, group.not_before].any():
            raise ValueError("an edge runs to its own or an earlier layer, so rows and columns are not in their order")
        found.append(DenseBlock(target=new[group.rows], source=new[kept], weight=weight[:, kept]))
    return found


def _stated(found: Mapping[str, Any], arrays: RawArrays) -> StatedModel:
    scan = _scan(found)
    return StatedModel(
        model=arrays.config.get("model_name") or arrays.config.get("tokenizer_name"),
        dictionary=listed_name(scan) if isinstance(scan, list) else scan,
        architecture=arrays.config.get("original_architecture"),
        d_model=int(arrays.config.get("d_model") or 0),
        d_vocab=arrays.d_vocab,
    )


def _scan(found: Mapping[str, Any]) -> str | list[str] | None:
    scan = found.get("scan_name", found.get("scan"))
    if isinstance(scan, list | tuple):
        return [str(each) for each in scan]
    return scan if isinstance(scan, str) and scan else None
