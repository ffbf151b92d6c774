"""The in-edges of some nodes of a component trace, with what their rows were before anything was left out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int

from circuitbase.graph.edge_blocks import SparseBlock
from circuitbase.schema.kinds import Port
from circuitbase.tracing.components.component_options import ComponentOptions


@dataclass(frozen=True)
class Effects:
    """What sources bring, to first order, through one input of some targets.

    `source` are nodes, -1 where a source is left out, the same for all targets or a row for each. `constant` is what
    the constants of the residual stream bring, `whole` what the stream itself does: by another way the sum of both.
    """

    port: Port
    weight: Float[np.ndarray, "target source"]
    source: Int[np.ndarray, "*target source"]
    constant: Float[np.ndarray, " target"]
    whole: Float[np.ndarray, " target"]


@dataclass(frozen=True)
class ComponentRows:
    """The in-edges of some nodes as a block, and what their whole rows were.

    `preactivation` is what a node reads times its gradient there, computed from the residual stream itself.
    """

    block: SparseBlock
    n_edges: int
    absolute_input: Float64[np.ndarray, " target"]
    net_input: Float64[np.ndarray, " target"]
    bias_effect: Float64[np.ndarray, " target"]
    preactivation: Float64[np.ndarray, " target"]


def component_rows(
    target: Int[np.ndarray, " target"], effects: Sequence[Effects], options: ComponentOptions
) -> ComponentRows:
    """Returns the in-edges of targets, given in any order, that pass the thresholds; several ports stay apart."""
    target = target.astype(np.int64)
    shape = (len(target), -1)
    weight = np.concatenate([each.weight for each in effects], axis=1)
    source = np.concatenate(
        [np.broadcast_to(each.source, each.weight.shape).reshape(shape) for each in effects], axis=1
    )
    port = np.repeat([int(each.port) for each in effects], [each.weight.shape[1] for each in effects])
    size = np.abs(weight)
    largest = size.max(axis=1, initial=0.0)
    bound = np.maximum(options.tau, options.relative_tau * largest)
    row, column = np.nonzero((source >= 0) & (size > 0) & (size >= bound[:, None]))
    nodes, ports = source[row, column], port[column]
    order = np.lexsort((ports, nodes, target[row]))
    row, column = row[order], column[order]
    by_target = np.argsort(target)
    counts = np.bincount(row, minlength=len(target))[by_target]
    return ComponentRows(
        block=SparseBlock(
            target=target[by_target],
            start=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            source=nodes[order].astype(np.int32),
            weight=weight[row, column],
            port=ports[order].astype(np.uint8),
        ),
        n_edges=int(np.count_nonzero(size)),
        absolute_input=size.sum(axis=1, dtype=np.float64)[by_target],
        net_input=weight.sum(axis=1, dtype=np.float64)[by_target],
        bias_effect=sum((each.constant.astype(np.float64) for each in effects), start=np.zeros(len(target)))[by_target],
        preactivation=sum((each.whole.astype(np.float64) for each in effects), start=np.zeros(len(target)))[by_target],
    )
