"""What a picture of a circuit shows: the units and edges that carry most influence, and their words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Role = Literal["token", "feature", "supernode", "head", "mlp", "error", "output"]


@dataclass(frozen=True)
class DrawnUnit:
    """One unit of a picture. `row` counts from the bottom: input tokens, layers, outputs; `column` is a role.

    `label` is what people should read first (tokens at a feature's peaks), `name` the short identity; `numbers`
    are what an interactive page shows of it, (name, value) as text.
    """

    id: str
    role: Role
    row: int
    label: str
    name: str
    influence: float
    presence: float
    column: str | None = None
    numbers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class DrawnEdge:
    """One edge of a picture: mean signed weight gives its colour and dashes, mean influence its width."""

    source: str
    target: str
    weight: float
    influence: float
    presence: float
    numbers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class CircuitDrawing:
    """A circuit as it is drawn; `title` and `subtitle` say what of, over how many traces, above which limits.

    Columns are named from left to right; without names units stand anywhere across.
    """

    title: str
    subtitle: str
    row_names: tuple[str, ...]
    units: tuple[DrawnUnit, ...]
    edges: tuple[DrawnEdge, ...]
    column_names: tuple[str, ...] = ()


def strongest(
    units: Sequence[DrawnUnit], edges: Sequence[DrawnEdge], *, max_units: int, max_edges: int
) -> tuple[tuple[DrawnUnit, ...], tuple[DrawnEdge, ...]]:
    """Returns the most influential units, all outputs among them, and the most influential edges between them.

    Units that are left without an edge go, except outputs. Ties are broken by id.
    """
    ranked = sorted(units, key=lambda unit: (unit.role != "output", -unit.influence, unit.id))[:max_units]
    chosen = {unit.id for unit in ranked}
    inside = [edge for edge in edges if edge.source in chosen and edge.target in chosen]
    inside.sort(key=lambda edge: (-edge.influence, edge.source, edge.target))
    kept = tuple(inside[:max_edges])
    joined = {end for edge in kept for end in (edge.source, edge.target)}
    return tuple(unit for unit in ranked if unit.id in joined or unit.role == "output"), kept
