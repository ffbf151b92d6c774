"""A global circuit as a picture shows it: its strongest part, with words for people."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from circuitbase.pages.circuit_drawing import CircuitDrawing, DrawnEdge, DrawnUnit, Role, strongest
from circuitbase.pages.circuit_numbers import edge_numbers, unit_numbers
from circuitbase.pages.role_columns import role_columns
from circuitbase.queries.circuit import CircuitEdge, CircuitUnit, GlobalCircuit
from circuitbase.queries.relabelling import unit_and_role

MAX_UNITS, MAX_EDGES = 30, 60
_ROLES: dict[str, Role] = {
    "InputToken": "token",
    "Supernode": "supernode",
    "LayerError": "error",
    "Head": "head",
    "AttentionLink": "head",
    "Mlp": "mlp",
    "Neuron": "mlp",
    "OutputToken": "output",
    "RoleOutput": "output",
    "Direction": "output",
}


def drawing_of(
    circuit: GlobalCircuit,
    labels: Mapping[str, str],
    *,
    max_units: int = MAX_UNITS,
    max_edges: int = MAX_EDGES,
) -> CircuitDrawing:
    """Returns what to draw of a circuit; `labels` are words for features by unit id.

    Units that were told apart by role stand in a column for each role. Layers next to each other of which nothing is
    drawn share a row.
    """
    n_layers = 1 + max((unit.layer for unit in circuit.units if unit.layer is not None), default=-1)
    units, edges = strongest(
        [_unit(unit, labels, n_layers=n_layers) for unit in circuit.units],
        _edges(circuit.edges),
        max_units=max_units,
        max_edges=max_edges,
    )
    units, columns = role_columns(units, edges)
    units, rows = _without_empty_rows(units, n_layers=n_layers)
    chosen = circuit.rollup
    return CircuitDrawing(
        title=f"Global circuit of {chosen.prompt_set}: {chosen.traces} traces",
        subtitle=f"{chosen.configuration_name} · in at least {circuit.min_presence:.0%} of traces: {len(units)} of "
        f"{circuit.n_units:,} units and {len(edges)} of {circuit.n_edges:,} edges shown, by mean influence",
        row_names=rows,
        units=units,
        edges=edges,
        column_names=columns,
    )


def _unit(unit: CircuitUnit, labels: Mapping[str, str], *, n_layers: int) -> DrawnUnit:
    role = _ROLES.get(unit.kind, "feature")
    column = unit_and_role(unit.id)[1]
    label, name = _words(unit, role, labels, column=column)
    return DrawnUnit(
        id=unit.id,
        role=role,
        row=0 if role == "token" else n_layers + 1 if role == "output" else (unit.layer or 0) + 1,
        label=label,
        name=name,
        influence=unit.mean_influence,
        presence=unit.presence.value,
        column=column,
        numbers=unit_numbers(unit),
    )


def _words(unit: CircuitUnit, role: Role, labels: Mapping[str, str], *, column: str | None) -> tuple[str, str]:
    """Returns what to read first and the short identity below it, which leaves the role to the column's head."""
    unit_name = unit.name.removesuffix(f" [{column}]")
    match role:
        case "token" if column is not None:
            return column, "input"
        case "token" | "output" if unit.token is not None:
            return f"“{unit.token.strip() or unit.token}”", "input" if role == "token" else "output"
        case "output":
            return unit_name, "output"
        case "error":
            return "error", unit_name
        case "head" | "mlp":
            return unit_name.partition("/")[2].replace("/", " ").replace("mlp", "MLP"), unit_name
        case _:
            return labels.get(unit.id, unit_name), unit_name


def _edges(edges: Sequence[CircuitEdge]) -> list[DrawnEdge]:
    """Returns one edge for each two units; a head's inputs are drawn together, with the weight of the strongest."""
    strongest_first = sorted(edges, key=lambda edge: -edge.mean_influence)
    found: dict[tuple[str, str], DrawnEdge] = {}
    for edge in strongest_first:
        ends = (edge.source, edge.target)
        drawn = found.get(ends)
        found[ends] = DrawnEdge(
            source=edge.source,
            target=edge.target,
            weight=edge.mean_weight if drawn is None else drawn.weight,
            influence=edge.mean_influence + (0.0 if drawn is None else drawn.influence),
            presence=max(edge.presence.value, 0.0 if drawn is None else drawn.presence),
            numbers=edge_numbers(edge) if drawn is None else drawn.numbers,
        )
    return list(found.values())


def _without_empty_rows(units: Sequence[DrawnUnit], *, n_layers: int) -> tuple[tuple[DrawnUnit, ...], tuple[str, ...]]:
    """Returns units in their new rows and the rows' names, bottom up: one row for each run of empty layers."""
    filled = {unit.row for unit in units}
    names, row_of = ["Input tokens"], {0: 0}
    start = 0
    for layer in range(n_layers):
        row = layer + 1
        if row in filled or layer == 0 or layer in filled:
            names.append(f"Layer {layer}")
            start = layer
        else:
            names[-1] = f"Layers {start}–{layer}"
        row_of[row] = len(names) - 1
    names.append("Outputs")
    row_of[n_layers + 1] = len(names) - 1
    return tuple(replace(unit, row=row_of[unit.row]) for unit in units), tuple(names)
