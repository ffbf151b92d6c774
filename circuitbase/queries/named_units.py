"""The units that a name or an id stands for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from neo4j import Session

from circuitbase.errors import InputError

_EXACT = """
UNWIND $names AS name
MATCH (unit:Unit) WHERE unit.name = name OR unit.id = name
RETURN name, unit.id AS id, unit.name AS unit, COUNT { (unit)<-[:OF]-() } AS nodes
ORDER BY id
"""
_OUTPUTS_THAT_BEGIN = """
UNWIND $names AS name
MATCH (unit:Unit) WHERE unit.name STARTS WITH name + '-' AND unit:RoleOutput
RETURN name, unit.id AS id, unit.name AS unit, COUNT { (unit)<-[:OF]-() } AS nodes
ORDER BY id
"""
_TOKENS = ('in "', 'out "')


@dataclass(frozen=True)
class NamedUnits:
    """The units that go by a name: several where models or dictionaries share it. `nodes` counts their trace nodes."""

    name: str
    ids: tuple[str, ...]
    names: tuple[str, ...]
    nodes: int


def named_units(session: Session, names: Sequence[str]) -> dict[str, NamedUnits]:
    """Returns the units of each name or id; raises InputError for names that none has.

    A token may be named without the space that it begins with, and an output by the role that its name begins with.
    """
    found = _found(session, _EXACT, {name: name for name in names})
    with_space = {name: _with_space(name) for name in names if name not in found and name.startswith(_TOKENS)}
    found |= _found(session, _EXACT, with_space)
    found |= _found(session, _OUTPUTS_THAT_BEGIN, {name: name for name in names if name not in found})
    missing = [name for name in names if name not in found]
    if missing:
        raise InputError(
            f"there is no unit {' and no '.join(dict.fromkeys(missing))}; units are named as L03/F00123, "
            'in " Paris", out " Lyon", L02/head/1, L01/error or an output\'s role, or by their ids'
        )
    return found


def _found(session: Session, text: str, written: dict[str, str]) -> dict[str, NamedUnits]:
    """Returns units by the name that was asked for; `written` says how each is spelt in the database."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in session.run(text, names=sorted(set(written.values()))).data() if written else []:
        rows.setdefault(row["name"], []).append(row)
    return {
        name: NamedUnits(
            name=name,
            ids=tuple(row["id"] for row in rows[spelt]),
            names=tuple(sorted({row["unit"] for row in rows[spelt]})),
            nodes=sum(row["nodes"] for row in rows[spelt]),
        )
        for name, spelt in written.items()
        if spelt in rows
    }


def _with_space(name: str) -> str:
    kind, _, token = name.partition('"')
    return f'{kind}" {token}'
