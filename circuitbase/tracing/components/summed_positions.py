"""A component trace with the positions of each unit summed: what a unit does wherever it does it."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float64, Int64

from circuitbase.graph.edge_blocks import EdgeBlock, blocks_of
from circuitbase.graph.node_sums import node_sums
from circuitbase.graph.pruning import total_input
from circuitbase.tracing.nodes import Nodes
from circuitbase.tracing.traced_rows import TracedRows


def summed_positions(nodes: Nodes, rows: TracedRows) -> tuple[Nodes, TracedRows]:
    """Returns one node for each unit, at position -1, and one edge for each pair of units and port.

    Weights, accounts, activations and output weights add up over positions, edges left out before counting as they
    are; a node's absolute input is that of its summed edges.
    """
    identity = np.stack([nodes.kind.astype(np.int64), nodes.layer.astype(np.int64), nodes.unit], axis=1)
    units, group = np.unique(identity, axis=0, return_inverse=True)
    group = group.reshape(-1)
    n_units = len(units)

    def total(column: np.ndarray) -> Float64[np.ndarray, " unit"]:
        return node_sums(group, np.nan_to_num(column), n_nodes=n_units)

    is_traced = total(rows.is_traced.astype(np.float64)) > 0
    blocks = _summed_blocks(rows, group, n_units)
    left_out = total(rows.absolute_input - total_input(rows.blocks, n_nodes=len(nodes)))
    table = replace(
        nodes,
        kind=units[:, 0].astype(np.uint8),
        layer=units[:, 1].astype(np.int16),
        position=np.full(n_units, -1, dtype=np.int32),
        key_position=np.full(n_units, -1, dtype=np.int32),
        unit=units[:, 2],
        activation=total(nodes.activation),
        preactivation=np.where(is_traced, total(nodes.preactivation), np.nan),
        margin=np.full(n_units, np.nan),
        is_silent=np.zeros(n_units, dtype=bool),
        weight=total(nodes.weight),
        outputs=group[nodes.outputs],
    )
    return table, TracedRows(
        blocks=blocks,
        is_traced=is_traced,
        absolute_input=total_input(blocks, n_nodes=n_units) + left_out,
        net_input=total(rows.net_input),
        unexplained_input=np.zeros(n_units),
        bias_effect=total(rows.bias_effect),
    )


def _summed_blocks(rows: TracedRows, group: Int64[np.ndarray, " node"], n_units: int) -> list[EdgeBlock]:
    edges = [block.edges(block.scores(np.ones(len(block.target))) > 0) for block in rows.blocks]
    source = np.concatenate([group[each.source] for each in edges])
    target = np.concatenate([group[each.target] for each in edges])
    port = np.concatenate([np.zeros(0, np.uint8), *(each.port for each in edges if each.port is not None)])
    key, place = np.unique((target * n_units + source) * 4 + port, return_inverse=True)
    weight = np.bincount(place, weights=np.concatenate([each.weight for each in edges]), minlength=len(key))
    units = key // 4
    return list(blocks_of(units % n_units, units // n_units, weight, n_nodes=n_units, port=(key % 4).astype(np.uint8)))
