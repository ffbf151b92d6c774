"""Bringing a database to this version of the schema, and refusing one of another version."""

from dataclasses import dataclass
from functools import partial

from neo4j import Driver, ManagedTransaction, Session
from neo4j.exceptions import ClientError

from circuitbase.errors import DatabaseError
from circuitbase.ingest.failures import database_failures
from circuitbase.ingest.managed import write
from circuitbase.schema.declaration import SCHEMA_VERSION, node
from circuitbase.schema.migrations import MIGRATIONS, READ_VERSION, RECORD_VERSION, SCHEMA_NAME
from circuitbase.schema.rows import row

EQUIVALENT_EXISTS = "Neo.ClientError.Schema.EquivalentSchemaRuleAlreadyExists"
INDEX_EXISTS = "Neo.ClientError.Schema.IndexAlreadyExists"
AWAIT_INDEXES = "CALL db.awaitIndexes(600)"
MEETINGS = 100


@dataclass(frozen=True)
class Migrated:
    """The version a database had (0 if it was fresh) and has; the names of the migrations that ran."""

    before: int
    after: int
    ran: tuple[str, ...]


def migrate(driver: Driver, *, database: str) -> Migrated:
    """Brings the database to this schema's version; does nothing if it is there.

    Safe to repeat and in several processes at once. Raises DatabaseError for a newer database.
    """
    with database_failures("bringing the schema up to date"), driver.session(database=database) as session:
        before = session.execute_read(_version) or 0
        if before > SCHEMA_VERSION:
            raise _other_version(before)
        for version, migration in enumerate(MIGRATIONS[before:], start=before + 1):
            for statement in migration():
                _run_schema_statement(session, statement)
            recorded = row(node("Schema"), {"name": SCHEMA_NAME, "version": version})
            write(session, partial(_run, statement=RECORD_VERSION, row=recorded))
        if before < SCHEMA_VERSION:
            session.run(AWAIT_INDEXES).consume()
    ran = tuple(migration.__name__ for migration in MIGRATIONS[before:])
    return Migrated(before=before, after=SCHEMA_VERSION, ran=ran)


def ensure_schema(driver: Driver, *, database: str) -> None:
    """Migrates a fresh database; raises DatabaseError for one of another version. Costs one read."""
    with database_failures("reading the schema's version"), driver.session(database=database) as session:
        version = session.execute_read(_version)
    if version is None:
        migrate(driver, database=database)
    elif version != SCHEMA_VERSION:
        raise _other_version(version)


def _run_schema_statement(session: Session, statement: str) -> None:
    """Runs a statement that may meet another process that runs it too.

    IF NOT EXISTS looks before it takes its lock, so the later of two can still find what the earlier
    makes: an equivalent rule, or an index that is about to become a constraint's.
    """
    for _ in range(MEETINGS):
        try:
            write(session, partial(_run, statement=statement))
            return
        except ClientError as error:
            if error.code not in (EQUIVALENT_EXISTS, INDEX_EXISTS):
                raise
            last = error
        session.run(AWAIT_INDEXES).consume()
    raise last


def _version(transaction: ManagedTransaction) -> int | None:
    found = transaction.run(READ_VERSION, name=SCHEMA_NAME).single(strict=True)["version"]
    return None if found is None else int(found)


def _run(transaction: ManagedTransaction, *, statement: str, **parameters: object) -> None:
    transaction.run(statement, parameters).consume()


def _other_version(version: int) -> DatabaseError:
    remedy = (
        "run `circuitbase migrate`"
        if version < SCHEMA_VERSION
        else "use the circuitbase that brought it there, or a newer one"
    )
    return DatabaseError(
        f"the database has schema version {version}, but this circuitbase works with version {SCHEMA_VERSION}; {remedy}"
    )
