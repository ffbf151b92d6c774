"""Storing planted traces in two sets, one for each label, and rolling them up."""

import time
from itertools import islice

from neo4j import Driver

from circuitbase.evaluation.planted_database import PlantedDatabase, PlantedTrace
from circuitbase.evaluation.planted_truth import LABELS
from circuitbase.ingest.prompt_sets import SetPrompt, put_prompts
from circuitbase.ingest.trace_writer import store_trace
from circuitbase.queries.rollup import roll_up
from circuitbase.store.trace_store import TraceStore

AT_ONCE = 100


def put_planted(
    driver: Driver, store: TraceStore, planted: PlantedDatabase, *, first: int, traces: int, database: str
) -> float:
    """Stores traces, a few in memory at a time, and returns the seconds that the rollup of all of them took."""
    found = islice(planted.traces(first=first), traces)
    while part := list(islice(found, AT_ONCE)):
        for label in LABELS:
            entries = [_entry(each) for each in part if each.label == label]
            put_prompts(driver, label, entries, database=database)
        for each in part:
            store.save(each.trace)
            store_trace(driver, each.trace, database=database)
    begun = time.perf_counter()
    roll_up(driver, store=store, prompt_set=None, database=database)
    return time.perf_counter() - begun


def _entry(each: PlantedTrace) -> SetPrompt:
    metadata = each.trace.metadata
    return SetPrompt(metadata.prompt_id, metadata.prompt, cluster=each.cluster, labels={"side": each.label})
