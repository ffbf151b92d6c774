"""Rows of the units of heads and MLPs that no trace has brought."""

from collections.abc import Sequence
from typing import Any

from circuitbase.ingest.unit_rows import UnitRows
from circuitbase.schema import identity
from circuitbase.schema.declaration import node
from circuitbase.schema.kinds import NodeKind
from circuitbase.schema.rows import rows
from circuitbase.schema.unit_names import unit_name

Component = tuple[int, int | None]  # layer, head; None: the layer's MLP


def unit_id(model: str, component: Component) -> str:
    """Returns the id of a head's or an MLP's unit."""
    layer, head = component
    return identity.mlp(model, layer) if head is None else identity.head(model, layer, head)


def component_unit_rows(model: str, components: Sequence[Component]) -> UnitRows:
    """Returns the rows of these units, each once."""
    found = sorted({unit_id(model, component): component for component in components}.items())
    kinds = [NodeKind.MLP if head is None else NodeKind.HEAD for _, (_, head) in found]
    columns: dict[str, list[Any]] = {
        "id": [id for id, _ in found],
        "name": [
            unit_name(kind, layer=layer, index=head or 0, text=None)
            for kind, (_, (layer, head)) in zip(kinds, found, strict=True)
        ],
        "kind": [kind.label for kind in kinds],
        "index": [head or 0 for _, (_, head) in found],
        "layer": [layer for _, (layer, _) in found],
    }
    labels = [[kind.label, identity.layer_label(layer)] for kind, (_, (layer, _)) in zip(kinds, found, strict=True)]
    return UnitRows(rows(node("Unit"), columns, after=[labels]), frozenset(), [], [])
