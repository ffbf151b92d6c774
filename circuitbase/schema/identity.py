"""Every id in circuitbase, each built by one function.

Two trace nodes belong to the same unit exactly when model, dictionary and unit agree; position and
prompt never enter a unit's id. Names alone are no identity (a retrained model keeps its name), so
model and dictionary keys carry the first eight hex digits of a content digest.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

SHORT_DIGEST = 8


def canonical_json(value: Any) -> str:
    """Returns JSON with sorted keys, no spaces and no NaN, so that equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256(value: Any) -> str:
    """Returns the SHA-256, in hex, of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def model_key(name: str, digest: str) -> str:
    """Returns a model's id, such as `atlas@1a2b3c4d`."""
    return f"{name}@{digest[:SHORT_DIGEST]}"


def dictionary_key(model: str, name: str, digest: str) -> str:
    """Returns a dictionary's id under its model's id, such as `atlas@1a2b3c4d/tc@5e6f7a8b`."""
    return f"{model}/{name}@{digest[:SHORT_DIGEST]}"


def input_token(model: str, token: int) -> str:
    """Returns the unit id of a token of the vocabulary as an input."""
    return f"{model}/in/{token}"


def output_token(model: str, token: int) -> str:
    """Returns the unit id of a token of the vocabulary as an output."""
    return f"{model}/out/{token}"


def role_output(model: str, role: str) -> str:
    """Returns the unit id of an output by role, such as `answer-distractor`."""
    return f"{model}/role/{role}"


def direction(model: str, name: str, digest: str) -> str:
    """Returns the unit id of a residual direction that a user named as a target."""
    return f"{model}/direction/{name}@{digest[:SHORT_DIGEST]}"


def feature(dictionary: str, site: str, layer: int, index: int) -> str:
    """Returns the unit id of a dictionary's feature, such as `.../mlp/L05/F01234`."""
    return f"{dictionary}/{site}/{layer_label(layer)}/F{index:05d}"


def layer_error(dictionary: str, site: str, layer: int) -> str:
    """Returns the unit id of a layer's reconstruction error under a dictionary."""
    return f"{dictionary}/{site}/{layer_label(layer)}/error"


def head(model: str, layer: int, index: int) -> str:
    """Returns the unit id of an attention head."""
    return f"{model}/{layer_label(layer)}/head/{index}"


def attention_link(model: str, layer: int, index: int) -> str:
    """Returns the unit id of a head's attention from one position to another."""
    return f"{model}/{layer_label(layer)}/head/{index}/link"


def mlp(model: str, layer: int) -> str:
    """Returns the unit id of a layer's MLP."""
    return f"{model}/{layer_label(layer)}/mlp"


def neuron(model: str, layer: int, index: int) -> str:
    """Returns the unit id of a neuron of a layer's MLP."""
    return f"{model}/{layer_label(layer)}/neuron/{index}"


def layer_label(layer: int) -> str:
    """Returns the label that colours a layer's units in Neo4j Browser, such as `L05`."""
    return f"L{layer:02d}"


def prompt_id(*, tokenizer_digest: str, token_ids: Sequence[int]) -> str:
    """Returns a prompt's id: what the model reads, under the tokenizer that made it.

    Two texts that give the same tokens are the same prompt, because their traces are the same.
    """
    return sha256({"tokenizer": tokenizer_digest, "tokens": list(token_ids)})


def configuration_id(
    *,
    kind: str,
    model_digest: str,
    dictionary_digest: str | None,
    targets: Mapping[str, Any],
    options: Mapping[str, Any],
    dtype: str,
    tracer_version: int,
) -> str:
    """Returns the id of what traces must share to be summed together.

    `targets` is the target request without its token ids (kind, role names, limits).
    """
    return sha256(
        {
            "kind": kind,
            "model": model_digest,
            "dictionary": dictionary_digest,
            "targets": dict(targets),
            "options": dict(options),
            "dtype": dtype,
            "tracer_version": tracer_version,
        }
    )


def trace_id(
    *,
    configuration: str,
    token_ids: Sequence[int],
    positions_without_nodes: Sequence[int],
    target_tokens: Sequence[Any],
) -> str:
    """Returns a trace's id: its configuration, its tokens and the tokens its targets name.

    The configuration's id already covers model, dictionary, options, dtype and tracer version.
    Device, batch size and threads are out: they must not change the numbers.
    """
    return sha256(
        {
            "configuration": configuration,
            "tokens": list(token_ids),
            "positions_without_nodes": list(positions_without_nodes),
            "target_tokens": list(target_tokens),
        }
    )


def intervention_id(*, model: str, method: str, setup: Mapping[str, Any], place: Mapping[str, Any]) -> str:
    """Returns an intervention's id: the model's id, the method, everything that its numbers depend on, its place."""
    return sha256({"model": model, "method": method, "setup": dict(setup), "place": dict(place)})


def motif_id(*, kind: str, type: str, prompt_set: str, configuration: str, filling: Sequence[str]) -> str:
    """Returns a motif's id: what it is, where it was looked for, and the edges or units that fill it."""
    return sha256(
        {"kind": kind, "type": type, "set": prompt_set, "configuration": configuration, "filling": list(filling)}
    )


def supernode_id(*, prompt_set: str, configuration: str, members: Sequence[str]) -> str:
    """Returns a supernode's id: where it was looked for, and its members in whatever order."""
    return sha256({"set": prompt_set, "configuration": configuration, "members": sorted(members)})


def supernode_edit_id(*, prompt_set: str, configuration: str, number: int) -> str:
    """Returns the id of an edit of supernodes, by its place in the order of edits."""
    return sha256({"set": prompt_set, "configuration": configuration, "number": number})


def rollup_id(*, prompt_set: str, configuration: str) -> str:
    """Returns the id of the sums over one prompt set's traces under one configuration."""
    return sha256({"prompt_set": prompt_set, "configuration": configuration})


def drives_key(*, rollup: str, source: str, target: str, port: int) -> str:
    """Returns the key of a rollup's edge between two units."""
    return sha256([rollup, source, target, port])[:32]


def seen_in_key(*, rollup: str, unit: str) -> str:
    """Returns the key of a unit's sums in a rollup."""
    return sha256([rollup, unit])[:32]
