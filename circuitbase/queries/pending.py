"""Which stored traces are not yet in the sums of a prompt set that holds their prompt."""

from collections.abc import Iterator
from dataclasses import dataclass

from neo4j import Session

from circuitbase.schema.identity import rollup_id

# A trace has one configuration, so one rollup over a set at most is its own. A stale one is on its
# way out, and its traces will be needed again.
PENDING = """
MATCH (set:PromptSet) WHERE $set IS NULL OR set.name = $set
MATCH (set)<-[:IN_SET]-(:Prompt)<-[:OF_PROMPT]-(trace:Trace)-[:UNDER]->(configuration:Configuration)
WHERE NOT EXISTS { (trace)-[:SUMMED_IN]->(rollup:Rollup)-[:OVER]->(set) WHERE NOT rollup.stale }
WITH set, configuration, trace ORDER BY trace.id
RETURN set.name AS set, configuration.id AS configuration,
       collect(trace.id) AS traces, collect(trace.n_edges) AS edges
ORDER BY set, configuration
"""

# What one transaction adds: enough that most pairs are written once, little enough for a small heap.
MOST_TRACES = 50
MOST_EDGES = 300_000


@dataclass(frozen=True)
class PendingTraces:
    """Traces of one set under one configuration that are to be summed, by id, with their edge counts."""

    prompt_set: str
    configuration: str
    traces: tuple[str, ...]
    n_edges: tuple[int, ...]

    @property
    def rollup_id(self) -> str:
        """Returns the id of the rollup that they belong in."""
        return rollup_id(prompt_set=self.prompt_set, configuration=self.configuration)

    def batches(self) -> Iterator[tuple[str, ...]]:
        """Yields the traces in groups that one transaction can add."""
        batch: list[str] = []
        edges = 0
        for trace, n_edges in zip(self.traces, self.n_edges, strict=True):
            if batch and (len(batch) == MOST_TRACES or edges + n_edges > MOST_EDGES):
                yield tuple(batch)
                batch, edges = [], 0
            batch.append(trace)
            edges += n_edges
        if batch:
            yield tuple(batch)


def pending_traces(session: Session, *, prompt_set: str | None) -> list[PendingTraces]:
    """Returns what is pending in one prompt set, or in all."""
    found = session.execute_read(lambda transaction: transaction.run(PENDING, set=prompt_set).data())
    return [
        PendingTraces(
            prompt_set=row["set"],
            configuration=row["configuration"],
            traces=tuple(row["traces"]),
            n_edges=tuple(row["edges"]),
        )
        for row in found
    ]
