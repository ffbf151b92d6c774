"""What the metadata of a graph JSON says: prompt, names, thresholds; circuit-tracer's and Neuronpedia's ways.

`scan` names the dictionary in circuit-tracer's files and the model in Neuronpedia's, which are told by what they have
beside: `info`, both kinds of settings, or details of features. Files that circuitbase wrote say in `circuitbase`
which model, dictionary and outputs they are of.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from circuitbase.ingest.foreign.foreign_graph import StatedModel
from circuitbase.schema.identity import sha256

CIRCUIT_TRACER_JSON, NEURONPEDIA_JSON = "circuit-tracer JSON", "Neuronpedia JSON"
OWN = "circuitbase"
_OF_NEURONPEDIA = ("info", "generation_settings", "pruning_settings", "feature_details")
_PROMPT = ("prompt", "prompt_tokens", OWN)
_REQUEST = ("max_n_logits", "desired_logit_prob")


@dataclass(frozen=True)
class JsonStatements:
    """The metadata of one file; `kept` is all of it but the prompt, as JSON can hold it."""

    format: str
    version: int | None
    stated: StatedModel
    text: str | None
    prompt_tokens: tuple[str, ...]
    kept: dict[str, Any]
    positions_without_nodes: tuple[int, ...] = ()
    request: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    own: Mapping[str, Any] | None = None
    weights: tuple[float, ...] = ()


def json_statements(metadata: Mapping[str, Any]) -> JsonStatements:
    """Returns what metadata says; raises ValueError with a sentence where it is of another form."""
    tokens = metadata.get("prompt_tokens")
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise ValueError(f"`metadata.prompt_tokens` should be a list of texts, got {tokens!r:.40}")
    of_neuronpedia = any(isinstance(metadata.get(name), Mapping) for name in _OF_NEURONPEDIA)
    own = metadata.get(OWN)
    own = own if isinstance(own, Mapping) else None
    settings = {**_object(metadata, "generation_settings"), **_object(metadata, "pruning_settings")}
    version, text = metadata.get("schema_version"), metadata.get("prompt")
    return JsonStatements(
        format=NEURONPEDIA_JSON if of_neuronpedia else CIRCUIT_TRACER_JSON,
        version=version if isinstance(version, int) else None,
        stated=_stated(metadata, of_neuronpedia=of_neuronpedia, own=own or {}),
        text=text if isinstance(text, str) else None,
        prompt_tokens=tuple(tokens),
        kept=_plain({name: value for name, value in metadata.items() if name not in _PROMPT}),
        positions_without_nodes=_positions(own or {}, len(tokens)),
        request={name: value for name in _REQUEST if (value := _number(settings.get(name))) is not None},
        options={
            "node_threshold": _number(settings.get("node_threshold", metadata.get("node_threshold"))),
            "edge_threshold": _number(settings.get("edge_threshold")),
            **_most_features(settings),
        },
        own=own,
        weights=_weights(own or {}),
    )


def _stated(metadata: Mapping[str, Any], *, of_neuronpedia: bool, own: Mapping[str, Any]) -> StatedModel:
    scan, transcoders = _text(metadata.get("scan")), metadata.get("transcoder_list")
    listed = listed_name(transcoders) if isinstance(transcoders, list) and transcoders else None
    model: str | None = None
    dictionary = listed or scan
    if of_neuronpedia:
        info, details = _object(metadata, "info"), _object(metadata, "feature_details")
        model = scan
        dictionary = (
            _text(info.get("transcoder_set"))
            or listed
            or _text(details.get("neuronpedia_source_set"))
            or _text(info.get("neuronpedia_source_set"))
        )
    vocabulary = own.get("d_vocab")
    return StatedModel(model, dictionary, d_vocab=vocabulary if isinstance(vocabulary, int) else 0)


def listed_name(transcoders: Sequence[Any]) -> str:
    """Returns a name for a list of transcoders, the same in every run (that in `scan` is not)."""
    return f"custom-{sha256([str(each) for each in transcoders])[:8]}"


def _positions(own: Mapping[str, Any], n_positions: int) -> tuple[int, ...]:
    found = own.get("positions_without_nodes")
    if not isinstance(found, list) or not all(isinstance(p, int) and 0 <= p < n_positions for p in found):
        return ()
    return tuple(found)


def _weights(own: Mapping[str, Any]) -> tuple[float, ...]:
    """Returns the weights of the outputs of a trace of ours."""
    found = own.get("targets")
    found = found if isinstance(found, list) else []
    given = [each.get("weight") if isinstance(each, Mapping) else None for each in found]
    weights = tuple(weight for weight in given if isinstance(weight, float) and 0 <= weight < math.inf)
    if len(weights) < len(given):
        raise ValueError("`metadata.circuitbase.targets` should each have a weight from 0")
    return weights


def _most_features(settings: Mapping[str, Any]) -> dict[str, Any]:
    found = _number(settings.get("max_feature_nodes"))
    return {} if found is None else {"max_features": found}


def _object(metadata: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = metadata.get(name)
    return found if isinstance(found, Mapping) else {}


def _text(found: Any) -> str | None:
    return found if isinstance(found, str) and found.strip() else None


def _number(found: Any) -> int | float | None:
    if isinstance(found, bool) or not isinstance(found, int | float) or not abs(found) <= 1e18:
        return None
    return found


def _plain(found: Any) -> Any:
    """Returns JSON without NaN, which some writers leave in."""
    if isinstance(found, Mapping):
        return {str(name): _plain(value) for name, value in found.items()}
    if isinstance(found, list):
        return [_plain(value) for value in found]
    return None if isinstance(found, float) and not math.isfinite(found) else found
