"""A trace as rows for people: what it is, where it ends, and its strongest nodes and edges."""

from typing import TYPE_CHECKING, Any

from circuitbase.schema.kinds import OUTPUT_KINDS, NodeKind
from circuitbase.schema.unit_names import input_name, unit_name

if TYPE_CHECKING:
    from circuitbase.graph.trace import Trace, TraceMetadata

_LOSING = {"max_features", "keep_mass", "tau", "relative_tau"}  # options that leave edges out before pruning
ENDS = ("source", "source_position", "target", "target_position")
NODE_COLUMNS = ("node", "position", "token", "activation", "influence")
EDGE_COLUMNS = (*ENDS, "weight", "share", "influence")


def summary_row(trace: "Trace") -> dict[str, Any]:
    """Returns sizes, scores and facts of a trace."""
    metadata, graph = trace.metadata, trace.graph
    of_features = metadata.dictionary is not None
    return {
        "trace": metadata.trace_id,
        "model": metadata.model.id,
        "dictionary": metadata.dictionary.id if metadata.dictionary else None,
        "tokens": list(metadata.prompt.token_strings),
        "bos_added": metadata.prompt.bos_added,
        "chat": metadata.prompt.chat,
        "nodes": graph.n_nodes,
        "nodes_before_pruning": metadata.counts.nodes,
        "edges": graph.n_edges,
        "edges_before_pruning": metadata.counts.edges,
        "active_features": metadata.counts.active_features if of_features else None,
        "features_traced": _features_traced(metadata),
        "kept_mass": metadata.scores.kept_mass if _LOSING & set(metadata.options) else None,
        "replacement": metadata.scores.replacement if of_features else None,
        "completeness": metadata.scores.completeness if of_features else None,
        "account_violation": metadata.scores.account_violation,
        "stored_account_violation": metadata.scores.stored_account_violation,
        "top_token": metadata.facts.top_token_string,
        "top_probability": metadata.facts.top_probability,
        "answer_rank": metadata.facts.answer_rank,
        "logit_difference": metadata.facts.logit_difference,
    }


def _features_traced(metadata: "TraceMetadata") -> int | None:
    """Returns of how many active features the rows were traced, None where it is all of them."""
    most: int | None = metadata.options.get("max_features")
    return None if most is None else min(most, metadata.counts.active_features)


def output_rows(trace: "Trace") -> list[dict[str, Any]]:
    """Returns the targets, in the order of the metadata."""
    return [
        {
            "output": target.label,
            "kind": target.kind,
            "layer": target.layer,
            "position": target.position,
            "token": target.token_string,
            "minus": target.minus_string,
            "probability": target.probability,
        }
        for target in trace.metadata.targets
    ]


def node_rows(trace: "Trace", *, top: int) -> list[dict[str, Any]]:
    """Returns the nodes with the most influence on the outputs; outputs are left out."""
    graph = trace.graph
    order = (-graph.node_influence).argsort(kind="stable")
    chosen = [int(node) for node in order if graph.node_kind[node] not in OUTPUT_KINDS][:top]
    return [
        {
            "node": node_name(trace, node),
            "position": int(graph.node_position[node]),
            "token": token_at(trace, int(graph.node_position[node])),
            "activation": float(graph.node_activation[node]),
            "influence": float(graph.node_influence[node]),
        }
        for node in chosen
    ]


def token_at(trace: "Trace", position: int) -> str | None:
    """Returns the token at a position; None where positions are summed."""
    return trace.metadata.prompt.token_strings[position] if position >= 0 else None


def edge_rows(trace: "Trace", *, top: int | None) -> list[dict[str, Any]]:
    """Returns the edges with the most influence on the outputs, all of them if `top` is None."""
    graph = trace.graph
    return [
        {
            **edge_ends(trace, edge),
            "weight": float(graph.edge_weight[edge]),
            "share": float(abs(graph.edge_weight[edge]) / graph.node_absolute_input[graph.edge_target[edge]]),
            "influence": float(graph.edge_influence[edge]),
        }
        for edge in strongest_edges(trace, top=top)
    ]


def strongest_edges(trace: "Trace", *, top: int | None) -> list[int]:
    """Returns the edges with the most influence on the outputs, all of them if `top` is None."""
    return [int(edge) for edge in (-trace.graph.edge_influence).argsort(kind="stable")[:top]]


def edge_ends(trace: "Trace", edge: int) -> dict[str, Any]:
    """Returns what an edge goes from and to."""
    graph = trace.graph
    source, target = int(graph.edge_source[edge]), int(graph.edge_target[edge])
    return {
        "source": node_name(trace, source),
        "source_position": int(graph.node_position[source]),
        "target": input_name(node_name(trace, target), int(graph.edge_port[edge])),
        "target_position": int(graph.node_position[target]),
    }


def compact(edges: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns edges with their positions behind the names, to fit a terminal."""
    return [
        {
            "source": f"{edge['source']} @{edge['source_position']}",
            "target": f"{edge['target']} @{edge['target_position']}",
            **{name: value for name, value in edge.items() if name not in ENDS},
        }
        for edge in edges
    ]


def node_name(trace: "Trace", node: int) -> str:
    """Returns the short form of a node's unit."""
    kind, unit = NodeKind(int(trace.graph.node_kind[node])), int(trace.graph.node_unit[node])
    return unit_name(kind, layer=int(trace.graph.node_layer[node]), index=unit, text=_text(trace, kind, node, unit))


def _text(trace: "Trace", kind: NodeKind, node: int, unit: int) -> str | None:
    metadata = trace.metadata
    if kind == NodeKind.INPUT_TOKEN:
        return metadata.prompt.token_strings[metadata.prompt.token_ids.index(unit)]
    if kind == NodeKind.OUTPUT_TOKEN:
        return next(target.token_string for target in metadata.targets if target.token == unit)
    return metadata.targets[unit].label if kind == NodeKind.OTHER_OUTPUT else None
