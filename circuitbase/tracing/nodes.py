"""The nodes of a trace before pruning, in the order of a trace file."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, Int16, Int32, Int64, UInt8

from circuitbase.graph.trace import TracedPrompt
from circuitbase.schema.kinds import NodeKind
from circuitbase.tracing.outputs import OutputNode
from circuitbase.tracing.replacement import ReplacedLayer

_LAYERS = 2**16  # more than any model has


@dataclass(frozen=True)
class Nodes:
    """Columns of nodes sorted by kind, layer, position, key position and unit.

    `preactivation` is nan where a node is no target, `margin` where it is not silent, `weight` is w of
    the influence: 0 where a trace does not end in it. `active[l]` and `silent[l]` are the nodes of
    layer l's features in the order of `ReplacedLayer`, `outputs` those of the outputs in theirs.
    """

    kind: UInt8[np.ndarray, " node"]
    layer: Int16[np.ndarray, " node"]
    position: Int32[np.ndarray, " node"]
    key_position: Int32[np.ndarray, " node"]
    unit: Int64[np.ndarray, " node"]
    activation: Float64[np.ndarray, " node"]
    preactivation: Float64[np.ndarray, " node"]
    margin: Float64[np.ndarray, " node"]
    is_silent: Bool[np.ndarray, " node"]
    weight: Float64[np.ndarray, " node"]
    active: tuple[Int64[np.ndarray, " _"], ...]
    silent: tuple[Int64[np.ndarray, " _"], ...]
    outputs: Int64[np.ndarray, " output"]

    def __len__(self) -> int:
        return len(self.kind)

    @cached_property
    def is_target(self) -> Bool[np.ndarray, " node"]:
        """Returns which nodes have in-edges."""
        return np.isfinite(self.preactivation)

    def rows(self, kind: NodeKind, layer: int) -> Int64[np.ndarray, " chosen"]:
        """Returns the indices of a layer's nodes of one kind, ascending."""
        key = int(kind) * _LAYERS + layer + 1
        low, high = np.searchsorted(self._kind_and_layer, np.array([key, key + 1]))
        return np.arange(low, high)

    @cached_property
    def _kind_and_layer(self) -> Int64[np.ndarray, " node"]:
        return self.kind.astype(np.int64) * _LAYERS + self.layer + 1


@dataclass(frozen=True)
class _Part:
    """Nodes of one kind in one layer, in any order."""

    kind: NodeKind
    layer: int
    position: np.ndarray
    unit: np.ndarray
    activation: np.ndarray
    preactivation: np.ndarray | None = None
    margin: np.ndarray | None = None
    silent: bool = False
    weight: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.position)


def node_table(
    layers: Sequence[ReplacedLayer],
    outputs: Sequence[OutputNode],
    prompt: TracedPrompt,
    *,
    reads: bool,
    mlp_nodes: bool,
) -> Nodes:
    """Returns the nodes of a prompt.

    Features have a pre-activation only if they are targets (`reads`); with `mlp_nodes` the MLPs, which no
    dictionary explains, are nodes themselves.
    """
    n_layers, n_positions = len(layers), len(prompt.token_ids)
    every = np.arange(n_positions)
    traced = np.setdiff1d(every, np.array(prompt.positions_without_nodes, dtype=np.int64))
    parts = [_Part(NodeKind.INPUT_TOKEN, -1, every, np.array(prompt.token_ids), np.ones(n_positions))]
    for layer, replaced in enumerate(layers):
        parts += [_features(replaced, layer, silent=False, reads=reads), _features(replaced, layer, silent=True)]
    for layer in range(n_layers):
        parts.append(_Part(NodeKind.LAYER_ERROR, layer, traced, np.zeros(len(traced)), np.ones(len(traced))))
        if mlp_nodes:
            parts.append(_Part(NodeKind.MLP, layer, every, np.zeros(n_positions), np.ones(n_positions)))
    own = [each for each in outputs if each.kind != NodeKind.FEATURE]
    parts += [_output(each, n_layers) for each in own]
    return _sorted(parts, n_layers=n_layers, n_own=len(own), outputs=outputs)


def _features(replaced: ReplacedLayer, layer: int, *, silent: bool, reads: bool = True) -> _Part:
    found = replaced.silent if silent else replaced.active
    return _Part(
        kind=NodeKind.FEATURE,
        layer=layer,
        position=found.position.cpu().numpy(),
        unit=found.unit.cpu().numpy(),
        activation=found.activation.double().cpu().numpy(),
        preactivation=found.preactivation.double().cpu().numpy() if reads else None,
        margin=found.margin.double().cpu().numpy(),
        silent=silent,
    )


def _output(output: OutputNode, n_layers: int) -> _Part:
    return _Part(
        kind=output.kind,
        layer=n_layers,
        position=np.array([output.position]),
        unit=np.array([output.unit]),
        activation=np.array([output.activation]),
        preactivation=np.array([output.preactivation]),
        weight=np.array([output.weight]),
    )


def _sorted(parts: Sequence[_Part], *, n_layers: int, n_own: int, outputs: Sequence[OutputNode]) -> Nodes:
    sizes = [len(part) for part in parts]
    kind = np.repeat([int(part.kind) for part in parts], sizes)
    layer = np.repeat([part.layer for part in parts], sizes)
    position = np.concatenate([part.position for part in parts])
    unit = np.concatenate([part.unit for part in parts]).astype(np.int64)
    order = np.lexsort((unit, position, layer, kind))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    of_part = np.split(place, np.cumsum(sizes)[:-1])
    of_output = iter(of_part[len(parts) - n_own :])
    features = [(part, nodes) for part, nodes in zip(parts, of_part, strict=True) if part.kind == NodeKind.FEATURE]
    silent = np.repeat([part.silent for part in parts], sizes)[order]
    weight = _column(parts, "weight", 0.0)[order]
    ends = []
    for each in outputs:
        if each.kind == NodeKind.FEATURE:
            node = _feature_node(features, each)
            weight[node] = each.weight
        else:
            node = int(next(of_output)[0])
        ends.append(node)
    return Nodes(
        kind=kind[order].astype(np.uint8),
        layer=layer[order].astype(np.int16),
        position=position[order].astype(np.int32),
        key_position=np.full(len(order), -1, dtype=np.int32),
        unit=unit[order],
        activation=np.concatenate([part.activation for part in parts])[order].astype(np.float64),
        preactivation=_column(parts, "preactivation", np.nan)[order],
        margin=_column(parts, "margin", np.nan)[order],
        is_silent=silent,
        weight=weight,
        active=tuple(nodes for part, nodes in features if not part.silent),
        silent=tuple(nodes for part, nodes in features if part.silent),
        outputs=np.array(ends, dtype=np.int64),
    )


def _feature_node(features: Sequence[tuple[_Part, np.ndarray]], output: OutputNode) -> int:
    for part, nodes in features:
        if part.layer == output.layer:
            found = np.flatnonzero((part.position == output.position) & (part.unit == output.unit))
            if len(found):
                return int(nodes[found[0]])
    raise AssertionError("a target feature is traced, silent or not")


def _column(parts: Sequence[_Part], name: str, missing: float) -> Float64[np.ndarray, " node"]:
    columns = [getattr(part, name) for part in parts]
    return np.concatenate(
        [np.full(len(part), missing) if column is None else column for part, column in zip(parts, columns, strict=True)]
    ).astype(np.float64)
