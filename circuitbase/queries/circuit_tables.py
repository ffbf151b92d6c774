"""A global circuit as tables of units and edges, for graph tools and data frames."""

from collections.abc import Mapping
from typing import Any

from circuitbase.graph.tables import GraphTables
from circuitbase.queries.circuit import CircuitEdge, CircuitUnit, GlobalCircuit
from circuitbase.schema.kinds import Port

_INTERVALS = ("presence", "conditional_presence", "sign_agreement")
_UNIT_NUMBERS: dict[str, type] = {
    **{"traced": int, "active_traces": int, "mean_influence": float, "influence_deviation": float},
    "mean_activation": float,
}
_EDGE_NUMBERS: dict[str, type] = {
    **{"traces": int, "mean_weight": float, "weight_deviation": float, "mean_share": float, "mean_influence": float},
    **{"same_position": float, "target_weighted_effect": float},
}
TYPES: dict[str, type] = {
    **{"id": str, "name": str, "label": str, "kind": str, "layer": int, "token": str},
    **{"source": str, "target": str, "port": str},
    **{f"{name}{end}": float for name in _INTERVALS for end in ("", "_low", "_high")},
    **_UNIT_NUMBERS,
    **_EDGE_NUMBERS,
}


def circuit_tables(circuit: GlobalCircuit, *, labels: Mapping[str, str] | None = None) -> GraphTables:
    """Returns units and edges of a global circuit with all that is known of them; `labels` are by unit id.

    Means are those of `CircuitUnit` and `CircuitEdge`; `_low` and `_high` are the ends of Wilson's 95 % interval. An
    end of an edge that is not among the circuit's units has a name and nothing else.
    """
    ends = {end: name for edge in circuit.edges for end, name in _ends(edge)}
    units: dict[str, CircuitUnit | None] = {**dict.fromkeys(ends), **{unit.id: unit for unit in circuit.units}}
    names = ends | {unit.id: unit.name for unit in circuit.units}
    found = [(unit_id, units[unit_id]) for unit_id in sorted(units)]
    nodes: dict[str, list[Any]] = {
        "id": [unit_id for unit_id, _ in found],
        "name": [names[unit_id] for unit_id, _ in found],
        "label": [(labels or {}).get(unit_id) for unit_id, _ in found],
        **{name: [_of(unit, name) for _, unit in found] for name in ("kind", "layer", "token")},
        **_interval("presence", [_of(unit, "presence") for _, unit in found]),
        **{name: [_of(unit, name) for _, unit in found] for name in _UNIT_NUMBERS},
    }
    edges: dict[str, list[Any]] = {
        "source": [edge.source for edge in circuit.edges],
        "target": [edge.target for edge in circuit.edges],
        "port": [Port(edge.port).name.lower() if edge.port else None for edge in circuit.edges],
    }
    for name in _INTERVALS:
        edges |= _interval(name, [getattr(edge, name) for edge in circuit.edges])
    edges |= {name: [getattr(edge, name) for edge in circuit.edges] for name in _EDGE_NUMBERS}
    rollup = circuit.rollup
    return GraphTables(
        attributes={
            "prompt_set": rollup.prompt_set,
            "configuration": rollup.configuration,
            "configuration_name": rollup.configuration_name,
            "traces": rollup.traces,
            "min_presence": circuit.min_presence,
            "ranked_by": circuit.by,
        },
        nodes=nodes,
        edges=edges,
        types=TYPES,
    )


def _ends(edge: CircuitEdge) -> list[tuple[str, str]]:
    return [(edge.source, edge.source_name), (edge.target, edge.target_name)]


def _of(unit: CircuitUnit | None, name: str) -> Any:
    return None if unit is None else getattr(unit, name)


def _interval(name: str, found: list[Any]) -> dict[str, list[Any]]:
    return {
        name: [each and each.value for each in found],
        f"{name}_low": [each and each.low for each in found],
        f"{name}_high": [each and each.high for each in found],
    }
