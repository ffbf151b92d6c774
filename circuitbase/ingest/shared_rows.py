"""Rows of what many traces share beside units: model, dictionary, configuration, prompt."""

from typing import Any

from circuitbase.graph.trace import ModelIdentity, TraceMetadata
from circuitbase.ingest.prompt_sets import prompt_values
from circuitbase.schema.declaration import node
from circuitbase.schema.identity import SHORT_DIGEST, canonical_json
from circuitbase.schema.rows import row


def model_row(model: ModelIdentity) -> tuple[Any, ...]:
    """Returns the row of a Model."""
    return row(
        node("Model"),
        {
            "id": model.id,
            "name": model.name,
            "digest": model.digest,
            "revision": model.revision,
            "architecture": model.architecture,
            "n_layers": model.n_layers,
            "d_model": model.d_model,
            "d_vocab": model.d_vocab,
        },
    )


def dictionary_row(metadata: TraceMetadata) -> tuple[Any, ...] | None:
    """Returns the row of the trace's Dictionary; None for a trace of components."""
    dictionary = metadata.dictionary
    if dictionary is None:
        return None
    return row(
        node("Dictionary"),
        {
            "id": dictionary.id,
            "name": dictionary.name,
            "digest": dictionary.digest,
            "kind": dictionary.kind,
            "site": dictionary.site,
            "activation": dictionary.activation,
            "n_features": dictionary.n_features,
        },
    )


def configuration_row(metadata: TraceMetadata) -> tuple[Any, ...]:
    """Returns the row of the trace's Configuration."""
    return row(
        node("Configuration"),
        {
            "id": metadata.configuration_id,
            "name": configuration_name(metadata),
            "kind": metadata.kind,
            "target": canonical_json(metadata.request),
            "options": canonical_json(metadata.options),
            "dtype": metadata.dtype,
            "tracer_version": metadata.tracer_version,
        },
    )


def configuration_name(metadata: TraceMetadata) -> str:
    """Returns the name people read, such as `atlas/tc/probable@1a2b3c4d`: model, dictionary, target, id."""
    dictionary = metadata.dictionary.name if metadata.dictionary else metadata.kind
    target = "+".join(metadata.request["roles"]) if "roles" in metadata.request else metadata.request["kind"]
    return f"{metadata.model.name}/{dictionary}/{target}@{metadata.configuration_id[:SHORT_DIGEST]}"


def prompt_row(metadata: TraceMetadata) -> tuple[Any, ...]:
    """Returns the row of the traced Prompt."""
    return row(node("Prompt"), prompt_values(metadata.prompt_id, metadata.prompt))
