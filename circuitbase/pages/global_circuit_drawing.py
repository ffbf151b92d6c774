"""A global circuit as a picture shows it: its strongest part, with words for people."""

from collections.abc import Mapping, Sequence

from circuitbase.pages.circuit_drawing import CircuitDrawing, DrawnEdge, DrawnUnit, Role, strongest
from circuitbase.queries.circuit import CircuitEdge, CircuitUnit, GlobalCircuit

MAX_UNITS, MAX_EDGES = 30, 60
_ROLES: dict[str, Role] = {
    "InputToken": "token",
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
    """Returns what to draw of a circuit; `labels` are words for features by unit id."""
    n_layers = 1 + max((unit.layer for unit in circuit.units if unit.layer is not None), default=-1)
    units, edges = strongest(
        [_unit(unit, labels, n_layers=n_layers) for unit in circuit.units],
        _edges(circuit.edges),
        max_units=max_units,
        max_edges=max_edges,
    )
    chosen = circuit.rollup
    return CircuitDrawing(
        title=f"Global circuit of {chosen.prompt_set}: {chosen.traces} traces",
        subtitle=f"{chosen.configuration_name} · in at least {circuit.min_presence:.0%} of traces: {len(units)} of "
        f"{circuit.n_units:,} units and {len(edges)} of {circuit.n_edges:,} edges shown, by mean influence",
        row_names=("Input tokens", *(f"Layer {layer}" for layer in range(n_layers)), "Outputs"),
        units=units,
        edges=edges,
    )


def _unit(unit: CircuitUnit, labels: Mapping[str, str], *, n_layers: int) -> DrawnUnit:
    role = _ROLES.get(unit.kind, "feature")
    label, name = _words(unit, role, labels)
    return DrawnUnit(
        id=unit.id,
        role=role,
        row=0 if role == "token" else n_layers + 1 if role == "output" else (unit.layer or 0) + 1,
        label=label,
        name=name,
        influence=unit.mean_influence,
        presence=unit.presence.value,
    )


def _words(unit: CircuitUnit, role: Role, labels: Mapping[str, str]) -> tuple[str, str]:
    """Returns what to read first and the short identity below it."""
    match role:
        case "token" | "output" if unit.token is not None:
            return f"“{unit.token.strip() or unit.token}”", "input" if role == "token" else "output"
        case "output":
            return unit.name, "output"
        case "error":
            return "error", unit.name
        case "head" | "mlp":
            return unit.name.partition("/")[2].replace("/", " ").replace("mlp", "MLP"), unit.name
        case _:
            return labels.get(unit.id, unit.name), unit.name


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
        )
    return list(found.values())
