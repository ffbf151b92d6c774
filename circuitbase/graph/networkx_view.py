"""A trace as a networkx graph, for the algorithms that networkx has and we do not."""

import networkx as nx
import numpy as np

from circuitbase.graph.influence import input_share
from circuitbase.graph.trace import Trace
from circuitbase.schema.kinds import NodeKind, Port

_TARGET_COLUMNS = ("preactivation", "bias_effect", "rest", "absolute_input", "margin")


def to_networkx(trace: Trace) -> nx.MultiDiGraph:
    """Returns the trace's stored graph; nodes are numbered as in the trace file, edges keyed by port.

    Nodes carry `unit` (the id that recurs across prompts), `kind`, `layer`, `position`, `token`,
    `activation`, `influence` and, where they have them, the columns of the account; edges carry
    `weight` (signed), `share` and `influence`. The graph carries `trace_id`, `configuration` and `prompt`.
    The port is "" unless the target is a head.
    """
    columns, metadata = trace.graph, trace.metadata
    view: nx.MultiDiGraph = nx.MultiDiGraph(
        trace_id=metadata.trace_id, configuration=metadata.configuration_id, prompt=metadata.prompt.text
    )
    for node in range(columns.n_nodes):
        view.add_node(node, **_node(trace, node))
    share = input_share(columns.edge_target, columns.edge_weight, columns.node_absolute_input)
    for edge in range(columns.n_edges):
        view.add_edge(
            int(columns.edge_source[edge]),
            int(columns.edge_target[edge]),
            key=_port_name(int(columns.edge_port[edge])),
            weight=float(columns.edge_weight[edge]),
            share=float(share[edge]),
            influence=float(columns.edge_influence[edge]),
        )
    return view


def _node(trace: Trace, node: int) -> dict[str, str | int | float | bool]:
    columns = trace.graph
    kind = NodeKind(int(columns.node_kind[node]))
    layer, position = int(columns.node_layer[node]), int(columns.node_position[node])
    attributes: dict[str, str | int | float | bool] = {
        "unit": trace.unit_id(kind, layer, int(columns.node_unit[node])),
        "kind": kind.label,
        "layer": layer,
        "position": position,
        "activation": float(columns.node_activation[node]),
        "influence": float(columns.node_influence[node]),
        "silent": bool(columns.node_silent[node]),
    }
    if position >= 0:
        attributes["token"] = trace.metadata.prompt.token_strings[position]
    for name in _TARGET_COLUMNS:
        value = float(getattr(columns, f"node_{name}")[node])
        if not np.isnan(value):
            attributes[name] = value
    return attributes


def _port_name(port: int) -> str:
    return "" if port == Port.NONE else Port(port).name.lower()
