"""Reads a global circuit with everything that was asked for beside it: paths, intervals, coverage."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import click

from circuitbase.cli.reading import reading_session
from circuitbase.cli.reading_bar import reading_bar_of
from circuitbase.cli.selecting import selection_of
from circuitbase.cli.unit_view import UnitView, sums_in_view, supernode_rows, view_of
from circuitbase.settings import Settings

if TYPE_CHECKING:
    from neo4j import Driver, Session

    from circuitbase.evaluation.completed_edges import CompletedEdge
    from circuitbase.graph.coverage import Coverage
    from circuitbase.queries.circuit import GlobalCircuit
    from circuitbase.queries.circuit_paths import PathSupport
    from circuitbase.queries.circuit_reliability import EdgeIntervals, SplitHalf
    from circuitbase.queries.grouped_sums import InnerSums
    from circuitbase.queries.rollup_sums import RollupSums
    from circuitbase.queries.selection import Selection
    from circuitbase.store.trace_store import TraceStore

SAMPLED_TRACES = 100  # whose paths are looked at unless all are asked for: the cost stays that of the answer
CANDIDATE_SHARE = 0.5  # of the minimum presence, from which edges take part in comparing halves


@dataclass(frozen=True)
class Asked:
    """What the options of `circuit` say; `shown_edges` are those whose paths and intervals are looked at."""

    prompt_set: str | None
    cypher: str | None
    labels: dict[str, Any]
    by_role: bool
    supernodes: bool
    most_traces: int
    min_presence: float
    by: Literal["influence", "share"]
    most_units: int
    most_edges: int
    shown_edges: int
    configuration: str | None
    bootstrap: int | None
    coverage: bool
    complete: tuple[str, str] | None
    all_paths: bool
    save_as: str | None


@dataclass(frozen=True)
class ReadCircuit:
    """A circuit, labels of its units, and what was asked for beside it."""

    circuit: "GlobalCircuit"
    labels: dict[str, str]
    paths: "PathSupport"
    intervals: "tuple[EdgeIntervals, ...]"
    coverage: "Coverage | None"
    halves: "SplitHalf | None"
    completed: "tuple[CompletedEdge, ...]" = ()
    supernodes: tuple[dict[str, Any], ...] = ()


def read_circuit(settings: Settings, asked: Asked) -> ReadCircuit:
    """Returns the circuit of a set from its sums, or of other traces one by one."""
    sets = [asked.prompt_set] if asked.prompt_set else []
    from circuitbase.store.trace_store import TraceStore

    store = TraceStore(settings.store_url)
    with reading_session(settings, *sets) as (driver, session):
        view = view_of(
            session,
            None if asked.cypher else asked.prompt_set,
            by_role=asked.by_role,
            supernodes=asked.supernodes,
            configuration=asked.configuration,
        )
        if asked.cypher is None and not asked.labels and view.is_plain:
            return _of_rollup(driver, session, store, asked, settings)
        return _on_the_fly(driver, session, store, asked, settings, view)


def _of_rollup(
    driver: "Driver", session: "Session", store: "TraceStore", asked: Asked, settings: Settings
) -> ReadCircuit:
    from circuitbase.queries.circuit import global_circuit
    from circuitbase.queries.rollup_choice import choose_rollup
    from circuitbase.queries.selection import part_of_set, whole_set

    assert asked.prompt_set is not None
    chosen = choose_rollup(session, asked.prompt_set, configuration=asked.configuration)
    found = global_circuit(
        session,
        chosen,
        min_presence=asked.min_presence,
        by=asked.by,
        max_units=asked.most_units,
        max_edges=asked.most_edges,
    )
    reads_all = asked.all_paths or asked.bootstrap or asked.coverage or asked.complete or asked.save_as
    selection = whole_set(session, chosen) if reads_all else part_of_set(session, chosen, most_traces=SAMPLED_TRACES)
    sums = _sums(session, store, selection, asked, UnitView())[0] if asked.coverage else None
    return _with_the_rest(driver, session, store, asked, settings, found, selection, sums, UnitView())


def _on_the_fly(
    driver: "Driver", session: "Session", store: "TraceStore", asked: Asked, settings: Settings, view: UnitView
) -> ReadCircuit:
    from circuitbase.queries.circuit import circuit_of_sums
    from circuitbase.queries.selection import as_chosen

    selection = selection_of(
        driver,
        session,
        asked.prompt_set,
        cypher=asked.cypher,
        configuration=asked.configuration,
        labels=asked.labels,
        database=settings.neo4j_database,
    )
    sums, inner = _sums(session, store, selection, asked, view)
    found = circuit_of_sums(
        session,
        sums,
        as_chosen(selection),
        min_presence=asked.min_presence,
        by=asked.by,
        max_units=asked.most_units,
        max_edges=asked.most_edges,
    )
    read = _with_the_rest(driver, session, store, asked, settings, found, selection, sums, view)
    return replace(read, supernodes=supernode_rows(view, inner))


def _sums(
    session: "Session", store: "TraceStore", selection: "Selection", asked: Asked, view: UnitView
) -> "tuple[RollupSums, Mapping[str, InnerSums]]":
    with reading_bar_of("summing traces") as heard:
        return sums_in_view(session, store, selection, view, heard=heard, most_traces=asked.most_traces)


def _with_the_rest(  # what both ways of reading a circuit have come to
    driver: "Driver",
    session: "Session",
    store: "TraceStore",
    asked: Asked,
    settings: Settings,
    found: "GlobalCircuit",
    selection: "Selection",
    sums: "RollupSums | None",
    view: UnitView,
) -> ReadCircuit:
    from circuitbase.queries.circuit_paths import path_support
    from circuitbase.queries.circuit_reliability import coverage_of, edge_intervals, split_half
    from circuitbase.queries.observed_edges import observed_edges
    from circuitbase.queries.token_labels import labels_with_roles

    relabelling = view.relabelling
    shown = [(edge.source, edge.target, edge.port) for edge in found.edges[: asked.shown_edges]]
    with reading_bar_of("following paths") as heard:
        paths = path_support(
            session,
            store,
            selection,
            shown,
            most_traces=None if asked.all_paths else SAMPLED_TRACES,
            relabelling=relabelling,
            heard=heard,
        )
    intervals: tuple[EdgeIntervals, ...] = ()
    coverage, halves = None, None
    if asked.bootstrap and shown:
        with reading_bar_of("reading edges") as heard:
            seen = observed_edges(session, store, selection, shown, relabelling=relabelling, heard=heard)
        intervals = edge_intervals(seen, selection.clusters, samples=asked.bootstrap)
    if asked.coverage:
        assert sums is not None
        coverage = coverage_of(sums, traces=len(selection.traces))
        candidates = _candidates(sums, traces=len(selection.traces), min_presence=asked.min_presence)
        with reading_bar_of("comparing halves") as heard:
            seen = observed_edges(session, store, selection, candidates, relabelling=relabelling, heard=heard)
        halves = split_half(seen, selection.clusters, min_presence=asked.min_presence)
    completed = _completed(store, selection, shown, asked.complete) if asked.complete else ()
    if asked.save_as:
        _save(driver, selection, asked.save_as, settings)
    ends = [end for edge in found.edges for end in (edge.source, edge.target)]
    labels = {**labels_with_roles(session, [*(unit.id for unit in found.units), *ends]), **(view.labels or {})}
    return ReadCircuit(found, labels, paths, intervals, coverage, halves, completed)


def _completed(
    store: "TraceStore", selection: "Selection", shown: list[tuple[str, str, int]], places: tuple[str, str]
) -> "tuple[CompletedEdge, ...]":
    from circuitbase.cli.models import resolve_dictionary, resolve_model
    from circuitbase.evaluation.completed_edges import completed_edges
    from circuitbase.tracing.dictionaries import load_dictionary
    from circuitbase.tracing.models import load_model

    model = load_model(resolve_model(places[0]))
    dictionary = load_dictionary(resolve_dictionary(places[1]), model=model)
    with reading_bar_of("measuring edges again") as heard:
        return completed_edges(store, selection, shown, model=model, dictionary=dictionary, heard=heard)


def _candidates(sums: "RollupSums", *, traces: int, min_presence: float) -> list[tuple[str, str, int]]:
    import numpy as np

    from circuitbase.queries.circuit import least_traces

    ends = sums.edge_sums
    often = np.flatnonzero(ends.traces >= least_traces(traces, min_presence=CANDIDATE_SHARE * min_presence))
    return [(sums.units[ends.source[row]], sums.units[ends.target[row]], int(ends.port[row])) for row in often.tolist()]


def _save(driver: "Driver", selection: "Selection", name: str, settings: Settings) -> None:
    from circuitbase.queries.selection_saving import save_selection

    new = save_selection(driver, selection, name, database=settings.neo4j_database)
    click.echo(f"Put the prompts of {selection.name} into the set {name} ({new} of them new there).", err=True)
