"""Motifs that recur over traces: instances with the identity of their units, by the traces that realise them.

A trace supports an instance if it realises it through the same trace nodes, once however often it does. All edges of an
instance with support k have support k themselves, so only such edges are looked at.
"""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from circuitbase.graph.motifs.edge_support import UnitGraph, edge_support
from circuitbase.graph.motifs.instance_table import InstanceTable
from circuitbase.graph.motifs.motif_type import TYPES, MotifType, Shape, edge_positions, edge_signs, type_of

BUDGET = 1_000_000  # instances kept in memory

Graphs = Callable[[], Iterable[UnitGraph]]


@dataclass(frozen=True)
class RecurringMotif:
    """An instance by its units, in the order of the shape's roles, with the class of each edge in the shape's order.

    Of a fan: the centre, then the branches. `traces` support it. Which middle of a diamond is b follows from its units.
    """

    shape: Shape
    units: tuple[str, ...]
    classes: tuple[int, ...]
    traces: int

    @property
    def size(self) -> int:
        """Returns the number of its nodes."""
        return len(self.units)

    @property
    def type(self) -> MotifType:
        """Returns the type that it is counted under."""
        return type_of(self.shape, self.classes)

    @property
    def signs(self) -> str:
        """Returns the sign of each edge."""
        return edge_signs(*self.classes)

    @property
    def positions(self) -> str:
        """Returns the position class of each edge."""
        return edge_positions(*self.classes)

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """Returns the places (source, target) in `units` of each edge."""
        if not self.shape.is_fan:
            return self.shape.edges
        branches = range(1, self.size)
        return tuple((k, 0) if self.shape == Shape.FAN_IN else (0, k) for k in branches)


@dataclass(frozen=True)
class Recurring:
    """The best of the motifs that at least `least` of `traces` traces support; `n_found` counts all of them.

    `least` is larger than asked for where the budget made it so; `is_cut` says that even so there were too many, and
    that instances first seen after that are not among them.
    """

    motifs: tuple[RecurringMotif, ...]
    n_found: int
    traces: int
    least: int
    is_cut: bool


def matching_types(wanted: MotifType) -> frozenset[int]:
    """Returns the places in TYPES of those that agree with what a type says; what it leaves open may be anything."""
    return frozenset(
        place
        for place, type in enumerate(TYPES)
        if type.shape == wanted.shape
        and wanted.signs in (None, type.signs)
        and wanted.positions in (None, type.positions)
    )


def recurring_motifs(
    graphs: Graphs, wanted: MotifType, *, least: int = 1, top: int = 20, budget: int = BUDGET
) -> Recurring:
    """Returns the instances of a type, not a fan, with the largest support; ties by units.

    `graphs` gives all graphs anew each time it is called, which it is twice. Exact for a support of at least the
    result's `least`.
    """
    support = edge_support(graphs())
    table, types, is_cut = InstanceTable(support, wanted.shape, budget), matching_types(wanted), False
    for found in graphs():
        while not table.add(found, types, least=least):
            if least >= support.traces:
                is_cut = True
                table.add_known(found, types, least=least)
                break
            least = min(max(least + 1, least * 11 // 10), support.traces)
            table.forget_below(least)
    kept = [(-count, table.unit_ids(key), table.classes(key)) for key, count in table.count.items() if count >= least]
    return Recurring(
        motifs=tuple(
            RecurringMotif(wanted.shape, units, classes, traces=-count)
            for count, units, classes in heapq.nsmallest(top, kept)
        ),
        n_found=len(kept),
        traces=support.traces,
        least=least,
        is_cut=is_cut,
    )
