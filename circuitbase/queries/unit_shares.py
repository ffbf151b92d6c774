"""Signed shares between units, summed over traces that are read one after the other."""

from collections.abc import Iterable

import numpy as np

from circuitbase.graph.supernodes import UnitShares
from circuitbase.queries.trace_columns import TraceColumns

_UNITS = 1 << 31
_TOGETHER = 64  # traces after which sums over the same pairs are made one


def unit_shares(traces: Iterable[TraceColumns]) -> UnitShares:
    """Returns the sums over traces of each edge's signed share of its target's input.

    Memory grows with the distinct pairs, not with the traces.
    """
    numbers: dict[str, int] = {}
    codes, shares, held = [np.zeros(0, dtype=np.int64)], [np.zeros(0)], []
    for columns in traces:
        unit = np.array([numbers.setdefault(unit, len(numbers)) for unit in columns.unit], dtype=np.int64)
        held.append(np.unique(unit))
        codes.append(unit[columns.edge_source] * _UNITS + unit[columns.edge_target])
        shares.append(np.sign(columns.edge_weight) * columns.edge_share)
        if len(codes) > _TOGETHER:
            codes, shares = _made_one(codes, shares)
    (code,), (share,) = _made_one(codes, shares)
    units = tuple(sorted(numbers))
    rank = np.zeros(len(units), dtype=np.int64)
    rank[[numbers[unit] for unit in units]] = np.arange(len(units))
    source, target = rank[code // _UNITS], rank[code % _UNITS]
    order = np.lexsort((target, source))
    of_trace = np.zeros((len(units), len(held)), dtype=bool)
    for trace, found in enumerate(held):
        of_trace[rank[found], trace] = True
    return UnitShares(units=units, source=source[order], target=target[order], share=share[order], held=of_trace)


def _made_one(codes: list[np.ndarray], shares: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    found, row = np.unique(np.concatenate(codes), return_inverse=True)
    return [found], [np.bincount(row, weights=np.concatenate(shares), minlength=len(found))]
