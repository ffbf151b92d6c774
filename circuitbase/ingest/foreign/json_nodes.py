"""The nodes of a graph JSON: each entry read and held to what its version says of ids and feature numbers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from circuitbase.ingest.foreign.node_names import EMBEDDING, FEATURE_TYPES, THREE_NUMBERS, node_name, paired, unpaired
from circuitbase.schema.kinds import NodeKind

LARGEST = float(np.finfo(np.float32).max)  # nan is not below it either
_OUTPUT_LABEL = re.compile(r'Output "(.*)" \(p=([0-9.e-]+)\)', re.DOTALL)


@dataclass(frozen=True)
class JsonNode:
    """A node of a file; `unit` is a feature, a token, or 0 for an error. An output's layer is as in the file."""

    node_id: str
    kind: NodeKind
    layer: int
    position: int
    unit: int
    activation: float | None
    influence: float | None
    label: str
    probability: float | None

    @property
    def key(self) -> tuple[int, int, int, int]:
        """Returns what tells nodes apart where ids do not."""
        return (int(self.kind), self.layer, self.position, self.unit)

    def name(self, *, n_layers: int) -> str:
        """Returns the id that the node has in files of today."""
        return node_name(self.kind, layer=self.layer, position=self.position, unit=self.unit, n_layers=n_layers).node_id

    @property
    def output_string(self) -> str:
        """Returns the token that an output's label shows, else the label, else the token's number."""
        found = _OUTPUT_LABEL.fullmatch(self.label)
        return found[1] if found else self.label or str(self.unit)

    @property
    def output_probability(self) -> float | None:
        """Returns an output's probability, from its label where it has no number of its own; None if unknown."""
        if self.probability:
            return self.probability
        found = _OUTPUT_LABEL.fullmatch(self.label)
        return float(found[2]) if found else None


def read_node(found: Any, *, version: int | None) -> JsonNode:
    """Returns a node of a file of a schema version; raises ValueError with a sentence if it is none."""
    if not isinstance(found, Mapping):
        raise ValueError(f"a node should be an object, got {found!r:.40}")
    node_id = _given(found, "node_id", str)
    feature_type, position = _given(found, "feature_type", str), _given(found, "ctx_idx", int)
    if feature_type not in FEATURE_TYPES:
        raise ValueError(
            f"node {node_id} has feature_type {feature_type!r}, and only {', '.join(FEATURE_TYPES)} are read"
        )
    kind = FEATURE_TYPES[feature_type]
    layer, unit = _place(kind, node_id, found, position=position, version=version)
    label = found.get("clerp")
    return JsonNode(
        node_id=node_id,
        kind=kind,
        layer=layer,
        position=position,
        unit=unit,
        activation=_number(found.get("activation")),
        influence=_number(found.get("influence")),
        label=label if isinstance(label, str) else "",
        probability=_number(found.get("token_prob")),
    )


def _place(
    kind: NodeKind, node_id: str, found: Mapping[str, Any], *, position: int, version: int | None
) -> tuple[int, int]:
    """Returns layer and unit."""
    if kind == NodeKind.INPUT_TOKEN:
        match = EMBEDDING.fullmatch(node_id)
        if match is None or int(match[2]) != position:
            raise ValueError(
                f"an embedding at position {position} should be called E_TOKEN_{position}, got {node_id!r}"
            )
        return -1, int(match[1])
    layer = _layer(found, node_id)
    if kind == NodeKind.LAYER_ERROR:
        if node_id not in (f"0_{layer}_{position}", f"{layer}_-1_{position}"):
            raise ValueError(
                f"the error of layer {layer} at position {position} should be called {layer}_-1_{position} or "
                f"0_{layer}_{position}, got {node_id!r}"
            )
        return layer, 0
    if kind == NodeKind.OUTPUT_TOKEN:
        token = _given(found, "feature", int)
        if node_id != f"{layer}_{token}_{position}":
            raise ValueError(f"an output of token {token} should be called {layer}_{token}_{position}, got {node_id!r}")
        return layer, token
    return layer, _feature(found, node_id, layer=layer, position=position, version=version)


def _feature(found: Mapping[str, Any], node_id: str, *, layer: int, position: int, version: int | None) -> int:
    match, number = THREE_NUMBERS.fullmatch(node_id), found.get("feature")
    if match is None:
        if version is None or not isinstance(number, int) or number < 0 or unpaired(number)[0] != layer:
            raise ValueError(f"a feature of layer {layer} should be called {layer}_FEATURE_{position}, got {node_id!r}")
        return unpaired(number)[1]
    if (int(match[1]), int(match[3])) != (layer, position):
        raise ValueError(f"node {node_id} says layer {layer} and position {position}, which its id contradicts")
    unit = int(match[2])
    if version is not None and number != paired(layer, unit):
        raise ValueError(
            f"node {node_id} has feature number {number}, but in schema version {version} it is {paired(layer, unit)}"
        )
    return unit


def _layer(found: Mapping[str, Any], node_id: str) -> int:
    layer = found.get("layer")
    if isinstance(layer, str) and layer.isdecimal():
        return int(layer)
    if isinstance(layer, int) and not isinstance(layer, bool) and layer >= 0:
        return layer
    raise ValueError(f"node {node_id} should have a layer from 0, got {layer!r:.40}")


def _given(found: Mapping[str, Any], name: str, kind: type) -> Any:
    value = found.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        shown = found.get("node_id", "of no id")
        raise ValueError(f"node {shown!s:.40} should have {name} of type {kind.__name__}, got {value!r:.40}")
    return value


def _number(value: Any) -> float | None:
    """Returns a finite number; None for null, for NaN and for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        return None
    return float(value)
