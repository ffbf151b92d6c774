"""Reads a contrast of two sets, or of two values of a label, from sums or over single traces."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from circuitbase.cli.reading import reading_session
from circuitbase.cli.reading_bar import reading_bar_of
from circuitbase.cli.unit_view import UnitView, sums_in_view, view_of
from circuitbase.settings import Settings

if TYPE_CHECKING:
    from neo4j import Session

    from circuitbase.queries.contrast import Contrast
    from circuitbase.queries.contrast_over_traces import TraceContrast
    from circuitbase.queries.selection import Selection


@dataclass(frozen=True)
class AskedContrast:
    """What the options of `contrast` say; `split` is (label, first value, second value)."""

    first: str
    second: str | None
    split: tuple[str, Any, Any] | None
    labels: dict[str, Any]
    by_role: bool
    supernodes: bool
    most_traces: int
    min_presence: float
    configuration: str | None
    permutations: int
    seed: int
    match_length: bool

    @property
    def sets(self) -> tuple[str, ...]:
        """Returns the names of the sets."""
        return (self.first,) if self.second is None else (self.first, self.second)


def compared(settings: Settings, asked: AskedContrast) -> "tuple[Contrast, dict[str, str]]":
    """Returns a contrast from sums, those of the database where they answer, and labels of its units."""
    from circuitbase.queries.contrast import contrast, contrast_of_sums
    from circuitbase.queries.rollup_choice import choose_two_rollups
    from circuitbase.queries.token_labels import labels_with_roles
    from circuitbase.store.trace_store import TraceStore

    store = TraceStore(settings.store_url)
    with reading_session(settings, *asked.sets) as (_, session):
        view = _view(session, asked)
        if asked.second is not None and not asked.labels and view.is_plain:
            chosen = choose_two_rollups(session, asked.first, asked.second, configuration=asked.configuration)
            found = contrast(session, *chosen, min_presence=asked.min_presence)
        else:
            sums = []
            for selection in _selections(session, asked):
                with reading_bar_of(f"summing {selection.name}") as heard:
                    most = asked.most_traces
                    made, _ = sums_in_view(session, store, selection, view, heard=heard, most_traces=most)
                sums.append((selection, made))
            found = contrast_of_sums(session, sums[0], sums[1], min_presence=asked.min_presence)
        ends = [end for edge in found.edges for end in (edge.source, edge.target)]
        labels = labels_with_roles(session, [*(unit.id for unit in found.units), *ends])
        return found, {**labels, **(view.labels or {})}


def tested(settings: Settings, asked: AskedContrast) -> "tuple[TraceContrast, dict[str, str]]":
    """Returns a tested contrast and labels of its units."""
    from circuitbase.queries.contrast_over_traces import ContrastTest, contrast_over_traces
    from circuitbase.queries.token_labels import labels_with_roles
    from circuitbase.store.trace_store import TraceStore

    options = ContrastTest(
        min_presence=asked.min_presence,
        permutations=asked.permutations,
        seed=asked.seed,
        match_length=asked.match_length,
        most_traces=asked.most_traces,
    )
    with reading_session(settings, *asked.sets) as (_, session), reading_bar_of("reading traces") as heard:
        view = _view(session, asked)
        found = contrast_over_traces(
            session,
            TraceStore(settings.store_url),
            *_selections(session, asked),
            options=options,
            relabelling=view.relabelling,
            heard=heard,
        )
        ends = [end for edge in found.edges for end in (edge.source, edge.target)]
        return found, {**labels_with_roles(session, ends), **(view.labels or {})}


def _view(session: "Session", asked: AskedContrast) -> UnitView:
    return view_of(
        session,
        asked.first,
        by_role=asked.by_role,
        supernodes=asked.supernodes,
        configuration=asked.configuration,
    )


def _selections(session: "Session", asked: AskedContrast) -> "tuple[Selection, Selection]":
    from circuitbase.queries.rollup_choice import choose_rollup, choose_two_rollups
    from circuitbase.queries.selection import labelled, whole_set

    if asked.second is not None:
        rollups = choose_two_rollups(session, asked.first, asked.second, configuration=asked.configuration)
        first, second = (whole_set(session, each) for each in rollups)
        return (labelled(first, **asked.labels), labelled(second, **asked.labels)) if asked.labels else (first, second)
    assert asked.split is not None
    name, *values = asked.split
    whole = whole_set(session, choose_rollup(session, asked.first, configuration=asked.configuration))
    first, second = (labelled(whole, **{**asked.labels, name: value}) for value in values)
    return first, second
