"""How many traces of a selection have each unit edge: from its rollup if it is all of one, else summed on the fly."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from neo4j import Session

from circuitbase.queries.observed_edges import Edge
from circuitbase.queries.rollup_sums import RollupSums
from circuitbase.schema.identity import drives_key

_OFTEN = """
MATCH (source:Unit)-[sums:DRIVES]->(target:Unit)
WHERE sums.rollup = $rollup AND sums.traces >= $least
RETURN source.id AS source, target.id AS target, sums.port AS port, sums.traces AS traces,
       sums.influence_sum AS influence_sum, sums.weight_sum AS weight_sum
"""
_BY_KEY = """
UNWIND $keys AS key
MATCH (source:Unit)-[sums:DRIVES {key: key}]->(target:Unit)
RETURN source.id AS source, target.id AS target, sums.port AS port, sums.traces AS traces,
       sums.influence_sum AS influence_sum, sums.weight_sum AS weight_sum
"""
_BATCH = 10_000


@dataclass(frozen=True)
class Counted:
    """What one configuration's sums say of an edge: traces that have it, and what it adds up to in them."""

    traces: int
    influence_sum: float
    weight_sum: float


class RollupCounts:
    """The counts of a rollup, read at the cost of what is asked for."""

    def __init__(self, session: Session, rollup: str) -> None:
        self._session, self._rollup = session, rollup

    def in_at_least(self, least: int) -> dict[Edge, Counted]:
        """Returns the edges in so many traces."""
        return _counted(self._session.run(_OFTEN, rollup=self._rollup, least=least).data())

    def of(self, edges: Sequence[Edge]) -> dict[Edge, Counted]:
        """Returns what there is of certain edges."""
        keys = [drives_key(rollup=self._rollup, source=s, target=t, port=port) for s, t, port in edges]
        found: dict[Edge, Counted] = {}
        for start in range(0, len(keys), _BATCH):
            found |= _counted(self._session.run(_BY_KEY, keys=keys[start : start + _BATCH]).data())
        return found


class SummedCounts:
    """The counts of sums that were made on the fly."""

    def __init__(self, sums: RollupSums) -> None:
        of = sums.edge_sums
        columns = (of.source, of.target, of.port, of.traces, of.influence_sum, of.weight_sum)
        self._every = {
            (sums.units[source], sums.units[target], port): Counted(traces, influence, weight)
            for source, target, port, traces, influence, weight in zip(
                *(each.tolist() for each in columns), strict=True
            )
        }

    def in_at_least(self, least: int) -> dict[Edge, Counted]:
        """Returns the edges in so many traces."""
        return {edge: each for edge, each in self._every.items() if each.traces >= least}

    def of(self, edges: Sequence[Edge]) -> dict[Edge, Counted]:
        """Returns what there is of certain edges."""
        return {edge: self._every[edge] for edge in edges if edge in self._every}


EdgeCounts = RollupCounts | SummedCounts


def _counted(rows: list[dict[str, Any]]) -> dict[Edge, Counted]:
    return {
        (row["source"], row["target"], row["port"]): Counted(row["traces"], row["influence_sum"], row["weight_sum"])
        for row in rows
    }
