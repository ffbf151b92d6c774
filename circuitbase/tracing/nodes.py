"""The nodes of a trace before pruning, in the order of a trace file."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, Int16, Int32, Int64, UInt8

from circuitbase.graph.trace import TracedPrompt
from circuitbase.schema.kinds import OUTPUT_KINDS, NodeKind
from circuitbase.tracing.outputs import Outputs
from circuitbase.tracing.replacement import ReplacedMlp


@dataclass(frozen=True)
class Nodes:
    """Columns of nodes sorted by kind, layer, position and unit: tokens, features, errors, outputs.

    `preactivation` is nan where a node is no target, `output_weight` is 0 where it is no output.
    """

    kind: UInt8[np.ndarray, " node"]
    layer: Int16[np.ndarray, " node"]
    position: Int32[np.ndarray, " node"]
    unit: Int64[np.ndarray, " node"]
    activation: Float64[np.ndarray, " node"]
    preactivation: Float64[np.ndarray, " node"]
    output_weight: Float64[np.ndarray, " node"]

    def __len__(self) -> int:
        return len(self.kind)

    @cached_property
    def is_target(self) -> Bool[np.ndarray, " node"]:
        """Returns which nodes have in-edges by their kind."""
        return np.isin(self.kind, (NodeKind.FEATURE, *OUTPUT_KINDS))

    def rows(self, kind: NodeKind, layer: int) -> Int64[np.ndarray, " chosen"]:
        """Returns the indices of a layer's nodes of one kind, ascending."""
        return np.flatnonzero((self.kind == kind) & (self.layer == layer))


def node_table(mlps: Sequence[ReplacedMlp], outputs: Outputs, prompt: TracedPrompt) -> Nodes:
    """Returns the nodes of a prompt; features are those that the MLPs list, in their order."""
    n_layers, n_positions = len(mlps), len(prompt.token_ids)
    traced = np.setdiff1d(np.arange(n_positions), np.array(prompt.positions_without_nodes, dtype=np.int64))
    n_errors, n_outputs = n_layers * len(traced), len(outputs.unit)
    features_per_layer = [mlp.n_active for mlp in mlps]
    sizes = (n_positions, sum(features_per_layer), n_errors, n_outputs)
    nan = np.full(n_errors, np.nan)
    kinds = (NodeKind.INPUT_TOKEN, NodeKind.FEATURE, NodeKind.LAYER_ERROR, outputs.kind)
    return Nodes(
        kind=np.repeat(np.array(kinds, dtype=np.uint8), sizes),
        layer=_joined(
            np.full(n_positions, -1),
            np.repeat(np.arange(n_layers), features_per_layer),
            np.repeat(np.arange(n_layers), len(traced)),
            np.full(n_outputs, n_layers),
        ).astype(np.int16),
        position=_joined(
            np.arange(n_positions),
            *(mlp.position.cpu().numpy() for mlp in mlps),
            np.tile(traced, n_layers),
            np.full(n_outputs, n_positions - 1),
        ).astype(np.int32),
        unit=_joined(
            np.array(prompt.token_ids),
            *(mlp.unit.cpu().numpy() for mlp in mlps),
            np.zeros(n_errors),
            outputs.unit,
        ).astype(np.int64),
        activation=_joined(
            np.ones(n_positions),
            *(mlp.activation.double().cpu().numpy() for mlp in mlps),
            np.ones(n_errors),
            outputs.probability,
        ),
        preactivation=_joined(
            np.full(n_positions, np.nan),
            *(mlp.preactivation.double().cpu().numpy() for mlp in mlps),
            nan,
            outputs.preactivation.double().cpu().numpy(),
        ),
        output_weight=_joined(np.zeros(sum(sizes[:3])), outputs.weight),
    )


def _joined(*columns: np.ndarray) -> np.ndarray:
    return np.concatenate(columns)
