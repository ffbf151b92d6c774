"""What two prompt sets share and where they differ, from their rollups' sums, at flat cost.

Of traced edges: one that is absent was inactive or pruned (methods.md section 3). The universe is
filtered by presence in both sets together, blind to which set a trace is in.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from neo4j import Session

from circuitbase.queries.circuit import MIN_PRESENCE, least_traces
from circuitbase.queries.intervals import Interval, log_odds_ratio, wilson
from circuitbase.queries.rollup_choice import ChosenRollup
from circuitbase.queries.rollup_sums import RollupSums
from circuitbase.queries.selection import Selection, as_chosen
from circuitbase.queries.sum_rows import edge_rows, unit_rows
from circuitbase.schema.identity import drives_key

Leaning = Literal["first", "second", "neither"]
APART = frozenset({"InputToken", "OutputToken", "RoleOutput"})  # differ wherever the prompts do
SETTLED = 0.8  # sign agreement in both sets from which opposite signs count as a flip

_UNITS = """
MATCH (unit:Unit)-[seen:SEEN_IN]->(rollup:Rollup)
WHERE rollup.id IN [$first, $second]
WITH unit,
     sum(CASE WHEN rollup.id = $first THEN seen.traced ELSE 0 END) AS first,
     sum(CASE WHEN rollup.id = $second THEN seen.traced ELSE 0 END) AS second,
     sum(CASE WHEN rollup.id = $first THEN seen.influence_sum ELSE 0.0 END) AS first_influence,
     sum(CASE WHEN rollup.id = $second THEN seen.influence_sum ELSE 0.0 END) AS second_influence
WHERE first + second >= $least
RETURN unit.id AS id, unit.name AS name, unit.kind AS kind, first, second, first_influence, second_influence
ORDER BY id
"""
_SUMS = """
RETURN source.id AS source, source.name AS source_name, source.kind AS source_kind,
       target.id AS target, target.name AS target_name, target.kind AS target_kind,
       sums.port AS port, sums.traces AS traces, sums.positive AS positive, sums.weight_sum AS weight_sum,
       sums.share_sum AS share_sum, sums.influence_sum AS influence_sum
"""
_FREQUENT_EDGES = f"""
MATCH (source:Unit)-[sums:DRIVES]->(target:Unit)
WHERE sums.rollup = $rollup AND sums.traces >= $least
{_SUMS}"""
_EDGES_BY_KEY = f"""
UNWIND $keys AS key
MATCH (source:Unit)-[sums:DRIVES {{key: key}}]->(target:Unit)
{_SUMS}"""
_AVERAGES = """
RETURN avg(prompt.n_tokens) AS tokens, avg(trace.n_active) AS active_features, avg(trace.n_nodes) AS nodes,
       avg(trace.n_edges) AS edges, avg(trace.replacement_score) AS replacement_score
"""
_LENGTHS = f"""
MATCH (prompt:Prompt)<-[:OF_PROMPT]-(trace:Trace)-[:SUMMED_IN]->(:Rollup {{id: $rollup}})
{_AVERAGES}"""
_LENGTHS_OF_TRACES = f"""
UNWIND $traces AS id
MATCH (prompt:Prompt)<-[:OF_PROMPT]-(trace:Trace {{id: id}})
{_AVERAGES}"""


@dataclass(frozen=True)
class SetSummary:
    """What must be alike for a contrast to be about circuits: lengths, active features, explained influence."""

    rollup: ChosenRollup
    mean_tokens: float
    mean_active_features: float
    mean_nodes: float
    mean_edges: float
    mean_replacement_score: float


@dataclass(frozen=True)
class Presence:
    """In how many traces of each set something is; `log_odds` is positive where the first set has more.

    `leaning` is `neither` where the 95 % interval of the log odds ratio holds 0.
    """

    first: Interval
    second: Interval
    log_odds: Interval

    @property
    def leaning(self) -> Leaning:
        """Returns which set has it more often, beyond chance at 95 %, one comparison taken alone."""
        if self.log_odds.low > 0:
            return "first"
        return "second" if self.log_odds.high < 0 else "neither"

    @property
    def difference(self) -> float:
        """Returns the first set's presence less the second's."""
        return self.first.value - self.second.value


@dataclass(frozen=True)
class ContrastUnit:
    """One unit in both sets; mean influence is over all traces of each set."""

    id: str
    name: str
    kind: str
    presence: Presence
    first_influence: float
    second_influence: float

    @property
    def is_apart(self) -> bool:
        """Returns whether it is a token or an output by role, which differ wherever the prompts do."""
        return self.kind in APART


@dataclass(frozen=True)
class ContrastEdge:
    """One edge in both sets; mean weight and share are over the traces that have it, None if none has.

    `flips` where the sign is settled in both sets (agreement at least 0.8) and opposite.
    """

    source: str
    source_name: str
    source_kind: str
    target: str
    target_name: str
    target_kind: str
    port: int
    presence: Presence
    first_weight: float | None
    second_weight: float | None
    first_share: float | None
    second_share: float | None
    first_influence: float
    second_influence: float
    flips: bool

    @property
    def is_apart(self) -> bool:
        """Returns whether one of its ends is a token or an output by role."""
        return bool({self.source_kind, self.target_kind} & APART)

    @property
    def share_difference(self) -> float | None:
        """Returns the first set's mean share less the second's; None where one of them lacks the edge."""
        if self.first_share is None or self.second_share is None:
            return None
        return self.first_share - self.second_share


@dataclass(frozen=True)
class Contrast:
    """Two sets side by side under one configuration; units and edges by the size of the log odds ratio."""

    first: SetSummary
    second: SetSummary
    min_presence: float
    units: tuple[ContrastUnit, ...]
    edges: tuple[ContrastEdge, ...]

    def shared_units(self) -> list[ContrastUnit]:
        """Returns the units present often enough in both sets, most influential first."""
        shared = [unit for unit in self.units if self._in_both(unit.presence)]
        return sorted(shared, key=lambda unit: (-(unit.first_influence + unit.second_influence), unit.id))

    def shared_edges(self) -> list[ContrastEdge]:
        """Returns the edges present often enough in both sets, most influential first."""
        shared = [edge for edge in self.edges if self._in_both(edge.presence)]
        return sorted(shared, key=lambda edge: (-(edge.first_influence + edge.second_influence), edge.source))

    def differing_units(self) -> list[ContrastUnit]:
        """Returns the units that lean to one set, largest log odds ratio first."""
        return [unit for unit in self.units if unit.presence.leaning != "neither"]

    def differing_edges(self) -> list[ContrastEdge]:
        """Returns the edges that lean to one set, largest log odds ratio first."""
        return [edge for edge in self.edges if edge.presence.leaning != "neither"]

    def _in_both(self, presence: Presence) -> bool:
        return min(presence.first.value, presence.second.value) >= max(self.min_presence, 1e-9)


def contrast(
    session: Session, first: ChosenRollup, second: ChosenRollup, *, min_presence: float = MIN_PRESENCE
) -> Contrast:
    """Returns two rollups side by side, of what is in `min_presence` of the traces of one set at least."""
    # What is often enough in one set has at least this many traces in both together.
    least = min(least_traces(each.traces, min_presence=min_presence) for each in (first, second))
    units = [
        ContrastUnit(
            id=row["id"],
            name=row["name"],
            kind=row["kind"],
            presence=_presence(row["first"], first.traces, row["second"], second.traces),
            first_influence=row["first_influence"] / first.traces,
            second_influence=row["second_influence"] / second.traces,
        )
        for row in session.run(_UNITS, first=first.id, second=second.id, least=least)
    ]
    return Contrast(
        first=_summary(session, first),
        second=_summary(session, second),
        min_presence=min_presence,
        units=_ranked_units(units),
        edges=_ranked_edges(_edges(session, first, second, least=least)),
    )


def contrast_of_sums(
    session: Session,
    first: tuple[Selection, RollupSums],
    second: tuple[Selection, RollupSums],
    *,
    min_presence: float = MIN_PRESENCE,
) -> Contrast:
    """Returns the same for two selections whose sums are not in the database."""
    chosen = [as_chosen(selection) for selection, _ in (first, second)]
    least = min(least_traces(each.traces, min_presence=min_presence) for each in chosen)
    unit_sums = [{row["id"]: row for row in unit_rows(session, sums, least=1)} for _, sums in (first, second)]
    units = [
        ContrastUnit(
            id=id,
            name=(unit_sums[0].get(id) or unit_sums[1][id])["name"],
            kind=(unit_sums[0].get(id) or unit_sums[1][id])["kind"],
            presence=_presence(a, chosen[0].traces, b, chosen[1].traces),
            first_influence=unit_sums[0].get(id, {}).get("influence_sum", 0.0) / chosen[0].traces,
            second_influence=unit_sums[1].get(id, {}).get("influence_sum", 0.0) / chosen[1].traces,
        )
        for id in sorted(unit_sums[0].keys() | unit_sums[1].keys())
        for a, b in [[side.get(id, {}).get("traced", 0) for side in unit_sums]]
        if a + b >= least
    ]
    found = [{_ends(row): row for row in edge_rows(session, sums, least=1)} for _, sums in (first, second)]
    edges = [
        _edge(found[0].get(ends), found[1].get(ends), chosen[0], chosen[1])
        for ends in found[0].keys() | found[1].keys()
        if _traces(found[0].get(ends)) + _traces(found[1].get(ends)) >= least
    ]
    return Contrast(
        first=_summary(session, chosen[0], traces=[trace.id for trace in first[0].traces]),
        second=_summary(session, chosen[1], traces=[trace.id for trace in second[0].traces]),
        min_presence=min_presence,
        units=_ranked_units(units),
        edges=_ranked_edges(edges),
    )


def _ranked_units(units: list[ContrastUnit]) -> tuple[ContrastUnit, ...]:
    return tuple(sorted(units, key=lambda unit: _rank(unit.presence, unit.id)))


def _ranked_edges(edges: list[ContrastEdge]) -> tuple[ContrastEdge, ...]:
    return tuple(sorted(edges, key=lambda edge: _rank(edge.presence, f"{edge.source}|{edge.target}")))


def _edges(session: Session, first: ChosenRollup, second: ChosenRollup, *, least: int) -> list[ContrastEdge]:
    # An edge that reaches `least` in both sets together has half of it in one of them.
    half = max(1, math.ceil(least / 2))
    found = [
        {_ends(row): row for row in session.run(_FREQUENT_EDGES, rollup=rollup.id, least=half).data()}
        for rollup in (first, second)
    ]
    for rollup, here, there in zip((first, second), found, reversed(found), strict=True):
        keys = [
            drives_key(rollup=rollup.id, source=source, target=target, port=port)
            for source, target, port in there.keys() - here.keys()
        ]
        here.update({_ends(row): row for row in session.run(_EDGES_BY_KEY, keys=keys).data()})
    return [
        _edge(found[0].get(ends), found[1].get(ends), first, second)
        for ends in found[0].keys() | found[1].keys()
        if _traces(found[0].get(ends)) + _traces(found[1].get(ends)) >= least
    ]


def _ends(row: Mapping[str, Any]) -> tuple[str, str, int]:
    return row["source"], row["target"], row["port"]


def _edge(
    a: Mapping[str, Any] | None, b: Mapping[str, Any] | None, first: ChosenRollup, second: ChosenRollup
) -> ContrastEdge:
    known = a or b
    assert known is not None
    return ContrastEdge(
        source=known["source"],
        source_name=known["source_name"],
        source_kind=known["source_kind"],
        target=known["target"],
        target_name=known["target_name"],
        target_kind=known["target_kind"],
        port=known["port"],
        presence=_presence(_traces(a), first.traces, _traces(b), second.traces),
        first_weight=a["weight_sum"] / a["traces"] if a else None,
        second_weight=b["weight_sum"] / b["traces"] if b else None,
        first_share=a["share_sum"] / a["traces"] if a else None,
        second_share=b["share_sum"] / b["traces"] if b else None,
        first_influence=a["influence_sum"] / first.traces if a else 0.0,
        second_influence=b["influence_sum"] / second.traces if b else 0.0,
        flips=_settled_sign(a) * _settled_sign(b) < 0,
    )


def _settled_sign(row: Mapping[str, Any] | None) -> int:
    if row is None:
        return 0
    positive, negative = row["positive"], row["traces"] - row["positive"]
    if max(positive, negative) < SETTLED * row["traces"]:
        return 0
    return 1 if positive > negative else -1


def _presence(first: int, first_total: int, second: int, second_total: int) -> Presence:
    return Presence(
        first=wilson(first, first_total),
        second=wilson(second, second_total),
        log_odds=log_odds_ratio(first, first_total, second, second_total),
    )


def _rank(presence: Presence, id: str) -> tuple[float, str]:
    return (-abs(presence.log_odds.value), id)


def _traces(row: Mapping[str, Any] | None) -> int:
    return row["traces"] if row else 0


def _summary(session: Session, rollup: ChosenRollup, *, traces: list[str] | None = None) -> SetSummary:
    if traces is None:
        row = session.run(_LENGTHS, rollup=rollup.id).single(strict=True)
    else:
        row = session.run(_LENGTHS_OF_TRACES, traces=traces).single(strict=True)
    return SetSummary(
        rollup=rollup,
        mean_tokens=row["tokens"],
        mean_active_features=row["active_features"],
        mean_nodes=row["nodes"],
        mean_edges=row["edges"],
        mean_replacement_score=row["replacement_score"],
    )
