"""What was found over traces and sets goes with them: motifs, supernodes, and what was said about supernodes."""

from collections.abc import Sequence

from neo4j import ManagedTransaction

# A motif's support loses the traces; one that no trace realises is none.
FORGET_OCCURRENCES = """
UNWIND $traces AS id
MATCH (motif:Motif)-[occurs:OCCURS_IN]->(:Trace {id: id})
WITH motif, collect(occurs) AS gone
SET motif.traces = motif.traces - size(gone)
FOREACH (occurs IN gone | DELETE occurs)
WITH motif WHERE motif.traces <= 0
DETACH DELETE motif
"""
FORGET_MOTIFS = """
MATCH (motif:Motif {set: $set})
DETACH DELETE motif
"""
FORGET_EVIDENCE = """
MATCH (supernode:Supernode {set: $set})
MATCH (:Unit)-[resembles:RESEMBLES {supernode: supernode.id}]->(:Unit)
DELETE resembles
"""
FORGET_SUPERNODES = """
MATCH (supernode:Supernode {set: $set})
DETACH DELETE supernode
"""
FORGET_EDITS = """
MATCH (edit:SupernodeEdit {set: $set})
DELETE edit
"""


def forget_traces(transaction: ManagedTransaction, traces: Sequence[str]) -> None:
    """Takes traces out of the support of every motif; the caller holds the lease."""
    transaction.run(FORGET_OCCURRENCES, traces=list(traces)).consume()


def forget_set(transaction: ManagedTransaction, prompt_set: str) -> None:
    """Deletes the motifs and supernodes of a set, and the edits of these; the caller holds the lease."""
    for statement in (FORGET_MOTIFS, FORGET_EVIDENCE, FORGET_SUPERNODES, FORGET_EDITS):
        transaction.run(statement, set=prompt_set).consume()
