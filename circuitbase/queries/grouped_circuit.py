"""Sums over supernodes instead of features, for circuits and contrasts."""

from collections.abc import Iterator, Sequence

from neo4j import Session

from circuitbase.queries.grouped_sums import GroupedSums, grouped_sums
from circuitbase.queries.rollup_sums import ActiveFeatures
from circuitbase.queries.selection import Selection
from circuitbase.queries.selection_sums import MOST_TRACES, check_size
from circuitbase.queries.supernode_storing import StoredSupernode
from circuitbase.queries.trace_columns import TraceColumns
from circuitbase.queries.trace_streaming import Heard, streamed_traces
from circuitbase.store.trace_store import TraceStore


def group_of(stored: Sequence[StoredSupernode]) -> dict[str, str]:
    """Returns unit id -> id of the supernode that holds it."""
    return {unit: each.id for each in stored for unit in each.members}


def sums_over_groups(
    session: Session,
    store: TraceStore,
    selection: Selection,
    stored: Sequence[StoredSupernode],
    *,
    heard: Heard | None = None,
    most_traces: int = MOST_TRACES,
) -> GroupedSums:
    """Returns a selection's sums over supernodes; raises InputError for more than `most_traces`."""
    check_size(selection, most_traces=most_traces)

    def traces() -> Iterator[tuple[TraceColumns, ActiveFeatures]]:
        for streamed in streamed_traces(session, store, selection, heard=heard):
            yield streamed.relabelled(None)

    return grouped_sums(traces(), group_of(stored))
