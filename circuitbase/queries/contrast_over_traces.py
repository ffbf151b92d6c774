"""Which edges differ between two selections of traces, tested over single traces (methods.md section 3).

The observation is an edge's share per node of its target in one trace, 0 where the trace has no such edge. Labels
are permuted over clusters; the universe is filtered by presence in both selections together, blind to the labels.
"""

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
from neo4j import Session

from circuitbase.errors import InputError
from circuitbase.graph.false_discovery import discovery_rates
from circuitbase.graph.permutation import permutation_test
from circuitbase.queries.circuit import MIN_PRESENCE, least_traces
from circuitbase.queries.contrast import APART, SETTLED
from circuitbase.queries.intervals import Interval, wilson
from circuitbase.queries.observed_edges import ObservedEdges, observed_edges
from circuitbase.queries.relabelling import Relabelling
from circuitbase.queries.selection import SelectedTrace, Selection
from circuitbase.queries.selection_sums import MOST_TRACES, selection_sums
from circuitbase.queries.trace_streaming import Heard
from circuitbase.queries.unit_facts import UnitFacts, unit_facts
from circuitbase.store.trace_store import TraceStore


@dataclass(frozen=True)
class ContrastTest:
    """How a contrast is tested; `match_length` compares as many prompts of each length in both selections."""

    min_presence: float = MIN_PRESENCE
    permutations: int = 9_999
    seed: int = 0
    match_length: bool = False
    most_traces: int = MOST_TRACES


@dataclass(frozen=True)
class ContrastedEdge:
    """One edge in both selections. Shares are means per target node over all traces; q is p after Benjamini-Hochberg.

    `effect` is Hedges' g of the share, positive where the first has more. `flips` where the sign is settled in both
    (agreement at least 0.8) and opposite.
    """

    source: str
    target: str
    port: int
    source_facts: UnitFacts
    target_facts: UnitFacts
    first_presence: Interval
    second_presence: Interval
    first_share: float
    second_share: float
    effect: float | None
    p: float
    q: float
    flips: bool

    @property
    def is_apart(self) -> bool:
        """Returns whether an end is a token or an output by role, which differ wherever the prompts do."""
        return bool({self.source_facts.kind, self.target_facts.kind} & APART)


@dataclass(frozen=True)
class TraceContrast:
    """Every edge of the universe, smallest q first; `unmatched` traces were left out to match lengths."""

    first: Selection
    second: Selection
    options: ContrastTest
    edges: tuple[ContrastedEdge, ...]
    permutations: int
    exact: bool
    paired_clusters: int
    unmatched: int

    def discoveries(self, *, rate: float = 0.05) -> list[ContrastedEdge]:
        """Returns the edges that differ, of which a share of `rate` is expected to be false."""
        return [edge for edge in self.edges if edge.q <= rate]


def contrast_over_traces(
    session: Session,
    store: TraceStore,
    first: Selection,
    second: Selection,
    *,
    options: ContrastTest = ContrastTest(),  # frozen
    relabelling: Relabelling | None = None,
    heard: Heard | None = None,
) -> TraceContrast:
    """Returns the tested contrast of two selections; `heard` is told (done, total) of the traces, twice.

    Raises InputError for selections under different configurations, and for fewer than two clusters.
    """
    _check_alike(first, second)
    total = len(first.traces) + len(second.traces)
    if options.match_length:
        first, second = matched_by_length(first, second, seed=options.seed)
    both = replace(first, name=f"{first.name} and {second.name}", traces=first.traces + second.traces, rollup=None)
    if len(set(both.clusters)) < 2:
        raise InputError(f"{both.name} are one cluster, and labels are permuted over clusters; take more prompts")
    sums = selection_sums(session, store, both, relabelling=relabelling, heard=heard, most_traces=options.most_traces)
    least = min(least_traces(len(each.traces), min_presence=options.min_presence) for each in (first, second))
    frequent = np.flatnonzero(sums.edge_sums.traces >= least)
    ends = sums.edge_sums
    edges = [
        (sums.units[ends.source[row]], sums.units[ends.target[row]], int(ends.port[row])) for row in frequent.tolist()
    ]
    if not edges:
        raise InputError(
            f"no edge is in {least} traces of {both.name}, so there is nothing to compare; lower --min-presence"
        )
    found = observed_edges(session, store, both, edges, relabelling=relabelling, heard=heard)
    is_first = np.arange(len(both.traces)) < len(first.traces)
    tested = permutation_test(
        found.share_per_target,
        is_first,
        np.array(both.clusters),
        permutations=options.permutations,
        seed=options.seed,
    )
    q = discovery_rates(tested.p)
    facts = unit_facts(session, [unit for source, target, _ in edges for unit in (source, target)])
    rows = [
        _edge(found, number, is_first, facts, p=float(tested.p[number]), q=float(q[number]))
        for number in range(len(edges))
    ]
    return TraceContrast(
        first=first,
        second=second,
        options=options,
        edges=tuple(
            sorted(rows, key=lambda edge: (edge.q, edge.p, -abs(edge.effect or 0.0), edge.source, edge.target))
        ),
        permutations=tested.permutations,
        exact=tested.exact,
        paired_clusters=len(set(first.clusters) & set(second.clusters)),
        unmatched=total - len(both.traces),
    )


def matched_by_length(first: Selection, second: Selection, *, seed: int) -> tuple[Selection, Selection]:
    """Returns as many traces of each prompt length of both selections; raises InputError if no length is shared."""
    by_length: dict[int, tuple[list[SelectedTrace], list[SelectedTrace]]] = defaultdict(lambda: ([], []))
    for side, selection in enumerate((first, second)):
        for trace in selection.traces:
            by_length[trace.n_tokens][side].append(trace)
    random = np.random.default_rng(seed)
    kept: tuple[list[SelectedTrace], list[SelectedTrace]] = ([], [])
    for length in sorted(by_length):
        sides = by_length[length]
        number = min(len(side) for side in sides)
        for traces, chosen in zip(sides, kept, strict=True):
            chosen += [
                traces[place] for place in sorted(random.choice(len(traces), size=number, replace=False).tolist())
            ]
    if not kept[0]:
        lengths = [sorted({trace.n_tokens for trace in each.traces}) for each in (first, second)]
        raise InputError(
            f"no prompt of {first.name} is as long as one of {second.name} ({lengths[0]} against {lengths[1]} tokens), "
            "so lengths cannot be matched; leave out --match-length"
        )
    return (
        replace(first, traces=tuple(sorted(kept[0], key=lambda trace: trace.id)), rollup=None),
        replace(second, traces=tuple(sorted(kept[1], key=lambda trace: trace.id)), rollup=None),
    )


def _check_alike(first: Selection, second: Selection) -> None:
    if first.configuration != second.configuration:
        raise InputError(
            f"{first.name} and {second.name} are under different configurations ({first.configuration_name} and "
            f"{second.configuration_name}), which never mix; choose traces of one model, dictionary and options"
        )


def _edge(
    found: ObservedEdges, number: int, is_first: np.ndarray, facts: dict[str, UnitFacts], *, p: float, q: float
) -> ContrastedEdge:
    source, target, port = found.edges[number]
    share, there = found.share_per_target[:, number], found.nodes[:, number] > 0
    weight = found.weight[:, number]
    return ContrastedEdge(
        source=source,
        target=target,
        port=port,
        source_facts=facts[source],
        target_facts=facts[target],
        first_presence=wilson(int(there[is_first].sum()), int(is_first.sum())),
        second_presence=wilson(int(there[~is_first].sum()), int((~is_first).sum())),
        first_share=float(share[is_first].mean()),
        second_share=float(share[~is_first].mean()),
        effect=hedges_g(share[is_first], share[~is_first]),
        p=p,
        q=q,
        flips=_settled_sign(weight[is_first]) * _settled_sign(weight[~is_first]) < 0,
    )


def hedges_g(first: np.ndarray, second: np.ndarray) -> float | None:
    """Returns the difference of means over the pooled deviation, corrected for small samples; None without spread.

    Hedges (1981): J = 1 − 3 / (4 (n₁ + n₂ − 2) − 1).
    """
    freedom = len(first) + len(second) - 2
    if freedom < 1:
        return None
    squares = ((first - first.mean()) ** 2).sum() + ((second - second.mean()) ** 2).sum()
    if squares <= 0:
        return None
    pooled = float(np.sqrt(squares / freedom))
    return float((first.mean() - second.mean()) / pooled * (1 - 3 / (4 * freedom - 1)))


def _settled_sign(weight: np.ndarray) -> int:
    positive, negative = int((weight > 0).sum()), int((weight < 0).sum())
    if max(positive, negative) < SETTLED * (positive + negative) or positive + negative == 0:
        return 0
    return 1 if positive > negative else -1
