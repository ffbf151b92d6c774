"""The subcircuits that the traces of a prompt set share, against a background set.

What can be an edge of one is read from the set's sums; the traces are then read once, one after the other, and of
each only such edges are kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from neo4j import Session

from circuitbase.errors import InputError
from circuitbase.graph.lift import Lift, lift, support
from circuitbase.graph.subcircuits import BUDGET, Subcircuit, SubcircuitSearch, shared_subcircuits
from circuitbase.graph.unit_edges import TraceEdges, UnitPair, unit_edges
from circuitbase.queries.circuit import MIN_PRESENCE, least_traces
from circuitbase.queries.grouped_edges import grouped_edges
from circuitbase.queries.rollup_choice import ChosenRollup
from circuitbase.queries.supernode_storing import StoredSupernode
from circuitbase.queries.trace_columns import TraceColumns
from circuitbase.queries.trace_stream import Progress, edges_of, frequent_pairs, no_progress, stream_traces, unit_names

TOKEN_KINDS = frozenset({"InputToken"})
ERROR_KINDS = frozenset({"LayerError"})


@dataclass(frozen=True)
class SubcircuitOptions:
    """What to look for: `min_support` traces at least (None: 30 % of them, 2 at least), the best `top`.

    `budget` is how many sets are tried at most. Errors are left out unless `errors`, input tokens unless `tokens`.
    """

    min_support: int | None = None
    top: int = 20
    budget: int = BUDGET
    errors: bool = False
    tokens: bool = True

    def without(self) -> frozenset[str]:
        """Returns the kinds of units that no subcircuit may hold."""
        return (frozenset() if self.errors else ERROR_KINDS) | (frozenset() if self.tokens else TOKEN_KINDS)


@dataclass(frozen=True)
class RankedSubcircuit:
    """A subcircuit with its lift, None where there is no background set."""

    subcircuit: Subcircuit
    lift: Lift | None


@dataclass(frozen=True)
class SubcircuitReport:
    """The best subcircuits by size times support, then ordered by lift; `n_edges` is how many edges could join.

    `names` are those of their units, by id.
    """

    rollup: ChosenRollup
    background: ChosenRollup | None
    min_support: int
    n_edges: int
    found: tuple[RankedSubcircuit, ...]
    search: SubcircuitSearch
    names: dict[str, str]

    @property
    def limit_sentence(self) -> str | None:
        """Returns what a spent budget may have left unseen; None if it was not spent."""
        if self.search.complete:
            return None
        worst = min((each.size * each.support for each in self.search.found), default=0)
        return (
            f"The search stopped after trying {self.search.expansions} sets: these are the best it met, down to a size "
            f"times support of {worst}, and one of up to {self.search.bound} may be missing; raise --budget or "
            "--min-support for certainty."
        )


def subcircuits(
    session: Session,
    rollup: ChosenRollup,
    background: ChosenRollup | None = None,
    *,
    options: SubcircuitOptions = SubcircuitOptions(),
    stored: Sequence[StoredSupernode] = (),
    progress: Progress = no_progress,
) -> SubcircuitReport:
    """Returns the shared subcircuits of a rollup, over `stored` supernodes and what is in none where there are any.

    Raises InputError for options that fit no result.
    """
    least = _checked(rollup, options)
    home = {unit: each.id for each in stored for unit in each.members}
    read: Callable[[TraceColumns], TraceEdges] = partial(grouped_edges, group_of=home) if home else edges_of
    # an edge between groups may be in many traces though none between their members is
    pairs = frequent_pairs(session, rollup, least=1 if home else least, without=options.without())
    wanted = {UnitPair(home.get(s, s), home.get(t, t), port) for s, t, port in pairs}
    traces = stream_traces(session, rollup, progress=progress)
    index = unit_edges(map(read, traces), min_support=least, wanted=wanted)
    search = shared_subcircuits(
        index,
        min_support=least,
        top=options.top,
        budget=options.budget,
        progress=partial(progress, "trying sets"),
    )
    found = [RankedSubcircuit(each, None) for each in search.found]
    if background is not None:
        wanted = {UnitPair(*edge[:3]) for each in search.found for edge in each.edges}
        traces = stream_traces(session, background, progress=progress)
        behind = unit_edges(map(read, traces), wanted=wanted)
        found = [
            RankedSubcircuit(
                each, lift(each.support, rollup.traces, len(support(behind, each.edges)), background.traces)
            )
            for each in search.found
        ]
        found.sort(key=_rank)
    return SubcircuitReport(
        rollup=rollup,
        background=background,
        min_support=least,
        n_edges=index.n_edges,
        found=tuple(found),
        search=search,
        names=unit_names(session, {unit for each in search.found for unit in each.units})
        | {each.id: each.name for each in stored},
    )


def _checked(rollup: ChosenRollup, options: SubcircuitOptions) -> int:
    if rollup.traces < 2:
        raise InputError(
            f"prompt set {rollup.prompt_set!r} has one trace, and what recurs needs two or more; "
            "submit more prompts to it, or look at the trace with `circuitbase query trace-graph`"
        )
    least = options.min_support
    if least is None:
        return max(2, least_traces(rollup.traces, min_presence=MIN_PRESENCE))
    if not 1 <= least <= rollup.traces:
        raise InputError(
            f"--min-support must be from 1 to {rollup.traces}, the number of traces of {rollup.prompt_set!r}, "
            f"got {least}"
        )
    return least


def _rank(ranked: RankedSubcircuit) -> tuple[float, int, tuple[object, ...]]:
    assert ranked.lift is not None
    each = ranked.subcircuit
    return (-ranked.lift.value, -each.size * each.support, each.edges)
