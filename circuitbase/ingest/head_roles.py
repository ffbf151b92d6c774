"""Storing what is known of attention heads on their units."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from neo4j import Driver, ManagedTransaction

from circuitbase.graph.trace import ModelIdentity
from circuitbase.ingest import statements
from circuitbase.ingest.failures import database_failures
from circuitbase.ingest.managed import write
from circuitbase.ingest.migrations import ensure_schema
from circuitbase.ingest.shared_rows import model_row
from circuitbase.schema import identity
from circuitbase.schema.declaration import node
from circuitbase.schema.identity import canonical_json, layer_label
from circuitbase.schema.kinds import NodeKind
from circuitbase.schema.rows import rows
from circuitbase.schema.unit_names import unit_name
from circuitbase.tracing.head_roles.roles import HeadRoles, Role

Row = tuple[Any, ...]


@dataclass(frozen=True)
class StoredHeadRoles:
    """How many heads have scores now, how many of their units were new, and how often a transaction was repeated."""

    heads: int
    new_units: int
    retries: int


def store_head_roles(driver: Driver, model: ModelIdentity, found: HeadRoles, *, database: str) -> StoredHeadRoles:
    """Writes scores, roles and evidence on the units of a model's heads, which are made where there are none.

    It is one transaction; repeating it changes nothing, and what was stored of these heads before is replaced,
    also by nothing where a score was not measured this time. A fresh database is migrated. Raises
    DatabaseError for one of another schema version.
    """
    with database_failures(f"storing the head roles of {model.id}"):
        ensure_schema(driver, database=database)
        places = [(layer, head) for layer in range(found.shape[0]) for head in range(found.shape[1])]
        work = partial(
            _store,
            model=model_row(model),
            units=_unit_rows(model, places),
            roles=_role_rows(model, places, found),
        )
        with driver.session(database=database) as session:
            written = write(session, work)
    return StoredHeadRoles(heads=len(places), new_units=written.value, retries=written.retries)


def _store(transaction: ManagedTransaction, *, model: Row, units: list[Row], roles: list[Row]) -> int:
    transaction.run(statements.UPSERT_MODEL, row=model).consume()
    new = transaction.run(statements.UPSERT_UNITS, rows=units).consume().counters.nodes_created
    transaction.run(statements.SET_HEAD_ROLES, rows=roles).consume()
    return int(new)


def _unit_rows(model: ModelIdentity, places: Sequence[tuple[int, int]]) -> list[Row]:
    return rows(
        node("Unit"),
        {
            "id": [identity.head(model.id, layer, head) for layer, head in places],
            "name": [unit_name(NodeKind.HEAD, layer=layer, index=head, text=None) for layer, head in places],
            "kind": [NodeKind.HEAD.label for _ in places],
            "index": [head for _, head in places],
            "layer": [layer for layer, _ in places],
        },
        after=[[[NodeKind.HEAD.label, layer_label(layer)] for layer, _ in places]],
    )


def _role_rows(model: ModelIdentity, places: Sequence[tuple[int, int]], found: HeadRoles) -> list[Row]:
    scores = {role.value: [found.score(role, layer=layer, head=head) for layer, head in places] for role in Role}
    return rows(
        node("Head"),
        {
            **scores,
            "roles": [[role.value for role in found.roles(layer=layer, head=head)] for layer, head in places],
            "roles_evidence": [canonical_json(found.evidence(layer=layer, head=head)) for layer, head in places],
        },
        before=[[identity.head(model.id, layer, head) for layer, head in places]],
    )
