"""What any reader of another tool's file returns: a graph in our columns, and what the file says of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int16, Int32, Int64, UInt8

from circuitbase.graph.edge_blocks import EdgeBlock
from circuitbase.graph.imported import Imported


@dataclass(frozen=True)
class Nodes:
    """Columns of nodes, sorted by kind, layer, position and unit, as those of an attribution graph.

    `weight` is that of an output, 0 for every other node. Other outputs than tokens
    have the index of their output as unit. The activation of a feature is nan where the file does not say it.
    """

    kind: UInt8[np.ndarray, " node"]
    layer: Int16[np.ndarray, " node"]
    position: Int32[np.ndarray, " node"]
    unit: Int64[np.ndarray, " node"]
    activation: Float32[np.ndarray, " node"]
    weight: Float64[np.ndarray, " node"]


@dataclass(frozen=True)
class Active:
    """Columns of active features; of a pruned graph those that are in it."""

    layer: Int16[np.ndarray, " active"]
    position: Int32[np.ndarray, " active"]
    unit: Int64[np.ndarray, " active"]
    value: Float32[np.ndarray, " active"]


@dataclass(frozen=True)
class Output:
    """What a graph ends in: a token of the vocabulary or, if `is_custom`, something that has only a name.

    `weight` is w of the influence: the probability, or 1 where a file says none of any output.
    """

    token: int
    string: str
    position: int
    probability: float
    weight: float
    is_custom: bool = False


@dataclass(frozen=True)
class StatedModel:
    """What a file says of the model and the dictionary: names, and 0 or None where it says nothing."""

    model: str | None
    dictionary: str | None
    architecture: str | None = None
    d_model: int = 0
    d_vocab: int = 0


@dataclass(frozen=True)
class ForeignGraph:
    """One graph as a file holds it.

    `is_whole` says that it was never pruned. `all_features` says that every active feature is a node. `settings` are
    those that decide which numbers a graph holds, of the target (`request`) and of the rest (`options`). `own` is
    what a file that circuitbase wrote says of the trace that it is.
    """

    stated: StatedModel
    n_layers: int
    text: str | None
    token_ids: tuple[int, ...]
    token_strings: tuple[str, ...]
    positions_without_nodes: tuple[int, ...]
    nodes: Nodes
    outputs: tuple[Output, ...]
    active: Active
    blocks: Sequence[EdgeBlock]
    is_whole: bool
    all_features: bool
    imported: Imported
    request: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    own: Mapping[str, Any] | None = None
    warnings: tuple[str, ...] = ()
