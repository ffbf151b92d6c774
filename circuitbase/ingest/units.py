"""Making units: those of a trace that is stored, and those that only a rollup counts."""

from functools import partial

from neo4j import ManagedTransaction, Session

from circuitbase.ingest import statements
from circuitbase.ingest.managed import Written, write
from circuitbase.ingest.unit_rows import UnitRows


def upsert_units(session: Session, units: UnitRows, *, dictionary: str | None) -> Written[int]:
    """Makes those of the units that are missing, in a transaction of its own; returns how many were new."""
    missing = session.execute_read(partial(missing_units, units=units))
    if not missing:
        return Written(0, retries=0)
    return write(session, partial(create_units, units=units, missing=missing, dictionary=dictionary))


def missing_units(transaction: ManagedTransaction, *, units: UnitRows) -> frozenset[str]:
    """Returns the ids of the units that are not stored."""
    ids = [row[0] for row in units.rows]
    return frozenset(transaction.run(statements.MISSING_UNITS, ids=ids).single(strict=True)["ids"])


def create_units(
    transaction: ManagedTransaction, *, units: UnitRows, missing: frozenset[str], dictionary: str | None
) -> int:
    """Makes the missing ones of the units with their dictionary; returns how many no other writer made meanwhile."""
    if not missing:
        return 0
    rows = [row for row in units.rows if row[0] in missing]
    new = transaction.run(statements.UPSERT_UNITS, rows=rows).consume().counters.nodes_created
    linked = sorted(missing & units.in_dictionary)
    if linked:
        transaction.run(statements.LINK_UNITS, ids=linked, dictionary=dictionary).consume()
    return int(new)
