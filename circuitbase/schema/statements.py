"""The parts of write statements that follow from the declaration.

A row is a list in declared order; time stamps are not in it, the server's clock gives them.
"""

from circuitbase.schema.declaration import NodeLabel, Property, RelationshipType

TIME_STAMP = "ZONED DATETIME"


def row_properties(owner: NodeLabel | RelationshipType) -> tuple[Property, ...]:
    """Returns the properties that a row brings, in the order of its places."""
    return tuple(property for property in owner.properties if property.type != TIME_STAMP)


def property_map(owner: NodeLabel | RelationshipType, *, row: str = "row", first: int = 0) -> str:
    """Returns `{name: row[first], ...}` for CREATE: every declared property, in declared order."""
    return "{" + ", ".join(f"{name}: {value}" for name, value in _values(owner, row, first)) + "}"


def assignments(owner: NodeLabel | RelationshipType, *, variable: str, row: str = "row", first: int = 0) -> str:
    """Returns `variable.name = row[first], ...` for SET: every declared property but the key.

    The key has its place in the row too, since MERGE finds by it.
    """
    return ", ".join(f"{variable}.{name} = {value}" for name, value in _values(owner, row, first) if name != owner.key)


def _values(owner: NodeLabel | RelationshipType, row: str, first: int) -> list[tuple[str, str]]:
    place = {property.name: first + place for place, property in enumerate(row_properties(owner))}
    return [
        (property.name, f"{row}[{place[property.name]}]" if property.name in place else "datetime()")
        for property in owner.properties
    ]
