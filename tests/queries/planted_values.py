"""What planted traces have of each unit edge, as arrays that need no database, and how to store them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from neo4j import Driver

from circuitbase.evaluation.planted_database import PlantedDatabase, PlantedTrace
from circuitbase.ingest.migrations import migrate
from circuitbase.ingest.prompt_sets import SetPrompt, put_prompts
from circuitbase.ingest.trace_writer import store_trace
from circuitbase.queries.observed_edges import Edge
from circuitbase.queries.rollup import roll_up
from circuitbase.queries.trace_streaming import file_columns
from circuitbase.settings import Settings
from circuitbase.store.trace_store import TraceStore


@dataclass(frozen=True)
class Observations:
    """Share per node of the target [trace, edge], with the label and the cluster of each trace."""

    edges: tuple[Edge, ...]
    share: np.ndarray
    is_first: np.ndarray
    clusters: np.ndarray


def put_planted(driver: Driver, settings: Settings, name: str, database: PlantedDatabase) -> list[PlantedTrace]:
    """Stores every trace in a set with its label and cluster, and sums them."""
    migrate(driver, database="neo4j")
    store, found = TraceStore(settings.store_url), list(database.traces())
    entries = [
        SetPrompt(
            each.trace.metadata.prompt_id,
            each.trace.metadata.prompt,
            cluster=each.cluster,
            labels={"side": each.label, "forms": " ".join(str(drawn.form) for drawn in each.drawn.mechanisms)},
        )
        for each in found
    ]
    put_prompts(driver, name, entries, database="neo4j")
    for each in found:
        store.save(each.trace)
        store_trace(driver, each.trace, database="neo4j")
    roll_up(driver, store=store, prompt_set=name, database="neo4j")
    return found


def presences(traces: Iterable[PlantedTrace]) -> Counter[Edge]:
    """Returns in how many traces each unit edge is."""
    found: Counter[Edge] = Counter()
    for each in traces:
        found.update(_shares(each).keys())
    return found


def observations(traces: Sequence[PlantedTrace], *, least: int) -> Observations:
    """Returns the edges that are in so many traces, blind to the labels."""
    rows = [_shares(each) for each in traces]
    times = Counter(edge for row in rows for edge in row)
    edges = tuple(sorted(edge for edge, number in times.items() if number >= least))
    share = np.array([[row.get(edge, 0.0) for edge in edges] for row in rows])
    return Observations(
        edges=edges,
        share=share,
        is_first=np.array([each.label == "A" for each in traces]),
        clusters=np.array([each.cluster for each in traces]),
    )


def _shares(each: PlantedTrace) -> dict[Edge, float]:
    columns = file_columns(each.trace)
    nodes = Counter(columns.unit)
    found: dict[Edge, float] = {}
    for source, target, share in zip(
        columns.edge_source.tolist(), columns.edge_target.tolist(), columns.edge_share.tolist(), strict=True
    ):
        edge = columns.unit[source], columns.unit[target], 0
        found[edge] = found.get(edge, 0.0) + share / nodes[edge[1]]
    return found
