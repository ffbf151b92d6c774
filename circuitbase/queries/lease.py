"""The lease that rollup and removal hold while they change sums.

One node of the database, written first in the transaction, so that its lock is held to the end.
There is one for all rollups and not one for each: the rollups of one model share most of their
units, and two that changed the same units at once would wait for each other's locks, at times in a
circle. Readers and writers of traces never take it.
"""

from neo4j import ManagedTransaction

TAKE_LEASE = """
MERGE (lease:Lease {name: 'sums'})
ON CREATE SET lease.taken = 1
ON MATCH SET lease.taken = lease.taken + 1
"""


def take_lease(transaction: ManagedTransaction) -> None:
    """Waits until no other transaction holds the lease; what is read afterwards is what they left."""
    transaction.run(TAKE_LEASE).consume()
