"""What a person says about stored supernodes, by name, as an edit by unit ids."""

from collections.abc import Sequence

from neo4j import Session

from circuitbase.errors import InputError
from circuitbase.graph.supernode_edits import SupernodeEdit
from circuitbase.queries.rollup_choice import ChosenRollup
from circuitbase.queries.supernode_storing import StoredSupernode

UNITS_BY_NAME = """
MATCH (unit:Unit)-[seen:SEEN_IN]->(:Rollup {id: $rollup})
WHERE seen.rollup = $rollup AND (unit.name = $name OR unit.id = $name)
RETURN unit.id AS id ORDER BY id
"""
_ID_DIGITS = 6  # fewer are more likely a name


def pin(session: Session, rollup: ChosenRollup, stored: Sequence[StoredSupernode], group: str) -> SupernodeEdit:
    """Returns the edit that fixes the members of a group, or leaves a unit alone for good."""
    return SupernodeEdit("pin", _members(session, rollup, stored, group))


def merge(
    session: Session, rollup: ChosenRollup, stored: Sequence[StoredSupernode], groups: Sequence[str]
) -> SupernodeEdit:
    """Returns the edit that puts groups, or units, together."""
    units = {unit for group in groups for unit in _members(session, rollup, stored, group)}
    if len(units) < 2:
        raise InputError("a merge needs two or more units; name two supernodes, or a supernode and a unit")
    return SupernodeEdit("merge", tuple(sorted(units)))


def split(
    session: Session, rollup: ChosenRollup, stored: Sequence[StoredSupernode], group: str, units: Sequence[str]
) -> SupernodeEdit:
    """Returns the edit that keeps some members of a group apart from the others."""
    members = _members(session, rollup, stored, group)
    leaving = {_unit(session, rollup, unit) for unit in units}
    if strangers := sorted(leaving - set(members)):
        raise InputError(f"{strangers[0]} is no member of supernode {group!r}; name members of it")
    if not leaving or leaving == set(members):
        raise InputError(f"a split of supernode {group!r} must take some of its {len(members)} members, and leave some")
    return SupernodeEdit("split", tuple(sorted(leaving)), others=tuple(sorted(set(members) - leaving)))


def name(
    session: Session, rollup: ChosenRollup, stored: Sequence[StoredSupernode], group: str, called: str
) -> SupernodeEdit:
    """Returns the edit that names a group."""
    if not called.strip():
        raise InputError("a supernode's name must have a letter; give one")
    if any(each.name == called for each in stored if called != group):
        raise InputError(f"another supernode of {rollup.prompt_set!r} is called {called!r}; choose another name")
    return SupernodeEdit("name", _members(session, rollup, stored, group), name=called)


def _members(session: Session, rollup: ChosenRollup, stored: Sequence[StoredSupernode], group: str) -> tuple[str, ...]:
    """Returns the members of the supernode with that name, id or member; a unit that is in none stands alone."""
    found = [each for each in stored if each.name == group]
    if not found and len(group) >= _ID_DIGITS:
        found = [each for each in stored if each.id.startswith(group)]
    if len(found) > 1:
        raise InputError(f"{len(found)} supernodes of {rollup.prompt_set!r} are called {group!r}; give the id of one")
    if found:
        return found[0].members
    unit = _unit(session, rollup, group)
    return next((each.members for each in stored if unit in each.members), (unit,))


def _unit(session: Session, rollup: ChosenRollup, name: str) -> str:
    found = [row["id"] for row in session.run(UNITS_BY_NAME, rollup=rollup.id, name=name)]
    if len(found) != 1:
        what = "no supernode and no unit" if not found else f"{len(found)} units"
        raise InputError(
            f"prompt set {rollup.prompt_set!r} has {what} called {name!r}; "
            f"`circuitbase supernodes {rollup.prompt_set}` lists them"
        )
    return str(found[0])
