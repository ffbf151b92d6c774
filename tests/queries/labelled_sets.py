"""A stored set whose prompts have labels, clusters and roles, for results over single traces."""

from collections.abc import Sequence

from neo4j import Driver

from circuitbase.graph.trace import Trace
from circuitbase.ingest.migrations import migrate
from circuitbase.ingest.prompt_sets import SetPrompt, put_prompts
from circuitbase.ingest.trace_writer import store_trace
from circuitbase.queries.rollup import roll_up
from circuitbase.settings import Settings
from circuitbase.store.trace_store import TraceStore
from tests.synthetic import synthetic_traces

LANGUAGES = ("en", "fr")


def put_labelled(
    driver: Driver, settings: Settings, name: str, traces: Sequence[Trace], *, per_cluster: int = 2
) -> None:
    """Stores traces in a set: languages in turns, a cluster for every few, position 1 is the city, 2 the state."""
    migrate(driver, database="neo4j")
    store = TraceStore(settings.store_url)
    entries = [
        SetPrompt(
            trace.metadata.prompt_id,
            trace.metadata.prompt,
            roles={"city": [1], "state": [2]},
            cluster=f"cluster {number // per_cluster}",
            labels={"language": LANGUAGES[number % 2], "number": number},
        )
        for number, trace in enumerate(traces)
    ]
    put_prompts(driver, name, entries, database="neo4j")
    for trace in traces:
        store.save(trace)
        store_trace(driver, trace, database="neo4j")
    roll_up(driver, store=store, prompt_set=name, database="neo4j")


def labelled_traces(n: int = 8, *, first_seed: int = 0) -> list[Trace]:
    return synthetic_traces(n, first_seed=first_seed)
