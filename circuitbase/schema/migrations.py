"""What brings a database from one version of the schema to the next: named functions, in order.

Each returns statements that may run twice, and in two processes at once, without harm. A database
is at version n when the first n have run.
"""

from collections.abc import Callable

from circuitbase.schema import constraints
from circuitbase.schema.declaration import node
from circuitbase.schema.statements import property_map

Migration = Callable[[], list[str]]

SCHEMA_NAME = "circuitbase"


def constraints_and_indexes() -> list[str]:
    """Returns the constraints and indexes of the first schema."""
    return constraints.statements()


def interventions() -> list[str]:
    """Returns what the second schema adds: the constraint and the index of interventions."""
    return constraints.statements()


def motifs() -> list[str]:
    """Returns what the third schema adds: the constraints and indexes of motifs and supernodes."""
    return constraints.statements()


MIGRATIONS: tuple[Migration, ...] = (constraints_and_indexes, interventions, motifs)

# The version only rises, whichever of two processes writes it last.
RECORD_VERSION = (
    "MERGE (s:Schema {name: $row[0]}) "
    f"ON CREATE SET s += {property_map(node('Schema'), row='$row')} "
    "ON MATCH SET s.version = CASE WHEN s.version < $row[1] THEN $row[1] ELSE s.version END"
)

READ_VERSION = "OPTIONAL MATCH (s:Schema {name: $name}) RETURN s.version AS version"
