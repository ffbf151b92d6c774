"""Supernodes in the database: kept, read, and replaced by the next grouping; edits outlive them."""

from collections.abc import Sequence
from dataclasses import dataclass

from neo4j import Driver, ManagedTransaction, Session

from circuitbase.errors import InputError
from circuitbase.graph.supernode_edits import SupernodeEdit
from circuitbase.graph.supernodes import Supernode
from circuitbase.ingest.failures import database_failures
from circuitbase.ingest.managed import write
from circuitbase.ingest.migrations import ensure_schema
from circuitbase.queries.lease import take_lease
from circuitbase.queries.rollup_choice import ChosenRollup
from circuitbase.queries.supernodes import SupernodeOptions, SupernodeReport
from circuitbase.schema.declaration import node, relationship
from circuitbase.schema.identity import supernode_edit_id, supernode_id
from circuitbase.schema.rows import rows
from circuitbase.schema.statements import property_map

DELETE_EVIDENCE = """
MATCH (supernode:Supernode {set: $set, configuration: $configuration})
MATCH (:Unit)-[resembles:RESEMBLES {supernode: supernode.id}]->(:Unit)
DELETE resembles
"""
DELETE_SUPERNODES = """
MATCH (supernode:Supernode {set: $set, configuration: $configuration})
DETACH DELETE supernode
"""
# Rows: Supernode.
CREATE_SUPERNODES = f"""
UNWIND $rows AS row
CREATE (:Supernode {property_map(node("Supernode"))})
"""
# Rows: id of the supernode, id of the unit.
GROUP_UNITS = """
UNWIND $rows AS row
MATCH (supernode:Supernode {id: row[0]})
MATCH (unit:Unit {id: row[1]})
CREATE (supernode)-[:GROUPS]->(unit)
"""
# Rows: id of the first unit, id of the second, RESEMBLES.
CREATE_EVIDENCE = f"""
UNWIND $rows AS row
MATCH (first:Unit {{id: row[0]}})
MATCH (second:Unit {{id: row[1]}})
CREATE (first)-[:RESEMBLES {property_map(relationship("RESEMBLES"), first=2)}]->(second)
"""
READ_SUPERNODES = """
MATCH (supernode:Supernode {set: $set, configuration: $configuration})-[:GROUPS]->(unit:Unit)
WITH supernode, unit ORDER BY unit.id
WITH supernode, collect(unit.id) AS members, collect(unit.name) AS names, min(unit.layer) AS layer
RETURN supernode.id AS id, supernode.name AS name, supernode.pinned AS pinned, supernode.threshold AS threshold,
       supernode.min_presence AS min_presence, members, names, layer
ORDER BY members[0]
"""
READ_EDITS = """
MATCH (edit:SupernodeEdit {set: $set, configuration: $configuration})
RETURN edit.kind AS kind, edit.units AS units, edit.others AS others, edit.name AS name
ORDER BY edit.number
"""
CREATE_EDIT = f"""
UNWIND $rows AS row
CREATE (:SupernodeEdit {property_map(node("SupernodeEdit"))})
"""


@dataclass(frozen=True)
class StoredSupernode:
    """A supernode as it is stored; `names` are those of its members, `layer` the lowest of theirs."""

    id: str
    name: str
    pinned: bool
    options: SupernodeOptions
    members: tuple[str, ...]
    names: tuple[str, ...]
    layer: int | None


def display_name(supernode: Supernode, names: dict[str, str]) -> str:
    """Returns what a person called it, else its first member's name and how many more there are."""
    more = len(supernode.members) - 1
    return supernode.name or names[supernode.members[0]] + (f" +{more}" if more else "")


def store_supernodes(driver: Driver, report: SupernodeReport, *, database: str) -> int:
    """Writes the supernodes of a report in place of those that the set had; returns how many."""
    found, ends = report.grouping.supernodes, _ends(report.rollup)
    ids = [supernode_id(prompt_set=ends["set"], configuration=ends["configuration"], members=s.members) for s in found]
    nodes = rows(
        node("Supernode"),
        {
            "id": ids,
            "name": [display_name(each, report.names) for each in found],
            **{name: [value] * len(found) for name, value in ends.items()},
            "size": [len(each.members) for each in found],
            "threshold": [float(report.options.threshold)] * len(found),
            "min_presence": [float(report.options.min_presence)] * len(found),
            "pinned": [each.pinned for each in found],
        },
    )
    members = [(id, unit) for id, each in zip(ids, found, strict=True) for unit in each.members]
    pairs = [(id, pair) for id, each in zip(ids, found, strict=True) for pair in each.pairs]
    evidence = rows(
        relationship("RESEMBLES"),
        {
            "supernode": [id for id, _ in pairs],
            **{name: [getattr(pair, name) for _, pair in pairs] for name in ("likeness", "jaccard", "evidence")},
        },
        before=([pair.first for _, pair in pairs], [pair.second for _, pair in pairs]),
    )

    def work(transaction: ManagedTransaction) -> int:
        take_lease(transaction)
        transaction.run(DELETE_EVIDENCE, ends).consume()
        transaction.run(DELETE_SUPERNODES, ends).consume()
        transaction.run(CREATE_SUPERNODES, rows=nodes).consume()
        transaction.run(GROUP_UNITS, rows=members).consume()
        transaction.run(CREATE_EVIDENCE, rows=evidence).consume()
        return len(nodes)

    with database_failures(f"storing {len(found)} supernodes"):
        ensure_schema(driver, database=database)
        with driver.session(database=database) as session:
            return write(session, work).value


def stored_supernodes(session: Session, rollup: ChosenRollup) -> list[StoredSupernode]:
    """Returns the supernodes that are stored for a rollup's set, in the order of their first members."""
    return [
        StoredSupernode(
            id=row["id"],
            name=row["name"],
            pinned=row["pinned"],
            options=SupernodeOptions(threshold=row["threshold"], min_presence=row["min_presence"]),
            members=tuple(row["members"]),
            names=tuple(row["names"]),
            layer=row["layer"],
        )
        for row in session.run(READ_SUPERNODES, _ends(rollup))
    ]


def required_supernodes(session: Session, rollup: ChosenRollup) -> list[StoredSupernode]:
    """Returns the supernodes that are stored for a rollup's set; raises InputError if there are none."""
    found = stored_supernodes(session, rollup)
    if not found:
        raise InputError(
            f"prompt set {rollup.prompt_set!r} has no stored supernodes; "
            f"store them with `circuitbase supernodes {rollup.prompt_set} --store`"
        )
    return found


def stored_edits(session: Session, rollup: ChosenRollup) -> list[SupernodeEdit]:
    """Returns what people said about the supernodes of a rollup's set, oldest first."""
    return [
        SupernodeEdit(row["kind"], tuple(row["units"]), tuple(row["others"]), row["name"])
        for row in session.run(READ_EDITS, _ends(rollup))
    ]


def add_edits(driver: Driver, rollup: ChosenRollup, edits: Sequence[SupernodeEdit], *, database: str) -> None:
    """Keeps edits behind those that there are."""
    ends = _ends(rollup)

    def work(transaction: ManagedTransaction) -> None:
        take_lease(transaction)
        first = len(transaction.run(READ_EDITS, ends).data())
        numbers = range(first, first + len(edits))
        columns: dict[str, Sequence[object]] = {
            "id": [
                supernode_edit_id(prompt_set=ends["set"], configuration=ends["configuration"], number=n)
                for n in numbers
            ],
            **{name: [value] * len(edits) for name, value in ends.items()},
            "number": list(numbers),
            "kind": [edit.kind for edit in edits],
            "units": [list(edit.units) for edit in edits],
            "others": [list(edit.others) for edit in edits],
            "name": [edit.name for edit in edits],
        }
        transaction.run(CREATE_EDIT, rows=rows(node("SupernodeEdit"), columns)).consume()

    with database_failures("keeping an edit of supernodes"), driver.session(database=database) as session:
        write(session, work)


def _ends(rollup: ChosenRollup) -> dict[str, str]:
    return {"set": rollup.prompt_set, "configuration": rollup.configuration}
