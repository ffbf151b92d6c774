"""The features that fired in a trace, from its file: the database keeps only the strongest."""

from collections.abc import Sequence

from circuitbase.errors import StoreError
from circuitbase.graph.trace import Trace
from circuitbase.ingest.activations import feature_activations
from circuitbase.ingest.unit_rows import UnitRows, unit_rows
from circuitbase.queries.rollup_sums import ActiveFeatures
from circuitbase.store.trace_store import TraceStore


def missing_file(store: TraceStore, traces: Sequence[str]) -> StoreError:
    """Returns the error for traces whose files are gone, so that they can be neither added nor subtracted."""
    first = traces[0][:12]
    others = f" and of {len(traces) - 1} more" if len(traces) > 1 else ""
    return StoreError(
        f"the file of trace {first}{others} is not in the store {store.url}, and the sums of its prompt sets need "
        f"it; trace its prompt again, or run `circuitbase remove {first} --rebuild` to remove it and sum the rest anew"
    )


def active_features(trace: Trace) -> tuple[ActiveFeatures, UnitRows]:
    """Returns every feature that fired with the sum of its activations, and rows of all the trace's units."""
    everything = feature_activations(trace.graph, strongest=len(trace.graph.active_unit))
    units = unit_rows(trace, everything)
    return ActiveFeatures(unit=tuple(units.of_activation), activation=everything.total), units
