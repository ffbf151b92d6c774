from circuitbase.schema.declaration import NODES, RELATIONSHIPS, SCHEMA_VERSION
from circuitbase.schema.migrations import MIGRATIONS


def test_the_schema_version_is_the_number_of_migrations():
    assert len(MIGRATIONS) == SCHEMA_VERSION


def test_every_migration_has_a_sentence_and_may_run_twice():
    for migration in MIGRATIONS:
        assert migration.__doc__
        assert all("IF NOT EXISTS" in statement or "IF EXISTS" in statement for statement in migration())


def test_every_key_and_index_of_the_declaration_is_made():
    made = {statement for migration in MIGRATIONS for statement in migration()}
    owners = (*NODES, *RELATIONSHIPS)
    assert sum("REQUIRE" in statement for statement in made) == sum(owner.key is not None for owner in owners)
    assert sum(" INDEX " in statement for statement in made) == sum(len(owner.indexes) for owner in owners)
    assert any("FOR ()-[r:DRIVES]-() ON (r.rollup, r.traces)" in statement for statement in made)
