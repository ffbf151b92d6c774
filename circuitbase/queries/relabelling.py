"""Units under other ids before they are summed: by the role of their position, or by the group they are in.

Sums over relabelled traces are the circuit of roles or of groups, with presence counted in traces as ever. What
is drawn inside a group is no edge of its circuit and left out.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int64

from circuitbase.queries.rollup_sums import ActiveFeatures
from circuitbase.queries.selection import SelectedTrace
from circuitbase.queries.trace_columns import TraceColumns

Relabelling = Callable[[SelectedTrace, Sequence[str], Sequence[int]], tuple[str, ...]]

AT = "@"
ELSEWHERE = "elsewhere"

_INPUT = re.compile(r"(?P<model>[^@]+@[0-9a-f]{8}/in/).*")
_OUTPUT = re.compile(r"[^@]+@[0-9a-f]{8}/(out|role|direction)/.*")


@dataclass(frozen=True)
class FiredFeatures:
    """The features that fired in one trace, each at each of its positions."""

    unit: tuple[str, ...]
    position: Int64[np.ndarray, " fired"]
    activation: Float64[np.ndarray, " fired"]


def by_role(selected: SelectedTrace, units: Sequence[str], positions: Sequence[int]) -> tuple[str, ...]:
    """Returns units told apart by the role of their position; of input tokens only the role is left.

    A unit without a position, or an output, keeps its id; a position without a role is `elsewhere`.
    """
    role_of = {position: role for role, places in selected.roles.items() for position in places}
    return tuple(
        unit if position < 0 else _with_role(unit, role_of.get(position, ELSEWHERE))
        for unit, position in zip(units, positions, strict=True)
    )


def by_group(groups: Mapping[str, str]) -> Relabelling:
    """Returns the relabelling of units to the groups they are in (unit id → group id); others keep their ids."""

    def relabelled(_: SelectedTrace, units: Sequence[str], __: Sequence[int]) -> tuple[str, ...]:
        return tuple(groups.get(unit, unit) for unit in units)

    return relabelled


def unit_and_role(id: str) -> tuple[str, str | None]:
    """Returns the unit of an id that `by_role` made, and the role; an input token of any kind is the unit ''."""
    if _OUTPUT.fullmatch(id):
        return id, None
    token = _INPUT.fullmatch(id)
    if token and id[token.end("model") :].startswith(AT):
        return "", id[token.end("model") + 1 :]
    unit, separator, role = id.rpartition(AT)
    return (unit, role) if separator and "/" in unit and not re.match(r"[0-9a-f]{8}/", role) else (id, None)


def relabelled_columns(columns: TraceColumns, selected: SelectedTrace, relabelling: Relabelling) -> TraceColumns:
    """Returns the columns under other ids, without the edges whose ends became one unit."""
    units = relabelling(selected, columns.unit, columns.position.tolist())
    number = np.unique(np.array(units, dtype=object).astype(str), return_inverse=True)[1].reshape(-1)
    is_inner = number[columns.edge_source] == number[columns.edge_target]
    names = [name for name in TraceColumns.__dataclass_fields__ if name.startswith("edge_")]
    kept = {name: getattr(columns, name)[~is_inner] for name in names}
    return replace(columns, unit=units, **kept)


def summed_activations(
    fired: FiredFeatures, selected: SelectedTrace, relabelling: Relabelling | None
) -> ActiveFeatures:
    """Returns each unit that fired once, its activations summed over positions."""
    units = fired.unit if relabelling is None else relabelling(selected, fired.unit, fired.position.tolist())
    found, place = np.unique(np.array(units, dtype=object).astype(str), return_inverse=True)
    total = np.bincount(place.reshape(-1), weights=fired.activation, minlength=len(found)).astype(np.float64)
    return ActiveFeatures(unit=tuple(found.tolist()), activation=total)


def _with_role(unit: str, role: str) -> str:
    if _OUTPUT.fullmatch(unit):
        return unit
    token = _INPUT.fullmatch(unit)
    return f"{token['model'] if token else unit}{AT}{role}"
