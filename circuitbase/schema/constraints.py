"""Constraints and indexes as Cypher, derived from the declaration."""

from circuitbase.schema.declaration import NODES, RELATIONSHIPS


def statements() -> list[str]:
    """Returns the statements that create every constraint and index, each safe to repeat."""
    found = []
    for label in NODES:
        if label.key:
            found.append(
                f"CREATE CONSTRAINT {_name(label.name, label.key)} IF NOT EXISTS "
                f"FOR (n:{label.name}) REQUIRE n.{label.key} IS UNIQUE"
            )
        found += [
            f"CREATE INDEX {_name(label.name, *index)} IF NOT EXISTS "
            f"FOR (n:{label.name}) ON ({', '.join(f'n.{name}' for name in index)})"
            for index in label.indexes
        ]
    for kind in RELATIONSHIPS:
        if kind.key:
            found.append(
                f"CREATE CONSTRAINT {_name(kind.name, kind.key)} IF NOT EXISTS "
                f"FOR ()-[r:{kind.name}]-() REQUIRE r.{kind.key} IS UNIQUE"
            )
        found += [
            f"CREATE INDEX {_name(kind.name, *index)} IF NOT EXISTS "
            f"FOR ()-[r:{kind.name}]-() ON ({', '.join(f'r.{name}' for name in index)})"
            for index in kind.indexes
        ]
    return found


def _name(owner: str, *properties: str) -> str:
    return "_".join((owner, *properties)).lower()
