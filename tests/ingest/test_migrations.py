from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from neo4j import Driver

from circuitbase.errors import DatabaseError
from circuitbase.ingest.connection import open_driver
from circuitbase.ingest.migrations import Migrated, ensure_schema, migrate
from circuitbase.schema.declaration import NODES, RELATIONSHIPS, SCHEMA_VERSION
from circuitbase.settings import Settings
from tests.ingest.contents import rows, value

DATABASE = "neo4j"
READ_VERSION = "MATCH (s:Schema) RETURN collect(s.version) AS versions"


def constraints(driver: Driver) -> set[tuple[str, str]]:
    found = rows(driver, "SHOW CONSTRAINTS YIELD labelsOrTypes, properties")
    return {(row["labelsOrTypes"][0], row["properties"][0]) for row in found}


def test_a_fresh_database_gets_every_constraint_and_index(bare_database: Driver):
    done = migrate(bare_database, database=DATABASE)
    assert done == Migrated(before=0, after=SCHEMA_VERSION, ran=("constraints_and_indexes", "interventions", "motifs"))
    assert constraints(bare_database) == {(owner.name, owner.key) for owner in (*NODES, *RELATIONSHIPS) if owner.key}
    indexed = rows(bare_database, "SHOW INDEXES YIELD labelsOrTypes, properties, type, state, owningConstraint")
    plain = {
        (row["labelsOrTypes"][0], tuple(row["properties"]))
        for row in indexed
        if row["type"] == "RANGE" and row["owningConstraint"] is None
    }
    assert plain == {(owner.name, index) for owner in (*NODES, *RELATIONSHIPS) for index in owner.indexes}
    assert {row["state"] for row in indexed} == {"ONLINE"}
    assert value(bare_database, READ_VERSION) == [SCHEMA_VERSION]


def test_migrating_again_does_nothing(database: Driver):
    migrate(database, database=DATABASE)
    assert migrate(database, database=DATABASE) == Migrated(before=SCHEMA_VERSION, after=SCHEMA_VERSION, ran=())
    assert value(database, READ_VERSION) == [SCHEMA_VERSION]


def test_four_migrations_at_once_leave_one_schema(bare_database: Driver, settings: Settings):
    together = Barrier(4)

    def one(_: int) -> Migrated:
        with open_driver(settings) as driver:
            together.wait(timeout=60)
            return migrate(driver, database=DATABASE)

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(one, range(4)))
    assert {migrated.after for migrated in done} == {SCHEMA_VERSION}
    assert value(bare_database, READ_VERSION) == [SCHEMA_VERSION]
    assert len(constraints(bare_database)) == sum(owner.key is not None for owner in (*NODES, *RELATIONSHIPS))


def test_a_fresh_database_is_migrated_when_it_is_first_used(database: Driver):
    ensure_schema(database, database=DATABASE)
    assert value(database, READ_VERSION) == [SCHEMA_VERSION]


def test_an_older_database_is_refused_until_it_is_migrated(database: Driver):
    database.execute_query("CREATE (:Schema {name: 'circuitbase', version: 0})")
    with pytest.raises(DatabaseError, match=r"has schema version 0, .* version 3; run `circuitbase migrate`"):
        ensure_schema(database, database=DATABASE)
    assert migrate(database, database=DATABASE).before == 0
    ensure_schema(database, database=DATABASE)


@pytest.mark.parametrize("check", [migrate, ensure_schema])
def test_a_newer_database_is_refused(database: Driver, check):
    database.execute_query("CREATE (:Schema {name: 'circuitbase', version: 99})")
    with pytest.raises(DatabaseError, match=r"has schema version 99, .* use the circuitbase that brought it there"):
        check(database, database=DATABASE)
    assert value(database, READ_VERSION) == [99]


def test_data_that_breaks_a_constraint_is_one_sentence(bare_database: Driver):
    bare_database.execute_query("CREATE (:Model {id: 'twice'}), (:Model {id: 'twice'})")
    with pytest.raises(DatabaseError, match="Neo4j refused bringing the schema up to date"):
        migrate(bare_database, database=DATABASE)
    assert value(bare_database, READ_VERSION) == []
