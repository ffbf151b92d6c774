"""Structural motifs of a prompt set: how often each type is in its traces, and which instances recur."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from neo4j import Session

from circuitbase.errors import InputError
from circuitbase.graph.motifs.correction import Correction
from circuitbase.graph.motifs.counts import MIN_SIZE, motif_counts
from circuitbase.graph.motifs.edge_support import UnitGraph
from circuitbase.graph.motifs.enrichment import MotifEnrichment, MotifTotals, enrichment
from circuitbase.graph.motifs.motif_type import TYPES, Detail, MotifType, Shape
from circuitbase.graph.motifs.null_model import NullOptions, null_counts
from circuitbase.graph.motifs.recurring import Recurring, matching_types, recurring_motifs
from circuitbase.graph.motifs.recurring_fans import recurring_fans
from circuitbase.queries.circuit import least_traces
from circuitbase.queries.rollup_choice import ChosenRollup
from circuitbase.queries.unit_graphs import Progress, no_progress, summed_trace_ids, unit_graphs

MAX_TRACES = 200


@dataclass(frozen=True)
class SetMotifs:
    """The motifs of a rollup against the null model, over `traces` of its traces.

    `moved_share` is the share of a sample's edges that the traces lack, on average.
    """

    rollup: ChosenRollup
    traces: int
    options: NullOptions
    correction: Correction
    moved_share: float
    types: tuple[MotifEnrichment, ...]


def set_motifs(
    session: Session,
    rollup: ChosenRollup,
    *,
    options: NullOptions = NullOptions(),  # noqa: B008  # frozen
    min_size: int = MIN_SIZE,
    detail: Detail = "full",
    correction: Correction = "benjamini-hochberg",
    max_traces: int = MAX_TRACES,
    progress: Progress = no_progress,
) -> SetMotifs:
    """Returns the types of motifs in a rollup's traces, at most `max_traces` of them, drawn by the seed.

    The statistic of a type is its count summed over traces; every trace is randomised by itself, and the samples are
    summed as they are drawn. Reads one trace at a time. Raises InputError for options out of range.
    """
    options.check()
    chosen = drawn(summed_trace_ids(session, rollup), most=max_traces, seed=options.seed)
    totals = motif_totals(session, chosen, options=options, min_size=min_size, progress=progress)
    return SetMotifs(
        rollup=rollup,
        traces=len(chosen),
        options=options,
        correction=correction,
        moved_share=totals.moved / max(1, totals.edges),
        types=enrichment(totals, detail=detail, correction=correction),
    )


def motif_totals(
    session: Session,
    traces: Sequence[str],
    *,
    options: NullOptions,
    min_size: int = MIN_SIZE,
    progress: Progress = no_progress,
) -> MotifTotals:
    """Returns the counts over some traces, and over as many joint samples as the options say."""
    count, traces_with = (np.zeros(len(TYPES), dtype=np.int64) for _ in range(2))
    null = np.zeros((len(TYPES), options.samples), dtype=np.int64)
    edges, moved = 0, 0.0
    for found in unit_graphs(session, traces, doing="randomised", progress=progress):
        here = motif_counts(found.graph, min_size=min_size)
        count += here
        traces_with += here > 0
        samples = null_counts(found.graph, options=options, trace_id=found.trace_id, min_size=min_size)
        null += samples.counts
        edges, moved = edges + found.graph.n_edges, moved + samples.moved
    return MotifTotals(len(traces), count=count, null=null, traces_with=traces_with, edges=edges, moved=moved)


def set_instances(
    session: Session,
    rollup: ChosenRollup,
    wanted: MotifType,
    *,
    min_presence: float,
    top: int = 20,
    min_size: int = MIN_SIZE,
    progress: Progress = no_progress,
) -> Recurring:
    """Returns the instances of a type that are in at least a fraction of a rollup's traces, best supported first.

    Reads every trace twice, one at a time. Raises InputError for a presence outside [0, 1].
    """
    least = least_traces(rollup.traces, min_presence=min_presence)
    traces, passes = summed_trace_ids(session, rollup), iter(("edges", "instances"))

    def graphs() -> Iterator[UnitGraph]:
        return unit_graphs(session, traces, doing=next(passes), progress=progress)

    if wanted.shape.is_fan:
        return recurring_fans(graphs, wanted, least=least, top=top, min_size=min_size)
    return recurring_motifs(graphs, wanted, least=least, top=top)


def drawn(traces: Sequence[str], *, most: int, seed: int) -> list[str]:
    """Returns at most so many traces in their order, drawn by a seed; raises InputError for a number below 1."""
    if most < 1:
        raise InputError(f"at least 1 trace is needed, got a maximum of {most}")
    if len(traces) <= most:
        return list(traces)
    places = np.random.default_rng(seed).choice(len(traces), size=most, replace=False)
    return [traces[place] for place in sorted(places.tolist())]


def parsed_type(text: str) -> MotifType:
    """Returns the type that a text such as `chain`, `chain:++` or `chain:++:so` names, in part or whole.

    Raises InputError that says what there is.
    """
    name, *parts = text.split(":")
    if name not in list(Shape):
        raise InputError(f"there is no motif {name!r}; there are: {', '.join(shape.value for shape in Shape)}")
    signs = next((part for part in parts if set(part) <= set("+-")), None)
    positions = next((part for part in parts if set(part) <= set("so")), None)
    wanted = MotifType(Shape(name), signs, positions)
    if not matching_types(wanted) or len(parts) != (signs is not None) + (positions is not None):
        known = [type.name for type in TYPES if type.shape == wanted.shape]
        raise InputError(f"there is no motif {text!r}; of this shape there are: {' '.join(known)}, and parts of these")
    return wanted
