"""The nodes of a component trace, in the order of a trace file, and where each unit's are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from circuitbase.schema.kinds import NodeKind
from circuitbase.tracing.components.propagation import Propagated
from circuitbase.tracing.components.source_grid import SourceGrid
from circuitbase.tracing.nodes import Nodes
from circuitbase.tracing.outputs import OutputNode


@dataclass(frozen=True)
class ComponentNodes:
    """The nodes, and the node of each place: of sources by unit and position (-1 where one is left out), of each
    layer's links in the order in which they were chosen.
    """

    table: Nodes
    source: Int64[np.ndarray, "unit position"]
    links: tuple[Int64[np.ndarray, " _"], ...]


@dataclass(frozen=True)
class _Columns:
    """Some nodes in any order."""

    kind: int
    layer: int
    position: np.ndarray
    key_position: np.ndarray
    unit: np.ndarray
    activation: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.position)


def component_nodes(
    token_ids: Sequence[int], grid: SourceGrid, found: Propagated, outputs: Sequence[OutputNode]
) -> ComponentNodes:
    """Returns the nodes that propagation kept, and the outputs."""
    kept = grid.kept.cpu().numpy()
    activation = grid.activation.double().cpu().numpy()
    tokens = np.array(token_ids, dtype=np.int64)
    parts: list[_Columns] = []
    for row, (kind, layer, index) in enumerate(zip(grid.kind, grid.layer, grid.unit, strict=True)):
        position = np.flatnonzero(kept[row])
        units = tokens[position] if kind == NodeKind.INPUT_TOKEN else np.full(len(position), index, dtype=np.int64)
        parts.append(_columns(kind, layer, position, units, activation[row, position]))
    n_sources = len(parts)
    for layer, propagated in enumerate(found.layers):
        links = propagated.links
        query, key, head = (column.cpu().numpy() for column in (links.query, links.key, links.head))
        pattern = links.pattern.double().cpu().numpy()
        parts.append(_columns(NodeKind.ATTENTION_LINK, layer, query, head, pattern, key_position=key))
    n_layers = len(found.layers)
    for output in outputs:
        place, unit = np.array([output.position]), np.array([output.unit])
        ends = _columns(output.kind, n_layers, place, unit, np.array([output.activation]), weight=output.weight)
        parts.append(ends)
    table, place = _sorted(parts, n_outputs=len(outputs))
    of_part = np.split(place, np.cumsum([len(part) for part in parts])[:-1])
    source = np.full(kept.shape, -1, dtype=np.int64)
    for row, nodes in enumerate(of_part[:n_sources]):
        source[row, kept[row]] = nodes
    return ComponentNodes(
        table=table,
        source=source,
        links=tuple(of_part[n_sources : n_sources + n_layers]),
    )


def _columns(
    kind: NodeKind,
    layer: int,
    position: np.ndarray,
    unit: np.ndarray,
    activation: np.ndarray,
    *,
    key_position: np.ndarray | None = None,
    weight: float = 0.0,
) -> _Columns:
    return _Columns(
        kind=int(kind),
        layer=layer,
        position=position,
        key_position=np.full(len(position), -1) if key_position is None else key_position,
        unit=unit,
        activation=activation,
        weight=np.full(len(position), weight),
    )


def _sorted(parts: Sequence[_Columns], *, n_outputs: int) -> tuple[Nodes, Int64[np.ndarray, " node"]]:
    """Returns the nodes in the order of a trace file, and the place of each node of the parts there."""
    sizes = [len(part) for part in parts]
    columns: dict[str, np.ndarray] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("position", "key_position", "unit", "activation", "weight")
    }
    kind = np.repeat([part.kind for part in parts], sizes)
    layer = np.repeat([part.layer for part in parts], sizes)
    order = np.lexsort((columns["unit"], columns["key_position"], columns["position"], layer, kind))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    nowhere: Float64[np.ndarray, " node"] = np.full(len(order), np.nan)
    return (
        Nodes(
            kind=kind[order].astype(np.uint8),
            layer=layer[order].astype(np.int16),
            position=columns["position"][order].astype(np.int32),
            key_position=columns["key_position"][order].astype(np.int32),
            unit=columns["unit"][order].astype(np.int64),
            activation=columns["activation"][order].astype(np.float64),
            preactivation=nowhere,
            margin=nowhere.copy(),
            is_silent=np.zeros(len(order), dtype=bool),
            weight=columns["weight"][order].astype(np.float64),
            active=(),
            silent=(),
            outputs=place[len(order) - n_outputs :].astype(np.int64),
        ),
        place.astype(np.int64),
    )
