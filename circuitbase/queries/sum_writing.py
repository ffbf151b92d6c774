"""Adding sums to a rollup in the database, and subtracting them.

Callers hold the lease. So a relationship that is not found by its key is made by no one else, and
CREATE, which locks its ends only at commit, can take the place of MERGE.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from neo4j import ManagedTransaction

from circuitbase.errors import DatabaseError
from circuitbase.queries.rollup_sums import EdgeSums, RollupSums, UnitSums
from circuitbase.schema.declaration import RelationshipType, relationship
from circuitbase.schema.identity import drives_key, seen_in_key
from circuitbase.schema.rows import rows
from circuitbase.schema.statements import property_map

ROW_BATCH = 10_000

_DRIVES, _SEEN_IN = relationship("DRIVES"), relationship("SEEN_IN")
_NOT_SUMS = frozenset({"key", "rollup", "port"})


def _additions(owner: RelationshipType, *, variable: str, first: int) -> str:
    """Returns `variable.name = variable.name + row[first], ...` for every property that is a sum."""
    return ", ".join(
        f"{variable}.{property.name} = {variable}.{property.name} + row[{first + place}]"
        for place, property in enumerate(owner.properties)
        if property.name not in _NOT_SUMS
    )


STORED_EDGE_KEYS = """
UNWIND $keys AS key
MATCH ()-[drives:DRIVES {key: key}]->()
RETURN collect(drives.key) AS keys
"""
STORED_UNIT_KEYS = """
UNWIND $keys AS key
MATCH ()-[seen:SEEN_IN {key: key}]->()
RETURN collect(seen.key) AS keys
"""
COUNT_UNITS = """
UNWIND $units AS id
MATCH (unit:Unit {id: id})
RETURN count(unit) AS units
"""

# Rows: place of source and of target in $units, DRIVES. The units are looked up once, in order.
CREATE_EDGE_SUMS = f"""
UNWIND $units AS id
MATCH (unit:Unit {{id: id}})
WITH collect(unit) AS units
UNWIND $rows AS row
WITH units[row[0]] AS source, units[row[1]] AS target, row
CREATE (source)-[:DRIVES {property_map(_DRIVES, first=2)}]->(target)
"""
ADD_EDGE_SUMS = f"""
UNWIND $rows AS row
MATCH ()-[drives:DRIVES {{key: row[2]}}]->()
SET {_additions(_DRIVES, variable="drives", first=2)}
"""

# Rows: unit id, SEEN_IN.
CREATE_UNIT_SUMS = f"""
MATCH (rollup:Rollup {{id: $rollup}})
UNWIND $rows AS row
MATCH (unit:Unit {{id: row[0]}})
CREATE (unit)-[:SEEN_IN {property_map(_SEEN_IN, first=1)}]->(rollup)
"""
ADD_UNIT_SUMS = f"""
UNWIND $rows AS row
MATCH ()-[seen:SEEN_IN {{key: row[1]}}]->()
SET {_additions(_SEEN_IN, variable="seen", first=1)}
"""

DELETE_EMPTY_EDGE_SUMS = """
UNWIND $keys AS key
MATCH ()-[drives:DRIVES {key: key}]->() WHERE drives.traces = 0
DELETE drives
"""
# What a subtraction leaves of a sum over no trace is rounding, and would tell this rollup from one
# that never held the trace.
ZERO_SUMS_OVER_NOTHING = """
UNWIND $keys AS key
MATCH ()-[seen:SEEN_IN {key: key}]->() WHERE seen.active_traces = 0 OR seen.traced = 0
SET seen.activation_sum = CASE WHEN seen.active_traces = 0 THEN 0.0 ELSE seen.activation_sum END,
    seen.influence_sum = CASE WHEN seen.traced = 0 THEN 0.0 ELSE seen.influence_sum END,
    seen.influence_square_sum = CASE WHEN seen.traced = 0 THEN 0.0 ELSE seen.influence_square_sum END
"""
DELETE_EMPTY_UNIT_SUMS = """
UNWIND $keys AS key
MATCH ()-[seen:SEEN_IN {key: key}]->() WHERE seen.active_traces = 0 AND seen.traced = 0
DELETE seen
"""


def add_sums(transaction: ManagedTransaction, sums: RollupSums, *, rollup: str) -> None:
    """Adds sums to a rollup; raises DatabaseError if one of their units is not stored."""
    found = transaction.run(COUNT_UNITS, units=list(sums.units)).single(strict=True)["units"]
    if found != len(sums.units):
        raise DatabaseError(
            f"the rollup {rollup[:12]} needs {len(sums.units)} units, but {found} are stored; store its traces again"
        )
    for start in range(0, len(sums.edge_sums.source), ROW_BATCH):
        edges, units = _edge_rows(sums, slice(start, start + ROW_BATCH), rollup=rollup, sign=1)
        known = _stored(transaction, STORED_EDGE_KEYS, [row[2] for row in edges])
        _run(transaction, ADD_EDGE_SUMS, [row for row in edges if row[2] in known])
        _run(transaction, CREATE_EDGE_SUMS, [row for row in edges if row[2] not in known], units=units)
    for start in range(0, len(sums.units), ROW_BATCH):
        seen = _unit_rows(sums, slice(start, start + ROW_BATCH), rollup=rollup, sign=1)
        known = _stored(transaction, STORED_UNIT_KEYS, [row[1] for row in seen])
        _run(transaction, ADD_UNIT_SUMS, [row for row in seen if row[1] in known])
        _run(transaction, CREATE_UNIT_SUMS, [row for row in seen if row[1] not in known], rollup=rollup)


def subtract_sums(transaction: ManagedTransaction, sums: RollupSums, *, rollup: str) -> None:
    """Subtracts from a rollup what was added to it; what no trace is left of is deleted."""
    for start in range(0, len(sums.edge_sums.source), ROW_BATCH):
        edges, _ = _edge_rows(sums, slice(start, start + ROW_BATCH), rollup=rollup, sign=-1)
        _run(transaction, ADD_EDGE_SUMS, edges)
        transaction.run(DELETE_EMPTY_EDGE_SUMS, keys=[row[2] for row in edges]).consume()
    for start in range(0, len(sums.units), ROW_BATCH):
        seen = _unit_rows(sums, slice(start, start + ROW_BATCH), rollup=rollup, sign=-1)
        _run(transaction, ADD_UNIT_SUMS, seen)
        keys = [row[1] for row in seen]
        transaction.run(DELETE_EMPTY_UNIT_SUMS, keys=keys).consume()
        transaction.run(ZERO_SUMS_OVER_NOTHING, keys=keys).consume()


def _edge_rows(sums: RollupSums, part: slice, *, rollup: str, sign: int) -> tuple[list[tuple[Any, ...]], list[str]]:
    """Returns rows of DRIVES with the places of their ends before, and the units that the places count."""
    columns = _part(sums.edge_sums, part)
    source, target, port = columns.pop("source"), columns.pop("target"), columns.pop("port").tolist()
    used, places = np.unique(np.concatenate([source, target]), return_inverse=True)
    units = [sums.units[place] for place in used]
    source_place, target_place = places[: len(source)].tolist(), places[len(source) :].tolist()
    keys = [
        drives_key(rollup=rollup, source=units[ends[0]], target=units[ends[1]], port=ends[2])
        for ends in zip(source_place, target_place, port, strict=True)
    ]
    signed = {name: (sign * column).tolist() for name, column in columns.items()}
    named = {"key": keys, "rollup": [rollup] * len(keys), "port": port, **signed}
    return rows(_DRIVES, named, before=[source_place, target_place]), units


def _unit_rows(sums: RollupSums, part: slice, *, rollup: str, sign: int) -> list[tuple[Any, ...]]:
    columns = _part(sums.unit_sums, part)
    units = [sums.units[place] for place in columns.pop("unit")]
    keys = [seen_in_key(rollup=rollup, unit=unit) for unit in units]
    signed = {name: (sign * column).tolist() for name, column in columns.items()}
    return rows(_SEEN_IN, {"key": keys, "rollup": [rollup] * len(keys), **signed}, before=[units])


def _part(sums: EdgeSums | UnitSums, part: slice) -> dict[str, np.ndarray]:
    return {field.name: getattr(sums, field.name)[part] for field in fields(sums)}


def _stored(transaction: ManagedTransaction, statement: str, keys: Sequence[str]) -> frozenset[str]:
    return frozenset(transaction.run(statement, keys=list(keys)).single(strict=True)["keys"])


def _run(transaction: ManagedTransaction, statement: str, found: list[tuple[Any, ...]], **parameters: Any) -> None:
    if found:
        transaction.run(statement, rows=found, **parameters).consume()
