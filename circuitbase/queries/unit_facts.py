"""What people need to read the id of a unit or a supernode: its name, kind, layer and token."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from neo4j import Session

from circuitbase.queries.relabelling import unit_and_role

_FACTS = """
UNWIND $units AS id
MATCH (unit:Unit {id: id})
RETURN unit.id AS id, unit.name AS name, unit.kind AS kind, unit.layer AS layer, unit.token AS token
"""
_SUPERNODE_FACTS = """
UNWIND $ids AS id
MATCH (supernode:Supernode {id: id})-[:GROUPS]->(unit:Unit)
RETURN supernode.id AS id, supernode.name AS name, min(unit.layer) AS layer
"""
_SUPERNODE_ID = re.compile("[0-9a-f]{64}")
_BATCH = 10_000


@dataclass(frozen=True)
class UnitFacts:
    """A unit, or a supernode as one, as it is stored; `name` says its role too where ids were told apart by roles."""

    name: str
    kind: str
    layer: int | None
    token: str | None


def unit_facts(session: Session, ids: Iterable[str]) -> dict[str, UnitFacts]:
    """Returns the facts of each id, also of those that `relabelling.by_role` made."""
    wanted = sorted(set(ids))
    parts = {id: unit_and_role(id) for id in wanted}
    stored = _stored(session, sorted({unit for unit, _ in parts.values() if unit}))
    found = {}
    for id, (unit, role) in parts.items():
        if not unit:
            found[id] = UnitFacts(name=f"[{role}]", kind="InputToken", layer=None, token=f"[{role}]")
        elif unit in stored:
            facts = stored[unit]
            name = facts.name if role is None else f"{facts.name} [{role}]"
            found[id] = UnitFacts(name=name, kind=facts.kind, layer=facts.layer, token=facts.token)
    return found


def _stored(session: Session, units: list[str]) -> dict[str, UnitFacts]:
    found = {}
    for start in range(0, len(units), _BATCH):
        for row in session.run(_FACTS, units=units[start : start + _BATCH]).data():
            found[row["id"]] = UnitFacts(row["name"], row["kind"], row["layer"], row["token"])
    supernodes = [unit for unit in units if _SUPERNODE_ID.fullmatch(unit)]
    for row in session.run(_SUPERNODE_FACTS, ids=supernodes).data() if supernodes else ():
        found[row["id"]] = UnitFacts(row["name"], "Supernode", row["layer"], None)
    return found
