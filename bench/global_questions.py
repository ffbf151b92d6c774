"""The questions that should cost the size of their answer: a global circuit, a contrast from sums, a search."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from neo4j import Driver

from circuitbase.evaluation.planted_truth import LABELS
from circuitbase.queries.circuit import global_circuit
from circuitbase.queries.circuit_paths import path_support
from circuitbase.queries.contrast import contrast
from circuitbase.queries.library import load
from circuitbase.queries.rollup_choice import choose_two_rollups
from circuitbase.queries.selection import part_of_set
from circuitbase.store.trace_store import TraceStore

MOST_UNITS, MOST_EDGES, PATH_EDGES = 200, 500, 100
PROMPTS = 20  # about so many use the feature that is searched
WARM_UP = 3

# A feature with the number of prompts nearest to what is asked, so that the answers are equally large.
_FEATURE = """
MATCH (unit:Feature)
WITH unit, COUNT { (:Prompt)-[:ACTIVATES]->(unit) } AS prompts
RETURN unit.id AS id ORDER BY abs(prompts - $prompts), id LIMIT 1
"""


@dataclass(frozen=True)
class Question:
    """The median time of a question, warm, and the rows of its answer; `told` without a goal."""

    name: str
    seconds: float
    answer: int
    told: bool = False


def questions(driver: Driver, store: TraceStore, *, sample: int, repeats: int, database: str) -> list[Question]:
    """Asks each question again and again; path support looks at `sample` traces."""
    with driver.session(database=database, default_access_mode="READ") as session:
        first, second = choose_two_rollups(session, *LABELS, configuration=None)
        feature = session.run(_FEATURE, prompts=PROMPTS).single(strict=True)["id"]
        search = load("feature-prompts")

        def circuit() -> int:
            found = global_circuit(session, first, max_units=MOST_UNITS, max_edges=MOST_EDGES)
            return len(found.units) + len(found.edges)

        circuit_edges = global_circuit(session, first, max_units=MOST_UNITS, max_edges=PATH_EDGES).edges
        edges = [(edge.source, edge.target, edge.port) for edge in circuit_edges]

        def paths() -> int:
            selection = part_of_set(session, first, most_traces=sample)
            return path_support(session, store, selection, edges, most_traces=sample).paths

        def contrasted() -> int:
            found = contrast(session, first, second)
            return len(found.units) + len(found.edges)

        def searched() -> int:
            return len(session.run(search.text, search.arguments({"feature": feature, "limit": PROMPTS})).data())

        return [
            _asked("global circuit", circuit, repeats=repeats),
            _asked(f"path support over {sample:,} traces", paths, repeats=repeats),
            _asked("contrast from sums", contrasted, repeats=repeats),
            _asked("search: prompts of a feature", searched, repeats=repeats),
        ]


def _asked(name: str, question: Callable[[], Any], *, repeats: int) -> Question:
    for _ in range(WARM_UP):
        answer = question()
    seconds = []
    for _ in range(repeats):
        begun = time.perf_counter()
        answer = question()
        seconds.append(time.perf_counter() - begun)
    return Question(name, median(seconds), answer)
