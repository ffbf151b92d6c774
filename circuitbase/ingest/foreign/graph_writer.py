"""A trace as graph JSON of circuit-tracer or Neuronpedia, ready for upload, in the newest form of both.

Schema version 1, error ids of today, the generator and both kinds of settings. `metadata.circuitbase` says of which
model and dictionary the graph truly is, so that importing it gives the same units.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from circuitbase.errors import InputError
from circuitbase.graph.reached_influence import cumulative_influence
from circuitbase.graph.trace import Target, Trace
from circuitbase.ingest.foreign.document_metadata import GraphForm, document_metadata
from circuitbase.ingest.foreign.node_names import FEATURE_TYPES, NodeName, node_name
from circuitbase.schema.kinds import OUTPUT_KINDS, NodeKind

_TYPE_OF = {kind: name for name, kind in FEATURE_TYPES.items()} | {NodeKind.OTHER_OUTPUT: "logit"}
_ORDER = (NodeKind.FEATURE, NodeKind.LAYER_ERROR, NodeKind.INPUT_TOKEN)


def graph_document(
    trace: Trace,
    *,
    form: GraphForm = "neuronpedia",
    slug: str | None = None,
    source_set: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Returns the JSON document of a trace; raises InputError for a trace that the format has no place for.

    `slug` is the graph's name, `source_set` Neuronpedia's name of the dictionary, under which it shows its features.
    `labels` are by unit id; those that came with an imported graph go before them. Outputs by role and directions
    stand as tokens beyond the vocabulary, as circuit-tracer's custom targets do.
    """
    refuse_unfit(trace)
    names = node_names(trace)
    imported = trace.metadata.imported
    return {
        "metadata": document_metadata(trace, form=form, slug=slug, source_set=source_set),
        "qParams": {
            "pinnedIds": list(imported.pinned) if imported else [],
            "supernodes": [list(group) for group in imported.supernodes] if imported else [],
            "linkType": "both",
            "clickedId": "",
            "sg_pos": "",
        },
        "nodes": [_node(trace, node, names, labels or {}) for node in _node_order(trace)],
        "links": [
            {"source": names[source].node_id, "target": names[target].node_id, "weight": weight}
            for source, target, weight in zip(
                trace.graph.edge_source.tolist(),
                trace.graph.edge_target.tolist(),
                trace.graph.edge_weight.tolist(),
                strict=True,
            )
        ],
    }


def refuse_unfit(trace: Trace) -> None:
    """Raises InputError if graph files have no place for what a trace holds."""
    known = {int(kind) for kind in _TYPE_OF}
    others = sorted({NodeKind(kind).label for kind in trace.graph.node_kind.tolist() if kind not in known})
    named = f"trace {trace.metadata.trace_id[:12]}"
    if others:
        raise InputError(
            f"{named} has nodes that graph files of circuit-tracer and Neuronpedia have no place for "
            f"({', '.join(others)}); export it as graphml, parquet or json"
        )
    if any(target.kind == "feature" for target in trace.metadata.targets):
        raise InputError(
            f"{named} ends in features, and graph files of circuit-tracer and Neuronpedia end in outputs; "
            "export it as graphml, parquet or json"
        )


def node_names(trace: Trace) -> list[NodeName]:
    """Returns what each node of a trace is called in graph files."""
    graph, model = trace.graph, trace.metadata.model
    columns = (graph.node_kind, graph.node_layer, graph.node_position, graph.node_unit)
    return [
        node_name(
            NodeKind(kind),
            layer=layer,
            position=position,
            unit=model.d_vocab + unit if kind == NodeKind.OTHER_OUTPUT else unit,
            n_layers=model.n_layers,
        )
        for kind, layer, position, unit in zip(*(column.tolist() for column in columns), strict=True)
    ]


def _node_order(trace: Trace) -> list[int]:
    """Returns the nodes as writers order them: features, errors, embeddings, and outputs as in the metadata."""
    kind = trace.graph.node_kind
    order = [int(node) for each in _ORDER for node in np.flatnonzero(kind == each)]
    outputs = {_target_key(trace, int(node)): int(node) for node in np.flatnonzero(np.isin(kind, OUTPUT_KINDS))}
    return order + [outputs[place] for place in sorted(outputs)]


def _target_key(trace: Trace, node: int) -> int:
    """Returns the place of an output among the metadata's targets."""
    unit = int(trace.graph.node_unit[node])
    if trace.graph.node_kind[node] == NodeKind.OTHER_OUTPUT:
        return unit
    targets = trace.metadata.targets
    return next(place for place, target in enumerate(targets) if target.kind == "token" and target.token == unit)


def _node(trace: Trace, node: int, names: list[NodeName], labels: Mapping[str, str]) -> dict[str, Any]:
    graph, imported = trace.graph, trace.metadata.imported
    kind, name = NodeKind(int(graph.node_kind[node])), names[node]
    is_output = kind in OUTPUT_KINDS
    label = imported.labels.get(name.node_id, "") if imported else ""
    if is_output:
        target = trace.metadata.targets[_target_key(trace, node)]
        label = f'Output "{_shown(target)}" (p={target.probability or 0.0:.3f})'
    elif kind == NodeKind.FEATURE and not label:
        label = labels.get(trace.unit_id(kind, int(graph.node_layer[node]), int(graph.node_unit[node])), "")
    return {
        "node_id": name.node_id,
        "feature": name.feature,
        "layer": name.layer,
        "ctx_idx": int(graph.node_position[node]),
        "feature_type": _TYPE_OF[kind],
        "token_prob": float(target.probability or 0.0) if is_output else 0.0,
        "is_target_logit": is_output and _target_key(trace, node) == 0,
        "run_idx": 0,
        "reverse_ctx_idx": 0,
        "jsNodeId": name.js_node_id,
        "clerp": label,
        "influence": None if is_output else _reached(trace, node, name),
        "activation": _activation(trace, node) if kind == NodeKind.FEATURE else None,
    }


def _shown(target: Target) -> str:
    return target.label or str(target.token)


def _activation(trace: Trace, node: int) -> float | None:
    """Returns a feature's activation; None where an imported graph did not say it."""
    value = float(trace.graph.node_activation[node])
    return value if value or trace.graph.node_silent[node] else None


def _reached(trace: Trace, node: int, name: NodeName) -> float | None:
    imported = trace.metadata.imported
    if imported is not None and imported.influence:
        return imported.influence.get(name.node_id)
    return float(cumulative_influence(trace)[node])
