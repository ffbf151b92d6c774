"""The traces of a selection one after the other, so that thousands of them need the memory of one.

A trace is read from its file, which is faster than reading it back from Neo4j, or from Neo4j where its file is gone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from neo4j import Session

from circuitbase.errors import DatabaseError
from circuitbase.graph.trace import Trace
from circuitbase.queries.relabelling import FiredFeatures, Relabelling, relabelled_columns, summed_activations
from circuitbase.queries.rollup_sums import ActiveFeatures
from circuitbase.queries.selection import SelectedTrace, Selection
from circuitbase.queries.trace_columns import TraceColumns, read_trace_columns, shares
from circuitbase.schema.kinds import NodeKind
from circuitbase.store.trace_store import TraceStore

Heard = Callable[[int, int], None]


@dataclass(frozen=True)
class StreamedTrace:
    """One trace of a selection. `fired` is from its file; from Neo4j alone it holds the features with a node."""

    selected: SelectedTrace
    columns: TraceColumns
    fired: FiredFeatures

    def relabelled(self, relabelling: Relabelling | None) -> tuple[TraceColumns, ActiveFeatures]:
        """Returns columns and active features as a rollup sums them, under other ids if there is a relabelling."""
        columns = self.columns if relabelling is None else relabelled_columns(self.columns, self.selected, relabelling)
        return columns, summed_activations(self.fired, self.selected, relabelling)


def streamed_traces(
    session: Session, store: TraceStore, selection: Selection, *, heard: Heard | None = None
) -> Iterator[StreamedTrace]:
    """Yields the traces of a selection in its order; `heard` is told (done, total) after each.

    Raises DatabaseError for a trace that was removed meanwhile, and errors of the store for damaged files.
    """
    for number, selected in enumerate(selection.traces, start=1):
        if store.exists(selected.id):
            trace = store.load(selected.id)
            yield StreamedTrace(selected, file_columns(trace), fired_features(trace))
        else:
            columns = session.execute_read(read_trace_columns, selected.id)
            if columns is None:
                raise DatabaseError(f"trace {selected.id[:12]} was removed while {selection.name} was read; repeat it")
            yield StreamedTrace(selected, columns, _with_node(columns))
        if heard is not None:
            heard(number, len(selection.traces))


def file_columns(trace: Trace) -> TraceColumns:
    """Returns a trace from its file as the columns that `read_trace_columns` reads back from Neo4j."""
    graph = trace.graph
    ids = _unit_ids(trace, graph.node_kind, graph.node_layer, graph.node_unit)
    weight = graph.edge_weight.astype(np.float64)
    absolute_input = np.nan_to_num(graph.node_absolute_input.astype(np.float64))
    target = graph.edge_target.astype(np.int64)
    return TraceColumns(
        trace_id=trace.metadata.trace_id,
        unit=ids,
        is_feature=graph.node_kind == NodeKind.FEATURE,
        is_active=graph.node_silent == 0,
        position=graph.node_position.astype(np.int64),
        activation=graph.node_activation.astype(np.float64),
        influence=graph.node_influence.astype(np.float64),
        edge_source=graph.edge_source.astype(np.int64),
        edge_target=target,
        edge_port=graph.edge_port,
        edge_weight=weight,
        edge_share=shares(weight, absolute_input[target]),
        edge_influence=graph.edge_influence.astype(np.float64),
    )


def fired_features(trace: Trace) -> FiredFeatures:
    """Returns every feature that fired at every position, traced or not."""
    graph = trace.graph
    kind = np.full(len(graph.active_unit), NodeKind.FEATURE, dtype=np.uint8)
    return FiredFeatures(
        unit=_unit_ids(trace, kind, graph.active_layer, graph.active_unit),
        position=graph.active_position.astype(np.int64),
        activation=graph.active_value.astype(np.float64),
    )


def _unit_ids(trace: Trace, kind: np.ndarray, layer: np.ndarray, unit: np.ndarray) -> tuple[str, ...]:
    keys = np.stack([kind.astype(np.int64), layer.astype(np.int64), unit.astype(np.int64)], axis=1)
    unique, place = np.unique(keys, axis=0, return_inverse=True)
    ids = [trace.unit_id(NodeKind(each), at, number) for each, at, number in unique.tolist()]
    return tuple(ids[number] for number in place.reshape(-1).tolist())


def _with_node(columns: TraceColumns) -> FiredFeatures:
    place = np.flatnonzero(columns.is_feature & columns.is_active)
    return FiredFeatures(
        unit=tuple(columns.unit[number] for number in place.tolist()),
        position=columns.position[place],
        activation=columns.activation[place],
    )
