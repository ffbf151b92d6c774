"""One trace as tables of nodes and edges."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from circuitbase.graph.influence import input_share
from circuitbase.graph.tables import GraphTables
from circuitbase.graph.trace import Trace
from circuitbase.schema.kinds import NodeKind, Port
from circuitbase.schema.unit_names import unit_name

_ACCOUNT = ("preactivation", "bias_effect", "rest", "absolute_input", "margin")
TYPES: dict[str, type] = {
    **{"id": int, "unit": str, "name": str, "label": str, "kind": str, "layer": int, "position": int},
    **{"key_position": int, "token": str, "activation": float, "influence": float, "silent": bool},
    **dict.fromkeys(_ACCOUNT, float),
    **{"source": int, "target": int, "port": str, "weight": float, "share": float},
}


def trace_tables(trace: Trace, *, labels: Mapping[str, str] | None = None) -> GraphTables:
    """Returns a trace's stored graph; nodes are numbered as in the trace file, `labels` are by unit id.

    An edge's `weight` is the signed effect of `source` on `target`, its `share` that of all input before pruning.
    """
    graph, metadata = trace.graph, trace.metadata
    kinds = [NodeKind(kind) for kind in graph.node_kind.tolist()]
    layers, units, positions = graph.node_layer.tolist(), graph.node_unit.tolist(), graph.node_position.tolist()
    ids = [trace.unit_id(kind, layer, unit) for kind, layer, unit in zip(kinds, layers, units, strict=True)]
    strings = metadata.prompt.token_strings
    nodes: dict[str, list[Any]] = {
        "id": list(range(graph.n_nodes)),
        "unit": ids,
        "name": [_name(trace, node, kind) for node, kind in enumerate(kinds)],
        "label": [(labels or {}).get(unit) for unit in ids],
        "kind": [kind.label for kind in kinds],
        "layer": layers,
        "position": positions,
        "key_position": [None if key < 0 else key for key in graph.node_key_position.tolist()],
        "token": [strings[position] if position >= 0 else None for position in positions],
        "activation": graph.node_activation.tolist(),
        "influence": graph.node_influence.tolist(),
        "silent": graph.node_silent.astype(bool).tolist(),
        **{name: _known(getattr(graph, f"node_{name}")) for name in _ACCOUNT},
    }
    edges: dict[str, list[Any]] = {
        "source": graph.edge_source.tolist(),
        "target": graph.edge_target.tolist(),
        "port": [None if port == Port.NONE else Port(port).name.lower() for port in graph.edge_port.tolist()],
        "weight": graph.edge_weight.tolist(),
        "share": input_share(graph.edge_target, graph.edge_weight, graph.node_absolute_input).tolist(),
        "influence": graph.edge_influence.tolist(),
    }
    attributes: dict[str, str | int | float | bool] = {
        "trace_id": metadata.trace_id,
        "configuration": metadata.configuration_id,
        "model": metadata.model.id,
        "prompt": metadata.prompt.text if metadata.prompt.text is not None else "".join(strings),
        "unproven": metadata.unproven,
    }
    if metadata.dictionary is not None:
        attributes["dictionary"] = metadata.dictionary.id
    return GraphTables(attributes=attributes, nodes=nodes, edges=edges, types=TYPES)


def _name(trace: Trace, node: int, kind: NodeKind) -> str:
    graph, metadata = trace.graph, trace.metadata
    unit, text = int(graph.node_unit[node]), None
    if kind == NodeKind.INPUT_TOKEN:
        text = metadata.prompt.token_strings[metadata.prompt.token_ids.index(unit)]
    elif kind == NodeKind.OUTPUT_TOKEN:
        text = next(target.token_string for target in metadata.targets if target.token == unit)
    elif kind == NodeKind.OTHER_OUTPUT:
        text = metadata.targets[unit].label
    return unit_name(kind, layer=int(graph.node_layer[node]), index=unit, text=text)


def _known(column: np.ndarray) -> list[float | None]:
    return [None if value != value else value for value in column.tolist()]
