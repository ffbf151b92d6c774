"""Putting the prompts of a selection into a set of their own, whose sums are then kept like any other's."""

from functools import partial

from neo4j import Driver, ManagedTransaction

from circuitbase.ingest.failures import database_failures
from circuitbase.ingest.managed import write
from circuitbase.ingest.prompt_sets import check_set_name
from circuitbase.ingest.statements import LOCK_SET
from circuitbase.queries.selection import Selection
from circuitbase.schema.declaration import node
from circuitbase.schema.rows import row

BATCH = 1_000

# What is said of a prompt in the set it was put into first goes along.
JOIN_PROMPTS = """
MATCH (set:PromptSet {name: $set})
UNWIND $traces AS id
MATCH (trace:Trace {id: id})-[:OF_PROMPT]->(prompt:Prompt)
OPTIONAL MATCH (prompt)-[other:IN_SET]->(:PromptSet)
WITH set, prompt, other ORDER BY other.submitted_at
WITH set, prompt, head(collect(other)) AS first
MERGE (prompt)-[member:IN_SET]->(set)
ON CREATE SET member = coalesce(properties(first), {cluster: prompt.id}), member.submitted_at = datetime()
"""


def save_selection(driver: Driver, selection: Selection, name: str, *, database: str) -> int:
    """Puts the prompts of a selection into the set `name`; returns how many were not in it before.

    Raises InputError for a name that no command could take back.
    """
    check_set_name(name)
    set_row = row(node("PromptSet"), {"name": name})
    ids = [trace.id for trace in selection.traces]

    def work(transaction: ManagedTransaction, *, batch: list[str]) -> int:
        transaction.run(LOCK_SET, row=set_row).consume()
        return transaction.run(JOIN_PROMPTS, set=name, traces=batch).consume().counters.relationships_created

    new = 0
    with database_failures(f"putting prompts into the set {name}"), driver.session(database=database) as session:
        for start in range(0, len(ids), BATCH):
            new += write(session, partial(work, batch=ids[start : start + BATCH])).value
    return new
