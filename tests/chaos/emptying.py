"""A database with nothing in it, between an undisturbed run and a disturbed one."""

from neo4j import Driver

BATCH = 20_000
STATEMENTS = (
    "MATCH ()-[r]->() WITH r LIMIT $batch DELETE r RETURN count(*) AS deleted",
    "MATCH (n) WITH n LIMIT $batch DELETE n RETURN count(*) AS deleted",
)


def empty(driver: Driver, *, database: str) -> None:
    """Deletes every node and relationship, but not the schema's constraints."""
    for statement in STATEMENTS:
        while driver.execute_query(statement, batch=BATCH, database_=database).records[0]["deleted"]:
            pass
