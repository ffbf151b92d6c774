"""The metadata of a graph document: what circuit-tracer and Neuronpedia want to know of it, and what only we do."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal

import circuitbase
from circuitbase.graph.trace import Trace
from circuitbase.ingest.foreign.json_statements import NEURONPEDIA_JSON, OWN

GraphForm = Literal["neuronpedia", "circuit-tracer"]
SCHEMA_VERSION = 1


def document_metadata(trace: Trace, *, form: GraphForm, slug: str | None, source_set: str | None) -> dict[str, Any]:
    """Returns the metadata of a trace's document; what an imported graph said stays, if the form is its own."""
    metadata = trace.metadata
    imported, dictionary = metadata.imported, metadata.dictionary
    assert dictionary is not None  # a trace without one has components, which are refused
    stated = dict(imported.stated) if imported else {}
    own_form = imported is not None and (imported.format == NEURONPEDIA_JSON) == (form == "neuronpedia")
    kept = stated if own_form else {}
    described: dict[str, Any] = {
        **kept,
        "slug": slug or stated.get("slug") or f"circuitbase-{metadata.trace_id[:12]}",
        "scan": kept.get("scan") or (metadata.model.name if form == "neuronpedia" else dictionary.name),
        "transcoder_list": kept.get("transcoder_list") or [],
        "prompt_tokens": list(metadata.prompt.token_strings),
        "prompt": metadata.prompt.text if metadata.prompt.text is not None else "".join(metadata.prompt.token_strings),
        "node_threshold": kept.get("node_threshold", _threshold(trace, "node_threshold")),
        "schema_version": SCHEMA_VERSION,
    }
    described = {name: value for name, value in described.items() if value is not None}
    if form == "neuronpedia":
        described |= _of_neuronpedia(trace, kept, source_set=source_set)
    return described | {
        OWN: {
            "trace": metadata.trace_id,
            "model": asdict(metadata.model),
            "dictionary": asdict(dictionary),
            "d_vocab": metadata.model.d_vocab,
            "positions_without_nodes": list(metadata.prompt.positions_without_nodes),
            "targets": [asdict(target) for target in metadata.targets],
        }
    }


def _of_neuronpedia(trace: Trace, kept: Mapping[str, Any], *, source_set: str | None) -> dict[str, Any]:
    metadata, dictionary = trace.metadata, trace.metadata.dictionary
    generator = {"name": "circuitbase", "version": circuitbase.__version__}
    generation = {
        "max_n_logits": metadata.request.get("max_outputs", metadata.request.get("max_n_logits")),
        "desired_logit_prob": metadata.request.get("output_probability", metadata.request.get("desired_logit_prob")),
        "max_feature_nodes": metadata.options.get("max_features"),
    }
    pruning = {name: _threshold(trace, name) for name in ("node_threshold", "edge_threshold")}
    described = {
        "info": {
            "generator": generator,
            "transcoder_set": dictionary.name if dictionary else "",
            **kept.get("info", {}),
        },
        "generation_settings": {**_known(generation), **kept.get("generation_settings", {})},
        "pruning_settings": {**_known(pruning), **kept.get("pruning_settings", {})},
    }
    if source_set is not None:
        described["feature_details"] = {**kept.get("feature_details", {}), "neuronpedia_source_set": source_set}
    return described


def _threshold(trace: Trace, name: str) -> float | None:
    options = trace.metadata.options
    return options.get(name) if options.get("prune") else 1.0


def _known(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if value is not None}
