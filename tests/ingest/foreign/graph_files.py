"""Small graph files of every age, written by hand from what is known of their layouts.

One graph: two layers, four tokens, features (layer, feature, position), errors (layer, position), two outputs. Feature
1 of layer 0 at position 2 shares its old id, `0_1_2`, with the error of layer 1 at position 2.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Age = Callable[..., dict[str, Any]]

N_LAYERS = 3
TOKENS = (2, 17, 40, 8)
STRINGS = ("<bos>", "The", " cat", " sat")
FEATURES = {(0, 1, 2): 0.75, (0, 9, 1): 1.5, (1, 4, 2): 2.25, (2, 7, 3): 0.5}
ERRORS = ((0, 1), (1, 2))
OUTPUTS = {21: (" on", 0.625), 33: (" up", 0.25)}

# (source, target, weight) of nodes: features and errors as above with a letter, embeddings and outputs by one number
Node = tuple[str, int, int, int]
EMBEDDING = [("embedding", -1, token, position) for position, token in enumerate(TOKENS)]
FEATURE = {key: ("feature", key[0], key[1], key[2]) for key in FEATURES}
ERROR = {key: ("error", key[0], 0, key[1]) for key in ERRORS}
OUTPUT = {token: ("output", N_LAYERS, token, 3) for token in OUTPUTS}
EDGES: list[tuple[Node, Node, float]] = [
    (EMBEDDING[1], FEATURE[0, 9, 1], 0.1),
    (EMBEDDING[2], FEATURE[0, 1, 2], -1.25),
    (FEATURE[0, 9, 1], FEATURE[1, 4, 2], 0.7),
    (FEATURE[0, 1, 2], FEATURE[1, 4, 2], 0.3),  # to a layer up to the error's, so the feature's
    (ERROR[0, 1], FEATURE[1, 4, 2], -0.2),
    (FEATURE[1, 4, 2], FEATURE[2, 7, 3], 1.1),
    (FEATURE[0, 1, 2], FEATURE[2, 7, 3], 0.45),  # and one of the error with equal ends
    (ERROR[1, 2], FEATURE[2, 7, 3], -0.35),
    (FEATURE[2, 7, 3], OUTPUT[21], 2.0),
    (FEATURE[0, 1, 2], OUTPUT[21], 0.15),
    (ERROR[1, 2], OUTPUT[21], 0.05),
    (FEATURE[2, 7, 3], OUTPUT[33], -0.6),
    (EMBEDDING[3], OUTPUT[33], 0.9),
]


@dataclass(frozen=True)
class AgeOf:
    """What tells the ages of graph JSON apart; `number` gives a feature's number."""

    number: Callable[[int, int], int]
    old_errors: bool
    schema_version: int | None
    neuronpedia: bool


def cantor(layer: int, feature: int) -> int:
    return (layer + feature) * (layer + feature + 1) // 2 + feature


AGES = {
    "circuit-tracer 2025, numbers by powers of ten": AgeOf(
        lambda layer, feature: feature + layer * 10**5, True, None, False
    ),
    "circuit-tracer 2025, bare numbers": AgeOf(lambda _, feature: feature, True, None, False),
    "circuit-tracer with schema version 1": AgeOf(cantor, True, 1, False),
    "circuit-tracer since the middle of 2026": AgeOf(cantor, False, 1, False),
    "Neuronpedia 2025": AgeOf(lambda layer, feature: feature + layer * 10**5, True, None, True),
    "Neuronpedia 2026": AgeOf(cantor, False, 1, True),
}


def node_id(node: Node, *, old_errors: bool) -> str:
    kind, layer, unit, position = node
    match kind:
        case "embedding":
            return f"E_{unit}_{position}"
        case "error":
            return f"0_{layer}_{position}" if old_errors else f"{layer}_-1_{position}"
        case "output":
            return f"{N_LAYERS + 1}_{unit}_{position}"
    return f"{layer}_{unit}_{position}"


def _entry(node: Node, age: AgeOf) -> dict[str, Any]:
    kind, layer, unit, position = node
    common = {"node_id": node_id(node, old_errors=age.old_errors), "ctx_idx": position, "clerp": "", "run_idx": 0}
    match kind:
        case "embedding":
            own = {"feature_type": "embedding", "feature": position, "layer": "E", "jsNodeId": f"E_{unit}-{position}"}
            own |= {"influence": 0.9, "activation": None}
        case "error":
            js = f"{layer}_{position}-0" if age.old_errors else f"{layer}_-1-{position}"
            own = {"feature_type": "mlp reconstruction error", "feature": -1, "layer": str(layer), "jsNodeId": js}
            own |= {"influence": 0.7, "activation": None}
        case "output":
            string, probability = OUTPUTS[unit]
            own = {
                "feature_type": "logit",
                "feature": unit,
                "layer": str(layer + 1),
                "jsNodeId": f"L_{unit}-{position}",
            }
            own |= {"token_prob": probability, "is_target_logit": unit == 21, "influence": None}
            own |= {"clerp": f'Output "{string}" (p={probability:.3f})'}
        case _:
            own = {"feature_type": "cross layer transcoder", "feature": age.number(layer, unit), "layer": str(layer)}
            own |= {"jsNodeId": f"{layer}_{unit}-0", "activation": FEATURES[layer, unit, position], "influence": 0.25}
    return {**common, **own}


def document(age: str, **metadata: Any) -> dict[str, Any]:
    """The graph as a file of an age: one pinned feature, a label on it, and a supernode of two."""
    said = AGES[age]
    stated: dict[str, Any] = {"slug": "cat", "scan": "gemma-2-2b", "prompt": "The cat sat", "node_threshold": 0.8}
    stated |= {"prompt_tokens": list(STRINGS), "transcoder_list": []}
    if said.schema_version is not None:
        stated["schema_version"] = said.schema_version
    if said.neuronpedia:
        stated["info"] = {"transcoder_set": "mntss/clt-gemma-2-2b-2.5M", "generator": {"name": "circuit-tracer"}}
        stated["generation_settings"] = {"max_n_logits": 10, "desired_logit_prob": 0.95, "max_feature_nodes": 5000}
        stated["pruning_settings"] = {"node_threshold": 0.8, "edge_threshold": 0.98}
    nodes = [*FEATURE.values(), *ERROR.values(), *EMBEDDING, *OUTPUT.values()]
    entries = [_entry(node, said) for node in nodes]
    for entry in entries:
        if entry["node_id"] == "1_4_2":
            entry["clerp"] = "cats"
    return {
        "metadata": {**stated, **metadata},
        "qParams": {
            "pinnedIds": ["1_4_2"],
            "supernodes": [["animals", "1_4_2", "0_9_1"]],
            "linkType": "both",
            "clickedId": "",
            "sg_pos": "",
        },
        "nodes": entries,
        "links": [
            {
                "source": node_id(source, old_errors=said.old_errors),
                "target": node_id(target, old_errors=said.old_errors),
                "weight": weight,
            }
            for source, target, weight in EDGES
        ],
    }


def node_of(found: dict[str, Any], node: str) -> dict[str, Any]:
    """The first entry of a document with an id."""
    entry: dict[str, Any] = next(each for each in found["nodes"] if each["node_id"] == node)
    return entry


NAN = math.nan
