"""The units of a trace: those of its nodes and those of the features that fired."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from circuitbase.graph.trace import Trace
from circuitbase.ingest.activations import FeatureActivations
from circuitbase.schema.declaration import node
from circuitbase.schema.identity import layer_label
from circuitbase.schema.kinds import NodeKind
from circuitbase.schema.rows import rows
from circuitbase.schema.unit_names import unit_name

_WITHOUT_LAYER = (NodeKind.INPUT_TOKEN, NodeKind.OUTPUT_TOKEN, NodeKind.OTHER_OUTPUT)
_WITHOUT_INDEX = (NodeKind.LAYER_ERROR, NodeKind.MLP, NodeKind.OTHER_OUTPUT)
_OF_DICTIONARY = (NodeKind.FEATURE, NodeKind.LAYER_ERROR)


@dataclass(frozen=True)
class UnitRows:
    """Rows of units sorted by id, each with its labels behind; the unit of every node and fired feature.

    `in_dictionary` are the ids of the units that belong to the trace's dictionary.
    """

    rows: list[tuple[Any, ...]]
    in_dictionary: frozenset[str]
    of_node: list[str]
    of_activation: list[str]


def unit_rows(trace: Trace, activations: FeatureActivations) -> UnitRows:
    """Returns the rows of a trace's units, each unit once."""
    graph = trace.graph
    keys = np.stack([graph.node_kind.astype(np.int64), graph.node_layer.astype(np.int64), graph.node_unit], axis=1)
    unique, inverse = np.unique(keys, axis=0, return_inverse=True)
    found = {}
    ids = []
    strings = dict(zip(trace.metadata.prompt.token_ids, trace.metadata.prompt.token_strings, strict=True))
    for kind, layer, index in unique.tolist():
        text = strings[index] if kind == NodeKind.INPUT_TOKEN else _text(trace, NodeKind(kind), index=index)
        values = _values(trace, NodeKind(kind), layer=layer, index=index, text=text)
        ids.append(values["id"])
        found[values["id"]] = values
    of_activation = []
    for layer, index in zip(activations.layer.tolist(), activations.unit.tolist(), strict=True):
        values = _values(trace, NodeKind.FEATURE, layer=layer, index=index, text=None)
        of_activation.append(values["id"])
        found[values["id"]] = values
    ordered = [found[id] for id in sorted(found)]
    return UnitRows(
        rows=_rows(ordered),
        in_dictionary=frozenset(values["id"] for values in ordered if values["kind"] in _OF_DICTIONARY),
        of_node=[ids[place] for place in inverse.reshape(-1).tolist()],
        of_activation=of_activation,
    )


def _rows(values: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    columns = {name: [value[name] for value in values] for name in ("id", "name", "index", "layer", "token")}
    columns["kind"] = [value["kind"].label for value in values]
    labels = [[v["kind"].label] if v["layer"] is None else [v["kind"].label, layer_label(v["layer"])] for v in values]
    return rows(node("Unit"), columns, after=[labels])


def _values(trace: Trace, kind: NodeKind, *, layer: int, index: int, text: str | None) -> dict[str, Any]:
    return {
        "id": trace.unit_id(kind, layer, index),
        "name": unit_name(kind, layer=layer, index=index, text=text),
        "kind": kind,
        "index": 0 if kind in _WITHOUT_INDEX else index,
        "layer": None if kind in _WITHOUT_LAYER else layer,
        "token": text if kind in (NodeKind.INPUT_TOKEN, NodeKind.OUTPUT_TOKEN) else None,
    }


def _text(trace: Trace, kind: NodeKind, *, index: int) -> str | None:
    metadata = trace.metadata
    match kind:
        case NodeKind.OUTPUT_TOKEN:
            strings = {target.token: target.token_string for target in metadata.targets if target.kind == "token"}
            return strings.get(index) or str(index)
        case NodeKind.OTHER_OUTPUT:
            return metadata.targets[index].label
    return None
