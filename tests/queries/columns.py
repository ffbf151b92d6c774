"""Traces as the database gives them back, made from the traces themselves, for tests that need no server."""

import numpy as np

from circuitbase.graph.trace import Trace
from circuitbase.queries.active_features import active_features
from circuitbase.queries.rollup_sums import ActiveFeatures
from circuitbase.queries.trace_columns import TraceColumns
from circuitbase.schema.kinds import NodeKind
from tests.queries.expected_sums import node_units


def columns_of(trace: Trace) -> TraceColumns:
    """Returns the columns of a stored trace."""
    graph = trace.graph
    total = graph.node_absolute_input.astype(np.float64)[graph.edge_target]
    return TraceColumns(
        trace_id=trace.metadata.trace_id,
        unit=tuple(node_units(trace)),
        is_feature=graph.node_kind == NodeKind.FEATURE,
        is_active=graph.node_silent == 0,
        position=graph.node_position.astype(np.int64),
        activation=graph.node_activation.astype(np.float64),
        influence=graph.node_influence.astype(np.float64),
        edge_source=graph.edge_source.astype(np.int64),
        edge_target=graph.edge_target.astype(np.int64),
        edge_port=graph.edge_port,
        edge_weight=graph.edge_weight.astype(np.float64),
        edge_share=np.abs(graph.edge_weight.astype(np.float64)) / total,
        edge_influence=graph.edge_influence.astype(np.float64),
    )


def with_active(traces: list[Trace]) -> list[tuple[TraceColumns, ActiveFeatures]]:
    """Returns the columns of traces with the features that fired in each."""
    return [(columns_of(trace), active_features(trace)[0]) for trace in traces]
