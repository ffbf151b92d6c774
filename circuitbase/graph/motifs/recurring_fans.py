"""Fans that recur over traces: a unit with the branches that it has again and again.

Of one centre the branches are taken in the order of their edges' support, and as many of them as are together supported
best: all subsets of a fan's branches would be too many to count.
"""

from collections import Counter, defaultdict

import numpy as np

from circuitbase.errors import InputError
from circuitbase.graph.motifs.counts import MIN_SIZE, check_min_size
from circuitbase.graph.motifs.edge_support import EdgeSupport, UnitGraph, edge_of_key, edge_support
from circuitbase.graph.motifs.motif_type import FANS_IN, FANS_OUT, MotifType, Shape
from circuitbase.graph.motifs.recurring import Graphs, Recurring, RecurringMotif, matching_types

Centre = tuple[int, int]  # number of the unit, class of the edges


def recurring_fans(
    graphs: Graphs, wanted: MotifType, *, least: int = 1, top: int = 20, min_size: int = MIN_SIZE
) -> Recurring:
    """Returns the fans of a type with the largest support, one for each centre and class; ties by size, then by units.

    A fan has at least `min_size` branches, which are different units. `graphs` gives all graphs anew each time it is
    called, which it is twice. Raises InputError for a size below 2.
    """
    check_min_size(min_size)
    if not wanted.shape.is_fan:
        raise InputError(f"a fan was expected, got a {wanted.shape.value}")
    support = edge_support(graphs())
    branches, rank = _branches(support, wanted, least=least)
    lengths: dict[Centre, Counter[int]] = defaultdict(Counter)
    for found in graphs():
        for centre, length in _longest(found, support, rank, wanted.shape).items():
            lengths[centre][length] += 1
    units, fans = support.units, []
    for (unit, edge_class), reached in lengths.items():
        best = _best_length(reached, min_size=min_size)
        if best is not None and best[0] >= least:
            traces, length = best
            chosen = (unit, *branches[unit, edge_class][:length])
            fans.append(
                RecurringMotif(wanted.shape, tuple(units[each] for each in chosen), (edge_class,) * length, traces)
            )
    fans.sort(key=lambda fan: (-fan.traces, -fan.size, fan.units, fan.classes))
    return Recurring(tuple(fans[:top]), n_found=len(fans), traces=support.traces, least=least, is_cut=False)


def _branches(support: EdgeSupport, wanted: MotifType, *, least: int) -> tuple[dict[Centre, list[int]], dict[int, int]]:
    """Returns the branches of each centre, best supported first, and the place of each edge's key among them."""
    classes = {place - (FANS_IN if wanted.shape == Shape.FAN_IN else FANS_OUT) for place in matching_types(wanted)}
    branches: dict[Centre, list[int]] = defaultdict(list)
    rank: dict[int, int] = {}
    order = np.lexsort((support.key, -support.count))
    order = order[support.count[order] >= least]
    ends = (column.tolist() for column in edge_of_key(support.key[order]))
    for key, source, target, edge_class in zip(support.key[order].tolist(), *ends, strict=True):
        if edge_class in classes:
            centre, branch = (target, source) if wanted.shape == Shape.FAN_IN else (source, target)
            rank[key] = len(branches[centre, edge_class])
            branches[centre, edge_class].append(branch)
    return branches, rank


def _longest(found: UnitGraph, support: EdgeSupport, rank: dict[int, int], shape: Shape) -> dict[Centre, int]:
    """Returns how many of its branches, from the first on, a trace has at one node of each centre."""
    graph = found.graph
    node = graph.target if shape == Shape.FAN_IN else graph.source
    ranks: dict[tuple[int, int], set[int]] = defaultdict(set)
    columns = (column.tolist() for column in (node, graph.edge_class, support.keys(found)))
    for centre, edge_class, key in zip(*columns, strict=True):
        if key in rank:
            ranks[centre, edge_class].add(rank[key])
    number = support.numbers(found)
    longest: dict[Centre, int] = {}
    for (centre, edge_class), here in ranks.items():
        length = next(place for place in range(len(here) + 1) if place not in here)
        unit = int(number[centre])
        longest[unit, edge_class] = max(length, longest.get((unit, edge_class), 0))
    return longest


def _best_length(reached: Counter[int], *, min_size: int) -> tuple[int, int] | None:
    """Returns (traces, length) of the branches that most traces have together, as many as that leaves; None if none."""
    found = [
        (sum(traces for longest, traces in reached.items() if longest >= length), length)
        for length in reached
        if length >= min_size
    ]
    return max(found, default=None)
