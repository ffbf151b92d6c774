"""The sums of a rollup over any selection of traces, made on the fly instead of read from the database."""

from dataclasses import fields

import numpy as np
from neo4j import Session

from circuitbase.errors import InputError
from circuitbase.queries.relabelling import Relabelling
from circuitbase.queries.rollup_sums import ActiveFeatures, EdgeSums, RollupSums, UnitSums, rollup_sums
from circuitbase.queries.selection import Selection
from circuitbase.queries.trace_columns import TraceColumns
from circuitbase.queries.trace_streaming import Heard, streamed_traces
from circuitbase.store.trace_store import TraceStore

MOST_TRACES = 5_000
BATCH = 50
MOST_ROWS = 1_000_000  # of batches that are not merged yet

_SHIFT = 28  # bits of a unit's number in the code of a pair, which has two and a port
_PORT_BITS = 2
_EDGE_SUMS = [field.name for field in fields(EdgeSums) if field.name not in ("source", "target", "port")]
_UNIT_SUMS = [field.name for field in fields(UnitSums) if field.name != "unit"]
_COUNTS = frozenset({"traces", "positive", "same_position", "active_traces", "traced"})


def selection_sums(
    session: Session,
    store: TraceStore,
    selection: Selection,
    *,
    relabelling: Relabelling | None = None,
    heard: Heard | None = None,
    most_traces: int = MOST_TRACES,
) -> RollupSums:
    """Returns the sums over a selection's traces, in the memory that their distinct pairs take.

    Raises InputError for more than `most_traces`, before anything is read.
    """
    check_size(selection, most_traces=most_traces)
    merged = MergedSums()
    batch: list[tuple[TraceColumns, ActiveFeatures]] = []
    for streamed in streamed_traces(session, store, selection, heard=heard):
        batch.append(streamed.relabelled(relabelling))
        if len(batch) == BATCH:
            merged.add(rollup_sums(batch))
            batch = []
    if batch:
        merged.add(rollup_sums(batch))
    return merged.total()


def check_size(selection: Selection, *, most_traces: int) -> None:
    """Raises InputError if a selection has more traces than are to be read one by one."""
    if len(selection.traces) > most_traces:
        raise InputError(
            f"{selection.name} has {len(selection.traces):,} traces, and at most {most_traces:,} are summed on the "
            "fly; raise --most-traces, or put the prompts into a set of their own with --save-as"
        )


class MergedSums:
    """Sums of batches of traces, merged whenever enough of them came together."""

    def __init__(self) -> None:
        self._place: dict[str, int] = {}
        self._edges: list[tuple[np.ndarray, dict[str, np.ndarray]]] = []
        self._units: list[tuple[np.ndarray, dict[str, np.ndarray]]] = []
        self._rows = 0

    def add(self, sums: RollupSums) -> None:
        """Adds the sums of a batch."""
        place = np.array([self._place.setdefault(unit, len(self._place)) for unit in sums.units], dtype=np.int64)
        edges, units = sums.edge_sums, sums.unit_sums
        code = (((place[edges.source] << _SHIFT) | place[edges.target]) << _PORT_BITS) | edges.port
        self._edges.append((code, {name: getattr(edges, name) for name in _EDGE_SUMS}))
        self._units.append((place[units.unit], {name: getattr(units, name) for name in _UNIT_SUMS}))
        self._rows += len(code)
        if self._rows > MOST_ROWS:
            self._merge()

    def total(self) -> RollupSums:
        """Returns the sums of all batches, units sorted by id, pairs by their units."""
        self._merge()
        names = np.array(list(self._place), dtype=str)
        order = np.argsort(names)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        code, of_edges = self._edges[0] if self._edges else (np.zeros(0, dtype=np.int64), _nothing(_EDGE_SUMS))
        unit, of_units = self._units[0] if self._units else (np.zeros(0, dtype=np.int64), _nothing(_UNIT_SUMS))
        source, target = rank[code >> (_SHIFT + _PORT_BITS)], rank[(code >> _PORT_BITS) & ((1 << _SHIFT) - 1)]
        port = code & ((1 << _PORT_BITS) - 1)
        by_edge, by_unit = np.lexsort((port, target, source)), np.argsort(rank[unit])
        return RollupSums(
            units=tuple(names[order].tolist()),
            edge_sums=EdgeSums(
                source=source[by_edge],
                target=target[by_edge],
                port=port[by_edge],
                **{name: column[by_edge] for name, column in of_edges.items()},
            ),
            unit_sums=UnitSums(
                unit=rank[unit][by_unit], **{name: column[by_unit] for name, column in of_units.items()}
            ),
        )

    def _merge(self) -> None:
        self._edges = [_merged(self._edges, _EDGE_SUMS)] if self._edges else []
        self._units = [_merged(self._units, _UNIT_SUMS)] if self._units else []
        self._rows = len(self._edges[0][0]) if self._edges else 0
        if self._rows > MOST_ROWS // 2:
            self._rows = MOST_ROWS // 2  # so that many distinct pairs are not merged with every batch


def _merged(
    parts: list[tuple[np.ndarray, dict[str, np.ndarray]]], names: list[str]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    found, row = np.unique(np.concatenate([code for code, _ in parts]), return_inverse=True)
    sums = {}
    for name in names:
        column = np.concatenate([values[name] for _, values in parts])
        total = np.bincount(row, weights=column, minlength=len(found))
        sums[name] = total.astype(np.int64 if name in _COUNTS else np.float64)
    return found, sums


def _nothing(names: list[str]) -> dict[str, np.ndarray]:
    return {name: np.zeros(0, dtype=np.int64 if name in _COUNTS else np.float64) for name in names}
