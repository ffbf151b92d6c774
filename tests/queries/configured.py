"""One prompt set under several configurations: the same synthetic prompts, traced with other options."""

from dataclasses import replace

from neo4j import Driver

from circuitbase.graph.trace import Trace
from circuitbase.ingest.migrations import migrate
from circuitbase.queries.rollup import roll_up
from circuitbase.settings import Settings
from circuitbase.store.trace_store import TraceStore
from circuitbase.tracing.options import TraceOptions
from tests.queries.stored import put_traces
from tests.synthetic import synthetic_traces

STRICTER = TraceOptions(node_threshold=0.5)
CAPPED = TraceOptions(max_features=9)


def loose(n: int = 4) -> list[Trace]:
    """Returns traces under the default options."""
    return synthetic_traces(n)


def strict(n: int = 4) -> list[Trace]:
    """Returns traces of the same prompts whose edges are a part of those of `loose`."""
    return synthetic_traces(n, options=STRICTER, edge_probability=0.3)


def capped(n: int = 4) -> list[Trace]:
    """Returns traces of the same prompts with the same nodes and other edges."""
    traces = synthetic_traces(n, options=CAPPED, edge_probability=0.3)
    reversed_draws = synthetic_traces(n, options=CAPPED, edge_probability=0.4)
    return [*traces[: n // 2], *reversed_draws[n // 2 :]]


def under_another_dictionary(traces: list[Trace]) -> list[Trace]:
    """Returns the traces as if their features were of a dictionary with other weights."""
    found = []
    for trace in traces:
        assert trace.metadata.dictionary is not None
        other = replace(trace.metadata.dictionary, digest="12" * 32)
        found.append(replace(trace, metadata=replace(trace.metadata, dictionary=other)))
    return found


def put_configurations(driver: Driver, settings: Settings, name: str, *traces: list[Trace]) -> None:
    """Stores lists of traces, each under a configuration of its own, in one set, and sums them."""
    migrate(driver, database="neo4j")
    for each in traces:
        put_traces(driver, settings, name, each)
    roll_up(driver, store=TraceStore(settings.store_url), prompt_set=None, database="neo4j")
