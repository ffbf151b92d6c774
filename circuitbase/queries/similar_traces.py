"""Traces that use the same circuit: near a trace, in clusters, and from set to set (shared influence)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from neo4j import Session

from circuitbase.errors import InputError
from circuitbase.graph.shared_influence import (
    Clusters,
    InfluenceMatrix,
    clusters_of,
    likeness,
    minimum_sums,
)
from circuitbase.queries.intervals import Interval, wilson
from circuitbase.queries.observed_edges import Edge
from circuitbase.queries.relabelling import Relabelling
from circuitbase.queries.selection import SelectedTrace, Selection
from circuitbase.queries.trace_streaming import Heard, StreamedTrace, streamed_traces
from circuitbase.queries.unit_facts import UnitFacts, unit_facts
from circuitbase.store.trace_store import TraceStore

MOST_COMPARED = 5_000  # a matrix of so many by so many likenesses takes 200 MB

_PROMPTS = """
UNWIND $traces AS id
MATCH (:Trace {id: id})-[:OF_PROMPT]->(prompt:Prompt)
RETURN id AS trace, coalesce(prompt.text, reduce(text = '', token IN prompt.tokens | text + token)) AS text
"""


@dataclass(frozen=True)
class TraceInfluence:
    """Each trace's influence along each unit edge, as a share of the trace's whole: rows sum to 1."""

    selection: Selection
    edges: tuple[Edge, ...]
    influence: InfluenceMatrix


@dataclass(frozen=True)
class NearTrace:
    """A trace with its likeness to another (weighted Jaccard index of influence, 0 to 1)."""

    trace: SelectedTrace
    text: str
    likeness: float


@dataclass(frozen=True)
class Distinction:
    """An edge that a cluster has more often than the rest; `effect` is the difference of mean influence shares."""

    edge: Edge
    source_facts: UnitFacts
    target_facts: UnitFacts
    inside: Interval
    outside: Interval
    effect: float


@dataclass(frozen=True)
class TraceCluster:
    """One cluster: its traces, what it has that the others lack, and how its prompts' labels are spread."""

    traces: tuple[SelectedTrace, ...]
    texts: tuple[str, ...]
    likeness_inside: float
    distinctions: tuple[Distinction, ...]


@dataclass(frozen=True)
class ClusteredTraces:
    """The clusters of a selection, largest first; `silhouette` is 0 where there is one."""

    selection: Selection
    clusters: tuple[TraceCluster, ...]
    silhouette: float


def trace_influence(
    session: Session,
    store: TraceStore,
    selection: Selection,
    *,
    relabelling: Relabelling | None = None,
    heard: Heard | None = None,
) -> TraceInfluence:
    """Returns the influence of every trace of a selection; raises InputError for more than can be compared."""
    if len(selection.traces) > MOST_COMPARED:
        raise InputError(
            f"{selection.name} has {len(selection.traces):,} traces, and at most {MOST_COMPARED:,} are compared with "
            "each other; choose some with --where or --traces"
        )
    place: dict[Edge, int] = {}
    rows = [_row(streamed, place, relabelling) for streamed in streamed_traces(session, store, selection, heard=heard)]
    indptr = np.concatenate([[0], np.cumsum([len(columns) for columns, _ in rows])])
    columns = np.concatenate([columns for columns, _ in rows]) if rows else np.zeros(0, dtype=np.int64)
    values = np.concatenate([values for _, values in rows]) if rows else np.zeros(0)
    matrix = InfluenceMatrix((values, columns, indptr), shape=(len(rows), max(1, len(place))))
    matrix.sort_indices()
    return TraceInfluence(selection, tuple(place), matrix)


def near_traces(session: Session, found: TraceInfluence, trace_id: str, *, most: int) -> list[NearTrace]:
    """Returns the traces most like one of the selection, itself left out; raises InputError if it is not in it."""
    ids = [trace.id for trace in found.selection.traces]
    if trace_id not in ids:
        raise InputError(f"trace {trace_id[:12]} is not among the traces of {found.selection.name}; name one of them")
    row = ids.index(trace_id)
    total = np.asarray(found.influence.sum(axis=1)).ravel()
    least = minimum_sums(found.influence, row)
    union = total + total[row] - least
    alike = np.divide(least, union, out=np.zeros(len(ids)), where=union > 0)
    order = [number for number in np.argsort(-alike, kind="stable").tolist() if number != row][:most]
    texts = _texts(session, [ids[number] for number in order])
    return [NearTrace(found.selection.traces[number], texts[ids[number]], float(alike[number])) for number in order]


def clustered(session: Session, found: TraceInfluence, *, number: int | None, most: int) -> ClusteredTraces:
    """Returns clusters of traces, so many or as many as tell themselves apart, each with `most` distinctions."""
    if number is not None and not 1 <= number <= len(found.selection.traces):
        raise InputError(
            f"{found.selection.name} has {len(found.selection.traces)} traces, so it can be parted into 1 to "
            f"{len(found.selection.traces)} clusters, got {number}"
        )
    alike = likeness(found.influence)
    parted = clusters_of(alike, number=number)
    texts = _texts(session, [trace.id for trace in found.selection.traces])
    return ClusteredTraces(
        selection=found.selection,
        clusters=tuple(
            _cluster(session, found, parted, which, alike, texts, most=most) for which in range(parted.number)
        ),
        silhouette=parted.silhouette,
    )


def overlap(sets: Sequence[TraceInfluence]) -> Float64[np.ndarray, "set set"]:
    """Returns how much influence every two sets share: Σ min / Σ max of their mean influences per edge."""
    edges = {edge: number for number, edge in enumerate(dict.fromkeys(e for found in sets for e in found.edges))}
    means = np.zeros((len(sets), max(1, len(edges))))
    for row, found in enumerate(sets):
        if found.edges:
            columns = [edges[edge] for edge in found.edges]
            means[row, columns] = np.asarray(found.influence.mean(axis=0)).ravel()[: len(columns)]
    return likeness(InfluenceMatrix(means))


def _row(
    streamed: StreamedTrace, place: dict[Edge, int], relabelling: Relabelling | None
) -> tuple[np.ndarray, np.ndarray]:
    columns, _ = streamed.relabelled(relabelling)
    ends = zip(columns.edge_source.tolist(), columns.edge_target.tolist(), columns.edge_port.tolist(), strict=True)
    number = np.array(
        [place.setdefault((columns.unit[a], columns.unit[b], port), len(place)) for a, b, port in ends], dtype=np.int64
    )
    found, row = np.unique(number, return_inverse=True)
    values = np.bincount(row.reshape(-1), weights=columns.edge_influence, minlength=len(found)).astype(np.float64)
    total = values.sum()
    return found, values / total if total > 0 else values


def _cluster(
    session: Session,
    found: TraceInfluence,
    parted: Clusters,
    which: int,
    alike: np.ndarray,
    texts: dict[str, str],
    *,
    most: int,
) -> TraceCluster:
    rows = np.flatnonzero(parted.cluster == which)
    traces = tuple(found.selection.traces[row] for row in rows.tolist())
    inside = alike[np.ix_(rows, rows)]
    pairs = len(rows) * (len(rows) - 1)
    return TraceCluster(
        traces=traces,
        texts=tuple(texts[trace.id] for trace in traces),
        likeness_inside=float((inside.sum() - len(rows)) / pairs) if pairs else 1.0,
        distinctions=_distinctions(session, found, parted.cluster == which, most=most) if parted.number > 1 else (),
    )


def _distinctions(session: Session, found: TraceInfluence, chosen: np.ndarray, *, most: int) -> tuple[Distinction, ...]:
    there = found.influence.copy()
    there.data = np.ones_like(there.data)
    inside, outside = (np.asarray(there[side].sum(axis=0)).ravel() for side in (chosen, ~chosen))
    means = [np.asarray(found.influence[side].mean(axis=0)).ravel() for side in (chosen, ~chosen)]
    effect = means[0] - means[1]
    order = [number for number in np.argsort(-effect, kind="stable").tolist() if effect[number] > 0][:most]
    facts = unit_facts(session, [end for number in order for end in found.edges[number][:2]])
    return tuple(
        Distinction(
            edge=found.edges[number],
            source_facts=facts[found.edges[number][0]],
            target_facts=facts[found.edges[number][1]],
            inside=wilson(int(inside[number]), int(chosen.sum())),
            outside=wilson(int(outside[number]), int((~chosen).sum())),
            effect=float(effect[number]),
        )
        for number in order
    )


def _texts(session: Session, traces: list[str]) -> dict[str, str]:
    return {row["trace"]: row["text"] for row in session.run(_PROMPTS, traces=traces).data()}
