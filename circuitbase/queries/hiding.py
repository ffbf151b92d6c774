"""Hiding traces and sets whose removal was decided, then deleting what was hidden, in batches.

Hiding takes one transaction: a trace loses its label, its place in the sums and what ties it to
others, and no query meets it again. Its trace nodes are deleted afterwards, relationships first,
because one transaction over a hub's neighbours can outgrow the heap. Whoever removes next finishes
what an interruption left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from neo4j import ManagedTransaction, Session
from neo4j import SummaryCounters as Counters

from circuitbase.ingest.managed import write
from circuitbase.queries.discarding import discard_stale
from circuitbase.queries.findings import forget_set, forget_traces
from circuitbase.queries.lease import take_lease

DELETE_BATCH = 20_000
PROMPT_BATCH = 500

# The write takes the lock that a writer of traces takes, so that no trace of these prompts appears
# between looking for others and deleting the activations.
LOCK_PROMPTS = """
UNWIND $traces AS id
MATCH (:Trace {id: id})-[:OF_PROMPT]->(prompt:Prompt)
SET prompt.n_tokens = prompt.n_tokens
RETURN collect(DISTINCT prompt.id) AS prompts
"""
DELETE_ACTIVATIONS = """
UNWIND $traces AS id
MATCH (trace:Trace {id: id})-[:OF_PROMPT]->(prompt:Prompt)
MATCH (trace)-[:UNDER]->(:Configuration)-[:USES]->(dictionary:Dictionary)
WHERE NOT EXISTS {
  (prompt)<-[:OF_PROMPT]-(other:Trace)-[:UNDER]->(:Configuration)-[:USES]->(dictionary)
  WHERE NOT other.id IN $traces
}
WITH DISTINCT prompt, dictionary
MATCH (prompt)-[activates:ACTIVATES]->(:Unit)-[:IN_DICTIONARY]->(dictionary)
DELETE activates
"""
HIDE_TRACES = """
UNWIND $traces AS id
MATCH (trace:Trace {id: id})
OPTIONAL MATCH (trace)-[tie:OF_PROMPT|UNDER|SUMMED_IN]->()
DELETE tie
WITH DISTINCT trace
SET trace:RemovedTrace
REMOVE trace:Trace
"""
DELETE_LONE_PROMPTS = """
UNWIND $prompts AS id
MATCH (prompt:Prompt {id: id})
WHERE NOT EXISTS { (prompt)-[:IN_SET]->() } AND NOT EXISTS { (prompt)<-[:OF_PROMPT]-() }
  AND NOT EXISTS { (prompt)-[:ACTIVATES]->() }
DELETE prompt
"""
HIDE_SET = """
MATCH (set:PromptSet {name: $set})
SET set:RemovedSet
REMOVE set:PromptSet
WITH set
OPTIONAL MATCH (rollup:Rollup)-[:OVER]->(set)
RETURN set.name AS name, collect(rollup.id) AS rollups
"""
LEAVE_SET = """
MATCH (:RemovedSet)<-[in_set:IN_SET]-(prompt:Prompt)
WITH in_set, prompt LIMIT $batch
DELETE in_set
WITH DISTINCT prompt
WHERE NOT EXISTS { (prompt)-[:IN_SET]->(:PromptSet) }
OPTIONAL MATCH (prompt)<-[:OF_PROMPT]-(trace:Trace)
RETURN collect(DISTINCT prompt.id) AS prompts, collect(trace.id) AS traces
"""
DELETE_SETS = """
MATCH (set:RemovedSet)
WHERE NOT EXISTS { (set)<-[:IN_SET]-() } AND NOT EXISTS { (set)<-[:OVER]-() }
DELETE set
"""
DELETE_EDGES = """
MATCH (:RemovedTrace)-[:CONTAINS]->(:TraceNode)-[edge:AFFECTS]->()
WITH edge LIMIT $batch
DELETE edge
"""
DELETE_PAIRS = """
MATCH (:RemovedTrace)-[:CONTAINS]->(:TraceNode)-[pair:LOOKS_FOR]->()
WITH pair LIMIT $batch
DELETE pair
"""
DELETE_OCCURRENCES = """
MATCH (:RemovedTrace)-[:CONTAINS]->(:TraceNode)-[of:OF]->()
WITH of LIMIT $batch
DELETE of
"""
DELETE_NODES = """
MATCH (:RemovedTrace)-[contains:CONTAINS]->(node:TraceNode)
WITH contains, node LIMIT $batch
DELETE contains, node
"""
DELETE_TRACES = """
MATCH (trace:RemovedTrace)
WHERE NOT EXISTS { (trace)-[:CONTAINS]->() }
DELETE trace
"""


@dataclass(frozen=True)
class Deleted:
    """How much was deleted of what had been hidden, and how often a transaction was repeated."""

    traces: int
    nodes: int
    edges: int
    retries: int


def hide_traces(transaction: ManagedTransaction, traces: Sequence[str]) -> None:
    """Makes traces unseen, with the activations that no other trace of their prompt vouches for.

    The caller holds the lease and has taken the traces out of their sums.
    """
    prompts = transaction.run(LOCK_PROMPTS, traces=traces).single(strict=True)["prompts"]
    transaction.run(DELETE_ACTIVATIONS, traces=traces).consume()
    forget_traces(transaction, traces)
    transaction.run(HIDE_TRACES, traces=traces).consume()
    transaction.run(DELETE_LONE_PROMPTS, prompts=prompts).consume()


def hide_set(transaction: ManagedTransaction, prompt_set: str) -> list[str] | None:
    """Makes a set unseen and returns the ids of its rollups, None if there is no such set.

    The caller holds the lease.
    """
    forget_set(transaction, prompt_set)
    found = transaction.run(HIDE_SET, set=prompt_set).single()
    return None if found is None else list(found["rollups"])


def delete_hidden(session: Session) -> Deleted:
    """Deletes all that is hidden or stale, also what an earlier, interrupted removal left."""
    retries = discard_stale(session)
    left = PROMPT_BATCH
    while left == PROMPT_BATCH:
        written = write(session, _leave_sets)
        left, retries = written.value, retries + written.retries
    write(session, partial(_delete, statement=DELETE_SETS))
    edges, edge_retries = _delete_all(session, DELETE_EDGES)
    _, pair_retries = _delete_all(session, DELETE_PAIRS)
    _, tie_retries = _delete_all(session, DELETE_OCCURRENCES)
    nodes, node_retries = _delete_all(session, DELETE_NODES)
    traces, trace_retries = _delete_all(session, DELETE_TRACES)
    retries += edge_retries + pair_retries + tie_retries + node_retries + trace_retries
    return Deleted(traces=traces, nodes=nodes, edges=edges, retries=retries)


def _leave_sets(transaction: ManagedTransaction) -> int:
    """Takes some prompts out of removed sets, with the traces that no set holds then; returns how many."""
    take_lease(transaction)
    result = transaction.run(LEAVE_SET, batch=PROMPT_BATCH)
    found = result.single(strict=True)
    left = result.consume().counters.relationships_deleted
    if found["traces"]:
        hide_traces(transaction, found["traces"])
    transaction.run(DELETE_LONE_PROMPTS, prompts=found["prompts"]).consume()
    return int(left)


def _delete_all(session: Session, statement: str) -> tuple[int, int]:
    """Returns how many nodes, or else relationships, were deleted, and how many repetitions it took."""
    deleted = retries = 0
    while True:
        written = write(session, partial(_delete, statement=statement))
        counters, retries = written.value, retries + written.retries
        deleted += counters.nodes_deleted or counters.relationships_deleted
        if max(counters.nodes_deleted, counters.relationships_deleted) < DELETE_BATCH:
            return deleted, retries


def _delete(transaction: ManagedTransaction, *, statement: str) -> Counters:
    take_lease(transaction)
    return transaction.run(statement, batch=DELETE_BATCH).consume().counters
