"""Storing interventions: what was changed in a model, on which units, and what it did to a metric."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neo4j import Driver, ManagedTransaction

from circuitbase.graph.trace import ModelIdentity
from circuitbase.ingest import statements
from circuitbase.ingest.component_units import Component, component_unit_rows, unit_id
from circuitbase.ingest.failures import database_failures
from circuitbase.ingest.managed import write
from circuitbase.ingest.migrations import ensure_schema
from circuitbase.ingest.shared_rows import model_row
from circuitbase.ingest.units import upsert_units
from circuitbase.schema.declaration import node, relationship
from circuitbase.schema.identity import canonical_json, intervention_id
from circuitbase.schema.rows import rows


@dataclass(frozen=True)
class MadeIntervention:
    """A change and its effect on each pair; `setup` is everything else that the numbers depend on.

    `name` is unique among interventions of one method, set-up, direction and metric. `on` are the heads and MLPs
    that were changed (none for a residual stream), `reaches` what alone was given the change, with q, k, v or None.
    """

    name: str
    method: str
    site: str
    direction: str | None
    metric: str
    effects: tuple[float, ...]
    setup: Mapping[str, Any]
    layer: int | None = None
    layers: int | None = None
    head: int | None = None
    position: int | None = None
    on: tuple[Component, ...] = ()
    reaches: tuple[tuple[Component, str | None], ...] = ()

    def id(self, model: str) -> str:
        """Returns the intervention's id in a model of that id."""
        place = {"name": self.name, "site": self.site, "direction": self.direction, "metric": self.metric}
        return intervention_id(model=model, method=self.method, setup=self.setup, place=place)


def store_interventions(
    driver: Driver, model: ModelIdentity, made: Sequence[MadeIntervention], *, database: str
) -> int:
    """Writes interventions, their units and their model; returns how many were new. Repeating it changes nothing."""
    components = sorted(
        {c for each in made for c in (*each.on, *(component for component, _ in each.reaches))}, key=str
    )
    units = component_unit_rows(model.id, components)
    columns = _columns(model.id, made)
    nodes = sorted(rows(node("Intervention"), columns))
    on = sorted((each.id(model.id), unit_id(model.id, component)) for each in made for component in each.on)
    reached = [
        (each.id(model.id), unit_id(model.id, receiver), port) for each in made for receiver, port in each.reaches
    ]
    reaches = rows(
        relationship("REACHES"),
        {"port": [port for _, _, port in reached]},
        before=([id for id, _, _ in reached], [unit for _, unit, _ in reached]),
    )

    def work(transaction: ManagedTransaction) -> int:
        transaction.run(statements.UPSERT_MODEL, row=model_row(model)).consume()
        done = transaction.run(statements.UPSERT_INTERVENTIONS, rows=nodes, model=model.id).consume()
        transaction.run(statements.LINK_INTERVENTIONS_TO_UNITS, rows=on).consume()
        transaction.run(statements.LINK_INTERVENTIONS_TO_RECEIVERS, rows=reaches).consume()
        return int(done.counters.nodes_created)

    with database_failures(f"storing {len(made)} interventions"):
        ensure_schema(driver, database=database)
        with driver.session(database=database) as session:
            upsert_units(session, units, dictionary=None)
            return write(session, work).value


def _columns(model: str, made: Sequence[MadeIntervention]) -> dict[str, list[Any]]:
    same = ("method", "site", "direction", "metric", "layer", "layers", "head", "position")
    return {
        "id": [each.id(model) for each in made],
        "name": [" ".join(filter(None, (each.method, each.direction, each.name))) for each in made],
        **{name: [getattr(each, name) for each in made] for name in same},
        "effect": [statistics.fmean(each.effects) for each in made],
        "effects": [list(each.effects) for each in made],
        "pairs": [len(each.effects) for each in made],
        "setup": [canonical_json(each.setup) for each in made],
    }
