"""Consensus over configurations: what of a prompt set's circuit holds under all of them, and what under some.

Only prompts that every configuration has traced count. Units compare by id, so of configurations with different
dictionaries no features or errors, but tokens, outputs and heads alone can hold under all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from neo4j import Session

from circuitbase.graph.consensus import PromptConsensus, edge_consensus, prompt_consensus
from circuitbase.queries.circuit import MIN_PRESENCE, least_traces
from circuitbase.queries.configuration_facts import ConfigurationFacts, configuration_facts
from circuitbase.queries.edge_counts import Counted, EdgeCounts
from circuitbase.queries.observed_edges import Edge, observed_edges
from circuitbase.queries.relabelling import Relabelling
from circuitbase.queries.selection import Selection
from circuitbase.queries.trace_streaming import Heard
from circuitbase.queries.unit_facts import unit_facts
from circuitbase.store.trace_store import TraceStore


@dataclass(frozen=True)
class ConsensusEdge:
    """An edge that holds under at least one configuration; the tuples have a value for each of them.

    `kept` is the mean presence: s(e), the fraction of configurations that keep the edge, averaged over prompts.
    `mean_influence` is the mean of each configuration's mean over its traces. `signs` has +, - or . (absent) for each,
    of the mean weight.
    """

    edge: Edge
    source_name: str
    target_name: str
    traces: tuple[int, ...]
    presence: tuple[float, ...]
    holds: tuple[bool, ...]
    kept: float
    mean_influence: float
    signs: str


@dataclass(frozen=True)
class Consensus:
    """Core edges, which hold under every configuration, and contingent ones; both by influence."""

    selections: tuple[Selection, ...]
    facts: tuple[ConfigurationFacts, ...]
    prompts: int
    min_presence: float
    core: tuple[ConsensusEdge, ...]
    contingent: tuple[ConsensusEdge, ...]


def consensus(
    session: Session,
    selections: Sequence[Selection],
    *,
    counts: Sequence[EdgeCounts],
    min_presence: float = MIN_PRESENCE,
) -> Consensus:
    """Returns what holds under all and under some of several configurations, over the same prompts.

    `counts` has the edges of each selection. Raises InputError for a presence outside [0, 1].
    """
    traces = np.array([len(each.traces) for each in selections], dtype=np.int64)
    least = np.array([least_traces(int(each), min_presence=min_presence) for each in traces], dtype=np.int64)
    often = [each.in_at_least(int(bound)) for each, bound in zip(counts, least, strict=True)]
    edges = sorted({edge for found in often for edge in found})
    counted = [
        found | each.of([edge for edge in edges if edge not in found])
        for found, each in zip(often, counts, strict=True)
    ]
    times = np.array([[_traces(found, edge) for found in counted] for edge in edges], dtype=np.int64)
    times = times.reshape(len(edges), len(selections))
    held = edge_consensus(times, traces, least)
    facts = unit_facts(session, {end for source, target, _ in edges for end in (source, target)})
    rows = []
    for number, edge in enumerate(edges):
        here = [found.get(edge) for found in counted]
        rows.append(
            ConsensusEdge(
                edge=edge,
                source_name=facts[edge[0]].name,
                target_name=facts[edge[1]].name,
                traces=tuple(int(count) for count in times[number]),
                presence=tuple(held.presence[number].tolist()),
                holds=tuple(held.holds[number].tolist()),
                kept=float(held.kept[number]),
                mean_influence=float(
                    np.mean([each.influence_sum / n if each else 0.0 for each, n in zip(here, traces, strict=True)])
                ),
                signs="".join(_sign(each) for each in here),
            )
        )
    return Consensus(
        selections=tuple(selections),
        facts=tuple(configuration_facts(session, [each.configuration for each in selections])),
        prompts=len({trace.prompt for trace in selections[0].traces}),
        min_presence=min_presence,
        core=_by_influence(rows, held.is_core),
        contingent=_by_influence(rows, held.is_contingent),
    )


def consensus_by_prompt(
    session: Session,
    store: TraceStore,
    selections: Sequence[Selection],
    edges: Sequence[Edge],
    *,
    relabelling: Relabelling | None = None,
    heard: Heard | None = None,
) -> PromptConsensus:
    """Returns how far configurations agree on some edges in each prompt; reads every trace."""
    place = {prompt: row for row, prompt in enumerate(sorted({trace.prompt for trace in selections[0].traces}))}
    keeps = np.zeros((len(selections), len(place), len(edges)), dtype=bool)
    for number, selection in enumerate(selections):
        seen = observed_edges(session, store, selection, edges, relabelling=relabelling, heard=heard)
        for row, trace in enumerate(selection.traces):
            keeps[number, place[trace.prompt]] |= seen.nodes[row] > 0
    return prompt_consensus(keeps)


def _by_influence(rows: Sequence[ConsensusEdge], chosen: Bool[np.ndarray, " edge"]) -> tuple[ConsensusEdge, ...]:
    found = [rows[number] for number in np.flatnonzero(chosen).tolist()]
    return tuple(sorted(found, key=lambda row: (-row.mean_influence, row.edge)))


def _traces(found: dict[Edge, Counted], edge: Edge) -> int:
    return found[edge].traces if edge in found else 0


def _sign(counted: Counted | None) -> str:
    if counted is None:
        return "."
    return "+" if counted.weight_sum > 0 else "-"
