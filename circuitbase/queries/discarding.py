"""Deleting a rollup whole: its sums first, in batches, then the node that stands for them.

A rollup is marked stale in the transaction that decides its end. From then on no one reads it, and
whoever meets it finishes the work, so an interruption leaves nothing wrong behind.
"""

from functools import partial

from neo4j import ManagedTransaction, Session

from circuitbase.ingest.managed import write
from circuitbase.queries.lease import take_lease

DELETE_BATCH = 20_000

STALE_ROLLUPS = "MATCH (rollup:Rollup) WHERE rollup.stale RETURN collect(rollup.id) AS ids"

# `traces >= 0` holds for all: the index on (rollup, traces) needs both.
DELETE_EDGE_SUMS = """
MATCH (rollup:Rollup {id: $rollup}) WHERE rollup.stale
MATCH ()-[drives:DRIVES]->() WHERE drives.rollup = $rollup AND drives.traces >= 0
WITH drives LIMIT $batch
DELETE drives
"""
DELETE_UNIT_SUMS = """
MATCH (rollup:Rollup {id: $rollup}) WHERE rollup.stale
MATCH (rollup)<-[seen:SEEN_IN]-()
WITH seen LIMIT $batch
DELETE seen
"""
DELETE_MARKS = """
MATCH (rollup:Rollup {id: $rollup}) WHERE rollup.stale
MATCH (rollup)<-[mark:SUMMED_IN]-()
WITH mark LIMIT $batch
DELETE mark
"""
DELETE_ROLLUP = """
MATCH (rollup:Rollup {id: $rollup}) WHERE rollup.stale
OPTIONAL MATCH (rollup)-[end:OVER|UNDER]->()
DELETE end, rollup
"""
MARK_STALE = """
UNWIND $ids AS id
MATCH (rollup:Rollup {id: id})
SET rollup.stale = true, rollup.touched = rollup.touched + 1
"""


def mark_stale(transaction: ManagedTransaction, rollups: list[str]) -> None:
    """Decides the end of some rollups; the caller holds the lease."""
    transaction.run(MARK_STALE, ids=rollups).consume()


def discard_stale(session: Session) -> int:
    """Deletes every stale rollup with its sums; returns how many transactions were repeated."""
    stale = session.execute_read(lambda transaction: transaction.run(STALE_ROLLUPS).single(strict=True)["ids"])
    return sum(_discard(session, rollup) for rollup in stale)


def _discard(session: Session, rollup: str) -> int:
    retries = 0
    for statement in (DELETE_EDGE_SUMS, DELETE_UNIT_SUMS, DELETE_MARKS):
        deleted = DELETE_BATCH
        while deleted == DELETE_BATCH:
            written = write(session, partial(_deleted, statement=statement, rollup=rollup))
            deleted, retries = written.value, retries + written.retries
    return retries + write(session, partial(_deleted, statement=DELETE_ROLLUP, rollup=rollup)).retries


def _deleted(transaction: ManagedTransaction, *, statement: str, rollup: str) -> int:
    take_lease(transaction)
    counters = transaction.run(statement, rollup=rollup, batch=DELETE_BATCH).consume().counters
    return int(counters.relationships_deleted)
