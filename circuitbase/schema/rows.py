"""Rows for write statements: columns in, checked against the declaration, lists in declared order out.

Columns, not single values, are checked: the types of 100,000 values cost one pass in C.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from circuitbase.errors import DatabaseError
from circuitbase.schema.declaration import NodeLabel, Property, RelationshipType
from circuitbase.schema.statements import row_properties

_PYTHON_TYPES: dict[str, set[type]] = {
    "STRING": {str},
    "INTEGER": {int},
    "FLOAT": {float},
    "BOOLEAN": {bool},
    "LIST<INTEGER>": {list},
    "LIST<STRING>": {list},
    "LIST<FLOAT>": {list},
}
_ELEMENT_TYPES: dict[str, type] = {"LIST<INTEGER>": int, "LIST<STRING>": str, "LIST<FLOAT>": float}


def rows(
    owner: NodeLabel | RelationshipType,
    columns: Mapping[str, Sequence[Any]],
    *,
    before: Sequence[Sequence[Any]] = (),
    after: Sequence[Sequence[Any]] = (),
) -> list[tuple[Any, ...]]:
    """Returns one row per place of the columns, in declared order, between `before` and `after`.

    A missing optional column is all None. Raises DatabaseError that lists every column that is
    undeclared or missing and every first value of a wrong type.
    """
    declared = row_properties(owner)
    lengths = {len(column) for column in (*before, *columns.values(), *after)}
    found = [*_name_problems(owner, declared, columns), *_value_problems(owner, declared, columns)]
    if len(lengths) > 1:
        found.append(f"the columns of {owner.name} must be equally long, got lengths {sorted(lengths)}")
    if found:
        raise DatabaseError(f"rows that contradict the schema are not written: {'; '.join(found)}; report this defect")
    length = next(iter(lengths), 0)
    ordered = [columns.get(property.name, [None] * length) for property in declared]
    return list(zip(*before, *ordered, *after, strict=True))


def row(owner: NodeLabel | RelationshipType, values: Mapping[str, Any]) -> tuple[Any, ...]:
    """Returns the one row that these values make, checked as `rows` does."""
    return rows(owner, {name: [value] for name, value in values.items()})[0]


def _name_problems(
    owner: NodeLabel | RelationshipType, declared: Sequence[Property], columns: Mapping[str, Sequence[Any]]
) -> list[str]:
    names = {property.name for property in declared}
    undeclared = [f"{owner.name}.{name} is not declared" for name in columns if name not in names]
    missing = [
        f"{owner.name}.{property.name} is required, and no row has it"
        for property in declared
        if property.required and property.name not in columns
    ]
    return undeclared + missing


def _value_problems(
    owner: NodeLabel | RelationshipType, declared: Sequence[Property], columns: Mapping[str, Sequence[Any]]
) -> list[str]:
    found = []
    for property in declared:
        column = columns.get(property.name, ())
        bad = _first_bad(property, column)
        if bad is not None:
            kind = property.type if property.required else f"{property.type} or none"
            found.append(f"{owner.name}.{property.name} must be {kind}, got {column[bad]!r} in row {bad}")
    return found


def _first_bad(property: Property, column: Sequence[Any]) -> int | None:
    allowed = _PYTHON_TYPES[property.type] | (set() if property.required else {type(None)})
    if not set(map(type, column)) <= allowed:
        return next(place for place, value in enumerate(column) if type(value) not in allowed)
    given = column if property.required else [value for value in column if value is not None]
    if property.type == "FLOAT" and not all(map(math.isfinite, given)):
        return next(place for place, value in enumerate(column) if value is not None and not math.isfinite(value))
    element = _ELEMENT_TYPES.get(property.type)
    if element is not None and any(type(value) is not element for values in given for value in values):
        return next(p for p, values in enumerate(column) if any(type(value) is not element for value in values or ()))
    return None
