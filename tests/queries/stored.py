"""Putting synthetic traces into the database and the store, as a worker would."""

from collections.abc import Iterable

from neo4j import Driver

from circuitbase.graph.trace import Trace
from circuitbase.ingest.prompt_sets import SetPrompt, put_prompts
from circuitbase.ingest.trace_writer import store_trace
from circuitbase.settings import Settings
from circuitbase.store.trace_store import TraceStore


def put_traces(driver: Driver, settings: Settings, prompt_set: str, traces: Iterable[Trace]) -> list[Trace]:
    """Puts the prompts into a set, writes the trace files and stores the traces."""
    found = list(traces)
    store, database = TraceStore(settings.store_url), settings.neo4j_database
    entries = [SetPrompt(trace.metadata.prompt_id, trace.metadata.prompt) for trace in found]
    put_prompts(driver, prompt_set, entries, database=database)
    for trace in found:
        store.save(trace)
        store_trace(driver, trace, database=database)
    return found
